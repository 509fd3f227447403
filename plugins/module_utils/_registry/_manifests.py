# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifests as data: OCI image specification 1.1 and Docker image manifest version 2, schema 2."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from .._instance import ZSTD, Instance, choose
from .._reference import is_digest
from ._platform import Platform
from .errors import ManifestInvalid, ManifestUnsupported, PlatformMissing

IMAGE_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
ACCEPT = ", ".join(IMAGE_TYPES + INDEX_TYPES)
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"


@dataclass(frozen=True)
class Descriptor:
    """What a digest names: OCI image specification 1.1, "Content Descriptors".

    :ivar size: bytes
    :ivar platform: set in an index only
    :ivar artifact_type: what a referrer is, for example C(application/spdx+json)
    :ivar variant: that of I(platform) as the index has it, which may spell out the usual one
    """

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str = ""
    variant: str = ""

    @property
    def instance(self) -> Instance:
        platform = (self.platform.os, self.platform.architecture, self.variant) if self.platform else None
        return Instance(self.digest, platform, self.annotations.get(ZSTD) == "true")

    def as_document(self) -> dict[str, Any]:
        """:returns: the descriptor of an artifact as an index has it"""
        parts = {"artifactType": self.artifact_type, "annotations": dict(self.annotations)}
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **{k: v for k, v in parts.items() if v}}


Layer = Descriptor


@dataclass(frozen=True)
class Image:
    """The manifest of one platform's image.

    :ivar digest: digest of the manifest itself
    :ivar config: descriptor of the image configuration; its digest is the image id that engines show
    :ivar artifact_type: what it is, for example C(application/spdx+json); of an image the type of its configuration
    """

    digest: str
    media_type: str
    size: int
    config: Descriptor
    layers: tuple[Layer, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str = ""


@dataclass(frozen=True)
class Index:
    """A list of manifests, one a platform."""

    digest: str
    media_type: str
    size: int
    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def platforms(self) -> tuple[Descriptor, ...]:
        """The entries that are images of a platform: attestations carry C(unknown/unknown)."""
        return tuple(entry for entry in self.manifests if entry.platform and entry.platform.os != "unknown")

    def choose(self, platform: Platform) -> Descriptor:
        """:returns: the entry that a host of the platform takes
        :raises PlatformMissing: there is none
        """
        found = choose((entry.instance for entry in self.manifests), platform.os, platform.architecture, platform.variant)
        if found:
            return next(entry for entry in self.manifests if entry.instance == found)
        there = ", ".join(str(entry.platform) for entry in self.platforms) or "none"
        raise PlatformMissing(
            f"The index {self.digest} holds no image for {platform}; it holds: {there}.",
            hint="Choose one of these with 'platform'.",
            platforms=[str(entry.platform) for entry in self.platforms],
        )


Manifest = Union[Image, Index]


def need_platform(digest: str, configuration: Mapping[str, Any], platform: Platform) -> None:
    """Whether an image that is in no index is for the platform; what says nothing of one, as an artifact does, is for all.

    :param configuration: the image's own (OCI image specification 1.1, "Image Configuration")
    :raises PlatformMissing: it is for another one
    """
    os, architecture, variant = (str(configuration.get(name) or "") for name in ("os", "architecture", "variant"))
    there = Platform.of(os or "linux", architecture, variant)
    # As in an index, one without a variant stands in for each.
    wanted = platform if variant else Platform.of(platform.os, platform.architecture)
    if architecture and there != wanted:
        raise PlatformMissing(
            f"The image {digest} is for {there}, not for {platform}, and there is no index with others.",
            hint="Leave 'platform' out to have it nevertheless, or name an image for that platform.",
            platforms=[str(there)],
        )


def index_of(entries: Iterable[Descriptor]) -> tuple[bytes, str]:
    """:returns: an index of artifacts, and its media type"""
    document = {"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": [entry.as_document() for entry in entries]}
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode(), INDEX_TYPES[0]


def refuse_schema_1(media_type: str, what: str) -> None:
    """:raises ManifestUnsupported: it is Docker's schema 1, whose digest is not even that of its content"""
    if media_type.startswith(_SCHEMA_1):
        raise ManifestUnsupported(
            f"{what} is an image of Docker's schema 1.",
            hint="Push it again with a present-day engine.",
        )


def parse_manifest(content: bytes, media_type: str, digest: str) -> Manifest:
    """:param media_type: the Content-Type it came with; what the document says of itself wins
    :raises ManifestInvalid: the content is neither an image manifest nor an index
    """
    try:
        document = json.loads(content)
        if document.get("schemaVersion") == 1:
            media_type = f"{_SCHEMA_1}json"
        stated = document.get("mediaType") or media_type.partition(";")[0].strip()
        refuse_schema_1(stated, f"The manifest {digest}")
        if stated in INDEX_TYPES or (stated not in IMAGE_TYPES and "manifests" in document):
            entries = tuple(descriptor(entry) for entry in document["manifests"])
            return Index(digest, stated, len(content), entries, _texts(document))
        if stated in IMAGE_TYPES or ("config" in document and "layers" in document):
            layers = tuple(descriptor(entry) for entry in document["layers"])
            config = descriptor(document["config"])
            told = document.get("artifactType") or config.media_type
            return Image(digest, stated, len(content), config, layers, _texts(document), told)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestInvalid(
            f"The manifest {digest} is not one of the OCI image specification: {error!r}.",
            hint="A proxy or a login page may have answered in the registry's place; if it did not, push the image again.",
        ) from None
    raise ManifestInvalid(
        f"The manifest {digest} has the media type '{stated}', which is neither an image nor an index.",
        hint="Check the name; the registry may hold something other than an image there.",
    )


def descriptor(document: Mapping[str, Any]) -> Descriptor:
    """:raises ValueError: it has no digest"""
    digest = document["digest"]
    if not is_digest(digest):
        raise ValueError(f"'{digest}' is not a digest")
    platform = document.get("platform")
    return Descriptor(
        document.get("mediaType", ""),
        digest,
        int(document["size"]),
        Platform.of(platform["os"], platform["architecture"], platform.get("variant") or "") if platform else None,
        _texts(document),
        document.get("artifactType") or "",
        (platform or {}).get("variant") or "",
    )


def _texts(document: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in (document.get("annotations") or {}).items()}
