# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first part of a rollout, before any host is spoken to."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import NOTHING, play

OPTIONS = {"rollout_image": "registry.test/os:1", "rollout_digest": "sha256:" + "b" * 64}
OTHER = {"add_host": {"name": "database", "groups": "databases"}, "changed_when": False}


def planned(folder: Path, *arguments: str, **options: Any) -> tuple[str, list[str] | None]:
    """:returns: what Ansible said, and the hosts of the plan if there is one"""
    plan = {"ansible.builtin.import_role": {"name": "imagemode.bootc.rollout", "tasks_from": "plan"}}
    told = {
        "ansible.builtin.copy": {"dest": f"{folder}/order.json", "content": "{{ rollout_planned.order | to_json }}"},
        "check_mode": False,
    }
    plays = [{"hosts": "localhost", "gather_facts": False, "tasks": [OTHER, plan, told]}]
    rc, output = play(folder, plays, {"web": {}}, *arguments, **{**OPTIONS, **options})
    assert (rc == 0) == (folder / "order.json").exists(), output
    return output, json.loads((folder / "order.json").read_text()) if rc == 0 else None


@pytest.mark.parametrize("hosts", [*NOTHING, "bootc_hosts"])
def test_unset_hosts_are_those_of_the_group_and_never_all(tmp_path: Path, hosts: str | None) -> None:
    assert planned(tmp_path, rollout_hosts=hosts)[1] == ["web"]


def test_a_rollout_over_no_hosts_is_refused(tmp_path: Path) -> None:
    output, order = planned(tmp_path, rollout_hosts="bootc_hostz")
    assert order is None
    assert "No host matches rollout_hosts 'bootc_hostz'" in output


def test_a_limit_that_leaves_the_controller_out_is_no_success(tmp_path: Path) -> None:
    rc, output = play(tmp_path, "imagemode.bootc.rollout", {"web": {}}, "--limit", "web", "--check", **OPTIONS)
    assert rc != 0
    assert "localhost is not in --limit. Say by rollout_hosts which hosts are to go" in " ".join(output.split())


@pytest.mark.parametrize("hook", ["rollout_drain_tasks", "rollout_undrain_tasks", "rollout_wave_tasks"])
def test_a_file_of_tasks_that_is_not_there_is_told_before_any_host_is_spoken_to(tmp_path: Path, hook: str) -> None:
    options = {**OPTIONS, hook: "{{ inventory_dir }}/missing.yml"}
    rc, output = play(tmp_path, "imagemode.bootc.rollout", {"web": {}}, "--check", **options)
    assert rc != 0
    assert f"{hook} is '{tmp_path}/missing.yml', and on the controller there is no such file" in " ".join(output.split())
    assert "PLAY [Roll out, batch by batch]" not in output


def test_hosts_that_were_taken_out_of_the_inventory_are_left_out_and_batches_stay(tmp_path: Path) -> None:
    batches = [{"wave": "canary", "hosts": ["old1", "web"]}, {"wave": "rest", "hosts": ["database", "old2"]}]
    hosts = [{"name": host, "groups": [], "labels": {}} for batch in batches for host in batch["hosts"]]
    begun = {"image": OPTIONS["rollout_image"], "digest": OPTIONS["rollout_digest"], "created": "2026-01-01", "state": "halted"}
    begun.update(batches=batches, hosts=hosts, budgets=[], halt={"failures": "1", "query": None})
    output, order = planned(tmp_path, "--check", rollout_previous=begun, rollout_hosts="bootc_hosts:databases")
    assert order == ["web", "database"]
    assert "2 hosts are not among 'hosts' any more, or not in the inventory: old1, old2" in " ".join(output.split())
    assert "1. canary, 1 hosts: web" in output
    assert "2. rest, 1 hosts: database" in output
    output, order = planned(tmp_path, "--check", rollout_previous=begun)
    assert order == ["web"], "the database was not asked for this time"
    begun.update(batches=[{"wave": "all", "hosts": ["old1"]}], hosts=[{"name": "old1", "groups": [], "labels": {}}])
    (tmp_path / "order.json").unlink()
    output, order = planned(tmp_path, rollout_previous=begun)
    assert order is None
    refused = "No host of the rollout of registry.test/os:1 that is halted is among those that were asked for: old1"
    assert refused in " ".join(output.split())


def test_a_second_run_is_refused_while_the_first_one_runs_and_no_longer(tmp_path: Path) -> None:
    plan = {"ansible.builtin.import_role": {"name": "imagemode.bootc.rollout", "tasks_from": "plan"}}
    (tmp_path / "second.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [plan]}]))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    words = [program, "-i", "inventory.json", "-e", json.dumps(OPTIONS), "second.yml"]
    tasks = [
        plan,
        {"ansible.builtin.command": {"argv": words, "chdir": str(tmp_path)}, "register": "second", "ignore_errors": True},
        {"ansible.builtin.command": {"argv": [*words, "--check"], "chdir": str(tmp_path)}, "register": "look"},
        {"ansible.builtin.debug": {"msg": "{{ second.stdout | regex_search('rollout_busy') }} looked {{ look.rc }}"}},
    ]
    rc, output = play(tmp_path, [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}], {"web": {}}, **OPTIONS)
    assert rc == 0, output
    assert "rollout_busy" in output.partition("TASK [ansible.builtin.debug]")[2], output
    assert "looked 0" in output
    rc, output = play(tmp_path, "second.yml", {"web": {}}, **OPTIONS)
    assert rc == 0, output


@pytest.mark.parametrize(("workflow", "refused"), [("Roll out", True), ("Build and roll out", False)])
@pytest.mark.parametrize("prefix", ["awx", "tower"])
def test_a_slice_of_a_job_is_refused(tmp_path: Path, prefix: str, workflow: str, refused: bool) -> None:
    """awx_meta_vars of AWX 24.6 (models/unified_jobs.py, jobs.py); a sliced template is copied into a workflow job."""
    told = {f"{prefix}_job_template_name": "Roll out", f"{prefix}_workflow_job_name": workflow}
    output, order = planned(tmp_path, "--check", **told)
    assert (order is None, "A rollout cannot be sliced" in output) == (refused, refused)


def test_waves_are_read_from_a_text_as_a_survey_or_a_command_line_writes_it(tmp_path: Path) -> None:
    output, order = planned(tmp_path, "--check", rollout_waves='[{"name": "everybody"}]', rollout_budgets='[{"max_unavailable": 1}]')
    assert order == ["web"], output
    assert "1. everybody, 1 hosts: web" in output


def test_a_wave_that_nobody_is_in_is_told(tmp_path: Path) -> None:
    waves = [{"name": "canary", "groups": ["canry"]}, {"name": "web", "groups": ["bootc_hosts"]}, {"name": "rest"}]
    output, order = planned(tmp_path, "--check", rollout_waves=waves)
    assert order == ["web"]
    assert re.findall(r"fits wave '(\w+)'", output) == ["canary"]


def test_a_soak_time_that_would_be_none_is_told_before_any_host_is_spoken_to(tmp_path: Path) -> None:
    rc, output = play(tmp_path, "imagemode.bootc.rollout", {"web": {}}, "--check", **OPTIONS, rollout_soak="10m")
    assert rc != 0
    assert "rollout_soak is '10m', and has to be a whole number of seconds" in " ".join(output.split())
    assert "PLAY [Roll out, batch by batch]" not in output
