# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that hold secrets: written whole or not at all, 0600, and gone when their work is done."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._errors import ImageModeError
from .._replace import replace_file
from .._scratch import private_directory
from ._credentials import Credentials, merged

_UNFINISHED = ".imagemode"


class AuthFileUnwritable(ImageModeError):
    """There is no place for the auth file that this user may write to."""

    error = "auth_file_unwritable"


def need_writable(path: Path) -> None:
    """
    :raises AuthFileUnwritable: the file, or what is missing above it, cannot be made by this user
    """
    there = next(parent for parent in path.resolve().parents if os.path.exists(parent))
    if os.path.exists(path) and not os.path.isfile(path):
        # Such as /dev/null, of which root would make a file.
        raise unwritable(path, "it is no file")
    # The file itself is replaced, so that its own permissions do not matter.
    if not there.is_dir():
        raise unwritable(path, f"'{there}' is no directory")
    if not os.access(there, os.W_OK | os.X_OK):
        raise unwritable(path, f"this user may not write in '{there}'")


def unwritable(path: Path, why: str) -> AuthFileUnwritable:
    return AuthFileUnwritable(
        f"The auth file '{path}' cannot be written: {why}.",
        hint="Run the task with become, or set 'path' to a file of the user's own.",
        path=str(path),
    )


def write_auth_file(path: Path, document: Mapping[str, Any]) -> None:
    """Write an auth file atomically, readable by its owner only; missing directories are made 0700.

    A link stays one, an owner stays the owner, and what a killed run left behind is removed.
    """
    path = path.resolve()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*{_UNFINISHED}"):
        left.unlink(missing_ok=True)
    owner = (path.stat().st_uid, path.stat().st_gid) if path.exists() and os.getuid() == 0 else None
    replace_file(path, json.dumps(document, indent=2, sort_keys=True) + "\n", owner=owner, suffix=_UNFINISHED)


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
def temporary_auth_file(additions: Mapping[str, Credentials], paths: Iterable[Path] = ()) -> Iterator[Path]:
    """An auth file with I(additions), keys being registries or namespaces, over what I(paths) hold.

    :raises CredentialsInvalid: one of I(paths) cannot be read as an auth file
    """
    document = merged(paths, additions)
    with private_directory() as directory:
        path = directory / "auth.json"
        write_auth_file(path, document)
        yield path
