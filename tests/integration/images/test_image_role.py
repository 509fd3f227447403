# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbook runs of the role image: what is good is pushed, what is not is told and not pushed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles import playing
from labkit import namespace

from .conftest import LiveRegistry

GOOD = [{"name": "the release", "command": "cat /usr/share/release", "stdout": "^1$"}, {"kernel": True}]
BAD = [{"name": "another release", "command": "cat /usr/share/release", "stdout": "^2$"}, {"package": "nginx"}, {"kernel": True}]
CHECKS = """
- name: Look at the release
  ansible.builtin.slurp:
    src: /usr/share/release
  register: found
- name: The release is {release}
  ansible.builtin.assert:
    that: (found.content | b64decode | trim) == "{release}"
"""


@dataclass
class Played:
    """:ivar changed: how many tasks changed something"""

    failed: bool
    changed: int
    output: str


@pytest.fixture
def play(registry: LiveRegistry, base_image: str, tmp_path: Path) -> Callable[..., Played]:
    """Runs the playbook imagemode.bootc.build on this machine, with an image on the reference host's."""
    context = tmp_path / "os"
    context.mkdir()
    (context / "Containerfile").write_text(f"FROM {base_image}\nRUN echo 1 > /usr/share/release\n")
    inventory = {"builder": {"hosts": {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}}
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))

    def run(*arguments: str, **options: Any) -> Played:
        variables = {
            "image_context": str(context),
            "image_pull": "never",
            "image_registry_options": {"plain_http": True},
            "image_report_path": str(tmp_path / "report"),
            **options,
        }
        words, environment = namespace.command(
            ["ansible-playbook", "-i", str(tmp_path / "inventory.json"), "imagemode.bootc.build", "-e", json.dumps(variables), *arguments]
        )
        environment["ANSIBLE_HOME"] = str(tmp_path / "home")
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        recap = done.stdout.rpartition("PLAY RECAP")[2]
        assert recap, done.stdout + done.stderr
        return Played(done.returncode != 0, sum(map(int, re.findall(r"changed=(\d+)", recap))), done.stdout + done.stderr)

    return run


def report(directory: Path) -> dict[str, Any]:
    """The one report there, whose XML must say the same."""
    (path,) = directory.glob("*.json")
    document: dict[str, Any] = json.loads(path.read_text())
    root = ElementTree.parse(path.with_suffix(".xml")).getroot()
    for suite, element in zip(document["suites"], root, strict=True):
        assert element.get("name") == suite["name"]
        assert int(element.get("failures", "")) == sum(not test["passed"] for test in suite["tests"])
        assert [case.get("name") for case in element] == [test["name"] for test in suite["tests"]]
    return document


def outcomes(document: dict[str, Any]) -> dict[str, list[bool]]:
    return {suite["name"]: [test["passed"] for test in suite["tests"]] for suite in document["suites"]}


def test_a_good_image_is_pushed_once(play: Callable[..., Played], registry: LiveRegistry, tmp_path: Path) -> None:
    (tmp_path / "checks.yml").write_text(CHECKS.format(release="1"))
    options = {
        "image_name": f"{registry.address}/role-good:1",
        "image_tags": ["stable"],
        "image_tests": GOOD,
        "image_test_tasks": [str(tmp_path / "checks.yml")],
    }
    predicted = play("--check", **options)
    assert (predicted.failed, predicted.changed) == (False, 2), "built and pushed; there is nothing to test yet"
    assert registry.digest("role-good", "1") is None
    first = play(**options)
    assert not first.failed, first.output
    assert first.changed == 4, "built, a directory and two files of the report, pushed"
    digest = registry.digest("role-good", "1")
    assert digest
    assert registry.digest("role-good", "stable") == digest
    assert outcomes(report(tmp_path / "report")) == {"tests": [True, True], "tasks": [True], "lint": [True]}
    again = play(**options)
    assert (again.failed, again.changed) == (False, 0), again.output
    assert registry.digest("role-good", "1") == digest


def test_all_that_fails_is_told_and_nothing_is_pushed(play: Callable[..., Played], registry: LiveRegistry, tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text(CHECKS.format(release="1"))
    (tmp_path / "bad.yml").write_text(CHECKS.format(release="2"))
    (tmp_path / "os/Containerfile").write_text(
        (tmp_path / "os/Containerfile").read_text() + "RUN mkdir -p /usr/etc/x && echo log > /var/log/build.log\n"
    )
    options = {
        "image_name": f"{registry.address}/role-bad:1",
        "image_tests": BAD,
        "image_test_tasks": [str(tmp_path / "bad.yml"), str(tmp_path / "good.yml")],
    }
    failed = play(**options)
    assert failed.failed
    assert "another release; package nginx; bad.yml; etc-usretc" in failed.output
    assert registry.digest("role-bad", "1") is None
    document = report(tmp_path / "report")
    assert not document["passed"]
    assert outcomes(document) == {"tests": [False, False, True], "tasks": [False, True], "lint": [False, True]}
    (_tests, tasks, _lint) = document["suites"]
    assert "The release is 2" in tasks["tests"][0]["reason"]
    names = subprocess.run(["podman", "ps", "-a", "--format", "{{.Names}}"], capture_output=True, text=True, check=True).stdout
    assert "imagemode-test" not in names


def test_playbooks_are_run_on_a_container_of_the_image(play: Callable[..., Played], tmp_path: Path) -> None:
    for release in "12":
        tasks = CHECKS.format(release=release).replace("\n", "\n    ")
        (tmp_path / f"{release}.yml").write_text(f"- hosts: all\n  gather_facts: false\n  tasks:\n    {tasks}\n")
    options = {"image_name": "localhost/role-played:1", "image_push": False, "image_lint": False}
    done = play(image_test_playbooks=[str(tmp_path / "1.yml")], **options)
    assert not done.failed, done.output
    assert outcomes(report(tmp_path / "report")) == {"tasks": [True]}
    failed = play(image_test_playbooks=str(tmp_path / "2.yml"), **options)
    assert failed.failed
    (suite,) = report(tmp_path / "report")["suites"]
    assert suite["tests"][0]["reason"] == "Run the playbook: The release is 2"
    assert not list(Path(tempfile.gettempdir()).glob("ansible.*.json"))


def test_a_warning_stops_it_if_asked_to(play: Callable[..., Played], registry: LiveRegistry, tmp_path: Path) -> None:
    (tmp_path / "os/Containerfile").write_text((tmp_path / "os/Containerfile").read_text() + "RUN echo log > /var/log/build.log\n")
    options = {"image_name": f"{registry.address}/role-warned:1"}
    strict = play(image_lint_fatal_warnings=True, **options)
    assert strict.failed
    assert registry.digest("role-warned", "1") is None
    assert outcomes(report(tmp_path / "report")) == {"lint": [False]}
    skipped = play(image_lint_fatal_warnings=True, image_lint_skip=["var-log"], **options)
    assert not skipped.failed, skipped.output
    assert registry.digest("role-warned", "1")


def test_everything_empty_is_everything_unset(play: Callable[..., Played], registry: LiveRegistry) -> None:
    """As an AWX survey sends it; with Buildah."""
    specification = Path(__file__).resolve().parents[3] / "roles/image/defaults/main.yml"
    names = [line.partition(":")[0] for line in specification.read_text().splitlines() if line.startswith("image_")]
    options = {
        **dict.fromkeys(names, ""),
        "image_name": f"{registry.address}/role-empty:1",
        "image_registry_options": {"plain_http": True},
        "image_engine": "buildah",
    }
    del options["image_pull"]
    done = play(**options)
    assert not done.failed, done.output
    assert registry.digest("role-empty", "1")


def test_the_first_second_of_all_is_a_date(context: Path, tmp_path: Path) -> None:
    """As reproducible builds have it."""
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.image"]}]
    for timestamp, date in ((0, "0"), ("", None)):
        options = {"image_name": f"localhost/role-dated:{date}", "image_context": str(context), "image_engine": "podman"}
        rc, output = playing.play(tmp_path, plays, {"builder": {}}, "--tags", "build", image_timestamp=timestamp, **options)
        assert rc == 0, output
        inspected = ["podman", "image", "inspect", "--format", "{{.Created.Unix}}", options["image_name"]]
        dated = subprocess.run(inspected, capture_output=True, text=True, check=True).stdout.strip()
        assert (dated == "0") == (date == "0"), dated


@pytest.mark.parametrize("named", [True, False])
def test_tasks_in_a_container_are_refused_for_buildah_before_the_build(
    play: Callable[..., Played], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """Asked for by name, or taken because there is no Podman on the PATH."""
    (tmp_path / "tasks.yml").write_text(CHECKS.format(release=1))
    options = {"image_name": "localhost/refused:1", "image_test_tasks": [str(tmp_path / "tasks.yml")], "image_push": False}
    if not named:
        programs = tmp_path / "programs"
        programs.mkdir()
        for directory in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
            for program in Path(directory).iterdir():
                if program.name != "podman" and not (programs / program.name).exists():
                    (programs / program.name).symlink_to(program)
        own = [part for part in os.environ["PATH"].split(":") if not Path(part, "podman").exists()]
        monkeypatch.setenv("PATH", ":".join([*own, str(programs)]))
    done = play(**options, **({"image_engine": "buildah"} if named else {}))
    assert done.failed
    assert "Set image_engine to podman or docker" in done.output
    assert "Build what changed" not in done.output
