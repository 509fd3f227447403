# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are made only when something that goes into them changed, or they did."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._errors import ImageModeError
from .._replace import replace_file

SIDECAR = ".imagemode-media.json"


class ForeignFile(ImageModeError):
    """A file is where one is to be made, and was not made here."""

    error = "file_foreign"


@dataclass(frozen=True)
class Part:
    """A file that can be made.

    :ivar name: its path below the shelf's directory
    :ivar inputs: everything that goes into it, JSON-serialisable
    :ivar make: writes it to the path that it gets
    """

    name: str
    inputs: Mapping[str, Any] = field(hash=False)
    make: Callable[[Path], None]

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(self.inputs, sort_keys=True).encode()).hexdigest()


class Shelf:
    """A directory of such files, and a file beside them that tells of each what went in and what came out."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._sidecar = directory / SIDECAR
        try:
            self._known: dict[str, dict[str, Any]] = json.loads(self._sidecar.read_text())["files"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            self._known = {}

    def lacking(self, parts: Iterable[Part]) -> tuple[Part, ...]:
        """:returns: those that are not there as they would be made
        :raises ForeignFile: something else is there
        """
        return tuple(part for part in parts if not self._is_current(part))

    def put(self, part: Part) -> None:
        """Make a file; it is there whole, or as it was before."""
        final = self.directory / part.name
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_name(f".{final.name}.{os.getpid()}")
        try:
            part.make(temporary)
            temporary.chmod(0o644)
            described = {"key": part.key, "sha256": _digest(temporary), **_stat(temporary)}
            # The file first: without its entry it would be foreign, with an entry for another it is only made again.
            self._known[part.name] = described
            self._save()
            os.replace(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)

    def forget(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """:param wanted: names of the files that are wanted
        :returns: names of files that were made here and are not
        """
        return tuple(sorted(set(self._known) - set(wanted)))

    def remove(self, name: str) -> None:
        (self.directory / name).unlink(missing_ok=True)
        del self._known[name]
        self._save()

    def facts(self, name: str) -> dict[str, Any]:
        """:returns: C(path), C(size) in bytes, C(sha256)"""
        known = self._known[name]
        return {"path": str(self.directory / name), "size": known["size"], "sha256": known["sha256"]}

    def _is_current(self, part: Part) -> bool:
        path, known = self.directory / part.name, self._known.get(part.name)
        if not path.exists():
            return False
        if known is None:
            raise ForeignFile(
                f"'{path}' is to be made, and there is such a file that was not made by this module.",
                hint="Move it away, or choose another directory.",
                path=str(path),
            )
        if known.get("key") != part.key:
            return False
        found = _stat(path)
        # A file that only looks touched, for example after it was restored from a backup, is read.
        return found == {name: known.get(name) for name in found} or _digest(path) == known.get("sha256")

    def _save(self) -> None:
        replace_file(self._sidecar, json.dumps({"files": self._known}, indent=1, sort_keys=True) + "\n", 0o644)


def _stat(path: Path) -> dict[str, int]:
    found = path.stat()
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def _digest(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            total.update(block)
    return total.hexdigest()
