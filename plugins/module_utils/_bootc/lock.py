# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock of the sysroot, for which bootc and rpm-ostree wait without a limit (contract.md 1.0)."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from typing import Any

from .errors import BootcError

# libostree locks this file by its open file description, and removes it when it is done.
PATH = "/sysroot/ostree/lock"
# struct flock of a 64-bit machine: type, whence, start, length, process.
_FLOCK = "hhqqi4x"
PAUSE_SECONDS = 0.5


def wait(seconds: float) -> None:
    """Wait until nobody holds the lock.

    :raises BootcError: C(bootc_locked), with who holds it
    """
    deadline = time.monotonic() + seconds
    while _held():
        if time.monotonic() >= deadline:
            holder = _holder()
            who = f"Process {holder['pid']} ('{holder['command']}')" if holder else "Another process"
            raise BootcError(
                f"{who} is changing this host's deployments and holds the lock {PATH}; waited for {seconds:g} seconds.",
                error="bootc_locked",
                hint="Wait until it has finished, or raise 'lock_timeout'; modules without that option wait for their 'timeout'.",
                holder=holder,
            )
        time.sleep(PAUSE_SECONDS)


def _held() -> bool:
    try:
        with open(PATH, "rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except OSError:  # not there, or not ours to look at: bootc will say so
        return False
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


def _holder() -> dict[str, Any] | None:
    """The process whose open file has the lock. Those that wait have the file open, too, and no lock on it.

    The kernel names no process for such a lock in /proc/locks, but /proc/PID/fdinfo has it.
    """
    try:
        wanted = os.stat(PATH)
    except OSError:
        return None
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{descriptor}"), wanted):
                    with open(f"/proc/{pid}/fdinfo/{descriptor}", encoding="ascii") as info:
                        if "lock:" not in info.read():
                            continue
                    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as command:
                        return {"pid": int(pid), "command": command.read().replace("\0", " ").strip()}
        except OSError:  # it has ended meanwhile
            continue
    return None
