# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much a fleet costs, and what becomes of one in which things go wrong; the full sizes are in bench/load.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fleet import CLOSED, IMAGE, NEW, OLD, Fleet, recap
from load import Load


def test_a_fleet_with_nothing_to_do_costs_one_request(tmp_path: Path) -> None:
    """What it costs in CPU, beside a ping, is measured by bench/load.py."""
    load = Load(tmp_path / "fleet", 100)
    assert load.converge(10).memory < 1024
    assert len(load.registry.requests) == 1


def test_the_playbook_updates_those_that_are_behind_and_waits_for_one_that_is_away(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 3, {"host0002": "unreachable"})
    rc, output = fleet.play("imagemode.bootc.update", update_image=IMAGE, update_digest=NEW, update_connect_timeout=1)
    assert rc != 0
    assert list(fleet.digests().values()) == [NEW, NEW, OLD], output
    rc, output = fleet.play("imagemode.bootc.update", update_image=IMAGE, update_digest=OLD, update_window=CLOSED, update_connect_timeout=1)
    assert recap(output)["host0000"]["changed"] == 0, output
    fleet.set_fault("host0002", None)
    rc, output = fleet.play("imagemode.bootc.update", update_image=IMAGE, update_digest=NEW)
    assert rc == 0, output
    assert "PLAY [Update bootc hosts]" in output
    assert recap(output)["host0000"] | {"ok": 1} == recap(output)["host0000"], "one task found that there is nothing to do"
    assert set(fleet.digests().values()) == {NEW}


def test_a_registry_that_is_too_busy_at_first_is_asked_again_by_one(tmp_path: Path) -> None:
    load = Load(tmp_path / "fleet", 10, busy=2)
    load.converge(10)
    assert len(load.registry.requests) == 3


def test_it_halts_where_the_rule_says_and_no_host_is_left_unreported(tmp_path: Path) -> None:
    """Five waves of four; the third host that fails is in the fourth, so the fifth never begins."""
    faults = {"host0005": "unreachable", "host0009": "unhealthy", "host0013": "throttled", "host0017": "rolls_back"}
    fleet = Fleet(tmp_path / "fleet", 20, faults)
    options = {
        "rollout_image": IMAGE,
        "rollout_digest": NEW,
        "rollout_download": False,
        "rollout_halt": {"failures": "3"},
        "rollout_report": "report",
        "rollout_waves": [{"name": f"wave{number}", "size": "20%"} for number in range(1, 6)],
        "update_health_commands": ["healthy"],
        "update_health_retries": 1,
        "update_health_delay": 1,
        "update_reboot_timeout": 60,
        "update_connect_timeout": 5,
    }
    rc, output = fleet.play("imagemode.bootc.rollout", **options)
    assert rc != 0
    assert "halted: 3 of 16 hosts failed (the limit is 3): host0005, host0009, host0013" in output
    rows = {row["host"]: row for row in json.loads((fleet.base / "report/report.json").read_text())["rows"]}
    states = {name: "current" if number < 16 else "unknown" for number, name in enumerate(fleet.names)}
    states.update(host0005="unreachable", host0009="rolled_back", host0013="failed")
    assert {name: row["state"] for name, row in rows.items()} == states
    assert fleet.digests() == {name: NEW if state == "current" else OLD for name, state in states.items()}
    assert "429" in rows["host0013"]["message"]
