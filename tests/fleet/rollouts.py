# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook rollout over a simulated fleet, with the options that its tests share."""

from __future__ import annotations

import json
from typing import Any

from fleet import IMAGE, NEW, Fleet

ROLLOUT = "imagemode.bootc.rollout"
OPTIONS: dict[str, Any] = {
    "rollout_image": IMAGE,
    "rollout_digest": NEW,
    "rollout_download": False,
    "update_health_commands": ["healthy"],
    "update_health_retries": 1,
    "update_health_delay": 1,
    "update_reboot_timeout": 60,
    "update_connect_timeout": 5,
}


def rollout(fleet: Fleet, *arguments: str, **more: Any) -> tuple[int, str]:
    return fleet.play(ROLLOUT, *arguments, **{**OPTIONS, **more})


def document(fleet: Fleet) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((fleet.base / "rollout/rollout.json").read_text())
    return found
