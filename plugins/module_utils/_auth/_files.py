# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that hold secrets: written whole or not at all, 0600, and gone when their work is done."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ._credentials import Credentials, merged

_UNFINISHED = ".imagemode"
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def write_auth_file(path: Path, document: Mapping[str, Any]) -> None:
    """Write an auth file atomically, readable by its owner only; missing directories are made 0700.

    A link stays one, an owner stays the owner, and what a killed run left behind is removed.
    """
    path = path.resolve()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*{_UNFINISHED}"):
        left.unlink(missing_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(document, file, indent=2, sort_keys=True)
            file.write("\n")
            file.flush()
            if path.exists() and os.getuid() == 0:
                os.fchown(file.fileno(), path.stat().st_uid, path.stat().st_gid)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextmanager
def locked_auth_file(path: Path) -> Iterator[None]:
    """Nobody else who asks in this way changes the auth file meanwhile; missing directories are made 0700."""
    path.resolve().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def private_directory() -> Iterator[Path]:
    """A directory for secrets, 0700, in memory where there is one, removed whatever happens.

    An asked end (SIGTERM, SIGHUP) is turned into C(SystemExit) meanwhile, so that this and every
    other clean-up runs; only SIGKILL leaves the directory behind.
    """
    with _orderly_end():
        directory = Path(tempfile.mkdtemp(prefix="imagemode-", dir=_memory()))
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def temporary_auth_file(additions: Mapping[str, Credentials], paths: Iterable[Path] = ()) -> Iterator[Path]:
    """An auth file with I(additions), keys being registries or namespaces, over what I(paths) hold.

    :raises CredentialsInvalid: one of I(paths) cannot be read as an auth file
    """
    document = merged(paths, additions)
    with private_directory() as directory:
        path = directory / "auth.json"
        write_auth_file(path, document)
        yield path


def _memory() -> str | None:
    """:returns: the caller's own runtime directory, which is memory and is emptied with the session, if there is one"""
    for candidate in (os.environ.get("XDG_RUNTIME_DIR"), "/run" if os.getuid() == 0 else None):
        if candidate and os.access(candidate, os.W_OK | os.X_OK):
            return candidate
    return None


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
