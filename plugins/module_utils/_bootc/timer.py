# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timer that lets a host update and reboot itself: C(bootc upgrade --apply --quiet) (contract.md 6.1)."""

from __future__ import annotations

import json
from typing import Any

from .._runner import CommandMissing, Runner

TIMER = "bootc-fetch-apply-updates.timer"


def update_timer(runner: Runner) -> dict[str, Any]:
    """:returns: whether there is such a timer, runs now, starts at boot, and when it elapses next and did last (seconds since 1970)"""
    try:
        shown = runner.run(["systemctl", "show", TIMER, "--property=LoadState,ActiveState,UnitFileState"], check=False).stdout
        listed = runner.run(["systemctl", "list-timers", "--all", "--output=json", TIMER], check=False).stdout
    except CommandMissing:  # no systemd here
        shown = listed = ""
    return read_timer(shown, listed)


def read_timer(shown: str, listed: str) -> dict[str, Any]:
    """:param shown: what C(systemctl show) printed
    :param listed: what C(systemctl list-timers --output=json) printed; systemd before 250 prints a table, which is not read
    """
    state = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    try:
        times: dict[str, Any] = next(iter(json.loads(listed)), {})
    except ValueError:
        times = {}
    load = state.get("LoadState") or "not-found"
    return {
        "name": TIMER,
        "exists": load not in ("not-found", "masked"),
        "masked": load == "masked",
        "enabled": state.get("UnitFileState") in ("enabled", "enabled-runtime"),
        "active": state.get("ActiveState") == "active",
        "next": _seconds(times.get("next")),
        "last": _seconds(times.get("last")),
    }


def _seconds(microseconds: Any) -> int | None:
    return int(microseconds) // 1_000_000 if isinstance(microseconds, int) and microseconds else None
