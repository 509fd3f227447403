# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens around a host's update in a rollout: downloads before, draining, soaking, checks of a wave, and rules that stop it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from threading import Thread

sys.path.insert(0, str(Path(__file__).parent))

from fleet import NEW, OLD, Fleet
from rollouts import document, rollout
from simulated_host import save

WAVES = [{"name": "first", "size": 1}, {"name": "second", "size": 1}, {"name": "rest"}]


def test_all_have_the_image_before_the_first_one_boots_it(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 3, {"host0000": "unhealthy", "host0002": "throttled"})
    rc, output = rollout(fleet, rollout_download="")
    assert rc != 0
    assert "It was not downloaded, and will be in the host's batch" in output
    assert list(fleet.digests().values()) == [OLD] * 3
    there = fleet.state("host0001")["staged"]
    assert (there["digest"], there["download_only"]) == (NEW, True), "the canary failed, and the next wave had it already"
    for name in fleet.names:
        fleet.set_fault(name, None)
    rc, output = rollout(fleet, rollout_download="")
    assert rc == 0, output
    assert set(fleet.digests().values()) == {NEW}
    verbs = (fleet.base / "host0001/verbs").read_text().splitlines()
    assert ["--from-downloaded" in verb for verb in verbs if verb.startswith("upgrade")] == [False, True], "it is pulled once"


def test_a_host_is_drained_while_it_runs_the_old_image_and_comes_back_only_where_it_is_healthy(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 2, {"host0001": "unhealthy"})
    hooks = {}
    for hook in ("drain", "undrain"):
        place = "{{ inventory_dir }}/{{ inventory_hostname }}"
        copy = {"src": f"{place}/state.json", "dest": f"{place}.{hook}", "mode": "0644"}
        (fleet.base / f"{hook}.yml").write_text(json.dumps([{"ansible.builtin.copy": copy, "delegate_to": "localhost"}]))
        hooks[f"rollout_{hook}_tasks"] = str(fleet.base / f"{hook}.yml")
    rc, _output = rollout(fleet, rollout_waves=[{"name": "all"}], **hooks)
    assert rc != 0

    def booted(name: str, hook: str) -> str:
        found: str = json.loads((fleet.base / f"{name}.{hook}").read_text())["booted"]["digest"]
        return found

    assert [booted(name, "drain") for name in fleet.names] == [OLD, OLD]
    assert booted("host0000", "undrain") == NEW
    assert not (fleet.base / "host0001.undrain").exists()


def test_a_wave_whose_checks_fail_goes_back_alone(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 3)
    (fleet.base / "check.yml").write_text("- ansible.builtin.fail: {msg: orders stopped}\n  when: inventory_hostname == 'host0001'\n")
    options = {"rollout_waves": WAVES, "rollout_wave_tasks": str(fleet.base / "check.yml"), "rollout_on_halt": "rollback"}
    rc, output = rollout(fleet, **options)
    assert rc != 0
    assert "halted: wave second: " in output
    assert "orders stopped" in document(fleet)["reason"]
    assert list(fleet.digests().values()) == [NEW, OLD, OLD], output


def test_a_host_that_leaves_the_image_while_its_wave_settles_has_failed(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 2)
    journal = fleet.base / "rollout/fleet.jsonl"

    def leave() -> None:
        while not (journal.exists() and '"updated"' in journal.read_text()):
            time.sleep(0.1)
        state = fleet.state("host0000")
        save(fleet.base / "host0000", {**state, "booted": state["rollback"], "rollback": state["booted"]})

    watchdog = Thread(target=leave, daemon=True)
    watchdog.start()
    rc, output = rollout(fleet, rollout_soak=5)
    assert rc != 0
    assert "halted: 1 of 1 hosts failed (the limit is 1): host0000" in output
    assert "the host left the image again" in journal.read_text()
    assert fleet.digests()["host0001"] == OLD


def test_waves_by_label_keep_to_the_budget_of_each_site_and_stop_by_an_expression(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 8, {"host0001": "rolls_back"})
    options = {
        "rollout_waves": [{"name": "one", "labels": {"site": "site0"}}, {"name": "rest"}],
        "rollout_budgets": [{"by": "site", "max_unavailable": 1}],
        "rollout_halt": {"query": "counts.rolled_back >= `1` && length(results[?wave=='rest']) == `3`"},
    }
    rc, output = rollout(fleet, "--check", **{**options, "rollout_halt": {"query": "counts["}})
    assert rc != 0
    assert "halt_rule_invalid" in output
    assert "PLAY [Download" not in output
    rc, output = rollout(fleet, **options)
    assert rc != 0
    plan = ["1. one, 1 hosts: host0000", "2. one, 1 hosts: host0004", "3. rest, 3 hosts: host0001, host0002, host0003"]
    assert all(line in output for line in (*plan, "4. rest, 3 hosts: host0005, host0006, host0007"))
    assert "halted: the halt rule holds: counts.rolled_back" in output
    behind = {"host0001", "host0005", "host0006", "host0007"}
    assert {name for name, digest in fleet.digests().items() if digest == OLD} == behind
