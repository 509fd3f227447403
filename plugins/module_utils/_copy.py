# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carrying an image, with what is attached to it, from place to place: the digest stays, and decides what is to be done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace

from ._engine import RegistryAccess
from ._engine._skopeo import copy
from ._engine_access import engine_access
from ._errors import ImageModeError
from ._layout import (
    LayoutInvalid,
    Place,
    broken_blobs,
    file_blob,
    file_configuration,
    file_digest,
    file_manifest,
    named,
    names,
    packed,
    refuse_ambiguous,
    refuse_foreign,
    replacement,
    same_configuration,
    unpacked,
)
from ._registry import (
    Attached,
    Image,
    ImageMissing,
    Index,
    Layer,
    Manifest,
    Platform,
    PlatformMissing,
    Registry,
    RegistryOptions,
    artifact_kind,
    artifact_type,
    attached,
    attached_tags,
    join,
    lacking,
    list_referrers,
    need_platform,
    subject_tag,
)
from ._runner import Runner

# What cosign keeps of several signers under one tag.
_OF_SEVERAL = ("signature", "attestation")


@dataclass(frozen=True)
class Copied:
    """What is where, before and after.

    :ivar digest: of the source; the image id where they are compared L(by_image_id)
    :ivar before: the destination's digest, or its image id, before; C(None) if nothing was there
    :ivar attached: what it is, where it is not the image itself
    """

    source: Place
    destination: Place
    digest: str
    before: str | None
    attached: Attached | None = None

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
        """:returns: what is there: the platform's digest if one is asked for; C(None) if nothing is
        :raises PlatformMissing: there are images for others only
        """
        try:
            if platform:
                image = self._image(place, platform)
                return image.digest if image else None
            return self._registry.digest(place.reference) if place.reference else file_digest(place)
        except ImageMissing:
            return None

    def image_id(self, place: Place, platform: Platform) -> str | None:
        """:returns: the image id of what is there: what a C(docker-archive), which has no digest, is compared by
        :raises PlatformMissing: there are images for others only
        """
        if place.transport == "docker-archive":
            return file_digest(place)
        try:
            image = self._image(place, platform)
        except ImageMissing:
            return None
        return image.config.digest if image else None

    def need_platform(self, platform: Platform) -> None:
        """:raises PlatformMissing: there is one image only, for another platform"""
        manifest: Manifest | None = None
        if self.place.reference:
            manifest = self._registry.manifest(self.place.reference)
            if isinstance(manifest, Image):
                need_platform(manifest.digest, self._registry.config(self.place.reference, manifest), platform)
            return
        digest = file_digest(self.place)
        if digest and self.place.transport == "docker-archive":
            need_platform(digest, file_configuration(self.place, digest), platform)
        elif digest:
            manifest = file_manifest(self.place, digest)
            if isinstance(manifest, Image):
                need_platform(digest, file_configuration(self.place, manifest.config.digest), platform)

    def all_digests(self, digest: str) -> tuple[str, ...]:
        """:returns: the digest and, of an index, those of its images"""
        manifest = self._manifest(self.place, digest)
        return (digest, *(entry.digest for entry in manifest.manifests)) if isinstance(manifest, Index) else (digest,)

    def attachments(self, subject: str) -> tuple[Attached, ...]:
        """:returns: what is attached to this digest: in a registry, or in a layout by the names that L(at) gives"""
        if self.place.reference:
            return attached(self._registry, self.place.reference, subject)
        if not self.place.is_layout:
            return ()
        tags = {tag: kind for kind, tag in attached_tags(subject)}
        found = []
        for name, digest in sorted(names(self.place).items()):
            if name in tags:
                found.append(Attached(tags[name], digest, "", subject, name))
            elif name == f"{subject_tag(subject)}.{subject_tag(digest)}":
                manifest = self._manifest(self.place, digest)
                told = artifact_type(manifest)
                found.append(Attached(artifact_kind(told, manifest.annotations), digest, told, subject))
        return tuple(found)

    @property
    def has_room(self) -> bool:
        """Whether more than the image can be put here: a layout whose image has no name is read as one image."""
        return bool(self.place.reference or (self.place.is_layout and self.place.name))

    def at(self, item: Attached) -> Place:
        """:returns: where something attached is, or would be"""
        if self.place.reference:
            reference = self.place.reference
            return Place("docker", reference=reference.with_tag(item.tag) if item.tag else reference.with_digest(item.digest))
        return replace(self.place, name=item.tag or f"{subject_tag(item.subject)}.{subject_tag(item.digest)}")

    def has(self, item: Attached, place: Place, source: Side) -> str | None:
        """:returns: the digest of something attached, if it is here; a referrer in a registry counts only if it is listed, and
        signatures count as well beside those that others made here
        """
        if self.place.reference and not item.tag:
            listed = {entry.digest for entry in self._registry.referrers(self.place.reference, item.subject)}
            return item.digest if item.digest in listed else None
        digest = self.digest(place)
        there = self._signatures(item) if digest not in (None, item.digest) else None
        return item.digest if there and lacking(there, source._manifest(source.place, item.digest)) == () else digest

    def join(self, item: Attached, source: Side) -> bool:
        """:returns: whether signatures were put beside those that others made here; if not, a copy replaces nothing of anybody's"""
        ours, theirs = self._signatures(item), source._manifest(source.place, item.digest)
        missing, own = ours and lacking(ours, theirs), ours and lacking(theirs, ours)
        if missing and own and self.place.reference:
            join(self._registry, self.place.reference.with_tag(item.tag), [(layer, source.blob(layer)) for layer in missing])
        return bool(own)

    def blob(self, layer: Layer) -> bytes:
        """:returns: a small one of this image, or of what is attached to it"""
        return self._registry.blob(self.place.reference, layer) if self.place.reference else file_blob(self.place, layer.digest)

    def _signatures(self, item: Attached) -> Manifest | None:
        """:returns: what is under the tag of an attachment, if that may be of several signers"""
        if not (self.place.reference and item.tag and item.kind in _OF_SEVERAL):
            return None
        with suppress(ImageMissing):
            return self._registry.manifest(self.place.reference.with_tag(item.tag))
        return None

    def announce(self, items: Iterable[Attached]) -> None:
        """Let the registry list referrers that were copied into it."""
        referrers: dict[str, list[str]] = {}
        for item in items:
            if not item.tag:
                referrers.setdefault(item.subject, []).append(item.digest)
        for subject, digests in referrers.items():
            if self.place.reference:
                list_referrers(self._registry, self.place.reference, subject, digests)

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
            with engine_access(self._options, self.place.reference) as access:
                yield access
        else:
            yield RegistryAccess()


def by_image_id(source: Side, destination: Side) -> bool:
    """Whether the image id decides what there is to carry: a C(docker-archive) has no digest."""
    return "docker-archive" in (source.place.transport, destination.place.transport)


def compare(source: Side, destination: Side, platform: Platform | None, with_attached: bool) -> tuple[Copied, ...]:
    """What there is to carry: the image first, then what is attached to it, and to that.

    :raises ImageMissing: the source is not there
    :raises DestinationMissing: there is no directory for it
    :raises DestinationForeign: the directory holds other files
    :raises LayoutInvalid: the source is not whole, or one image without a name would join another
    :raises PlatformMissing: it is for other platforms
    """
    path = destination.place.path
    # Where a link leads, perhaps to a medium.
    directory = path.resolve().parent if path else None
    if directory and not directory.is_dir():
        raise DestinationMissing(
            f"{destination.place} cannot be written: there is no directory '{directory}'.",
            hint="Make the directory, or mount the medium that it is on.",
            path=str(directory),
        )
    refuse_foreign(destination.place)
    refuse_ambiguous(source.place)
    by_config = by_image_id(source, destination)
    if by_config:
        chosen = platform or Platform.here()
        digest = source.image_id(source.place, chosen)
        before = None
        with suppress(PlatformMissing):
            before = destination.image_id(destination.place, chosen)
        if digest and before and source.place.transport == "docker-archive" and destination.place.is_layout:
            there = file_configuration(destination.place, before)
            before = digest if same_configuration(file_configuration(source.place, digest), there) else before
    else:
        digest = source.digest(source.place, platform)
        before = destination.digest(destination.place)
    if digest is None:
        raise ImageMissing(f"There is no image {source.place}.", hint="Check the name, the tag and the path.")
    if platform:
        source.need_platform(platform)
    if before not in (None, digest) and destination.place.transport == "oci" and not destination.place.name:
        raise LayoutInvalid(
            f"{destination.place} holds another image already, and with two none could be told from the other.",
            hint=f"Name the image: {destination.place}:NAME. Or remove what is there first.",
            path=str(path),
        )
    before = before if by_config else _whole(destination.place, before)
    found = [Copied(source.place, destination.place, digest, before)]
    for item in _all_attached(source, digest) if with_attached and destination.has_room and not by_config else ():
        here = destination.at(item)
        found.append(Copied(source.at(item), here, item.digest, _whole(here, destination.has(item, here, source)), item))
    for broken in filter(None, (broken_blobs(item.source, item.digest) for item in found)):
        raise LayoutInvalid(
            f"{source.place} is not whole: {len(broken)} files are missing or cut off, {broken[0]} first.",
            hint="Copy the image there again, and do not pull out a medium while it is written.",
        )
    return tuple(found)


def moved(items: tuple[Copied, ...], destination: Side) -> bool:
    """:returns: whether one of these means something else at the destination than before"""
    return any(_whole(item.destination, destination.digest(item.destination)) != item.before for item in items)


def left_behind(items: tuple[Copied, ...], destination: Side, source: Side) -> int:
    """:returns: how much is attached to the image that the destination has no room for"""
    return 0 if destination.has_room or by_image_id(source, destination) else len(_all_attached(source, items[0].digest))


def carry(
    items: tuple[Copied, ...], source: Side, destination: Side, platform: Platform | None, with_attached: bool, runner: Runner
) -> None:
    """Copy what differs, and read it back.

    :raises EngineFailed: skopeo could not
    :raises ImageModeError: C(digest_mismatch), the destination has something else afterwards
    """
    # An archive is written as a whole.
    missing = [item for item in items if item.changed or destination.place.transport == "oci-archive"]
    # What is attached goes first: the image is never there without its signature.
    missing.sort(key=lambda item: item is items[0])
    preserve = not by_image_id(source, destination)
    # skopeo finds signatures where the machine's registries.d says so, and takes an image no further than they may go. Layouts and
    # archives take none; what cosign keeps by tag is among the items.
    by_tag = any(item.attached and item.attached.tag for item in items)
    signatures = with_attached and destination.place.transport in ("docker", "dir") and not by_tag
    with ExitStack() as stack:
        source_access, destination_access = stack.enter_context(source.access()), stack.enter_context(destination.access())
        readable, writable = stack.enter_context(_readable(source.place)), stack.enter_context(_writable(destination.place))
        for item in missing:
            if item.attached and destination.join(item.attached, source):
                continue
            chosen = platform if preserve else platform or Platform.here()
            for blob in broken_blobs(item.destination, item.digest):
                blob.unlink(missing_ok=True)  # skopeo takes a file that is there for a whole one
            there, here = _moved(_pinned(item), readable), _moved(item.destination, writable)
            wanted = str(chosen) if chosen and not item.attached else None
            copy(runner, str(there), str(here), source_access, destination_access, wanted, preserve, signatures)
    if destination.place.path:
        runner.run(["sync", "--file-system", str(destination.place.path)])  # a stick may be pulled out now
    destination.announce(item.attached for item in missing if item.attached)
    for item in missing:
        here = item.destination
        after = destination.has(item.attached, here, source) if item.attached else destination.digest(here)
        if preserve and after != item.digest:
            raise ImageModeError(
                f"{item.destination} has {after} now, not {item.digest}, which was copied there.",
                error="digest_mismatch",
                hint="Somebody else wrote there meanwhile. Run the task again.",
            )


def _all_attached(source: Side, digest: str) -> list[Attached]:
    """What is attached to an image, to the images of an index, and to what is attached."""
    found: list[Attached] = []
    subjects = list(source.all_digests(digest))
    for subject in subjects:
        found += source.attachments(subject)
        subjects += [item.digest for item in found if item.digest not in subjects]
    return found


def _whole(place: Place, digest: str | None) -> str | None:
    return None if digest is None or broken_blobs(place, digest) else digest


@contextmanager
def _readable(place: Place) -> Iterator[Place]:
    """Where skopeo reads: an archive of several images is unpacked once, and not for each of them."""
    if place.path is None or place.transport != "oci-archive":
        yield place
        return
    with unpacked(place.path) as directory:
        yield Place("oci", directory)


@contextmanager
def _writable(place: Place) -> Iterator[Place]:
    """Where skopeo writes: beside an archive, which is replaced when all is complete. A link to one stays a link."""
    if place.path is None or place.transport not in ("oci-archive", "docker-archive"):
        yield place
    elif place.transport == "oci-archive":
        with packed(place.path.resolve()) as directory:
            yield Place("oci", directory)
    else:
        with replacement(place.path.resolve()) as temporary:
            yield replace(place, path=temporary)


def _moved(place: Place, to: Place) -> Place:
    return place if place.reference else replace(place, transport=to.transport, path=to.path)


def _pinned(item: Copied) -> Place:
    """The source by its digest, so that a tag that moves meanwhile does no harm; in a layout by the image's name."""
    reference = item.source.reference
    if not reference:
        return named(item.source)
    # Into a docker-archive, where that of the item is an image id, the one that was asked for; skopeo takes none beside a tag.
    digest = reference.digest if item.destination.transport == "docker-archive" else item.digest
    return replace(item.source, reference=reference.with_digest(digest)) if digest else item.source
