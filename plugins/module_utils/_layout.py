# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images in files: which digest is there, without an engine. OCI image layout 1.1, containers-transports(5)."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._errors import ImageModeError, OptionError
from ._reference import Reference, same_reference
from ._registry import Manifest, parse_manifest

FILES = ("oci", "oci-archive", "docker-archive", "dir")
_NAME = "org.opencontainers.image.ref.name"


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

        :raises OptionError: there is no path
        :raises ReferenceInvalid: it is neither a transport of files nor an image reference
        """
        transport, colon, rest = text.partition(":")
        if not colon or transport not in FILES:
            return cls("docker", reference=Reference.parse(text))
        path, _colon, name = (rest, "", "") if transport == "dir" else rest.partition(":")
        if not path:
            raise OptionError(f"'{text}' names no path.", hint=f"Write it as {transport}:/path.")
        return cls(transport, Path(path), name)

    def __str__(self) -> str:
        if self.reference:
            return f"docker://{self.reference}"
        return f"{self.transport}:{self.path}{f':{self.name}' if self.name else ''}"

    def named(self, tag: str) -> Place | None:
        """:returns: the place beside this one for another tag; C(None) where there is room for one image only"""
        if self.reference:
            return Place("docker", reference=self.reference.with_tag(tag))
        return Place("oci", self.path, tag) if self.transport == "oci" and self.name else None


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
            return f"sha256:{hashlib.sha256((path / 'manifest.json').read_bytes()).hexdigest()}"
        if place.transport == "docker-archive":
            return _docker_archive(json.loads(_member(path, "manifest.json")), place)
        index = (path / "index.json").read_bytes() if place.transport == "oci" else _member(path, "index.json")
        return _named(json.loads(index), place)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, tarfile.TarError) as error:
        raise LayoutInvalid(
            f"'{path}' is not an image of the transport '{place.transport}': {error!r}.",
            hint="Remove it, or name another path.",
            path=str(path),
        ) from None


def file_manifest(place: Place, digest: str) -> Manifest:
    """:returns: the manifest or index of this digest in files of C(oci), C(oci-archive) or C(dir)
    :raises LayoutInvalid: it is not in them
    """
    path = place.path
    if path is None:
        raise LayoutInvalid(f"{place} is not in files.")
    try:
        if place.transport == "dir":
            content = (path / "manifest.json").read_bytes()
        else:
            blob = f"blobs/{digest.replace(':', '/')}"
            content = (path / blob).read_bytes() if place.transport == "oci" else _member(path, blob)
    except (OSError, KeyError, tarfile.TarError) as error:
        raise LayoutInvalid(f"'{path}' lacks the manifest {digest}: {error!r}.", hint="Copy the image there again.") from None
    return parse_manifest(content, "", digest)


def _named(index: Mapping[str, Any], place: Place) -> str | None:
    entries = index["manifests"]
    if place.name:
        entries = [entry for entry in entries if (entry.get("annotations") or {}).get(_NAME) == place.name]
    if len(entries) > 1:
        names = ", ".join(str((entry.get("annotations") or {}).get(_NAME)) for entry in entries)
        raise LayoutInvalid(f"'{place.path}' holds several images: {names}.", hint=f"Name one: {place.transport}:{place.path}:NAME.")
    return str(entries[0]["digest"]) if entries else None


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
