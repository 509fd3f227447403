# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are there as they were or as they are to be, never half of one, whatever ends the run that writes them."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What file systems without hard links say, FAT for one.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)


def replace_file(path: Path, content: str | bytes, mode: int = 0o600, owner: tuple[int, int] | None = None, suffix: str = "") -> None:
    """Replace a file, after a power cut too; its directory is there. Nothing is left of a try that fails.

    :param content: text is written as UTF-8
    :param owner: user and group; without it who runs this
    :param suffix: of the name that the file has meanwhile, by which the writer finds what SIGKILL left
    :raises OSError: it cannot be written
    """
    with _beside(path, content, mode, owner, suffix) as temporary:
        os.replace(temporary, path)


def new_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet, as L(replace_file) does it, and never over another writer's.

    :raises FileExistsError: somebody has written it
    :raises OSError: it cannot be written
    """
    with _beside(path, content, mode) as temporary:
        try:
            os.link(temporary, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.replace(temporary, path)
        else:
            os.unlink(temporary)


@contextmanager
def _beside(path: Path, content: str | bytes, mode: int, owner: tuple[int, int] | None = None, suffix: str = "") -> Iterator[str]:
    """A whole file in the same directory, for its place to be taken; removed if that fails."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=suffix, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if owner:
                os.fchown(file.fileno(), *owner)
            os.fsync(file.fileno())
        yield temporary
    except BaseException:
        os.unlink(temporary)
        raise
