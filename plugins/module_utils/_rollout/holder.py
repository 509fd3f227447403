# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time goes on with a rollout: the first has it until its process is gone, however that ends."""

from __future__ import annotations

import fcntl
from pathlib import Path

from .._errors import ImageModeError
from .._runner import process_stat


class RolloutBusy(ImageModeError):
    """Another run on this controller goes on with the rollout."""

    error = "rollout_busy"


def hold(rollout: Path, process: int) -> None:
    """Have a rollout for a process of this machine. Nothing has to be given back.

    :param rollout: its file; the note of who has it is beside it
    :param process: number of the process, which has it from now on
    :raises RolloutBusy: another process has it, and runs
    :raises OSError: the note cannot be written
    """
    rollout.parent.mkdir(parents=True, exist_ok=True)
    with rollout.with_suffix(".lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # while it is read and written
        file.seek(0)
        known = file.read().split()
        if len(known) == 2 and known[0] != str(process) and _began(known[0]) == known[1]:
            raise RolloutBusy(
                f"Process {known[0]} goes on with the rollout '{rollout}'.",
                hint="Wait for it, or pause it with rollout_state; or keep the other rollout in a directory of its own.",
            )
        file.truncate(0)
        file.write(f"{process} {_began(str(process))}\n")


def _began(process: str) -> str | None:
    """:returns: when a process began, so that another one with its number is not taken for it; C(None) if it does not run"""
    fields = process_stat(process)
    return fields[19] if fields else None  # the 22nd of proc(5)
