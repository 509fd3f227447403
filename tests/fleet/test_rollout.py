# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts over simulated hosts: the playbook as users run it, with hosts that fail, controllers that die and tags that move."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import NOTHING

sys.path.insert(0, str(Path(__file__).parent))

from fleet import CLOSED, NEW, OLD, Fleet, artifacts, recap
from rollouts import OPTIONS, ROLLOUT, document, rollout
from simulated_host import index


def test_check_mode_shows_who_goes_when_and_changes_nothing_then_all_go_once(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 6)
    rc, output = rollout(fleet, "--check")
    assert rc == 0, output
    assert "1. canary, 1 hosts: host0000" in output
    assert set(fleet.digests().values()) == {OLD}
    assert not (fleet.base / "rollout").exists()

    rc, output = rollout(fleet, rollout_report="report")
    assert rc == 0, output
    assert set(fleet.digests().values()) == {NEW}
    assert all(fleet.state(name)["boot_id"].count("-") == 4 for name in fleet.names), "each was rebooted"
    assert json.loads((fleet.base / "report/report.json").read_text())["states"] == {"current": 6}

    boots = {name: fleet.state(name)["boot_id"] for name in fleet.names}
    rc, output = rollout(fleet)
    assert rc == 0, output
    assert {name: fleet.state(name)["boot_id"] for name in fleet.names} == boots
    assert all(counts["changed"] == 0 for host, counts in recap(output).items() if host != "localhost"), output


def test_a_canary_that_is_not_healthy_goes_back_and_nobody_follows(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 5, {"host0000": "unhealthy"})
    rc, output = rollout(fleet)
    assert rc != 0
    assert "halted: 1 of 1 hosts failed" in output
    assert set(fleet.digests().values()) == {OLD}
    assert document(fleet)["state"] == "halted"

    fleet.set_fault("host0000", None)
    rc, output = rollout(fleet)
    assert rc == 0, output
    assert set(fleet.digests().values()) == {NEW}
    assert document(fleet)["state"] == "done"


def test_the_digest_stays_though_the_tag_moves_and_the_controller_is_killed(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 4)
    fleet.kill(ROLLOUT, lambda: bool(fleet.state("host0000")["staged"]), **OPTIONS)
    assert document(fleet)["digest"] == NEW
    moved = "sha256:" + "c" * 64
    rc, output = rollout(fleet, rollout_digest=moved)
    assert rc == 0, output
    assert "continued" in output
    assert set(fleet.digests().values()) == {NEW}


def test_failures_below_the_limit_do_not_stop_it_and_everybody_is_told(tmp_path: Path) -> None:
    faults = {"host0003": "rolls_back", "host0005": "unreachable"}
    fleet = Fleet(tmp_path / "fleet", 8, faults)
    rc, output = rollout(fleet, rollout_waves=[{"name": "all", "batch": 4}], rollout_halt={"failures": "50%"}, rollout_report="report")
    assert rc != 0, "not every host runs it"
    assert "2 hosts do not run it yet, of which failed: host0003, host0005" in output
    assert {name for name, digest in fleet.digests().items() if digest == OLD} == set(faults)
    (fleet.base / "ask.yml").write_text(
        json.dumps(
            [
                {
                    "hosts": "localhost",
                    "gather_facts": False,
                    "tasks": [
                        {
                            "ansible.builtin.debug": {
                                "msg": "{{ query('imagemode.bootc.fleet', 'rollout/fleet.jsonl', query=question) | join(' and ') }}"
                            }
                        }
                    ],
                }
            ]
        )
    )
    rc, output = fleet.play("ask.yml", question="drifted && result != 'updated'")
    assert "host0003 and host0005" in output
    states = {row["host"]: row["state"] for row in json.loads((fleet.base / "report/report.json").read_text())["rows"]}
    assert states == {name: {"rolls_back": "rolled_back"}.get(faults.get(name, ""), faults.get(name, "current")) for name in fleet.names}


@pytest.mark.parametrize("digest", [NEW, "sha256:" + hashlib.sha256(index(NEW).encode()).hexdigest()], ids=["manifest", "index"])
def test_a_halted_wave_goes_back_where_asked(tmp_path: Path, digest: str) -> None:
    fleet = Fleet(tmp_path / "fleet", 4, {"host0001": "unhealthy"})
    rc, output = rollout(fleet, rollout_waves=[{"name": "all"}], rollout_on_halt="rollback", rollout_digest=digest)
    assert rc != 0
    assert set(fleet.digests().values()) == {OLD}, output


def test_a_paused_rollout_waits_and_another_image_is_refused(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 2)
    (fleet.base / "pause.yml").write_text("- imagemode.bootc.rollout_state: {path: rollout/rollout.json, state: paused, reason: lunch}\n")
    rc, output = rollout(fleet, rollout_wave_tasks=str(fleet.base / "pause.yml"))
    assert rc != 0
    assert "paused: lunch" in output
    assert list(fleet.digests().values()) == [NEW, OLD]
    rc, output = rollout(fleet, rollout_image="registry.test/other:1")
    assert rc != 0
    assert "rollout_unfinished" in output
    rc, output = rollout(fleet)
    assert rc == 0, output
    assert set(fleet.digests().values()) == {NEW}


def test_hosts_that_wait_for_their_window_did_not_get_there_and_later_waves_wait_for_them(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 3)
    rc, output = rollout(fleet, update_window=CLOSED)
    assert rc != 0
    assert "paused: 1 hosts of earlier waves wait for their windows: host0000" in output
    assert set(fleet.digests().values()) == {OLD}
    assert document(fleet)["state"] == "paused"
    rc, output = rollout(fleet)
    assert rc == 0, output
    assert set(fleet.digests().values()) == {NEW}


def test_after_the_wave_that_was_named_it_waits_and_another_job_goes_on(tmp_path: Path) -> None:
    """As in a workflow of AWX: the second job knows the first one by its artifact alone."""
    fleet = Fleet(tmp_path / "fleet", 4)
    rc, output = rollout(fleet, rollout_until="nobody")
    assert rc != 0
    assert "No wave of this rollout is called 'nobody'" in output
    assert not (fleet.base / "rollout").exists()
    rc, output = rollout(fleet, rollout_until="canary")
    assert rc == 0, output
    assert "1 of 4 hosts run" in output
    assert list(fleet.digests().values()) == [NEW, OLD, OLD, OLD]
    told = artifacts(output)
    previous = told["rollout_previous"]
    assert (told["rollout_state"], previous) == ("paused", document(fleet))
    rc, output = rollout(fleet, rollout_digest="sha256:" + "c" * 64, rollout_directory="other", rollout_previous=previous)
    assert rc == 0, output
    assert set(fleet.digests().values()) == {NEW}


def test_hosts_are_drained_by_the_file_beside_the_inventory_as_the_readme_shows(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 2)
    (fleet.base / "drain.yml").write_text(
        "- ansible.builtin.copy: {content: '', dest: '{{ inventory_dir }}/{{ inventory_hostname }}.drained'}\n  delegate_to: localhost\n"
    )
    (line,) = re.findall(r'^rollout_drain_tasks: "(.*)"', (Path(__file__).parents[2] / "roles/rollout/README.md").read_text(), re.M)
    unset = dict.fromkeys(("rollout_hosts", "rollout_undrain_tasks", "rollout_wave_tasks", "rollout_report"), NOTHING[-1])
    rc, output = rollout(fleet, rollout_drain_tasks=line, **unset)
    assert rc == 0, output
    assert all((fleet.base / f"{name}.drained").exists() for name in fleet.names)
    assert set(fleet.digests().values()) == {NEW}


def test_a_host_that_leaves_the_play_in_its_batch_has_failed(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 3)
    (fleet.base / "drain.yml").write_text("- ansible.builtin.meta: end_host\n  when: inventory_hostname == 'host0001'\n")
    waves = [{"name": "first", "size": 2}, {"name": "rest"}]
    rc, output = rollout(fleet, rollout_drain_tasks=str(fleet.base / "drain.yml"), rollout_waves=waves)
    assert rc != 0
    assert "halted: 1 of 2 hosts failed (the limit is 1): host0001" in output
    assert list(fleet.digests().values()) == [NEW, OLD, OLD]


@pytest.mark.parametrize("size", [1])
def test_one_host_is_a_fleet_too(tmp_path: Path, size: int) -> None:
    fleet = Fleet(tmp_path / "fleet", size)
    rc, output = rollout(fleet)
    assert rc == 0, output
    assert set(fleet.digests().values()) == {NEW}
