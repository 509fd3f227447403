# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories that do not outlive their run: removed at its end, and after a run that was killed by the next one."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_SHARED_MEMORY = "/dev/shm"
_PRIVATE = "private"


@contextmanager
def private_directory() -> Iterator[Path]:
    """A directory for secrets: in memory where there is some, and as I(scratch_directory)."""
    with scratch_directory(_PRIVATE, _memory()) as directory:
        yield directory


def sweep_private() -> None:
    """Remove the secrets of runs that were killed."""
    _sweep(_PRIVATE, _memory() or tempfile.gettempdir())


@contextmanager
def scratch_directory(purpose: str, place: str | None = None) -> Iterator[Path]:
    """A directory of this run alone, 0700, removed whatever happens.

    An asked end (SIGTERM, SIGHUP) is turned into C(SystemExit) meanwhile, so that this and every other clean-up runs. What
    SIGKILL leaves, the next call for the same purpose removes.

    :param purpose: a word that the name begins with
    :param place: the directory that it is made in; without it the one for temporary files
    """
    where, prefix = place or tempfile.gettempdir(), _prefix(purpose)
    _sweep(purpose, where)
    with _orderly_end():
        directory, lock = _claimed(prefix, where)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            os.close(lock)


def _sweep(purpose: str, place: str) -> None:
    """Remove what killed runs of this user left. A run holds a lock on its directory, which ends with it, however it ends."""
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(_prefix(purpose)):
                with suppress(OSError):
                    _remove_left(entry)


def _memory() -> str | None:
    """:returns: a directory that is memory, the user's own before the one of all, or C(None) if there is none"""
    own = [os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{os.geteuid()}"]
    root = ["/run"] if os.geteuid() == 0 else []
    for candidate in filter(None, (*own, *root, _SHARED_MEMORY)):
        with suppress(OSError):
            found = os.stat(candidate)
            # What is memory is no part of the root file system. In another user's directory nothing is put, not even by root.
            fits = found.st_dev != os.stat("/").st_dev and (found.st_uid == os.geteuid() or candidate == _SHARED_MEMORY)
            if fits and os.access(candidate, os.W_OK | os.X_OK):
                return candidate
    return None


def _prefix(purpose: str) -> str:
    return f"imagemode-{purpose}-"


def _claimed(prefix: str, place: str) -> tuple[Path, int]:
    """:returns: a new directory, and the descriptor that holds its lock"""
    while True:
        directory = tempfile.mkdtemp(prefix=prefix, dir=place)
        # Between these two another run may take it for one that was left.
        with suppress(FileNotFoundError):
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.isdir(directory):
                return Path(directory), lock
            os.close(lock)


def _remove_left(entry: os.DirEntry[str]) -> None:
    lock = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(lock)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(entry.path)
    finally:
        os.close(lock)


@contextmanager
def _orderly_end() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def end(number: int, _frame: FrameType | None) -> None:
        for again in _ENDING:  # a second signal must not interrupt the clean-up
            signal.signal(again, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
