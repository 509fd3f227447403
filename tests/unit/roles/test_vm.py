# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the role vm has its disk images, as Ansible evaluates its variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROLE = Path(__file__).parents[3] / "roles/vm"
SHARED = {"vm_driver": "qemu", "vm_image": "registry.example.com/os:1", "vm_image_files": [{"dest": "/etc/motd", "content": "hello"}]}


def disk_images(folder: Path, hosts: dict[str, dict[str, Any]]) -> dict[str, str]:
    """:returns: the path of each host's disk image"""
    tasks = [{"ansible.builtin.copy": {"dest": f"{folder}/{{{{ inventory_hostname }}}}.out", "content": "{{ __vm_disk_image }}"}}]
    play = {"hosts": "all", "gather_facts": False, "vars_files": [str(ROLE / "vars/main.yml")], "tasks": tasks}
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {"all": {"hosts": {name: {**SHARED, **options} for name, options in hosts.items()}, "vars": {**defaults, **local}}}
    (folder / "inventory.json").write_text(json.dumps(inventory))
    (folder / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventory.json", "play.yml"],
        cwd=folder,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": os.environ["PYTHONPATH"], "ANSIBLE_HOME": str(folder / "home"), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return {name: (folder / f"{name}.out").read_text() for name in hosts}


def test_machines_share_a_disk_image_only_if_nothing_in_it_differs(tmp_path: Path) -> None:
    keys = ["ssh-ed25519 AAAAC3 a"]
    found = disk_images(
        tmp_path,
        {
            "one": {},
            "with-what-is-not-in-it": {"vm_cpus": 4, "vm_keys": keys},
            "file": {"vm_image_files": [{"dest": "/etc/motd", "content": "hallo"}]},
            "arguments": {"vm_kernel_arguments": ["console=ttyS0"]},
            "filesystem": {"vm_filesystem": "xfs"},
            "target": {"vm_target_imgref": "registry.example.com/os:stable"},
            "size": {"vm_disks": [{"name": "system", "size": "20GiB"}]},
            "keys-in-it": {"vm_driver": "virtualbox", "vm_keys": keys},
            "no-keys": {"vm_driver": "virtualbox"},
        },
    )
    assert found["one"].startswith("/var/lib/imagemode/vms/images/registry.example.com-os-1-")
    assert found.pop("with-what-is-not-in-it") == found["one"]
    assert len(set(found.values())) == len(found)


def test_a_disk_image_of_that_path_stays_there(tmp_path: Path) -> None:
    assert disk_images(tmp_path, {"one": {"vm_disk_image": "/srv/os.qcow2"}}) == {"one": "/srv/os.qcow2"}
