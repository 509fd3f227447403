# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks under ansible-runner, on this machine and over a mesh of real receptors, with hosts that are simulated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible_runner
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fleet import IMAGE, NEW, OLD, Fleet
from mesh import BIN, LabError, Mesh, receptor

ROOT = Path(__file__).resolve().parents[2]
ROLL_OUT = ROOT / "examples/mesh/roll_out.py"
OPTIONS = {
    "rollout_download": False,
    "update_health_commands": ["healthy"],
    "update_health_retries": 1,
    "update_reboot_timeout": 60,
    "rollout_waves": [{"name": "canary", "size": 1}, {"name": "rest", "batch": 2}],
}


def private(where: Path, fleet: Fleet) -> Path:
    """A directory as ansible-runner has it."""
    for directory in ("env", "inventory", "project"):
        (where / directory).mkdir(parents=True)
    (where / "inventory/hosts.json").write_text((fleet.base / "inventory.json").read_text())
    variables = {
        "ANSIBLE_CONNECTION_PLUGINS": str(Path(__file__).parent / "connection_plugins"),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_COLLECTIONS_PATH": os.environ["ANSIBLE_COLLECTIONS_PATH"],
        "ANSIBLE_LOCALHOST_WARNING": "0",
    }
    (where / "env/envvars").write_text(json.dumps(variables))
    (where / "env/extravars").write_text(json.dumps(OPTIONS))
    return where


def test_a_rollout_under_the_runner_has_events_artifacts_and_facts(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 2)
    where = private(tmp_path / "private", fleet)
    options = {**OPTIONS, "rollout_image": IMAGE, "rollout_digest": NEW, "rollout_directory": str(tmp_path / "rollout")}
    run = ansible_runner.run(private_data_dir=str(where), playbook="imagemode.bootc.rollout", quiet=True, extravars=options)
    assert (run.status, run.rc) == ("successful", 0), run.stdout.read()
    assert set(fleet.digests().values()) == {NEW}
    events: list[dict[str, Any]] = list(run.events)
    gates = [event for event in events if event["event"] == "runner_on_ok" and event["event_data"]["task_action"].endswith("rollout_gate")]
    assert len(gates) >= 4
    stats = next(event["event_data"] for event in events if event["event"] == "playbook_on_stats")
    assert stats["artifact_data"]["rollout_state"] == "done"
    assert stats["artifact_data"]["rollout_previous"]["digest"] == NEW

    facts = ansible_runner.run(
        private_data_dir=str(where),
        module="imagemode.bootc.bootc_facts",
        host_pattern="bootc_hosts",
        quiet=True,
        settings={"fact_cache_type": "jsonfile"},
        fact_cache="facts",
        ident="facts",
    )
    assert facts.status == "successful"
    kept = next((where / "artifacts/facts").rglob(f"*{fleet.names[0]}"))
    assert NEW in kept.read_text()


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return receptor()
    except LabError as error:
        pytest.skip(str(error))


@pytest.fixture
def mesh(program: Path, tmp_path: Path) -> Iterator[Mesh]:
    made = Mesh(tmp_path / "mesh", 20000 + os.getpid() % 10000, ["node1", "node2"])
    try:
        made.wait("node1", "node2")
        yield made
    finally:
        made.stop()


def test_a_rollout_over_two_sites_goes_on_without_a_node_and_is_finished_by_running_it_again(mesh: Mesh, tmp_path: Path) -> None:
    fleets = {}
    for site in ("north", "south"):
        fleet = fleets[site] = Fleet(tmp_path / f"{site}-fleet", 3, prefix=site)
        private(tmp_path / "sites" / site, fleet)
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    command = [
        sys.executable,
        str(ROLL_OUT),
        "--socket",
        str(mesh.socket),
        "--directory",
        str(tmp_path / "sites"),
        "--image",
        IMAGE,
        "--digest",
        NEW,
        "north=node1",
        "south=node2",
    ]

    def roll_out() -> subprocess.Popen[str]:
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def logs() -> str:
        return "".join(path.read_text()[-3000:] for path in tmp_path.glob("sites/*/mesh.log"))

    def rows() -> dict[str, str]:
        found = json.loads((tmp_path / "sites/report/report.json").read_text())["rows"]
        return {row["host"]: row["state"] for row in found}

    with roll_out() as first:
        deadline = time.monotonic() + 900
        while list(fleets["south"].digests().values()).count(NEW) < 1:
            assert first.poll() is None, first.communicate()[0] + logs()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        mesh.kill("node2")
        output = first.communicate(timeout=1200)[0]
    assert first.returncode == 1, output + logs()
    assert "north by node1: done" in output
    assert "south by node2: its node was lost" in output
    assert set(fleets["north"].digests().values()) == {NEW}
    assert OLD in fleets["south"].digests().values(), "it was killed in the middle"
    assert set(rows()) == {name for fleet in fleets.values() for name in fleet.names}, "no host is left out"
    assert {rows()[name] for name in fleets["north"].names} == {"current"}

    mesh.start("node2", mesh.work)
    mesh.wait("node2")
    boots = {name: fleets["north"].state(name)["boot_id"] for name in fleets["north"].names}
    with roll_out() as second:
        output = second.communicate(timeout=1200)[0]
    assert second.returncode == 0, output + logs()
    assert set(fleets["south"].digests().values()) == {NEW}
    assert set(rows().values()) == {"current"}
    assert len(rows()) == 6
    assert {name: fleets["north"].state(name)["boot_id"] for name in boots} == boots, "nobody is booted again"
