# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Making tags of a registry mean an image: what they mean now, and the least that has to be sent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ._engine import Engine, EngineFailed, LocalImage, RegistryAccess, platform_name, skopeo_copy
from ._engine_access import engine_access
from ._errors import ImageModeError
from ._layout import Place, file_digest
from ._reference import Reference, digest_of
from ._registry import (
    IMAGE_TYPES,
    INDEX_TYPES,
    Content,
    CredentialsRefused,
    Image,
    ImageMissing,
    Index,
    Platform,
    Registry,
    RegistryError,
    RegistryForbidden,
    RegistryOptions,
    RegistryUnauthorized,
    parse_manifest,
    put_manifest,
)
from ._scratch import scratch_directory

# Faults that may be gone a moment later.
_PASSING = ("registry_rate_limited", "registry_unreachable", "registry_unavailable", "registry_answer_incomplete", "proxy_failed")
_MAX_WAIT = 30.0
# Of a layer; Podman 4 writes "io.containers." before it, Podman 5 "io.github.containers.".
_CHUNKED = "containers.zstd-chunked.manifest-checksum"


@dataclass(frozen=True)
class Tag:
    """A tag of a registry.

    :ivar before: what it meant before; C(None) if there was no such tag
    :ivar same: whether that is the image already
    :ivar digest: what it means now; C(None) while that is not known
    :ivar hidden: whether the registry does not let this user look
    :ivar unbuilt: whether the image is yet to be built
    """

    reference: Reference
    before: Content | None
    same: bool
    digest: str | None
    hidden: bool = False
    unbuilt: bool = False

    @property
    def changed(self) -> bool:
        return not self.same if self.digest is None else self.digest != (self.before and self.before.digest)

    @property
    def reason(self) -> str:
        if self.unbuilt:
            return "the image is built first"
        if self.same:
            return "the registry has this image under this tag"
        if self.hidden:
            return "the registry does not let this user read the repository, as many do until it exists"
        return "the registry has another image under this tag" if self.before else "the registry does not have this tag"

    def as_result(self) -> dict[str, Any]:
        return {
            "reference": str(self.reference),
            "digest": self.digest,
            "before_digest": self.before and self.before.digest,
            "reason": self.reason,
            "changed": self.changed,
        }


class Push:
    """An image of local storage and the registries that it goes to.

    :param compression: what the layers in the registry are to be compressed with; C(None) if that does not matter
    """

    def __init__(self, image: LocalImage, engine: Engine, options: RegistryOptions, registry: Registry, compression: str | None) -> None:
        self._image, self._engine, self._options, self._registry = image, engine, options, registry
        self._compression = compression
        self._known: dict[str, Content] = {}
        self._sent = False

    @property
    def sent(self) -> bool:
        """Whether a tag was written, which a failure afterwards does not undo."""
        return self._sent

    def look(self, reference: Reference) -> Tag:
        """:returns: what the tag means now, and what it will mean if that is known before anything is sent"""
        there, hidden = _there(self._registry, reference)
        if there is None:
            return Tag(reference, None, False, self._digest_in(reference), hidden)
        same = there.digest == self._digest_in(reference) or self._is_image(reference, there)
        if same:
            self._known[reference.name] = there
        return Tag(reference, there, same, there.digest if same else self._digest_in(reference))

    def predict(self, tag: Tag) -> Tag:
        """:returns: the tag with the digest that its repository has for the image under another tag"""
        return tag if tag.digest else replace(tag, digest=self._digest_in(tag.reference))

    def carry_out(self, tag: Tag) -> Tag:
        """Let the tag mean the image, and read it back.

        :raises EngineFailed: the engine could not push
        :raises ImageModeError: C(digest_mismatch), the tag means something else afterwards
        """
        reference = tag.reference
        known = self._known.get(reference.name)
        # Where the repository has it under another tag, nothing is compressed or sent again, and the digest is the same.
        pushed = put_manifest(self._registry, reference, known) if known else self._push(tag)
        self._sent = True
        there = self._registry.content(reference)
        if pushed != there.digest:
            raise ImageModeError(
                f"{pushed} was pushed to {reference}, and the registry has {there.digest} there now.",
                error="digest_mismatch",
                hint="Somebody else pushed to the same tag meanwhile. Run the task again.",
            )
        self._known[reference.name] = there
        return replace(tag, digest=there.digest)

    def content_in(self, reference: Reference) -> Content:
        """:returns: the image's manifest in this repository, after it was found or pushed there"""
        return self._known[reference.name]

    def _digest_in(self, reference: Reference) -> str | None:
        known = self._known.get(reference.name)
        return known.digest if known else None

    def _is_image(self, reference: Reference, there: Content) -> bool:
        if there.digest == self._image.id:
            return True  # Docker with containerd's image store, which keeps and sends what was pulled or built as it is
        manifest = parse_manifest(there.body, there.media_type, there.digest)
        # The configuration's digest names the content whatever the layers were compressed with.
        return (
            isinstance(manifest, Image)
            and self._image.id == manifest.config.digest
            and (self._compression is None or self._compression == compression_of(manifest))
        )

    def _push(self, tag: Tag) -> str:
        reference = tag.reference
        with engine_access(self._options, reference) as access:
            return _patiently(lambda: self._send(reference, access), self._registry, reference, self._options.access.retries)

    def _send(self, reference: Reference, access: RegistryAccess) -> str:
        if self._compression is None:
            return self._engine.push(self._image.id, reference, access)
        # Told a compression, an engine still takes what the registry, or another repository of it, has with another one
        # (Podman 4.3, containers/image 5.23). From files it does not.
        with scratch_directory("push") as directory:
            place = Place("oci", directory / "image")
            self._engine.save(self._image.id, str(place), self._compression)
            skopeo_copy(self._engine.runner, str(place), f"docker://{reference}", RegistryAccess(), access, None, preserve=True)
            return file_digest(place) or ""


class IndexPush(Push):
    """An index of images, one a platform. Each image gets a tag of its own, the index is put when all are there.

    :param images: platform → image in local storage
    """

    def __init__(
        self,
        images: Mapping[str, LocalImage],
        engine: Engine,
        options: RegistryOptions,
        registry: Registry,
        compression: str | None,
    ) -> None:
        super().__init__(next(iter(images.values())), engine, options, registry, compression)
        self._pushes = {platform: Push(image, engine, options, registry, compression) for platform, image in images.items()}

    @property
    def sent(self) -> bool:
        return self._sent or any(push.sent for push in self._pushes.values())

    def look(self, reference: Reference) -> Tag:
        tag = super().look(reference)
        if tag.digest is None:
            parts = self._parts(reference)
            if all(part.same for part in parts.values()):
                self._known[reference.name] = index_of({name: part.before for name, part in parts.items() if part.before})
        return tag

    def _parts(self, reference: Reference) -> dict[str, Tag]:
        return {name: push.look(platform_name(reference, name)) for name, push in self._pushes.items()}

    def _is_image(self, reference: Reference, there: Content) -> bool:
        manifest = parse_manifest(there.body, there.media_type, there.digest)
        if not isinstance(manifest, Index) or [str(entry.platform) for entry in manifest.manifests] != list(self._pushes):
            return False
        entries = zip(self._pushes.values(), manifest.manifests)
        return all(push.look(reference.with_digest(entry.digest)).same for push, entry in entries)

    def _push(self, tag: Tag) -> str:
        parts = self._parts(tag.reference)
        contents = {}
        for name, push in self._pushes.items():
            if not parts[name].same:
                push.carry_out(parts[name])
            contents[name] = push.content_in(tag.reference)
        return put_manifest(self._registry, tag.reference, index_of(contents))


def unbuilt(registry: Registry, reference: Reference) -> Tag:
    """:returns: the tag as it will be once an image is built that is not there yet: another one"""
    there, hidden = _there(registry, reference)
    return Tag(reference, there, False, None, hidden, unbuilt=True)


def _there(registry: Registry, reference: Reference) -> tuple[Content | None, bool]:
    """
    :returns: what the tag means now, and whether the registry does not let this user look
    :raises CredentialsRefused: the credentials are wrong
    """
    try:
        return registry.content(reference), False
    except ImageMissing:
        return None, False
    except CredentialsRefused:
        raise
    except (RegistryUnauthorized, RegistryForbidden):
        # What Quay, GHCR and Docker Hub say of a repository that the first push makes. Who may not push is told so then.
        return None, True


def index_of(images: Mapping[str, Content]) -> Content:
    """:param images: platform → the manifest of its image
    :returns: the index; the same images give the same digest
    """
    # Docker's daemon pushes manifests of its own type, for which there is an index of its own type.
    docker = any(content.media_type == IMAGE_TYPES[1] for content in images.values())
    entries = []
    for name, content in images.items():
        platform = Platform.parse(name)
        words = {"architecture": platform.architecture, "os": platform.os, **({"variant": platform.variant} if platform.variant else {})}
        entries.append({"mediaType": content.media_type, "digest": content.digest, "size": len(content.body), "platform": words})
    media_type = INDEX_TYPES[1 if docker else 0]
    body = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": entries}, separators=(",", ":")).encode()
    return Content(body, media_type, digest_of(body))


def compression_of(image: Image) -> str:
    """:returns: what the layers are compressed with: C(gzip), C(zstd), C(zstd:chunked), C(none), or C(mixed)"""
    found = set()
    for layer in image.layers:
        if layer.media_type.endswith("zstd"):
            chunked = any(name.endswith(_CHUNKED) for name in layer.annotations)
            found.add("zstd:chunked" if chunked else "zstd")
        else:
            found.add("gzip" if layer.media_type.endswith("gzip") else "none")
    return found.pop() if len(found) == 1 else "mixed"


def _patiently(push: Callable[[], str], registry: Registry, reference: Reference, retries: int) -> str:
    """Repeat a push after faults that pass: the engine starts over with what the registry does not have yet."""
    for attempt in range(retries):
        try:
            return push()
        except EngineFailed as error:
            if error.error not in _PASSING:
                raise
        time.sleep(min(2.0**attempt, _MAX_WAIT))
        try:
            # Engines do not tell for how long they are to wait; our own client hears it, and waits.
            registry.digest(reference)
        except RegistryError:
            continue
    return push()
