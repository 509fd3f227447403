# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images in an engine's local storage, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._reference import DEFAULT_TAG, Reference, named_by_id

LOCAL = "localhost"
# Of an image that is one of several for as many platforms: all of them, so that a push knows what belongs together.
PLATFORMS_LABEL = "io.imagemode.platforms"


@dataclass(frozen=True)
class Step:
    """An instruction of an image's history: OCI image specification 1.1, "Image Configuration".

    :ivar date: as RFC 3339 has it; C("") where the history does not tell
    """

    text: str
    date: str


@dataclass(frozen=True)
class LocalImage:
    """An image in local storage.

    :ivar id: digest of the image configuration, C(sha256:…): the same in every engine and registry. Docker with containerd's image store
        has the digest of the manifest, or of the index, here
    :ivar digest: digest of the local manifest; a push that compresses layers gives another one. Docker knows only the digest
        of a registry that it pulled from or pushed to
    :ivar history: the first instruction first; Docker tells none here
    """

    id: str
    digest: str
    platform: str
    labels: Mapping[str, str] = field(hash=False)
    history: tuple[Step, ...] = ()

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms that this one, or an image that it is built upon, was built together with, itself included; else empty."""
        return tuple(filter(None, self.labels.get(PLATFORMS_LABEL, "").split(",")))


def local_name(text: str) -> Reference:
    """The reference by which an engine stores an image: without a registry it is C(localhost/…), not Docker Hub's.

    :raises ReferenceInvalid: the text is no image reference, or an image's id
    """
    first, slash, _rest = text.partition("/")
    qualified = slash and ("." in first or ":" in first or first == LOCAL)
    return Reference.parse(text if qualified or named_by_id(text) else f"{LOCAL}/{text}")


def stored_name(text: str) -> str:
    """:returns: how an engine finds an image: the full name, or the id C(sha256:…)
    :raises ReferenceInvalid: the text is neither
    """
    return image_digest(text) if named_by_id(text) or text.startswith("sha256:") else str(local_name(text))


def platform_name(name: Reference, platform: str) -> Reference:
    """:returns: the name of one platform's image beside the name for all: C(os:1) and C(os:1-linux-arm64)"""
    return name.with_tag(f"{name.tag or DEFAULT_TAG}-{platform.replace('/', '-')}")


def from_podman(document: Mapping[str, Any]) -> LocalImage:
    """:param document: one entry of C(podman image inspect), Podman 4.3 to 5.6"""
    return LocalImage(
        image_digest(document["Id"]),
        document.get("Digest") or "",
        _platform(document.get("Os"), document.get("Architecture"), document.get("Variant")),
        document.get("Labels") or {},
        steps(document.get("History")),
    )


def from_buildah(document: Mapping[str, Any]) -> LocalImage:
    """:param document: what C(buildah inspect --type image) prints, Buildah 1.28 to 1.41"""
    config = document.get("OCIv1") or {}
    manifest = json.loads(document.get("Manifest") or "{}")
    return LocalImage(
        # The manifest's own word where there is one: storage may know an image by another id.
        (manifest.get("config") or {}).get("digest") or image_digest(document["FromImageID"]),
        document.get("FromImageDigest") or "",
        _platform(config.get("os"), config.get("architecture"), config.get("variant")),
        (config.get("config") or {}).get("Labels") or {},
        steps(config.get("history")),
    )


def from_docker(document: Mapping[str, Any]) -> LocalImage:
    """:param document: one entry of C(docker image inspect), Docker 20.10 to 28, with either image store"""
    digests = [name.partition("@")[2] for name in document.get("RepoDigests") or ()]
    return LocalImage(
        document["Id"],
        digests[0] if digests else "",
        _platform(document.get("Os"), document.get("Architecture"), document.get("Variant")),
        (document.get("Config") or {}).get("Labels") or {},
    )


def steps(history: Sequence[Mapping[str, Any]] | None) -> tuple[Step, ...]:
    """:param history: as an image configuration has it"""
    return tuple(Step(entry.get("created_by") or "", entry.get("created") or "") for entry in history or ())


def image_digest(image_id: str) -> str:
    """:param image_id: as an engine shows it, with or without C(sha256:)"""
    return image_id if ":" in image_id else f"sha256:{image_id}"


def _platform(os: str | None, architecture: str | None, variant: str | None) -> str:
    return "/".join(word for word in (os or "linux", architecture, variant) if word)
