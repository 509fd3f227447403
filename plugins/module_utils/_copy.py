# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carrying an image, with what is attached to it, from place to place: the digest stays, and decides what is to be done."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ._engine import RegistryAccess
from ._engine._skopeo import copy
from ._engine_access import engine_access
from ._errors import ImageModeError
from ._layout import Place, file_digest, file_manifest
from ._registry import ATTACHED, FALLBACK, Image, ImageMissing, Index, Manifest, Platform, PlatformMissing, Registry, RegistryOptions
from ._runner import Runner


@dataclass(frozen=True)
class Copied:
    """What is where, before and after.

    :ivar digest: of the source
    :ivar before: the destination's digest before; C(None) if nothing was there
    """

    source: Place
    destination: Place
    digest: str
    before: str | None

    @property
    def changed(self) -> bool:
        return self.digest != self.before


class DestinationMissing(ImageModeError):
    """The directory that the files go into is not there, perhaps because a medium is not mounted."""

    error = "destination_missing"


class Side:
    """A place and how it is reached."""

    def __init__(self, place: Place, options: RegistryOptions, registry: Registry) -> None:
        self.place = place
        self._options = options
        self._registry = registry

    def digest(self, place: Place, platform: Platform | None = None) -> str | None:
        """:returns: what is there: the platform's digest if one is asked for; C(None) if nothing is"""
        try:
            if platform:
                image = self._image(place, platform)
                return image.digest if image else None
            return self._registry.digest(place.reference) if place.reference else file_digest(place)
        except (ImageMissing, PlatformMissing):
            return None

    def image_id(self, place: Place, platform: Platform) -> str | None:
        """:returns: the image id of what is there: what a C(docker-archive), which has no digest, is compared by"""
        if place.transport == "docker-archive":
            return file_digest(place)
        try:
            image = self._image(place, platform)
        except (ImageMissing, PlatformMissing):
            return None
        return image.config.digest if image else None

    def all_digests(self, place: Place, digest: str) -> tuple[str, ...]:
        """:returns: the digest and, of an index, those of its images"""
        manifest = self._manifest(place, digest)
        return (digest, *(entry.digest for entry in manifest.manifests)) if isinstance(manifest, Index) else (digest,)

    def _image(self, place: Place, platform: Platform) -> Image | None:
        if place.reference:
            return self._registry.image(place.reference, platform)[0]
        digest = file_digest(place)
        if digest is None:
            return None
        manifest = file_manifest(place, digest)
        if isinstance(manifest, Index):
            manifest = file_manifest(place, manifest.choose(platform).digest)
        return manifest if isinstance(manifest, Image) else None

    def _manifest(self, place: Place, digest: str) -> Manifest:
        return self._registry.manifest(place.reference.with_digest(digest)) if place.reference else file_manifest(place, digest)

    @contextmanager
    def access(self) -> Iterator[RegistryAccess]:
        if self.place.reference:
            with engine_access(self._options, self.place.reference.registry) as access:
                yield access
        else:
            yield RegistryAccess()


def compare(source: Side, destination: Side, platform: Platform | None, attached: bool) -> tuple[Copied, ...]:
    """What there is to carry: the image first, then what is attached to it.

    :raises ImageMissing: the source is not there
    :raises DestinationMissing: there is no directory for it
    """
    path = destination.place.path
    if path and not path.parent.is_dir():
        raise DestinationMissing(
            f"{destination.place} cannot be written: there is no directory '{path.parent}'.",
            hint="Make the directory, or mount the medium that it is on.",
            path=str(path.parent),
        )
    by_config = destination.place.transport == "docker-archive" or source.place.transport == "docker-archive"
    if by_config:
        chosen = platform or Platform.here()
        digest = source.image_id(source.place, chosen)
        before = destination.image_id(destination.place, chosen)
    else:
        digest = source.digest(source.place, platform)
        before = destination.digest(destination.place)
    if digest is None:
        raise ImageMissing(f"There is no image {source.place}.", hint="Check the name, the tag and the path.")
    found = [Copied(source.place, destination.place, digest, before)]
    if attached and not by_config:
        for subject in source.all_digests(source.place, digest):
            for suffix in (*ATTACHED.values(), FALLBACK):
                tag = subject.replace(":", "-") + suffix
                there, here = source.place.named(tag), destination.place.named(tag)
                extra = source.digest(there) if there and here else None
                if there and here and extra:
                    found.append(Copied(there, here, extra, destination.digest(here)))
    return tuple(found)


def moved(items: tuple[Copied, ...], destination: Side) -> bool:
    """:returns: whether one of these means something else at the destination than before"""
    return any(destination.digest(item.destination) != item.before for item in items)


def carry(items: tuple[Copied, ...], source: Side, destination: Side, platform: Platform | None, runner: Runner) -> None:
    """Copy what differs, and read it back.

    :raises EngineFailed: skopeo could not
    :raises ImageModeError: C(digest_mismatch), the destination has something else afterwards
    """
    with source.access() as source_access, destination.access() as destination_access:
        # What is attached goes first: the image is never there without its signature.
        for item in sorted(items, key=lambda item: item is items[0]):
            if not item.changed:
                continue
            preserve = "docker-archive" not in (item.source.transport, item.destination.transport)
            chosen = str(platform) if platform and item is items[0] else None
            if not preserve:
                chosen = str(platform or Platform.here())
            with _whole(item.destination) as destination_place:
                copy(runner, _pinned(item), str(destination_place), source_access, destination_access, chosen, preserve)
            after = destination.digest(item.destination)
            if preserve and after != item.digest:
                raise ImageModeError(
                    f"{item.destination} has {after} now, not {item.digest}, which was copied there.",
                    error="digest_mismatch",
                    hint="Somebody else wrote there meanwhile. Run the task again.",
                )


@contextmanager
def _whole(place: Place) -> Iterator[Place]:
    """A place beside an archive, which replaces it when it is complete."""
    if place.path is None or place.transport not in ("oci-archive", "docker-archive"):
        yield place
        return
    descriptor, temporary = tempfile.mkstemp(prefix=f".{place.path.name}.", dir=place.path.parent)
    os.close(descriptor)
    try:
        os.unlink(temporary)  # skopeo writes to no archive that is there
        yield replace(place, path=Path(temporary))
        os.replace(temporary, place.path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _pinned(item: Copied) -> str:
    """The source by its digest, so that a tag that moves meanwhile does no harm."""
    reference = item.source.reference
    if reference and item.destination.transport != "docker-archive":
        return f"docker://{reference.with_digest(item.digest)}"
    return str(item.source)
