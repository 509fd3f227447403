# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong with a registry, as stable codes."""

from __future__ import annotations

from .._errors import ImageModeError


class RegistryError(ImageModeError):
    """The registry answered with something that is no answer to what was asked."""

    error = "registry_error"


class RegistryUnreachable(RegistryError):
    """No connection, or no answer in time."""

    error = "registry_unreachable"


class ProxyFailed(RegistryUnreachable):
    """The proxy of the environment cannot be reached, or does not let the request through."""

    error = "proxy_failed"


class RegistryTls(RegistryError):
    """The registry's certificate is not trusted, or it does not speak TLS."""

    error = "registry_tls"


class RegistryUnauthorized(RegistryError):
    """Credentials are needed, or those given are wrong (401)."""

    error = "registry_unauthorized"


def login_hint(registry: str, *, given: bool) -> str:
    """:param given: whether there are credentials for this registry"""
    if given:
        return f"Check the user name and the password or token, for example with: podman login {registry}"
    return f"Set 'username' and 'password' or 'auth_file', or log in as the user who runs this: podman login {registry}"


class CredentialsRefused(RegistryUnauthorized):
    """The registry itself has seen the credentials and does not accept them, which no repository that is missing explains."""


class RegistryForbidden(RegistryError):
    """The credentials are right and do not allow this (403)."""

    error = "registry_forbidden"


class RegistryRateLimited(RegistryError):
    """Too many requests (429), also after waiting."""

    error = "registry_rate_limited"


class RegistryUnavailable(RegistryError):
    """The registry has a fault of its own (5xx), also after waiting."""

    error = "registry_unavailable"


class AnswerIncomplete(RegistryError):
    """The answer broke off before its announced length, also when it was asked for again."""

    error = "registry_answer_incomplete"


class RedirectRefused(RegistryError):
    """The registry sends its client in circles, or to where nothing protects what is read or written."""

    error = "registry_redirect_refused"


class TokenInvalid(RegistryError):
    """The place that the registry names to log in at is not safe, or gives no token."""

    error = "registry_token_invalid"


class ImageMissing(RegistryError):
    """The registry has no such repository, tag or digest."""

    error = "image_missing"


class BlobMissing(RegistryError):
    """A manifest names a blob that the registry does not have."""

    error = "blob_missing"


class PlatformMissing(RegistryError):
    """There is no image for the platform, only for others."""

    error = "platform_missing"


class ManifestInvalid(RegistryError):
    """A document that is not a manifest of the OCI image specification or of Docker's schema 2."""

    error = "manifest_invalid"


class ManifestUnsupported(ManifestInvalid):
    """An image of Docker's schema 1, which no present-day engine or host can use."""

    error = "manifest_unsupported"


class DigestMismatch(RegistryError):
    """Content does not have the digest under which it was asked for or announced."""

    error = "digest_mismatch"


class RequestsMissing(ImageModeError):
    """The Python library requests is not installed where a registry is asked."""

    error = "python_library_missing"
