# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images in files: which digest is there, without an engine. OCI image layout 1.1, containers-transports(5)."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ._errors import ImageModeError, OptionError
from ._reference import Reference, digest_of, same_reference
from ._registry import Descriptor, Index, Manifest, parse_manifest
from ._scratch import scratch_directory

FILES = ("oci", "oci-archive", "docker-archive", "dir")
_ELSEWHERE = ("containers-storage", "docker-daemon")
# OCI image specification 1.1, annotations.md, of the name below.
_LAYOUT_NAME = re.compile(r"^[A-Za-z0-9]+(?:(?:--|[-._:@+/])[A-Za-z0-9]+)*\Z")
_NAME = "org.opencontainers.image.ref.name"
# What belongs to an image has names that start with the image's digest, as cosign's tags do.
_BESIDE = re.compile(r"^sha(256|512)-[0-9a-f]{64,128}\b")
# Of what a killed copy leaves where it wrote, and the next one there removes.
_PURPOSE = "copy"
_BLOB = re.compile(r"^blobs/[a-z0-9]+/[0-9a-f]{64,128}\Z")


# OCI image specification 1.1, "Image Configuration", of what runs.
_RUNS = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal")
# What containers/image writes into a directory, unfinished blobs included (its oci/layout and directory, 5.23), and what file systems
# have in an empty one.
_OWN = {
    "oci": re.compile(r"oci-layout|index\.json|blobs|oci-put-blob.*|lost\+found"),
    "dir": re.compile(r"version|([0-9a-f]{64,}\.)?(manifest\.json|signature-\d+)|[0-9a-f]{64,}|dir-put-blob.*|lost\+found"),
}


class DestinationForeign(ImageModeError):
    """The directory that an image is to be written to holds something else."""

    error = "destination_foreign"


class LayoutInvalid(ImageModeError):
    """Files that are not an image of the transport that was named."""

    error = "layout_invalid"


@dataclass(frozen=True)
class Place:
    """Where an image is or goes: in a registry, or in files.

    :ivar transport: C(docker) for a registry, else one of C(FILES)
    :ivar path: of the files
    :ivar name: of the image in the files, where they can hold several; C("") if none was given
    :ivar reference: in the registry
    """

    transport: str
    path: Path | None = None
    name: str = ""
    reference: Reference | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """Parse C([docker://]registry/repository:tag), C(oci:path[:tag]), C(oci-archive:path[:tag]), C(dir:path) …

        As in options that are paths, C(~) is the user's home.

        :raises OptionError: there is no path, or what follows it is no name
        :raises ReferenceInvalid: it is neither a transport of files nor an image reference
        """
        transport, colon, rest = text.partition(":")
        if colon and transport in _ELSEWHERE:
            raise OptionError(
                f"'{text}' is an image in the storage of an engine, which is no place to copy from or to.",
                hint="Push it from there with oci_image_push, and let the engine pull it from a registry.",
            )
        if text.startswith(("/", "./", "../", "~")):
            raise OptionError(
                f"'{text}' is a path, and does not say how the image is kept there.",
                hint=f"Write oci-archive:{text} or docker-archive:{text} for a file, oci:{text} or dir:{text} for a directory.",
            )
        if not colon or transport not in FILES:
            return cls("docker", reference=Reference.parse(text))
        path, _colon, name = (rest, "", "") if transport == "dir" else rest.partition(":")
        if not path:
            raise OptionError(f"'{text}' names no path.", hint=f"Write it as {transport}:/path.")
        if name and transport == "docker-archive" and not name.startswith("@"):
            Reference.parse(name)
        elif name and not name.startswith("@") and not _LAYOUT_NAME.match(name):
            raise OptionError(
                f"'{name}' in '{text}' is no name for an image in a layout.",
                hint="Use letters and digits, with '.', '_', '-', ':', '@', '+' or '/' between them.",
            )
        return cls(transport, Path(os.path.expanduser(path)), name)

    def __str__(self) -> str:
        if self.reference:
            return f"docker://{self.reference}"
        return f"{self.transport}:{self.path}{f':{self.name}' if self.name else ''}"

    @property
    def is_layout(self) -> bool:
        """Whether it is an OCI layout, packed or not, which can hold several images by name."""
        return self.transport in ("oci", "oci-archive")


def refuse_foreign(place: Place) -> None:
    """Whether an image may be written to a directory: it is empty, not there, or holds images already.

    :raises DestinationForeign: it holds something else; of a C(dir), skopeo would remove all of that
    """
    path, own = place.path, _OWN.get(place.transport)
    if path is None or own is None or not path.is_dir():
        return
    if place.transport == "oci" and (path / "oci-layout").is_file():
        return  # the specification allows other files in a layout
    there = sorted(os.listdir(path))
    others = [name for name in there if not own.fullmatch(name)]
    if place.transport == "dir" and not others and not (path / "version").is_file():
        others = there
    if others:
        raise DestinationForeign(
            f"{place} cannot be written: '{path}' holds files that are of no image: {', '.join(others[:3])}.",
            hint=f"Name a directory of its own for it, such as {place.transport}:{path / 'image'}, or empty this one.",
            path=str(path),
        )


def file_digest(place: Place) -> str | None:
    """The digest of what the files hold: of the index if it is one, of the image configuration in a C(docker-archive).

    :returns: C(None) if there is no such image
    :raises LayoutInvalid: the files are something else, or hold several images and no name was given
    """
    path = place.path
    if path is None or not path.exists():
        return None
    try:
        if place.transport == "dir":
            return digest_of((path / "manifest.json").read_bytes())
        if place.transport == "docker-archive":
            return _docker_archive(json.loads(_member(path, "manifest.json")), place)
        entry = _chosen(_entries(place), place)
        return str(entry["digest"]) if entry else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, tarfile.TarError) as error:
        raise LayoutInvalid(
            f"'{path}' is not an image of the transport '{place.transport}': {error!r}.",
            hint="Remove it, or name another path.",
            path=str(path),
        ) from None


def refuse_ambiguous(place: Place) -> None:
    """Whether a C(docker-archive) to copy from says which of its images is meant: skopeo takes the only one, and no first one.

    :raises LayoutInvalid: it holds several, and none was named
    """
    if place.transport != "docker-archive" or place.name or not place.path or file_digest(place) is None:
        return
    images = json.loads(_member(place.path, "manifest.json"))
    if len(images) > 1:
        there = ", ".join(tag for image in images for tag in image.get("RepoTags") or ()) or f"{len(images)} without a name"
        raise LayoutInvalid(f"'{place.path}' holds several images: {there}.", hint=f"Name one: {place.transport}:{place.path}:NAME.")


def file_manifest(place: Place, digest: str) -> Manifest:
    """:returns: the manifest or index of this digest in files of C(oci), C(oci-archive) or C(dir)
    :raises LayoutInvalid: it is not in them
    """
    path = place.path
    if path is None:
        raise LayoutInvalid(f"{place} is not in files.")
    try:
        content = _in_directory(path, digest) if place.transport == "dir" else _content(place, _blob(digest))
    except (OSError, KeyError, tarfile.TarError) as error:
        raise LayoutInvalid(f"'{path}' lacks the manifest {digest}: {error!r}.", hint="Copy the image there again.") from None
    return parse_manifest(content, "", digest)


def file_blob(place: Place, digest: str) -> bytes:
    """:returns: a small blob in files of C(oci) or C(oci-archive)
    :raises LayoutInvalid: it is not in them, or something else
    """
    try:
        content = _content(place, _blob(digest))
    except (OSError, KeyError, tarfile.TarError):
        content = b""
    if digest_of(content, digest.partition(":")[0]) != digest:
        raise LayoutInvalid(f"'{place.path}' lacks {digest}, or has it damaged.", hint="Copy the image there again.")
    return content


def file_configuration(place: Place, digest: str) -> dict[str, Any]:
    """:returns: the image configuration of this digest in files
    :raises LayoutInvalid: it is not in them
    """
    path, name = place.path or Path(), digest.partition(":")[2]
    try:
        if place.transport == "docker-archive":
            known = [image["Config"] for image in json.loads(_member(path, "manifest.json"))]
            content = _member(path, next(config for config in known if name in config))
        else:
            content = (path / name).read_bytes() if place.transport == "dir" else _content(place, _blob(digest))
        return dict(json.loads(content))
    except (OSError, KeyError, ValueError, TypeError, StopIteration, tarfile.TarError) as error:
        raise LayoutInvalid(f"'{path}' lacks the configuration {digest}: {error!r}.", hint="Copy the image there again.") from None


def same_configuration(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two configurations are of one image. Docker's, made into one of OCI (containers/image, C(OCI1) from C(schema2)), loses
    fields that mean nothing there, and has another digest."""

    def kept(document: Mapping[str, Any]) -> list[Any]:
        made, runs = ("os", "architecture", "variant", "created", "rootfs"), document.get("config") or {}
        return [*(document.get(name) for name in made), *(runs.get(name) or None for name in _RUNS)]

    return kept(one) == kept(other)


def names(place: Place) -> dict[str, str]:
    """:returns: the names in a layout and their digests; C({}) if there is none"""
    try:
        return {_name(entry): str(entry["digest"]) for entry in _entries(place) if _name(entry)}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def named(place: Place) -> Place:
    """:returns: the place with the name of its image, which an engine wants to be told where there are attachments, too"""
    if not place.is_layout or place.name:
        return place
    entry = _chosen(_entries(place), place)
    return replace(place, name=_name(entry) if entry else "")


def broken_blobs(place: Place, digest: str) -> tuple[Path, ...]:
    """:returns: the files of an image in a directory of C(oci) that are missing or cut off, as after a stick was pulled out"""
    path = place.path
    if place.transport != "oci" or path is None:
        return ()

    def whole(entry: Descriptor) -> bool:
        file = path / _blob(entry.digest)
        return file.is_file() and file.stat().st_size == entry.size

    broken: list[Descriptor] = []
    waiting = [digest]
    while waiting:
        current = waiting.pop()
        try:
            manifest = file_manifest(place, current)
        except ImageModeError:
            return (path / _blob(current),)
        parts = manifest.manifests if isinstance(manifest, Index) else (manifest.config, *manifest.layers)
        broken += [entry for entry in parts if not whole(entry)]
        waiting += [entry.digest for entry in parts if isinstance(manifest, Index) and whole(entry)]
    return tuple(path / _blob(entry.digest) for entry in broken)


@contextlib.contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """An archive as a layout, while it is needed.

    :raises LayoutInvalid: it cannot be unpacked
    :raises ImageModeError: C(disk_full)
    """
    place = os.environ.get("TMPDIR") or "/var/tmp"
    try:
        with scratch_directory(_PURPOSE, place) as directory:
            with tarfile.open(archive) as tar:
                for member in tar:
                    name = member.name.removeprefix("./")
                    file = (
                        tar.extractfile(member) if member.isreg() and (name in ("index.json", "oci-layout") or _BLOB.match(name)) else None
                    )
                    if file:
                        (directory / name).parent.mkdir(parents=True, exist_ok=True)
                        with (directory / name).open("wb") as target:
                            shutil.copyfileobj(file, target, 1024 * 1024)
            yield directory
    except tarfile.TarError as error:
        raise LayoutInvalid(f"'{archive}' cannot be unpacked: {error}.", hint="Copy the image there again.") from None
    except OSError as error:
        raise _full(Path(place), error) from None


@contextlib.contextmanager
def packed(archive: Path) -> Iterator[Path]:
    """A new layout beside the archive, which replaces it when all is written.

    :raises ImageModeError: C(disk_full)
    """
    try:
        with scratch_directory(_PURPOSE, str(archive.parent)) as directory:
            yield directory
            with tarfile.open(directory / "archive", "w") as tar:
                # The index first: who looks for a digest need not read through the layers.
                for name in ("oci-layout", "index.json", "blobs"):
                    tar.add(directory / name, name, filter=_plain)
            _put(directory / "archive", archive)
    except OSError as error:
        raise _full(archive, error) from None


@contextlib.contextmanager
def replacement(archive: Path) -> Iterator[Path]:
    """:returns: where a new archive is to be written, in a directory of its own beside the old one, which it replaces afterwards
    :raises ImageModeError: C(disk_full)
    """
    try:
        with scratch_directory(_PURPOSE, str(archive.parent)) as directory:
            yield directory / "archive"
            _put(directory / "archive", archive)
    except OSError as error:
        raise _full(archive, error) from None


def _put(written: Path, archive: Path) -> None:
    with written.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(written, archive)


def _full(path: Path, error: OSError) -> ImageModeError:
    return ImageModeError(
        f"'{path}' cannot be written: {error.strerror or error}.",
        error="disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "failed",
        hint="Make room there, or set TMPDIR; where files may not be that large, as on FAT, use a directory (oci:).",
        path=str(path),
    )


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _in_directory(path: Path, digest: str) -> bytes:
    """Of an index, its own manifest.json has the images' beside it: containers/image, C(directory), C(manifestPath)."""
    content = (path / "manifest.json").read_bytes()
    if digest_of(content, digest.partition(":")[0]) == digest:
        return content
    return (path / f"{digest.partition(':')[2]}.manifest.json").read_bytes()


def _content(place: Place, name: str) -> bytes:
    if place.path is None:
        raise FileNotFoundError(name)
    return (place.path / name).read_bytes() if place.transport == "oci" else _member(place.path, name)


def _entries(place: Place) -> list[Mapping[str, Any]]:
    entries = json.loads(_content(place, "index.json"))["manifests"]
    return [entry for entry in entries if entry["digest"]]


def _name(entry: Mapping[str, Any]) -> str:
    return str((entry.get("annotations") or {}).get(_NAME) or "")


def _chosen(entries: list[Mapping[str, Any]], place: Place) -> Mapping[str, Any] | None:
    if place.name:
        entries = [entry for entry in entries if _name(entry) == place.name]
    else:
        entries = [entry for entry in entries if not _BESIDE.match(_name(entry))]
    if len(entries) > 1:
        there = ", ".join(_name(entry) or str(entry["digest"]) for entry in entries)
        raise LayoutInvalid(f"'{place.path}' holds several images: {there}.", hint=f"Name one: {place.transport}:{place.path}:NAME.")
    return entries[0] if entries else None


def _docker_archive(manifests: list[Mapping[str, Any]], place: Place) -> str | None:
    for image in manifests:
        if not place.name or any(same_reference(place.name, tag) for tag in image.get("RepoTags") or ()):
            return f"sha256:{Path(image['Config']).name.removesuffix('.json')}"
    return None


def _member(path: Path, name: str) -> bytes:
    with tarfile.open(path) as archive:
        try:
            file = archive.extractfile(name)
        except KeyError:
            file = archive.extractfile(f"./{name}")
        if file is None:
            raise KeyError(name)
        return file.read()
