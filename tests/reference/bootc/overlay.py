# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""`usr-overlay` is ostree's own."""

from __future__ import annotations

import os
import sys
from typing import Any

from .sysroot import open_sysroot


def command(options: Any) -> None:
    # In the system's own mount namespace: the overlay must outlive this command.
    before = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    open_sysroot()
    os.setns(before, os.CLONE_NEWNS)
    sys.stdout.flush()
    os.execvp("ostree", ["ostree", "admin", "unlock", *(["--transient"] if options.read_only else [])])
