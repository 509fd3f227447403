# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes of a run, as /proc tells."""

from __future__ import annotations

import re
from pathlib import Path


def descendants(*pids: int) -> list[int]:
    """The processes below processes."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found: list[int] = []
    todo = [*pids]
    while todo:
        below = parents.get(todo.pop(), [])
        found += below
        todo += below
    return found


def memory(pid: int) -> float:
    """MiB that a process and those below it have, with what they share counted once (Pss)."""
    total = 0
    for number in [pid, *descendants(pid)]:
        try:
            found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{number}/smaps_rollup").read_text(), re.M)
        except OSError:
            continue
        total += int(found.group(1)) if found else 0
    return total / 1024
