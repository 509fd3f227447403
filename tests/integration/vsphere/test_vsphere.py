# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A machine on vSphere by the role vm, on govmomi's simulator: it answers as a vCenter does, and what it "runs" is a fake.

What became of it is asked through VMware's own bindings, not through the modules that the role uses.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image import formats
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner
from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "reference"))

from labkit import golang, store

PASSWORD = "s3cret-canary"
GIB = 1 << 30
Play = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def vcenter() -> Iterator[str]:
    """Host and port of a vCenter without machines."""
    try:
        program = golang.own_program(store.REFERENCE / "vsphere")
    except golang.GoMissing as error:
        pytest.skip(str(error))
    with subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdin is not None
        assert simulator.stdout is not None
        yield simulator.stdout.readline().strip()
        simulator.stdin.close()


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OVA as bootc_disk_image makes it, with a disk of 1 GiB that holds nothing."""
    raw = tmp_path_factory.mktemp("image") / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(GIB)
    return formats.convert(Runner(), raw, "ova", formats.Appliance("web1", memory=1024, controller="pvscsi"), "x86_64")


@pytest.fixture
def play(vcenter: str, appliance: Path, tmp_path: Path) -> Play:
    """Plays provision_vm with these options and arguments."""
    host, _colon, port = vcenter.rpartition(":")
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    options = {
        "vm_driver": "vmware",
        "vm_disk_image": str(appliance),
        "vm_memory": 1024,
        "vm_verify": False,
        "vm_connection": {"hostname": host, "port": int(port), "username": "user", "password": PASSWORD, "validate_certs": False},
        "vm_datacenter": "DC0",
        "vm_cluster": "DC0_C0",
        "vm_datastore": "LocalDS_0",
        "vm_networks": [{"type": "network", "name": "VM Network"}],
        "vm_disks": [{"name": "system", "size": "2GiB"}, {"name": "data", "size": "1GiB"}],
    }
    document = {"all": {"hosts": {"localhost": local}, "children": {"vms": {"hosts": {"web1": local}, "vars": options}}}}
    (tmp_path / "inventory.json").write_text(json.dumps(document))

    def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        words = ["ansible-playbook", "-i", str(tmp_path / "inventory.json"), "imagemode.bootc.provision_vm", "-e", json.dumps(more)]
        done = subprocess.run(
            [*words, *arguments], capture_output=True, text=True, check=False, env={**os.environ, "ANSIBLE_PIPELINING": "1"}
        )
        assert PASSWORD not in done.stdout + done.stderr
        return done

    return run


def changed(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return sum(map(int, re.findall(r"changed=(\d+)", done.stdout.rpartition("PLAY RECAP")[2])))


@contextmanager
def asked(vcenter: str) -> Iterator[list[Any]]:
    """The machines of the vCenter, while a session lasts."""
    host, _colon, port = vcenter.rpartition(":")
    session = SmartConnect(host=host, port=int(port), user="user", pwd=PASSWORD, disableSslCertValidation=True)
    try:
        content = session.RetrieveContent()
        yield content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True).view
    finally:
        Disconnect(session)


def machines(vcenter: str) -> dict[str, dict[str, Any]]:
    """Name → what the vCenter has of it."""
    with asked(vcenter) as found:
        return {one.name: _described(one) for one in found}


def pretend_tools(vcenter: str) -> None:
    """Have the simulator say that VMware's tools run in its machines: without them nobody shuts a machine down in order."""
    with asked(vcenter) as found:
        for one in found:
            setting = vim.option.OptionValue(key="SET.guest.toolsRunningStatus", value="guestToolsRunning")
            one.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[setting]))


def _described(one: Any) -> dict[str, Any]:
    devices = one.config.hardware.device
    disks = [device for device in devices if isinstance(device, vim.vm.device.VirtualDisk)]
    controllers = {device.key: type(device).__name__.rpartition(".")[2] for device in devices}
    return {
        "uuid": one.config.uuid,
        "power": str(one.runtime.powerState),
        "firmware": one.config.firmware,
        "cpus": one.config.hardware.numCPU,
        "memory": one.config.hardware.memoryMB,
        "disks": [(controllers[disk.controllerKey], disk.unitNumber, disk.capacityInKB << 10) for disk in disks],
        "networks": [
            (device.macAddress, device.backing.deviceName) for device in devices if isinstance(device, vim.vm.device.VirtualVmxnet3)
        ],
    }


def test_a_machine_from_its_making_to_its_end(play: Play, vcenter: str) -> None:
    assert changed(play("--check")) == 1
    assert not machines(vcenter)

    assert changed(play()) > 0
    made = machines(vcenter)["web1"]
    assert (made["power"], made["cpus"], made["memory"], made["firmware"]) == ("poweredOn", 2, 1024, "efi")
    assert made["disks"] == [("ParaVirtualSCSIController", 0, 2 * GIB), ("ParaVirtualSCSIController", 1, GIB)]
    ((mac, network),) = made["networks"]
    assert mac.startswith("00:50:56:")
    assert network == "VM Network"

    assert changed(play()) == 0
    assert machines(vcenter)["web1"] == made

    refused = play(vm_memory=2048)
    assert refused.returncode != 0
    assert "Set 'vm_restart: true'" in refused.stdout
    refused = play(vm_firmware="bios")
    assert refused.returncode != 0
    assert "firmware uefi, not bios" in refused.stdout
    refused = play(vm_datacenter="DC1", vm_state="absent", vm_remove_disks=True)
    assert refused.returncode != 0
    assert "is in /DC0/vm, and not in the datacenter DC1" in refused.stdout
    assert machines(vcenter)["web1"] == made

    pretend_tools(vcenter)
    disks = [{"name": "system", "size": "2GiB"}, {"name": "data", "size": "3GiB"}, {"name": "more", "size": "1GiB"}]
    wanted = {"vm_memory": 2048, "vm_disks": disks, "vm_restart": True}
    assert changed(play(**wanted)) > 0
    assert machines(vcenter)["web1"] == {
        **made,
        "memory": 2048,
        "disks": [("ParaVirtualSCSIController", number, size * GIB) for number, size in enumerate((2, 3, 1))],
    }
    assert changed(play(**wanted)) == 0

    assert changed(play(vm_state="absent", vm_remove_disks=True)) > 0
    assert not machines(vcenter)
    assert changed(play(vm_state="absent", vm_remove_disks=True)) == 0
