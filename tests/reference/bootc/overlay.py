# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""`usr-overlay` is ostree's own."""

from __future__ import annotations

import os
import sys
from typing import Any

from .sysroot import Sysroot, open_sysroot


def sysroot_from_outside() -> Sysroot:
    """Read it, and be in the system's own mount namespace again: the overlay must outlive this command."""
    before = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    sysroot = open_sysroot()
    os.setns(before, os.CLONE_NEWNS)
    return sysroot


def unlock(options: Any, said: str | None = None) -> None:
    """Go on as ostree, with its own words or with these: it wants the lock that this process gives up so."""
    words = ["ostree", "admin", "unlock", *(["--transient"] if options.read_only else [])]
    sys.stdout.flush()
    if said is not None:
        words = ["sh", "-ec", '"$@" > /dev/null; echo "$0"', said, *words]
    os.execvp(words[0], words)


def command(options: Any) -> None:
    sysroot_from_outside()
    unlock(options)
