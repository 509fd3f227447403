# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cache on the builder: hashes of files that have not changed, and one build at a time for a name."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What is written within this time of being read may have been written again without a trace in its times: the
# clock of a file system is coarse. Git calls such an entry racy; two seconds are the coarsest clock, FAT's.
RACY_NS = 2_000_000_000


def cache_directory() -> Path:
    """:returns: C($XDG_CACHE_HOME/imagemode), or C(~/.cache/imagemode); it need not be there"""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "imagemode"


def key(*words: str) -> str:
    """:returns: a file name for these words"""
    return hashlib.sha256("\0".join(words).encode(errors="surrogateescape")).hexdigest()[:32]


def read(path: Path) -> bytes | None:
    """:returns: the content, or C(None): a cache that cannot be read is no cache"""
    try:
        return path.read_bytes()
    except OSError:
        return None


def write(path: Path, content: bytes) -> None:
    """Replace the file as a whole, so that a reader never sees half of it; silently not, where that is impossible."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError:
        pass


def used(path: Path) -> None:
    """Let the file be one of the newest, so that it is kept."""
    with suppress(OSError):
        os.utime(path)


def prune(directory: Path, keep: int) -> None:
    """Remove all but the newest files."""
    try:
        files = sorted(directory.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[keep:]:
            file.unlink()
    except OSError:
        pass


def now_ns() -> int:
    return time.time_ns()


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Let one process at a time work on this name; the lock ends with the process, however it ends."""
    path = cache_directory() / "locks" / key(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("w")
    except OSError:
        yield  # without a place for a lock two builders do the work twice, and both end well
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
