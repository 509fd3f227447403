# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories that do not outlive their run: removed at its end, and after a run that was killed by the next one."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from ._errors import ImageModeError
from ._runner import Runner

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_SHARED_MEMORY = "/dev/shm"
_PRIVATE = "private"
# For what runs as other users in it, and must not list it.
TRAVERSABLE = 0o711


@contextmanager
def private_directory() -> Iterator[Path]:
    """A directory for secrets: in memory where there is some, and as I(scratch_directory)."""
    with scratch_directory(_PRIVATE, _memory()) as directory:
        yield directory


def sweep_private() -> None:
    """Remove the secrets of runs that were killed."""
    sweep(_PRIVATE, _memory() or tempfile.gettempdir())


@contextmanager
def scratch_directory(purpose: str, place: str | None = None, sweeping: bool = True) -> Iterator[Path]:
    """A directory of this run alone, 0700, removed whatever happens.

    An asked end (SIGTERM, SIGHUP) is turned into C(SystemExit) meanwhile, so that this and every other clean-up runs. What
    SIGKILL leaves, the next call for the same purpose removes.

    :param purpose: a word that the name begins with
    :param place: the directory that it is made in; without it the one for temporary files
    :param sweeping: C(False) where more than a directory may be left, and I(sweep) is called for it
    """
    where, prefix = place or tempfile.gettempdir(), _prefix(purpose)
    if sweeping:
        sweep(purpose, where)
    with orderly_end():
        directory, lock = _claimed(prefix, where)
        try:
            yield directory
        finally:
            _remove(directory)
            os.close(lock)


def sweep(purpose: str, place: str, before: Callable[[Path], bool] = lambda _directory: True) -> None:
    """Remove what killed runs of this user left. A run holds a lock on its directory, which ends with it, however it ends.

    :param before: called with each directory before it is removed; C(False) keeps it for another time
    """
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(_prefix(purpose)):
                with suppress(OSError):
                    _remove_left(entry, before)


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


def _remove_left(entry: os.DirEntry[str], before: Callable[[Path], bool]) -> None:
    lock = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(lock)
        # In a directory of a group's, what is made in it is of the group, too.
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o777 not in (0o700, TRAVERSABLE):
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if before(Path(entry.path)):
            _remove(Path(entry.path))
    finally:
        os.close(lock)


def _remove(directory: Path) -> None:
    """Remove a directory, and never what is mounted in it: an engine that was killed may have left a user's own files there."""
    for place in reversed(_mounted(directory)):
        with suppress(ImageModeError):
            Runner().run(["umount", "--lazy", place])
    if _mounted(directory):
        return
    for below, names, _files in os.walk(directory):
        for path in (os.path.join(below, name) for name in names):
            # Buildah's directories may not be listed even by their owner, who is not root.
            if not os.path.islink(path):
                with suppress(OSError):
                    os.chmod(path, stat.S_IRWXU)
    shutil.rmtree(directory, ignore_errors=True)


def _mounted(directory: Path) -> list[str]:
    """:returns: what is mounted below, in the order in which it was"""
    # proc_pid_mountinfo(5): the mount point is the fifth field, with spaces and the like as octal numbers.
    fields: list[bytes] = []
    with suppress(OSError), open("/proc/self/mountinfo", "rb") as file:
        fields += [line.split()[4] for line in file]
    places = [os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), place)) for place in fields]
    return [place for place in places if place.startswith(f"{os.path.realpath(directory)}/")]


@contextmanager
def orderly_end() -> Iterator[None]:
    """Let what is to be done finally be done, too, when the process is asked to end: SIGTERM and SIGHUP are a C(SystemExit) meanwhile."""
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
