# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role builder on a Debian root, and what it would install elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from labkit.base import root as lab_root

# The tree has the machine's processes and devices; what is mounted is gone with the command.
IN_TREE = 'for name in proc dev; do mount --rbind /$name "$0/$name"; done; exec "$@"'


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of a Debian machine that has neither Buildah nor the Python libraries: the lab's, unpacked."""
    root = tmp_path_factory.mktemp("builder") / "root"
    root.mkdir()
    subprocess.run(["tar", "-xf", str(lab_root() / "root.tar"), "-C", str(root)], check=True)
    for name in ("roothome", "usrlocal", "opt"):
        (root / "var" / name).mkdir(exist_ok=True)
    (root / "etc/resolv.conf").write_text(Path("/etc/resolv.conf").read_text())
    # No service is started where no machine runs.
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    yield root
    subprocess.run(["rm", "-rf", "--one-file-system", str(root)], check=False)


@pytest.fixture
def play(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, int, str]]:
    """Runs the playbook imagemode.bootc.builder in the tree: return code, changed tasks, output."""
    # The paths of the tests' own storage lead nowhere in the tree.
    for name in ("CONTAINERS_STORAGE_CONF", "REGISTRY_AUTH_FILE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    host = {"ansible_connection": "community.general.chroot", "ansible_host": str(tree), "ansible_python_interpreter": "/usr/bin/python3"}
    (tmp_path / "inventory.json").write_text(json.dumps({"builder": {"hosts": {"tree": host}}}))

    def run(*arguments: str, **options: Any) -> tuple[int, int, str]:
        done = subprocess.run(
            [
                "unshare",
                "--mount",
                "sh",
                "-c",
                IN_TREE,
                str(tree),
                "ansible-playbook",
                "-i",
                str(tmp_path / "inventory.json"),
                "imagemode.bootc.builder",
                "-e",
                json.dumps(options),
                "-e",
                "ansible_become=false",
                *arguments,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        recap = done.stdout.rpartition("PLAY RECAP")[2]
        return done.returncode, sum(map(int, re.findall(r"changed=(\d+)", recap))), done.stdout + done.stderr

    return run


def test_a_machine_becomes_a_builder_once(play: Callable[..., tuple[int, int, str]], tree: Path) -> None:
    options = {"builder_insecure_registries": ["registry.lab:5000"], "builder_search_registries": ["registry.example.com"]}
    rc, changed, said = play(**options)
    assert (rc, changed > 0) == (0, True), said
    works = "podman --version && buildah --version && skopeo --version && python3 -c 'import requests, jmespath'"
    within = ["unshare", "--mount", "sh", "-c", IN_TREE, str(tree), "chroot", str(tree), "sh", "-c", works]
    assert subprocess.run(within, capture_output=True, text=True, check=False).stderr == ""
    policy = tree / "etc/containers/policy.json"
    assert json.loads(policy.read_text())["default"] == [{"type": "insecureAcceptAnything"}]
    configured = (tree / "etc/containers/registries.conf.d/50-imagemode-builder.conf").read_text()
    assert 'unqualified-search-registries = ["registry.example.com"]' in configured
    assert 'location = "registry.lab:5000"\ninsecure = true' in configured

    rc, changed, said = play(**options)
    assert (rc, changed) == (0, 0), said

    strict = {**options, "builder_policy": {"default": [{"type": "reject"}]}}
    for arguments in (("--check",), ()):
        rc, changed, said = play(*arguments, **strict)
        assert (rc, changed) == (0, 1), said
    assert json.loads(policy.read_text()) == strict["builder_policy"]


# What the system says of itself, the engine, and some of the packages; none where none are known.
SYSTEMS: list[tuple[str, str, str, set[str]]] = [
    ("Fedora", "RedHat", "podman", {"podman", "buildah", "skopeo", "python3-requests"}),
    ("Fedora", "RedHat", "docker", {"moby-engine"}),
    ("RedHat", "RedHat", "buildah", {"buildah", "skopeo"}),
    ("RedHat", "RedHat", "docker", set()),
    ("Ubuntu", "Debian", "docker", {"docker.io"}),
    ("Alpine", "Alpine", "podman", set()),
]


def test_the_packages_of_other_systems(tmp_path: Path) -> None:
    """What would be installed; whether those systems have it can be seen only there."""
    variables = Path(__file__).resolve().parents[3] / "roles/builder/vars/main.yml"
    plays = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "connection": "local",
            "vars_files": [str(variables)],
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "builder_engine": engine,
                "builder_packages": "",
                "builder_emulation": "",
            },
            "tasks": [
                {"ansible.builtin.set_fact": {"distribution": distribution, "os_family": family, "cacheable": True}},
                {"ansible.builtin.copy": {"content": "{{ __builder_packages | to_json }}", "dest": str(tmp_path / f"found-{number}")}},
            ],
        }
        for number, (distribution, family, engine, _packages) in enumerate(SYSTEMS)
    ]
    (tmp_path / "play.yml").write_text(json.dumps(plays))
    done = subprocess.run(["ansible-playbook", "-i", "localhost,", str(tmp_path / "play.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for number, (*_system, packages) in enumerate(SYSTEMS):
        found = set(json.loads((tmp_path / f"found-{number}").read_text()))
        assert packages <= found
        assert bool(packages) == bool(found)
