# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Image references: C(registry/repository:tag@digest) and the transports that carry them.

The grammar is the one of the OCI distribution specification 1.1 ("Pulling manifests") and of
Docker's reference grammar, which Podman, skopeo and bootc share.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from ._errors import ImageModeError

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
# bootc 1.16.9, `bootc switch --transport`; "docker" is its synonym for "registry".
TRANSPORTS = ("registry", "oci", "oci-archive", "docker-archive", "containers-storage", "dir", "docker-daemon")

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"^(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?\Z")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"^{_COMPONENT}(?:/{_COMPONENT})*\Z")
_TAG = re.compile(r"^\w[\w.-]{0,127}\Z", re.ASCII)
# Of an image in an engine's storage; Docker's grammar (distribution/reference, "identifier") has no such names, either.
_ID = re.compile(r"^(?:sha256:)?[0-9a-f]{64}\Z")
_DIGEST = re.compile(r"^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z")


class ReferenceInvalid(ImageModeError):
    """Text that is not an image reference or not a digest."""

    error = "reference_invalid"


def is_digest(text: str) -> bool:
    """:returns: whether the text is a digest such as C(sha256:…) in full length"""
    return bool(_DIGEST.match(text))


def named_by_id(text: str) -> bool:
    """Whether the text is an image's id in full length, with or without C(sha256:), for which no registry is asked."""
    return bool(_ID.match(text))


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """:returns: the digest of the content, C(sha256:…)"""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def parse_digest(text: str) -> str:
    """:raises ReferenceInvalid: the text is not a digest in full length"""
    if not is_digest(text):
        raise ReferenceInvalid(
            f"'{text}' is not a digest.",
            hint="A digest is 'sha256:' followed by 64 hexadecimal digits in lower case.",
        )
    return text


def has_registry(image: str) -> bool:
    """:returns: whether an image's name begins with a registry; otherwise it is a short one, which each tool completes by its own rule"""
    first, slash, _rest = image.partition("/")
    return bool(slash) and (first == "localhost" or "." in first or ":" in first or first != first.lower())


@dataclass(frozen=True)
class Reference:
    """An image in a registry, normalised.

    :ivar registry: host and optional port, C(docker.io) if none was written
    :ivar repository: path within the registry
    :ivar tag: tag, or C(None) if there is only a digest
    :ivar digest: digest, or C(None)
    """

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse C([docker://][registry/]repository[:tag][@digest]).

        :raises ReferenceInvalid: the text does not follow the grammar, or is an image's id
        """
        if text.startswith(("['", '["')):
            # As Ansible makes text of a list.
            raise ReferenceInvalid(
                f"One image is asked for, and a list was given: {text}.", hint="Give one name; 'loop' takes several in turn."
            )
        rest = text[len("docker://") :] if text.startswith("docker://") else text
        if named_by_id(rest):
            raise _invalid(text, "it is an image's id, by which no registry knows it")
        rest, at, digest = rest.partition("@")
        if at and not is_digest(digest):
            raise _invalid(text, f"'{digest}' after '@' is not a digest ('sha256:' and 64 hexadecimal digits)")
        tag: str | None = None
        colon = rest.rfind(":")
        if colon > rest.rfind("/"):
            rest, tag = rest[:colon], rest[colon + 1 :]
            if not _TAG.match(tag):
                raise _invalid(text, f"'{tag}' is not a tag")
        if has_registry(rest):
            registry, _slash, repository = rest.partition("/")
        else:
            registry, repository = DEFAULT_REGISTRY, rest
        if registry in ("index.docker.io", "registry-1.docker.io"):
            registry = DEFAULT_REGISTRY
        if registry == DEFAULT_REGISTRY and repository and "/" not in repository:
            repository = f"library/{repository}"
        if not _DOMAIN.match(registry):
            raise _invalid(text, f"'{registry}' is not a registry's host name")
        if not _REPOSITORY.match(repository):
            raise _invalid(text, f"'{repository}' is not a repository name (lower case letters, digits, '.', '_', '-', '/')")
        if tag is None and not digest:
            tag = DEFAULT_TAG
        return cls(registry, repository, tag, digest or None)

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def pinned(self) -> bool:
        """Whether a digest decides which image is meant."""
        return self.digest is not None

    def with_digest(self, digest: str) -> Reference:
        """The image with this digest in the same repository; the tag is left out."""
        return replace(self, tag=None, digest=parse_digest(digest))

    def with_tag(self, tag: str) -> Reference:
        """:raises ReferenceInvalid: the tag is not one"""
        if not _TAG.match(tag):
            raise _invalid(f"{self.name}:{tag}", f"'{tag}' is not a tag")
        return replace(self, tag=tag, digest=None)

    def __str__(self) -> str:
        text = self.name
        if self.tag:
            text += f":{self.tag}"
        if self.digest:
            text += f"@{self.digest}"
        return text


def same_reference(one: str, other: str) -> bool:
    """Whether two texts name the same image: C(x) is C(docker.io/library/x:latest), and a tag beside a digest decides nothing."""
    if one == other:
        return True
    try:
        left, right = (Reference.parse(without_tag(text)) for text in (one, other))
    except ReferenceInvalid:
        return False
    return left == right


def without_tag(text: str) -> str:
    """C(name:tag@digest) as C(name@digest); everything else as it is.

    bootc does so itself on ostree since 1.2.0 (spec.rs, `canonicalize`). containers/image refuses both, and so skopeo does, an
    older bootc, and every bootc on composefs, which hands on what it was given.
    """
    name, at, digest = text.partition("@")
    colon = name.rfind(":")
    return f"{name[:colon]}@{digest}" if at and colon > name.rfind("/") else text


def _invalid(text: str, why: str) -> ReferenceInvalid:
    return ReferenceInvalid(
        f"'{text}' is not an image reference: {why}.",
        hint="Write it as registry/repository:tag or registry/repository@sha256:….",
    )
