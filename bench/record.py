# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was measured, as a table and as a data file with a description of the machine."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

PROGRAMS = ("ansible", "podman", "buildah", "skopeo", "qemu-system-x86_64")


@dataclass(frozen=True)
class Result:
    """`value` is a ratio (`of` tells of what to what) or a count; good when it is at most `goal`, if there is one."""

    what: str
    of: str
    value: float
    goal: float | None = None

    @property
    def good(self) -> bool:
        return self.goal is None or self.value <= self.goal

    def __str__(self) -> str:
        verdict = "" if self.goal is None else f"   goal {self.goal:g}   {'ok' if self.good else 'MISSED'}"
        return f"{self.what:42} {self.of:34} {self.value:8.2f}{verdict}"


def keep(results: Iterable[Result], folder: Path, environment: dict[str, str]) -> Path:
    """:param folder: of the data files, one for each run
    :param environment: in which the programs are found
    :returns: the file
    """
    now = datetime.now(timezone.utc)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    document = {"time": now.isoformat(timespec="seconds"), "machine": machine(environment), "results": list(map(asdict, results))}
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def machine(environment: dict[str, str]) -> dict[str, Any]:
    """Whatever of this machine may explain a number; nothing that names it."""
    processor = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    system = re.search(r'^PRETTY_NAME="?([^"\n]+)', Path("/etc/os-release").read_text(), re.M)
    return {
        "processor": processor[1] if processor else platform.machine(),
        "processors": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "system": system[1] if system else platform.system(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {program: _version(program, environment) for program in PROGRAMS},
    }


def _version(program: str, environment: dict[str, str]) -> str:
    try:
        said = subprocess.run([program, "--version"], env=environment, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else ""
