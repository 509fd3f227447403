# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal: a file on the controller with a line of JSON for each look at a host.

Many processes append at the same time, and one that is killed leaves at most half a line, which is passed over.
Journals of several sites are merged by concatenation.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from .._errors import ImageModeError
from .record import Record, after, from_json


class JournalUnusable(ImageModeError):
    """The journal cannot be read or written."""

    error = "journal_unusable"


def append(path: Path, record: Record) -> None:
    """Add a line; it is on the disk, whole, before this returns.

    :raises JournalUnusable: the file cannot be written
    """
    line = (json.dumps(asdict(record), separators=(",", ":")) + "\n").encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # somebody was killed in the middle of a line
            while line:  # a disk that is nearly full takes a part
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unusable(path, "written", error) from None


def read(paths: Iterable[Path]) -> dict[str, Record]:
    """:returns: host → what is known of it; a file that is not there tells nothing
    :raises JournalUnusable: a file cannot be read
    """
    known: dict[str, Record] = {}
    for seen in sorted((record for path in paths for record in _lines(path)), key=lambda record: record.time):
        known[seen.host] = after(known.get(seen.host), seen)
    return known


def _lines(path: Path) -> Iterator[Record]:
    try:
        text = path.read_text(errors="replace") if path.exists() else ""
    except OSError as error:
        raise _unusable(path, "read", error) from None
    for line in text.splitlines():
        try:
            yield from_json(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def _unusable(path: Path, what: str, error: Exception) -> JournalUnusable:
    return JournalUnusable(f"The journal '{path}' cannot be {what}: {error}.", hint="Name another file, or mend this one.", path=str(path))
