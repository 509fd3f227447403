# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the README says of images, done as somebody does who copies it: other names for the registry, the base and the places only."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from labkit import namespace

from .conftest import LiveRegistry

README = Path(__file__).resolve().parents[3] / "README.md"
BASE = "quay.io/centos-bootc/centos-bootc:stream10"
PLAIN = json.dumps({"image_registry_options": {"plain_http": True}, "image_pull": "missing"})


def block(section: str, language: str) -> str:
    """The code of a section."""
    found = re.search(rf"^## {section}\n.*?^```{language}\n(.*?)^```", README.read_text(), re.M | re.S)
    assert found, section
    return found[1]


@pytest.fixture
def copied(registry: LiveRegistry, base_image: str, tmp_path: Path) -> Callable[..., str]:
    """Plays what was copied, and returns what is said."""
    (tmp_path / "os").mkdir()
    (tmp_path / "os/Containerfile").write_text(block("Build, test and push", "dockerfile").replace(BASE, base_image))
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "inventory.json").write_text(json.dumps({"builder": {"hosts": {"localhost": host}}}))

    def play(text: str, *arguments: str) -> str:
        places = {"registry.example.com": registry.address, "/srv/os": f"{tmp_path}/os", "/media/stick": f"{tmp_path}/stick"}
        for name, other in places.items():
            text = text.replace(name, other)
        (tmp_path / "play.yml").write_text(text)
        words = ["ansible-playbook", "-i", f"{tmp_path}/inventory.json", f"{tmp_path}/play.yml", "-e", PLAIN, *arguments]
        argv, environment = namespace.command(words)
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**environment, "ANSIBLE_HOME": f"{tmp_path}/home"})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return play


def test_build_test_and_push_and_carry_it_to_a_site(copied: Callable[..., str], registry: LiveRegistry, tmp_path: Path) -> None:
    text = block("Build, test and push", "yaml")
    assert re.search(r"changed=2\b", copied(text)), "built and pushed"
    digest = registry.digest("os", "1")
    assert digest
    assert re.search(r"changed=0\b", copied(text))
    (tmp_path / "stick").mkdir()
    task = block("Mirror", "yaml")
    mirror = "- hosts: builder\n  gather_facts: false\n  tasks:\n" + "".join(f"    {line}\n" for line in task.splitlines())
    mirror += "        src_registry: {plain_http: true}\n"
    assert re.search(r"changed=1\b", copied(mirror))
    assert re.search(r"changed=0\b", copied(mirror))
    assert (tmp_path / "stick/os/blobs/sha256" / digest.removeprefix("sha256:")).is_file()


def test_the_playbook_that_makes_a_builder_is_there(tmp_path: Path) -> None:
    assert "ansible-playbook imagemode.bootc.builder" in README.read_text()
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "inventory.json").write_text(json.dumps({"builder": {"hosts": {"localhost": host}}}))
    words = ["ansible-playbook", "-i", f"{tmp_path}/inventory.json", "imagemode.bootc.builder", "--list-hosts"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "ANSIBLE_HOME": f"{tmp_path}/home"})
    assert "localhost" in done.stdout, done.stdout + done.stderr
