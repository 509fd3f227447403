# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users copy from examples/: Containerfiles, pipelines and a molecule scenario, checked as far as that goes without their services."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint import bases
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint._ignore import Rules
from ansible_collections.imagemode.bootc.tests import specs

EXAMPLES = specs.ROOT / "examples"
CONTAINERFILES = sorted(EXAMPLES.glob("images/*/Containerfile"))
PIPELINES = {"github-actions.yml": "vendor.github-workflows", "gitlab-ci.yml": "vendor.gitlab-ci"}


@pytest.mark.parametrize("path", CONTAINERFILES, ids=[path.parent.name for path in CONTAINERFILES])
def test_a_containerfile_has_one_base_finds_what_it_copies_and_lints_at_last(path: Path) -> None:
    text = path.read_text()
    (base,) = bases(text, {"BASE_IMAGE": "registry.example.com/debian-bootc:13"})
    assert not base.text.endswith(":latest")
    assert ":" in base.text
    instructions = [line for line in text.replace("\\\n", "").splitlines() if line and not line.startswith("#")]
    copied = [line.split()[1] for line in instructions if line.startswith("COPY")]
    assert copied
    assert all((path.parent / source).exists() for source in copied)
    assert instructions[-1].endswith("bootc container lint")


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_one_by_its_service_s_schema(name: str) -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    if not program.exists():
        pytest.skip("check-jsonschema of tests/requirements.txt is not installed")
    words = [str(program), "--builtin-schema", PIPELINES[name], "--output-format", "json", str(EXAMPLES / "pipelines" / name)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_both_pipelines_roll_out_what_was_tested_and_no_secret_is_an_argument() -> None:
    for name in PIPELINES:
        commands = [text for text in texts(yaml.safe_load((EXAMPLES / "pipelines" / name).read_text())) if "ansible-playbook" in text]
        assert any("rollout_digest=" in command for command in commands), name
        assert not any(secret in command for command in commands for secret in ("PASSWORD", "PRIVATE_KEY", "TOKEN")), name


def test_what_a_pipeline_or_a_checkout_changes_is_no_reason_to_build() -> None:
    rules = Rules((EXAMPLES / "pipelines/.containerignore").read_text())
    of_the_pipeline = {
        ".git/FETCH_HEAD",
        ".github/workflows/image.yml",
        ".gitlab-ci.yml",
        "build.yml",
        "inventory.yml",
        "inventory/hosts.yml",
    }
    written = {"digest", "digest.env", "report/os.json"}
    assert {path for path in of_the_pipeline | written if not rules.leaves_out(path)} == set()
    assert not any(rules.leaves_out(path) for path in ("Containerfile", "etc/motd", "files/usr/bin/report"))


def texts(node: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, (dict, list)):
        for item in node.values() if isinstance(node, dict) else node:
            yield from texts(item)


def test_the_molecule_scenario_is_run_as_it_is_written() -> None:
    """Its steps are playbooks that Ansible takes; what they build needs an image of a distribution."""
    scenario = EXAMPLES / "molecule/default"
    steps = yaml.safe_load((scenario / "molecule.yml").read_text())["scenario"]["test_sequence"]
    assert {"converge", "idempotence", "verify"} <= set(steps)
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    for step in ("converge.yml", "verify.yml"):
        words = [program, "-i", "localhost,", "--syntax-check", str(scenario / step)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


INVENTORIES = sorted({*EXAMPLES.glob("*/inventory.yml"), *EXAMPLES.glob("*/hosts.yml")})


@pytest.mark.parametrize("path", INVENTORIES, ids=[path.parent.name for path in INVENTORIES])
def test_an_inventory_names_hosts_for_the_playbooks(path: Path) -> None:
    program = str(Path(sys.executable).with_name("ansible-inventory"))
    done = subprocess.run([program, "-i", str(path.parent), "--list"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    groups = set(json.loads(done.stdout))
    wanted = set(re.findall(r"default\('([a-z_]+)'\)", "\n".join(file.read_text() for file in specs.ROOT.glob("playbooks/*.yml"))))
    assert {"bootc_hosts", "builder"} <= wanted
    assert groups & wanted


def test_the_tiers_go_one_after_the_other_and_keep_to_their_budgets(tmp_path: Path) -> None:
    plan = {"ansible.builtin.import_role": {"name": "imagemode.bootc.rollout", "tasks_from": "plan"}}
    (tmp_path / "plan.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [plan]}]))
    words = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(EXAMPLES / "fleet"), "--check", str(tmp_path / "plan.yml")]
    words += ["-e", f"rollout_image=registry.example.com/os:stable rollout_digest=sha256:{'b' * 64}"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    batches = re.findall(r"\d+\. (\w+), \d hosts: ([^\"\n]+)", done.stdout)
    short = [(wave, hosts.replace(".example.com", "")) for wave, hosts in batches]
    assert short == [
        ("canary", "web1"),
        ("web", "web2, web3"),
        ("web", "web4"),
        ("app", "app1"),
        ("app", "app2"),
        ("database", "db1"),
        ("database", "db2"),
    ]
