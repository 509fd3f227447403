# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the role vm has its disk images, and what it starts machines with, as Ansible evaluates its variables."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import evaluated, play

VM = Path(__file__).parents[3] / "roles/vm"
SHARED = {"vm_driver": "qemu", "vm_image": "registry.example.com/os:1", "vm_image_files": [{"dest": "/etc/motd", "content": "hello"}]}


def disk_images(folder: Path, hosts: dict[str, dict[str, Any]]) -> dict[str, str]:
    """:returns: the path of each host's disk image"""
    return evaluated(folder, "vm", "__vm_disk_image", {name: {**SHARED, **options} for name, options in hosts.items()})


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


def test_a_run_has_one_disk_image_whatever_chance_puts_into_it(tmp_path: Path) -> None:
    by_chance = {"vm_image_files": [{"dest": "/etc/seed", "content": "{{ 1000000000 | random }}"}], "__vm_image_named": "os"}
    assert disk_images(tmp_path, {"one": by_chance})["one"].endswith("/images/os.qcow2")
    tasks = yaml.safe_load((VM / "tasks/preflight.yml").read_text())
    assert tasks[-1]["ansible.builtin.set_fact"] == {"__vm_image_named": "{{ __vm_image_slug }}"}


def test_a_name_that_is_a_number_is_a_name(tmp_path: Path) -> None:
    said = evaluated(tmp_path, "vm", "[__vm_name, __vm_disks]", {"one": {**SHARED, "vm_name": 7, "vm_disks": [{"name": 1}]}})
    assert said == {"one": ["7", [{"name": "1", "size": "", "path": "/var/lib/imagemode/vms/7/1.qcow2"}]]}


def test_hosts_that_would_be_the_same_machine_are_told(tmp_path: Path) -> None:
    hosts: dict[str, dict[str, Any]] = {
        "192.0.2.1": {},
        "192.0.2.2": {},
        "web.a.example.com": {},
        "web.b.example.com": {"vm_hypervisor": "b"},
        "web.c.example.com": {"vm_connection": {"hostname": "c"}},
        "web.d.example.com": {"vm_name": "web-d"},
        "web": {"vm_name": ""},
        "web1": {},
    }
    found = evaluated(tmp_path, "vm", "__vm_namesakes", {name: {**SHARED, **options} for name, options in hosts.items()})
    assert {name: others for name, others in found.items() if others} == {
        "web.a.example.com": ["web"],
        "web": ["web.a.example.com"],
    }


def test_two_hosts_are_not_made_one_machine(tmp_path: Path) -> None:
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.vm"]}]
    rc, output = play(tmp_path, plays, {"web.a": {}, "web.b": {}}, **SHARED, vm_directory=str(tmp_path / "vms"))
    assert rc != 0
    assert "web.a and web.b would be the same machine" in " ".join(output.split())
    assert not (tmp_path / "vms").exists()


def test_firmware_is_of_the_hypervisors_architecture(tmp_path: Path) -> None:
    tasks = [
        # What a hypervisor told of itself.
        {"ansible.builtin.set_fact": {"__vm_facts": {"architecture": "{{ inventory_hostname }}"}}},
        {"ansible.builtin.copy": {"dest": f"{tmp_path}/{{{{ inventory_hostname }}}}.out", "content": "{{ __vm_firmwares | to_json }}"}},
    ]
    variables = str(VM / "vars/main.yml")
    architectures = ("x86_64", "aarch64", "s390x")
    rc, said = play(
        tmp_path, [{"hosts": "all", "gather_facts": False, "vars_files": [variables], "tasks": tasks}], {name: {} for name in architectures}
    )
    assert rc == 0, said
    found = {name: [one["code"] for one in json.loads((tmp_path / f"{name}.out").read_text())] for name in architectures}
    assert "/usr/share/OVMF/OVMF_CODE_4M.fd" in found["x86_64"]
    assert "/usr/share/AAVMF/AAVMF_CODE.fd" in found["aarch64"]
    assert not set(found["x86_64"]) & set(found["aarch64"])
    assert found["s390x"] == []


def test_a_disk_image_is_sent_to_an_address_of_ipv6_too(tmp_path: Path) -> None:
    image = {**SHARED, "vm_disk_image": "/srv/os.qcow2", "ansible_connection": "local"}
    hosts: dict[str, dict[str, Any]] = {
        "six": {"ansible_host": "2001:db8::7", "ansible_user": "root", "ansible_connection": "ssh"},
        "four": {"ansible_host": "192.0.2.7", "ansible_connection": "ssh"},
    }
    asking = {f"vm-{name}": {**image, "vm_hypervisor": name} for name in hosts}
    files = VM / "vars/main.yml"
    tasks = [{"ansible.builtin.copy": {"dest": f"{tmp_path}/{{{{ inventory_hostname }}}}.out", "content": "{{ __vm_upload_to }}"}}]
    defaults = yaml.safe_load((VM / "defaults/main.yml").read_text())
    plays = [{"hosts": "vm-*", "gather_facts": False, "vars_files": [str(files)], "tasks": tasks}]
    rc, said = play(tmp_path, plays, {**hosts, **{name: {**defaults, **options} for name, options in asking.items()}})
    assert rc == 0, said
    assert (tmp_path / "vm-six.out").read_text() == "root@[2001:db8::7]:/srv/os.qcow2"
    assert (tmp_path / "vm-four.out").read_text() == "192.0.2.7:/srv/os.qcow2"


def test_a_machine_of_an_api_is_made_where_it_is_said(tmp_path: Path) -> None:
    said: dict[str, dict[str, Any]] = {
        "proxmox": {"vm_driver": "proxmox", "vm_node": "pve1", "vm_connection": {"api_host": "a", "api_user": "b"}},
        "vmware": {"vm_driver": "vmware"},
        "qemu": {"vm_driver": "qemu"},
    }
    assert evaluated(tmp_path, "vm", "__vm_unsaid", said) == {
        "proxmox": {"connection": [], "place": ["vm_storage"]},
        "vmware": {
            "connection": ["vm_connection.hostname", "vm_connection.username", "vm_connection.password"],
            "place": ["vm_datacenter", "vm_datastore"],
        },
        "qemu": {"connection": [], "place": []},
    }


def test_enterprise_linux_has_its_qemu_elsewhere(tmp_path: Path) -> None:
    there = {"stat": {"exists": True, "path": "/usr/libexec/qemu-kvm"}}
    hosts: dict[str, dict[str, Any]] = {"debian": {"__vm_enterprise": {"stat": {"exists": False}}}, "el": {"__vm_enterprise": there}}
    programs = evaluated(tmp_path, "vm", "__vm_host.program", {name: {**SHARED, **options} for name, options in hosts.items()})
    assert programs == {"debian": "", "el": "/usr/libexec/qemu-kvm"}


def test_libvirt_forgets_a_machine_and_leaves_its_disks() -> None:
    """`force` stands for all flags, with delete_volumes among them; a machine with firmware's variables is not undefined without nvram."""
    undefine = yaml.safe_load((VM / "tasks/libvirt/remove.yml").read_text())[-1]["community.libvirt.virt"]
    assert "force" not in undefine
    assert "nvram" in undefine["flags"]
    assert "delete_volumes" not in undefine["flags"]


def give_disks(folder: Path, paths: dict[str, Path], there: dict[str, int], **options: Any) -> None:
    """:param paths: of the machine's disks, by their names
    :param there: files of disks that are there, with their sizes
    """
    image = folder / "os.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "1M"], check=True)
    disks = [{"name": name, "size": 2 << 20, "path": str(path)} for name, path in paths.items()]
    known = {"__vm_system_disk": False, "__vm_sizes": there, "vm_result": {"new_disks": disks, "grow": []}}
    include = {"ansible.builtin.include_role": {"name": "imagemode.bootc.vm", "tasks_from": "disks"}}
    usual = {"vm_driver": "qemu", "vm_directory": str(folder / "vms"), "vm_disk_image": str(image), "vm_disks": disks}
    plays = [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.set_fact": known}, include]}]
    rc, said = play(folder, plays, {"web": {**usual, **options}})
    assert rc == 0, said


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="no qemu-img")
def test_a_machine_has_disks_that_nobody_else_reads_in_directories_that_are_left_alone(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    paths = {"system": tmp_path / "vms/web/system.qcow2", "data": shared / "data.qcow2"}
    give_disks(tmp_path, paths, {})
    assert {name: path.stat().st_mode & 0o777 for name, path in paths.items()} == {"system": 0o600, "data": 0o600}
    assert {path.name: path.stat().st_mode & 0o777 for path in (shared, tmp_path / "vms")} == {"shared": 0o755, "vms": 0o711}


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="no qemu-img")
def test_nobody_else_reads_a_disk_while_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, modes = shutil.which("qemu-img"), tmp_path / "modes"
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/qemu-img"
    program.write_text(f'#!/bin/sh\n{real} "$@" || exit 1\nfor last; do :; done\n[ "$1" != convert ] || stat -c %a "$last" >> {modes}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    give_disks(tmp_path, {"system": tmp_path / "vms/web/system.qcow2"}, {})
    assert modes.read_text() == "600\n"


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="no qemu-img")
def test_a_disk_that_is_there_is_taken_as_it_is_whatever_its_path(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"vms/web [1]/{name}.qcow2" for name in ("system", "data")}
    paths["data"].parent.mkdir(parents=True)
    paths["data"].write_text("what another machine of that name wrote")
    give_disks(tmp_path, paths, {str(paths["data"]): 2 << 20}, vm_name="web [1]")
    assert paths["system"].is_file()
    assert paths["data"].read_text() == "what another machine of that name wrote"
