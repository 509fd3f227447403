# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are there as they were or as they are to be, never half of one, whatever ends the run that writes them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: str | bytes, mode: int = 0o600, owner: tuple[int, int] | None = None, suffix: str = "") -> None:
    """Replace a file, after a power cut too; its directory is there. Nothing is left of a try that fails.

    :param content: text is written as UTF-8
    :param owner: user and group; without it who runs this
    :param suffix: of the name that the file has meanwhile, by which the writer finds what SIGKILL left
    :raises OSError: it cannot be written
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=suffix, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if owner:
                os.fchown(file.fileno(), *owner)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
