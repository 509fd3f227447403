# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives that the kernel unpacks over the initramfs: "newc" in its documentation (driver-api/early-userspace)."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

from .._errors import OptionError

_BIGGEST = 0xFFFFFFFF


@dataclass(frozen=True)
class Entry:
    """A file, a directory or a symbolic link; everything is root's, and as old as 1970, so that the same input gives the same bytes.

    :ivar mode: as C(st_mode): kind and permissions
    :ivar content: what is in it, the file that it is a copy of, or for a link its target
    """

    mode: int
    content: bytes | Path = b""


def file(content: bytes | Path, mode: int = 0o644) -> Entry:
    return Entry(stat.S_IFREG | mode, content)


def link(target: str) -> Entry:
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def write(out: IO[bytes], entries: Mapping[str, Entry]) -> None:
    """Write an archive; the directories on the way are added.

    :param entries: path without a leading slash → what is there
    :raises OptionError: a file of 4 GiB or more, which the format cannot hold
    """
    for number, (path, entry) in enumerate(sorted(_with_directories(entries).items()), 1):
        _write_one(out, number, path, entry)
    _write_one(out, 0, "TRAILER!!!", Entry(0))
    # What follows in memory begins at a multiple of four bytes; media have blocks of 512.
    out.write(b"\0" * (-out.tell() % 512))


def _with_directories(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    parents: Iterable[PurePosixPath] = (parent for path in entries for parent in PurePosixPath(path).parents if parent.name)
    return {**{str(parent): Entry(stat.S_IFDIR | 0o755) for parent in parents}, **entries}


def _write_one(out: IO[bytes], number: int, path: str, entry: Entry) -> None:
    source = entry.content
    size = source.stat().st_size if isinstance(source, Path) else len(source)
    if size > _BIGGEST:
        raise OptionError(f"'{path}' has {size} bytes, and an initramfs cannot hold a file of 4 GiB.", hint="Make the image smaller.")
    name = path.encode() + b"\0"
    # inode, mode, owner, group, links, time, size, device (2), device that it is (2), length of the name, no checksum
    fields = (number, entry.mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name), 0)
    out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
    _pad(out)
    with source.open("rb") if isinstance(source, Path) else BytesIO(source) as content:
        shutil.copyfileobj(content, out, 1 << 20)
    _pad(out)


def _pad(out: IO[bytes]) -> None:
    out.write(b"\0" * (-out.tell() % 4))
