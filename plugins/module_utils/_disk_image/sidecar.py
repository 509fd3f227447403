# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sidecar of a disk image: what went into it, and which file it speaks of. Without one a file is somebody else's."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .._errors import ImageModeError
from .._replace import replace_file
from .recipe import Recipe

SUFFIX = ".imagemode.json"
_UNFINISHED = ".imagemode"
_CHUNK = 4 << 20
_ZEROS = bytes(_CHUNK)


class DiskImageForeign(ImageModeError):
    """A file is where the disk image belongs, and this collection did not make it."""

    error = "disk_image_foreign"


class DiskImageModified(ImageModeError):
    """The disk image is not the file any more that was made: somebody wrote to it."""

    error = "disk_image_modified"


@dataclass(frozen=True)
class FileIdentity:
    """Which file it is. The first four tell it at once; the digest after it was copied or moved."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileIdentity:
        """Reads all of the file."""
        found = path.stat()
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, sha256(path))

    def is_at(self, path: Path) -> bool:
        found = path.stat()
        return (self.device, self.inode, self.size, self.mtime_ns) == (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class Made:
    """A disk image that was made.

    :ivar virtual_size: bytes that a machine sees
    """

    recipe: Recipe
    file: FileIdentity
    virtual_size: int

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Made:
        recipe = Recipe(document["recipe"]["digest"], document["recipe"]["inputs"])
        return cls(recipe, FileIdentity(**document["file"]), document["virtual_size"])


class DiskImageFile:
    """A path, what is there, and how a new one gets there.

    :param path: of the disk image
    """

    def __init__(self, path: str) -> None:
        self.path = Path(os.path.abspath(path))
        self.sidecar = self.path.with_name(self.path.name + SUFFIX)

    def made(self) -> Made | None:
        """:returns: the disk image that is there, if this collection made it; C(None) if nothing is there
        :raises ImageModeError: C(disk_image_foreign), C(disk_image_modified)
        """
        if not os.path.lexists(self.path):
            return None
        known = self._known()
        if not known or self.path.is_symlink() or not self.path.is_file():
            raise DiskImageForeign(
                f"{self.path} is there, and {self.sidecar.name} that would tell what it is, is not.",
                hint="It is not touched. Move it away, or choose another 'dest'.",
                dest=str(self.path),
            )
        at = next((one for one in known if one.file.is_at(self.path)), None)
        if at is None:
            digest = sha256(self.path)
            at = next((one for one in known if one.file.sha256 == digest), None)
        if at is None:
            raise DiskImageModified(
                f"{self.path} is not the file any more that was made of {known[0].recipe.digest}: something wrote to it.",
                hint="If a machine runs from it, give each machine a copy. It is not touched; move it away to have it made anew.",
                dest=str(self.path),
            )
        return at

    def put(self, scratch: Path, recipe: Recipe, virtual_size: int) -> Made:
        """Move a finished file here. Whenever this is interrupted, by a power cut too, the sidecar speaks of the file that is there."""
        made = Made(recipe, FileIdentity.of(scratch), virtual_size)
        _sync(scratch)
        self._write([made, *self._known()])
        os.replace(scratch, self.path)
        _sync(self.path.parent)
        self._write([made])
        return made

    def moved(self, made: Made) -> None:
        """Remember at once which file it is, after it was copied or moved here."""
        if not made.file.is_at(self.path):
            found = self.path.stat()
            identity = FileIdentity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, made.file.sha256)
            self._write([Made(made.recipe, identity, made.virtual_size)])

    @contextmanager
    def locked(self, timeout: float, release: Callable[[Path], None]) -> Iterator[None]:
        """Others that make the same file wait; what a killed run left is removed.

        :param timeout: seconds to wait
        :param release: called with each path that is left, for what may still use it
        :raises ImageModeError: C(install_running)
        """
        lock = self.path.with_name(f".{self.path.name}.imagemode-lock")
        deadline = time.monotonic() + timeout
        descriptor = self._take(lock, deadline)
        try:
            for name in (self.path.name, self.sidecar.name):
                # As tempfile names them: another disk image's may begin with the same name.
                for left in self.path.parent.glob(f".{glob.escape(name)}.{'[a-z0-9_]' * 8}{_UNFINISHED}"):
                    release(left)
                    _remove(left)
            yield
        finally:
            with suppress(FileNotFoundError):
                lock.unlink()
            os.close(descriptor)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory beside the file, for what is not finished; gone afterwards."""
        directory = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", suffix=_UNFINISHED, dir=self.path.parent))
        try:
            yield directory
        finally:
            _remove(directory)

    def _take(self, lock: Path, deadline: float) -> int:
        while True:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had it may have removed it meanwhile.
                if os.path.exists(lock) and os.stat(lock).st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
            except OSError as error:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise ImageModeError(
                        f"Another task makes {self.path}.",
                        error="install_running",
                        hint="Wait for it, or raise 'timeout'.",
                    ) from error
            os.close(descriptor)
            time.sleep(0.5)

    def _known(self) -> list[Made]:
        """:returns: the file that should be there, and the one that it replaces if that was interrupted"""
        try:
            return [Made.parse(one) for one in json.loads(self.sidecar.read_text())["made"]]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _write(self, made: list[Made]) -> None:
        # It holds hashes of passwords: as private as the disk image itself.
        text = json.dumps({"made": [asdict(one) for one in made]}, indent=1, sort_keys=True)
        replace_file(self.sidecar, f"{text}\n", suffix=_UNFINISHED)
        _sync(self.sidecar.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """:returns: of the file's content; its holes are not read"""
    total, position = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        while position < size:
            data = _next_data(file.fileno(), position, size)
            while position < data:
                step = min(_CHUNK, data - position)
                total.update(_ZEROS if step == _CHUNK else bytes(step))
                position += step
            if position < size:
                file.seek(position)
                end = os.lseek(file.fileno(), position, os.SEEK_HOLE)
                file.seek(position)
                while position < end:
                    chunk = file.read(min(_CHUNK, end - position))
                    if not chunk:
                        break
                    total.update(chunk)
                    position += len(chunk)
    return total.hexdigest()


def _next_data(descriptor: int, position: int, size: int) -> int:
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError:  # ENXIO: only a hole is left
        return size


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            _remove(child)
        path.rmdir()
    else:
        path.unlink()
