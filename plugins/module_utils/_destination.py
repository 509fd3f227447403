# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory of a file that is to be made: looked at before anything is done for it, in check mode too."""

from __future__ import annotations

import os
from pathlib import Path

from ._errors import ImageModeError


def require_place(file: Path) -> None:
    """:raises ImageModeError: C(destination_missing), C(destination_unwritable)"""
    directory = file.parent
    if not directory.is_dir():
        raise ImageModeError(
            f"There is no directory {directory} for {file.name}.",
            error="destination_missing",
            hint="Make it, or mount what belongs there.",
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ImageModeError(
            f"The directory {directory}, where {file.name} is to be made, cannot be written to.",
            error="destination_unwritable",
            hint="Run the task as a user who may ('become: true'), mount its file system for writing, or choose another place.",
        )
