# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options by which every module reaches a registry, and what they mean: documented in the fragment C(registry)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._auth import Credentials, auth_file_places, find_credentials, namespace_of, temporary_auth_file
from .._errors import OptionError
from .._reference import Reference
from ._access import Access
from ._client import Registry
from ._registries_conf import RegistriesConf, credential_helpers

REGISTRY_ARGUMENTS: dict[str, dict[str, Any]] = {
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "auth_namespace": {"type": "str"},
    "auth_file": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
    "plain_http": {"type": "bool", "default": False},
    "ca_path": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
    "timeout": {"type": "int", "default": 30},
    "retries": {"type": "int", "default": 3},
}


@dataclass(frozen=True)
class RegistryOptions:
    """What a task says of reaching registries.

    :ivar given: credentials from the task itself, with the registry or namespace that they are for
    :ivar files: auth files, the first one that has an entry wins
    :ivar default_files: whether I(files) is simply what Podman looks at by itself
    """

    access: Access
    given: tuple[tuple[str, Credentials], ...]
    files: tuple[Path, ...]
    default_files: bool

    @classmethod
    def of(cls, params: Mapping[str, Any], reference: Reference | None, *more: Reference) -> RegistryOptions:
        """
        :param reference: the image of the task; C(None) if it is not in a registry
        :param more: what else the task itself names; what they lead to, as base images, is reached as the machine is configured
        :raises OptionError: half of the credentials is missing, or nothing says where they belong
        """
        username, password = params.get("username"), params.get("password")
        if bool(username) != bool(password):
            there, missing = ("username", "password") if username else ("password", "username")
            raise OptionError(f"The option '{there}' is set and '{missing}' is not.", hint="Set both, or use 'auth_file'.")
        given: tuple[tuple[str, Credentials], ...] = ()
        if username and password:
            named = params.get("auth_namespace")
            namespace = namespace_of(named) if named else reference and reference.registry
            if not namespace or namespace == "localhost":
                raise OptionError(
                    "'username' and 'password' are set, and the image is in no registry.",
                    hint="Say with 'auth_namespace' which registry they are for, or use 'auth_file'.",
                )
            given = ((namespace, Credentials(username, password)),)
        if params.get("timeout", 1) < 1 or params.get("retries", 0) < 0:
            raise OptionError("'timeout' has to be at least 1 second, and 'retries' at least 0.")
        if params.get("client_key") and not params.get("client_cert"):
            raise OptionError("The option 'client_key' is set and 'client_cert' is not.", hint="Set both, or none.")
        auth_file = params.get("auth_file")
        if auth_file and not os.path.exists(auth_file):
            raise OptionError(f"'auth_file' names '{auth_file}', which is not there.", hint="Log in first, or correct the path.")
        names = ("validate_certs", "plain_http", "ca_path", "client_cert", "client_key", "timeout", "retries")
        registries = tuple(dict.fromkeys(named.registry for named in (reference, *more) if named))
        access = Access(**{name: params[name] for name in names if params.get(name) is not None}, registries=registries)
        files = (Path(auth_file),) if auth_file else auth_file_places()
        return cls(access, given, files, not auth_file)

    def puller(self) -> Registry:
        """The registry as a pull sees it: through the machine's mirrors."""
        return Registry(self.access, self.credentials, RegistriesConf.read())

    def pusher(self) -> Registry:
        """The registry itself."""
        return Registry(self.access, self.credentials)

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(secret for _namespace, credentials in self.given for secret in credentials.secrets)

    def credentials(self, reference: Reference) -> Credentials | None:
        """:returns: the task's own credentials if they are for this image, else what the machine has for it"""
        for namespace, credentials in self.given:
            if f"{reference.name}/".startswith(f"{namespace}/"):
                return credentials
        return find_credentials(reference, self.files, credential_helpers())

    @contextmanager
    def engine_auth_file(self, registry: str, found: Credentials | None) -> Iterator[Path | None]:
        """The file for an engine's C(--authfile); C(None) if the engine finds the same by itself.

        :param found: what I(credentials) has for the image
        """
        given = dict(self.given)
        if found and found.stored:
            given.setdefault(registry, found)
        # Buildah and Skopeo fail where they may not even look, as a user without a session may not in /run/containers.
        if given or (self.default_files and not _may_look(self.files[0])):
            with temporary_auth_file(given, self.files) as path:
                yield path
        else:
            yield None if self.default_files else self.files[0]


def _may_look(path: Path) -> bool:
    """:returns: whether the user can tell if the file is there"""
    try:
        path.stat()
    except OSError as error:
        return not isinstance(error, PermissionError)
    return True
