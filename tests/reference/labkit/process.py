# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""Processes of the lab: known by id and start time, so that a reused id is never signalled."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def start_time(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def identity(pid: int) -> dict[str, Any]:
    return {"pid": pid, "started": start_time(pid)}


def alive(record: dict[str, Any] | None) -> bool:
    return bool(record and record.get("pid") and record.get("started") and start_time(record["pid"]) == record["started"])


def stop(record: dict[str, Any] | None, *, grace: float = 10, hard: bool = False) -> None:
    if not record or not alive(record):
        return
    # Everything of the lab is the leader of a session of its own.
    os.killpg(record["pid"], signal.SIGKILL if hard else signal.SIGTERM)
    deadline = time.monotonic() + grace
    while alive(record):
        if time.monotonic() > deadline:
            os.killpg(record["pid"], signal.SIGKILL)
            deadline += grace
        time.sleep(0.05)
