# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role `host` on a tree of the next Debian: its files, and that a pull works by all of them together. Nothing is booted here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import test_signatures as signatures
from .conftest import PASSWORD, USER, LiveRegistry

Module = Callable[..., dict[str, Any]]
PLAIN = signatures.PLAIN
cosign = signatures.cosign
debian = signatures.debian
image = signatures.image
key = signatures.key
PLAYBOOK = Path(__file__).resolve().parents[3] / "playbooks/host.yml"


class Tree:
    """The tree with a writable layer above it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "root"
        for name in ("upper", "work", "root"):
            (folder / name).mkdir()
        self.inventory = folder / "inventory.json"
        host = {
            "ansible_host": str(self.root),
            "ansible_connection": "community.general.chroot",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_become": False,
        }
        self.inventory.write_text(json.dumps({"all": {"hosts": {"tree": host}}}))

    def play(self, options: dict[str, Any], *arguments: str) -> tuple[int, str]:
        """:returns: how many tasks changed something, and the text"""
        layers = f"lowerdir={debian.root()},upperdir={self.folder}/upper,workdir={self.folder}/work"
        script = (
            f"mount -t overlay overlay -o {layers} {self.root}\nmount -t proc proc {self.root}/proc\n"
            f'mount --bind /dev {self.root}/dev\nexec "$@"'
        )
        programs = Path(sys.executable).parent
        words = [
            f"{programs}/ansible-playbook",
            "-i",
            str(self.inventory),
            str(PLAYBOOK),
            "-e",
            json.dumps({"target": "tree", **options}),
            "--diff",
            *arguments,
        ]
        variables = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(Path(__file__).resolve().parents[6]),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "PATH": f"{programs}:{os.environ['PATH']}:/usr/sbin",
        }
        done = subprocess.run(
            ["unshare", "-m", "sh", "-ec", script, "tree", *words], env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert PASSWORD not in done.stdout
        return sum(map(int, re.findall(r"changed=(\d+)", done.stdout))), done.stdout

    def read(self, path: str) -> str:
        return (self.folder / "upper" / path).read_text()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    if os.getuid() != 0:
        pytest.skip("changing root needs root")
    (tmp_path / "tree").mkdir()
    return Tree(tmp_path / "tree")


def test_a_host_is_prepared_as_predicted_once_and_its_next_pull_works(
    module: Module, tree: Tree, image: str, key: Path, guarded_registry: LiveRegistry
) -> None:
    repository, authority = f"{guarded_registry.address}/prepared/os", (guarded_registry.base / "ca.crt").read_text()
    access = {"ca_path": f"{guarded_registry.base}/ca.crt", "username": USER, "password": PASSWORD}
    module("oci_image_copy", src=image, dest=f"{repository}:1", src_registry=PLAIN, dest_registry=access)
    assert module("oci_image_sign", name=f"{repository}:1", key=str(key), **access)["changed"]
    signed = {"type": "sigstore", "keys": [key.with_suffix(".pub").read_text()], "signed_repository": repository}
    options: dict[str, Any] = {
        "host_certificates": [{"registry": guarded_registry.address, "ca": authority}],
        "host_mirrors": [{"prefix": "mirrored.example", "location": f"{guarded_registry.address}/prepared"}],
        "host_auth": [{"registry": guarded_registry.address, "username": USER, "password": PASSWORD}],
        "host_signature_default": "reject",
        "host_signature_policy": [{"scope": "mirrored.example", "mirrors": [guarded_registry.address], **signed}],
        "host_proxy_https": f"http://user:{PASSWORD}@proxy.example.com:3128",
        "host_journal": "persistent",
        "host_update_timer": "off",
        "host_pull_image": "mirrored.example/os:1",
        "host_pull_enforce_sigpolicy": True,
    }
    predicted, _text = tree.play(options, "--check")
    assert not (tree.folder / "upper/etc/ostree/auth.json").exists()
    changed, _text = tree.play(options)
    assert predicted == changed > 0
    assert tree.play(options)[0] == 0
    assert tree.play({**dict.fromkeys(options, ""), "host_pull_image": options["host_pull_image"]})[0] == 0
    drop_in = "etc/systemd/system/bootc-fetch-apply-updates.service.d/50-imagemode-bootc.conf"
    assert f"HTTPS_PROXY=http://user:{PASSWORD}@" in tree.read(drop_in)
    assert "Storage=persistent" in tree.read("etc/systemd/journald.conf.d/50-imagemode-bootc.conf")
    assert tree.play({"host_mirrors": [], "host_pull_check": False})[0] == 1
