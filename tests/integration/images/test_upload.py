# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk image on its way from the host that made it to the hypervisor, by a real rsync over what is not SSH."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1 << 20
DATA, HOLE, ARRIVES = 24 * MIB, 100 * MIB, 16 * MIB
PLAY = [
    {
        "hosts": "web1",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.include_role": {"name": "imagemode.bootc.vm", "tasks_from": "upload"}}],
    }
]


class Site:
    """`maker` has the disk image; `kvm1` is reached by what is not SSH, and has a directory of its own where that is."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.sent = folder, folder / "sent"
        self.here, self.there = folder / "here/os.qcow2", folder / "there/os.qcow2"
        self.here.parent.mkdir()
        self.there.parent.mkdir()
        (folder / "bin").mkdir()
        (folder / "bin/ssh").write_text(f"#!{sys.executable}\n" + Path(__file__).with_name("not_ssh.py").read_text())
        (folder / "bin/ssh").chmod(0o755)
        hypervisor = {
            "ansible_connection": "ssh",
            "ansible_host": "192.0.2.1",
            "ansible_user": "root",
            "ansible_port": 2222,
            "ansible_ssh_args": "-o ControlMaster=no",
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no",
        }
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {
            "maker": local,
            "kvm1": {**hypervisor, "ansible_python_interpreter": sys.executable},
            "web1": {"vm_driver": "qemu", "vm_hypervisor": "kvm1", "vm_image_host": "maker", "vm_disk_image": str(self.here)},
        }
        (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        (folder / "play.yml").write_text(json.dumps(PLAY))

    def play(self, cut: int | None = None) -> tuple[int, str]:
        """:param cut: so many bytes of what rsync sends arrive"""
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        variables = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "NOT_SSH_SENT": str(self.sent),
            "NOT_SSH_HERE": str(self.here.parent),
            "NOT_SSH_THERE": str(self.there.parent),
            **({"NOT_SSH_CUT": str(cut)} if cut else {}),
        }
        command = [program, "-i", str(self.folder / "inventory.json"), str(self.folder / "play.yml")]
        done = subprocess.run(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.returncode, done.stdout


def changed(output: str) -> int:
    return int(re.findall(r"changed=(\d+)", output)[-1])


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("rsync"), reason="needs root and rsync")
def test_an_upload_that_was_cut_off_is_resumed_and_a_whole_one_is_not_sent_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site.here.open("wb") as file:
        file.write(os.urandom(DATA))
        file.truncate(DATA + HOLE)

    rc, output = site.play(cut=ARRIVES)
    assert rc != 0, output
    assert not site.there.exists(), "half an image has no name"

    rc, output = site.play()
    assert rc == 0, output
    assert changed(output) > 0
    assert int(site.sent.read_text()) < DATA - ARRIVES + 4 * MIB, "what had arrived was sent again"
    assert site.there.read_bytes() == site.here.read_bytes()
    assert site.there.stat().st_blocks * 512 < DATA + 4 * MIB, "holes are filled"
    assert site.there.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in site.there.parent.iterdir()] == ["os.qcow2"]

    rc, output = site.play()
    assert (rc, changed(output)) == (0, 0), output
    assert int(site.sent.read_text()) < MIB
