# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each hypervisor is told, word for word, and that what it says of such a machine is read as that machine.

QEMU and libvirt are tested by real boots, too (`tests/run.py vm`); the others cannot run here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.imagemode.bootc.plugins.filter.vm_plan import vm_plan
from ansible_collections.imagemode.bootc.plugins.module_utils._machine.credentials import root_keys

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB user"
MAC = "52:54:00:00:00:01"


def machine(suffix: str, network: dict[str, Any], top: str = "/vms", separator: str = "/") -> dict[str, Any]:
    disks = [
        {"name": name, "size": size, "path": separator.join([top, "web", f"{name}.{suffix}"])}
        for name, size in (("system", "20GiB"), ("data", "5GiB"))
    ]
    return {
        "name": "web",
        "cpus": 2,
        "memory": 2048,
        "firmware": "uefi",
        "keys": [KEY],
        "disks": disks,
        "networks": [{"mac": MAC, **network}],
    }


# QEMU

FORWARDED = {"type": "user", "forwards": [{"host": 2222, "guest": 22}]}
QEMU_HOST = {"architecture": "x86_64", "accelerator": "kvm", "directory": "/vms/web", "firmware_code": "/fw/code.fd"}


def test_qemu_is_told_all_of_it() -> None:
    said = " ".join(vm_plan(machine("qcow2", FORWARDED), "qemu", host=QEMU_HOST)["command"])
    assert said == (
        "qemu-system-x86_64 -name web -machine q35 -accel kvm -cpu host -smp 2 -m 2048 -nodefaults -display none "
        "-serial file:/vms/web/console.log -monitor unix:/vms/web/monitor,server=on,wait=off -device virtio-rng-pci "
        f"-smbios type=11,value={root_keys([KEY])} "
        "-drive if=pflash,format=raw,readonly=on,file=/fw/code.fd -drive if=pflash,format=raw,file=/vms/web/efi-variables.fd "
        "-drive if=none,id=disk0,format=qcow2,discard=unmap,detect-zeroes=unmap,file=/vms/web/system.qcow2 "
        "-device virtio-blk-pci,drive=disk0,serial=system,bootindex=0 "
        "-drive if=none,id=disk1,format=qcow2,discard=unmap,detect-zeroes=unmap,file=/vms/web/data.qcow2 "
        "-device virtio-blk-pci,drive=disk1,serial=data,bootindex=1 "
        "-netdev user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22 -device virtio-net-pci,netdev=net0,mac=52:54:00:00:00:01"
    )


# libvirt


def test_a_domain_is_valid_to_libvirt(tmp_path: Path) -> None:
    asked = machine("qcow2", {"type": "bridge", "name": "br0"})
    asked["networks"].append(FORWARDED)
    document = vm_plan(asked, "libvirt", host=QEMU_HOST)["document"]
    tree = ElementTree.fromstring(document)
    assert [disk.findtext("serial") for disk in tree.iterfind("devices/disk")] == ["system", "data"]
    assert tree.findtext("sysinfo/oemStrings/entry") == root_keys([KEY])
    if shutil.which("virt-xml-validate") and shutil.which("xmllint"):
        (tmp_path / "web.xml").write_text(document)
        done = subprocess.run(["virt-xml-validate", str(tmp_path / "web.xml"), "domain"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


# VirtualBox


VBOX = machine("vdi", {**FORWARDED, "mac": "08:00:27:00:00:01"})
VBOX_HOST = {"directory": "/vms"}
VBOX_SAID = """name="web"
ostype="Linux 2.6 / 3.x / 4.x / 5.x (64-bit)"
UUID="2a6cbbb2-47a7-4c25-9d20-e3a6a1c87a55"
memory=2048
firmware="EFI64"
cpus=2
VMState="poweroff"
storagecontrollername0="SATA"
"SATA-0-0"="/vms/web/system.vdi"
"SATA-ImageUUID-0-0"="0d6a7a36-3ac1-4c64-8a5c-4ab8a4c0e0c1"
"SATA-1-0"="/vms/web/data.vdi"
"SATA-2-0"="none"
natnet1="nat"
macaddress1="080027000001"
cableconnected1="on"
nic1="nat"
nictype1="virtio"
Forwarding(0)="tcp-2222-22,tcp,127.0.0.1,2222,,22"
nic2="none"
"""
VBOX_SIZES = {"/vms/web/system.vdi": 20 << 30, "/vms/web/data.vdi": 5 << 30}


def test_virtualbox_is_told_to_make_a_machine() -> None:
    said = [" ".join(words) for words in vm_plan(VBOX, "virtualbox", host=VBOX_HOST)["commands"]]
    assert said == [
        "VBoxManage createvm --name web --basefolder /vms --ostype Linux_64 --register",
        "VBoxManage storagectl web --name SATA --add sata --controller IntelAhci --portcount 8",
        "VBoxManage modifyvm web --cpus 2 --memory 2048 --firmware efi --ioapic on --rtc-use-utc on --graphicscontroller vmsvga "
        "--uart1 0x3F8 4 --uart-mode1 file /vms/web/console.log --nic1 nat --nic-type1 virtio --mac-address1 080027000001 "
        "--nat-pf1 tcp-2222-22,tcp,127.0.0.1,2222,,22",
        "VBoxManage modifymedium disk /vms/web/system.vdi --resizebyte 21474836480",
        "VBoxManage storageattach web --storagectl SATA --port 0 --device 0 --type hdd --medium /vms/web/system.vdi",
        "VBoxManage storageattach web --storagectl SATA --port 1 --device 0 --type hdd --medium /vms/web/data.vdi",
    ]


def test_virtualbox_has_nothing_to_do_the_second_time() -> None:
    told = vm_plan(VBOX, "virtualbox", VBOX_SAID, VBOX_SIZES, VBOX_HOST)
    assert (told["verb"], told["rebuild"], told["commands"]) == ("none", [], [])


def test_virtualbox_takes_rules_away_that_were_made_by_hand_by_their_own_names() -> None:
    by_hand = 'Forwarding(1)="ssh,tcp,,2022,,22"\nForwarding(2)="dns,udp,,5353,,53"\nnic2="none"'
    told = vm_plan(VBOX, "virtualbox", VBOX_SAID.replace('nic2="none"', by_hand), VBOX_SIZES, VBOX_HOST)
    assert told["changes"] == ["networks"]
    assert " ".join(told["commands"][0]).endswith("--mac-address1 080027000001 --nat-pf1 delete ssh --nat-pf1 delete dns")


def test_virtualbox_goes_on_with_a_machine_whose_making_was_cut_off() -> None:
    made = vm_plan(VBOX, "virtualbox", host=VBOX_HOST)["commands"]
    registered = 'name="web"\nmemory=128\nfirmware="BIOS"\ncpus=1\nVMState="poweroff"\nnic1="nat"\nmacaddress1="0800270A0B0C"\n'
    told = vm_plan(VBOX, "virtualbox", registered, VBOX_SIZES, VBOX_HOST)
    assert (told["verb"], told["rebuild"]) == ("create", [])
    assert told["commands"] == made[1:]
    settled = registered + 'storagecontrollername0="SATA"\n"SATA-0-0"="none"\nForwarding(0)="tcp-2222-22,tcp,127.0.0.1,2222,,22"\n'
    rest = vm_plan(VBOX, "virtualbox", settled, VBOX_SIZES, VBOX_HOST)["commands"]
    assert [words[1] for words in rest] == ["modifyvm", "modifymedium", "storageattach", "storageattach"]
    assert "--nat-pf1" not in rest[0]


def test_virtualbox_is_told_what_differs() -> None:
    network = {"type": "user", "mac": "08:00:27:00:00:01", "forwards": [{"host": 2223, "guest": 22}]}
    disks = [{**VBOX["disks"][0], "size": "30GiB"}, VBOX["disks"][1]]
    told = vm_plan({**VBOX, "memory": 4096, "networks": [network], "disks": disks}, "virtualbox", VBOX_SAID, VBOX_SIZES, VBOX_HOST)
    assert [" ".join(words) for words in told["commands"]] == [
        "VBoxManage modifyvm web --cpus 2 --memory 4096 --nic1 nat --nic-type1 virtio --mac-address1 080027000001 "
        "--nat-pf1 delete tcp-2222-22 --nat-pf1 tcp-2223-22,tcp,127.0.0.1,2223,,22",
        "VBoxManage modifymedium disk /vms/web/system.vdi --resizebyte 32212254720",
    ]


# Hyper-V


SYSTEM, MORE = r"C:\vms\web\system.vhdx", r"C:\vms\web\data.vhdx"
HYPERV = machine("vhdx", {"type": "network", "name": "Default Switch", "mac": "00:15:5d:00:00:01"}, r"C:\vms", "\\")
HYPERV_HOST = {"directory": r"C:\vms", "source": r"\\files\images\os.vhdx"}
HYPERV_SAID: dict[str, Any] = {
    "name": "web",
    "generation": 2,
    "running": True,
    "cpus": 2,
    "memory": 2048,
    "disks": [{"path": SYSTEM, "size": 20 << 30}, {"path": MORE, "size": 5 << 30}],
    "networks": [{"name": "Default Switch", "mac": "00155D000001"}],
}
HYPERV_COPY = (
    rf"Copy-Item -LiteralPath '\\files\images\os.vhdx' -Destination '{SYSTEM}.unfinished' -Force; "
    rf"Move-Item -LiteralPath '{SYSTEM}.unfinished' -Destination '{SYSTEM}'"
)
HYPERV_SCRIPT = rf"""$ErrorActionPreference = 'Stop'
$name = 'web'
if (-not (Test-Path -LiteralPath '{SYSTEM}')) {{ {HYPERV_COPY} }}
if ((Get-VHD -Path '{SYSTEM}').Size -lt 21474836480) {{ Resize-VHD -Path '{SYSTEM}' -SizeBytes 21474836480 }}
if (-not (Test-Path -LiteralPath '{MORE}')) {{ New-VHD -Path '{MORE}' -SizeBytes 5368709120 -Dynamic | Out-Null }}
New-VM -Name $name -Generation 2 -MemoryStartupBytes 2048MB -Path 'C:\vms' -VHDPath '{SYSTEM}' | Out-Null
Set-VMFirmware -VMName $name -SecureBootTemplate MicrosoftUEFICertificateAuthority
Set-VM -Name $name -ProcessorCount 2 -StaticMemory -MemoryStartupBytes 2048MB -CheckpointType Disabled -AutomaticStartAction Start
Add-VMHardDiskDrive -VMName $name -Path '{MORE}'
Get-VMNetworkAdapter -VMName $name | Remove-VMNetworkAdapter
Add-VMNetworkAdapter -VMName $name -SwitchName 'Default Switch' -StaticMacAddress 00155D000001
"""


def test_hyperv_is_told_to_make_a_machine() -> None:
    assert vm_plan(HYPERV, "hyperv", host=HYPERV_HOST)["script"] == HYPERV_SCRIPT


def test_hyperv_has_nothing_to_do_the_second_time() -> None:
    told = vm_plan(HYPERV, "hyperv", json.dumps(HYPERV_SAID), host=HYPERV_HOST)
    assert (told["verb"], told["rebuild"], told["script"]) == ("none", [], "")


def test_hyperv_is_told_what_differs() -> None:
    told = vm_plan({**HYPERV, "cpus": 4}, "hyperv", json.dumps(HYPERV_SAID), host={**HYPERV_HOST, "autostart": False})
    (line,) = told["script"].splitlines()[2:]
    assert line == (
        "Set-VM -Name $name -ProcessorCount 4 -StaticMemory -MemoryStartupBytes 2048MB -CheckpointType Disabled "
        "-AutomaticStartAction Nothing"
    )


def test_hyperv_is_told_of_its_start_alone_while_the_machine_runs() -> None:
    told = vm_plan(HYPERV, "hyperv", json.dumps(HYPERV_SAID), host={**HYPERV_HOST, "autostarts": True, "autostart": False})
    assert (told["verb"], told["restart"], told["changes"]) == ("change", False, ["it starts not with its hypervisor"])
    assert told["script"].splitlines()[2:] == ["Set-VM -Name $name -AutomaticStartAction Nothing"]


def test_hyperv_finds_a_disk_however_its_path_is_written() -> None:
    disks = [{**disk, "path": disk["path"].replace("C:\\vms\\", "c:/VMs/")} for disk in HYPERV["disks"]]
    told = vm_plan({**HYPERV, "disks": disks}, "hyperv", json.dumps(HYPERV_SAID), host=HYPERV_HOST)
    assert (told["verb"], told["rebuild"]) == ("none", [])


@pytest.mark.parametrize(
    ("driver", "asked", "said", "path"),
    [
        ("virtualbox", VBOX, VBOX_SAID, "/srv/disks/web 1.vdi"),
        ("hyperv", HYPERV, json.dumps(HYPERV_SAID), r"D:\disks\web 1.vhdx"),
        ("hyperv", HYPERV, json.dumps(HYPERV_SAID), r"\\files\disks\web"),
    ],
)
def test_a_disk_has_its_name_whatever_its_file_is_called(driver: str, asked: dict[str, Any], said: str, path: str) -> None:
    system, data = asked["disks"]
    there = said.replace(json.dumps(system["path"])[1:-1], json.dumps(path)[1:-1])
    sizes = {path: 20 << 30, data["path"]: 5 << 30}
    told = vm_plan({**asked, "disks": [{**system, "path": path}, data]}, driver, there, sizes, {**VBOX_HOST, **HYPERV_HOST})
    assert (told["verb"], told["rebuild"], told["changes"]) == ("none", [], [])
    assert vm_plan(asked, driver, there, sizes, {**VBOX_HOST, **HYPERV_HOST})["rebuild"], "it is not the disk that is asked for"


def test_hyperv_goes_on_with_a_machine_whose_making_was_cut_off() -> None:
    said = {**HYPERV_SAID, "cpus": 1, "disks": HYPERV_SAID["disks"][:1], "networks": [{"name": None, "mac": "000000000000"}]}
    told = vm_plan(HYPERV, "hyperv", json.dumps(said), host=HYPERV_HOST)
    assert told["script"].splitlines()[-5:] == HYPERV_SCRIPT.splitlines()[-5:]
    assert "New-VM " not in told["script"]


def test_a_name_cannot_leave_its_quotes_in_powershell() -> None:
    said = vm_plan({**HYPERV, "name": "web'; Remove-Item C: #"}, "hyperv", host=HYPERV_HOST)["script"].splitlines()[1]
    assert said == "$name = 'web''; Remove-Item C: #'"


@pytest.mark.parametrize("driver", ["hyperv", "vmware", "proxmox"])
def test_a_network_that_the_hypervisor_has_not_is_refused(driver: str) -> None:
    with pytest.raises(AnsibleFilterError, match="knows networks of type"):
        vm_plan({**HYPERV, "networks": [{"type": "user"}]}, driver, host={**HYPERV_HOST, "storage": "local"})


# Proxmox


PROXMOX = machine("qcow2", {"type": "bridge", "name": "vmbr0"})
PROXMOX_HOST = {"storage": "local-lvm", "source": "/var/lib/vz/import/os.qcow2"}
PROXMOX_SAID = {
    "name": "web",
    "cores": 2,
    "sockets": 1,
    "memory": "2048",
    "bios": "ovmf",
    "machine": "q35",
    "scsihw": "virtio-scsi-single",
    "net0": "virtio=52:54:00:00:00:01,bridge=vmbr0",
    "scsi0": "local-lvm:vm-100-disk-1,discard=on,serial=system,size=20G",
    "scsi1": "local-lvm:vm-100-disk-2,discard=on,serial=data,size=5G",
    "efidisk0": "local-lvm:vm-100-disk-0,efitype=4m,pre-enrolled-keys=0,size=4M",
}


def test_proxmox_is_asked_for_a_machine() -> None:
    told = vm_plan(PROXMOX, "proxmox", host=PROXMOX_HOST)["options"]
    assert told["kvm"] == {
        "name": "web",
        "cores": 2,
        "sockets": 1,
        "memory": "2048",
        "serial": {"serial0": "socket"},
        "net": {"net0": "virtio=52:54:00:00:00:01,bridge=vmbr0"},
        "scsihw": "virtio-scsi-single",
        "scsi": {
            "scsi0": "local-lvm:0,import-from=/var/lib/vz/import/os.qcow2,serial=system,discard=on",
            "scsi1": "local-lvm:5,serial=data,discard=on",
        },
        "boot": "order=scsi0",
        "bios": "ovmf",
        "machine": "q35",
        "efidisk0": {"storage": "local-lvm", "format": "raw", "efitype": "4m", "pre_enrolled_keys": False},
    }
    assert (told["grow"], told["delete"], told["new_disks"]) == ([{"disk": "scsi0", "size": "20480M"}], [], [])


def test_proxmox_has_nothing_to_do_the_second_time() -> None:
    told = vm_plan(PROXMOX, "proxmox", PROXMOX_SAID, host=PROXMOX_HOST)
    assert (told["verb"], told["rebuild"]) == ("none", [])


def test_proxmox_is_told_what_differs() -> None:
    told = vm_plan({**PROXMOX, "memory": 4096, "firmware": "bios"}, "proxmox", PROXMOX_SAID, host=PROXMOX_HOST)
    assert told["changes"] == ["memory 2048, not 4096"]
    assert told["rebuild"][0].startswith("firmware uefi, not bios")
    assert told["options"] == {
        "kvm": {"name": "web", "cores": 2, "sockets": 1, "memory": "4096"},
        "delete": [],
        "new_disks": [],
        "grow": [],
    }


def test_proxmox_grows_the_disk_of_that_name_and_gives_a_new_one_a_free_place() -> None:
    log = {"name": "log files", "size": "1.5GiB", "path": "/vms/web/log.qcow2"}
    disks = [PROXMOX["disks"][0], log, {**PROXMOX["disks"][1], "size": "7GiB"}]
    told = vm_plan({**PROXMOX, "disks": disks}, "proxmox", {**PROXMOX_SAID, "scsi2": "none,media=cdrom"}, host=PROXMOX_HOST)
    assert told["rebuild"] == []
    assert told["options"]["new_disks"] == [{"disk": "scsi3", "size": "2", "serial": "log%20files"}]
    assert told["options"]["grow"] == [{"disk": "scsi1", "size": "7168M"}]
    again = {**PROXMOX_SAID, "scsi1": "l:2,serial=data,size=7G", "scsi3": "l:3,serial=log%20files,size=2G"}
    assert vm_plan({**PROXMOX, "disks": disks}, "proxmox", again, host=PROXMOX_HOST)["verb"] == "none"


def test_proxmox_takes_cards_away_and_changes_none_that_is_as_it_should_be() -> None:
    tagged = "virtio=52:54:00:00:00:01,bridge=vmbr0,firewall=1,tag=20"
    more = {**PROXMOX_SAID, "net0": tagged, "net10": "virtio=52:54:00:00:00:0A,bridge=vmbr1"}
    assert vm_plan(PROXMOX, "proxmox", more, host=PROXMOX_HOST)["options"]["delete"] == ["net10"]
    told = vm_plan({**PROXMOX, "memory": 4096}, "proxmox", {**PROXMOX_SAID, "net0": tagged}, host=PROXMOX_HOST)
    assert "net" not in told["options"]["kvm"]


def test_proxmox_has_as_many_processors_as_asked_whatever_its_sockets_are() -> None:
    said = {**PROXMOX_SAID, "sockets": 2, "memory": "current=2048"}
    told = vm_plan(PROXMOX, "proxmox", said, host=PROXMOX_HOST)
    assert told["changes"] == ["cpus 4, not 2"]
    assert (told["options"]["kvm"]["cores"], told["options"]["kvm"]["sockets"]) == (2, 1)


# vSphere


VSPHERE = machine("ova", {"type": "network", "name": "VM Network"})
VSPHERE_SAID = {
    "hw_name": "web",
    "hw_processor_count": 2,
    "hw_memtotal_mb": 2048,
    "boot_firmware": "efi",
    "hw_power_status": "poweredOn",
    "hw_interfaces": ["eth0"],
    "hw_eth0": {"summary": "VM Network", "macaddress": MAC},
    "hw_disks": {"0": {"label": "Hard disk 1", "capacity_in_kb": 20 << 20}, "1": {"label": "Hard disk 2", "capacity_in_kb": 5 << 20}},
}


def test_vsphere_is_asked_for_a_machine() -> None:
    assert vm_plan(VSPHERE, "vmware")["options"] == {
        "firmware": "efi",
        "hardware": {"num_cpus": 2, "memory_mb": 2048},
        "disk": [
            {"size_kb": 20 << 20, "type": "thin"},
            {"size_kb": 5 << 20, "type": "thin"},
        ],
        "networks": [{"network_name": "VM Network", "mac_address": MAC}],
        "unwanted_macs": [],
    }


def test_vsphere_leaves_a_disk_as_large_as_its_appliance_made_it() -> None:
    disks = [{"name": "system", "path": "/vms/web/system.ova"}, VSPHERE["disks"][1]]
    asked = vm_plan({**VSPHERE, "disks": disks}, "vmware", VSPHERE_SAID)["options"]["disk"]
    assert [disk["size_kb"] for disk in asked] == [20 << 20, 5 << 20]


def test_vsphere_takes_a_card_away_whose_address_is_another() -> None:
    said = {
        **VSPHERE_SAID,
        "hw_interfaces": ["eth0", "eth1"],
        "hw_eth0": {"summary": "VM Network", "macaddress": "00:0C:29:00:00:01"},
        "hw_eth1": {"summary": "VM Network", "macaddress": MAC},
    }
    told = vm_plan(VSPHERE, "vmware", said)
    assert (told["changes"], told["options"]["unwanted_macs"]) == (["networks"], ["00:0c:29:00:00:01"])


def test_vsphere_has_nothing_to_do_the_second_time() -> None:
    told = vm_plan(VSPHERE, "vmware", VSPHERE_SAID)
    assert (told["verb"], told["changes"], told["rebuild"]) == ("none", [], [])


def test_vsphere_takes_the_addresses_that_follow_from_a_name() -> None:
    for number in range(50):
        asked = {**VSPHERE, "name": f"web{number}", "networks": [{"type": "network", "name": "VM Network"}]}
        octets = [int(octet, 16) for octet in vm_plan(asked, "vmware")["macs"][0].split(":")]
        assert octets[:3] == [0x00, 0x50, 0x56]
        assert octets[3] < 0x40
        assert len(octets) == 6


def test_vsphere_is_told_what_differs() -> None:
    told = vm_plan({**VSPHERE, "cpus": 4, "disks": VSPHERE["disks"][:1]}, "vmware", VSPHERE_SAID)
    assert told["changes"] == ["cpus 2, not 4"]
    assert told["rebuild"] == ["disk Hard disk 2 is one more than asked for"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"networks": [{"type": "user"}, {"type": "user", "forwards": [{"host": 2222, "guest": 22}]}]}, "Only the first network"),
        ({"disks": [{"name": f"d{number}", "size": "1GiB", "path": f"/vms/{number}.vdi"} for number in range(9)]}, "More than eight disks"),
    ],
)
def test_what_virtualbox_cannot_have_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        vm_plan({**VBOX, **change}, "virtualbox", host=VBOX_HOST)


@pytest.mark.parametrize(
    ("there", "now", "then", "verb"),
    [
        (False, False, True, "create"),
        (True, False, True, "change"),
        (True, True, False, "change"),
        (True, True, True, "none"),
        (True, None, True, "none"),
    ],
)
def test_whether_a_machine_starts_with_its_hypervisor_is_a_change_where_it_is_known(there: bool, now: Any, then: bool, verb: str) -> None:
    told = vm_plan(PROXMOX, "proxmox", PROXMOX_SAID if there else None, host={**PROXMOX_HOST, "autostarts": now, "autostart": then})
    assert (told["verb"], len(told["changes"])) == (verb, int(verb != "none"))


def test_a_disk_that_is_there_or_comes_from_the_image_needs_no_size() -> None:
    system, data = ({key: value for key, value in disk.items() if key != "size"} for disk in PROXMOX["disks"])
    told = vm_plan({**PROXMOX, "disks": [system, data]}, "proxmox", sizes={data["path"]: 5 << 30}, host=PROXMOX_HOST)
    assert [disk["name"] for disk in told["new_disks"]] == ["system", "data"]
    with pytest.raises(AnsibleFilterError, match="Disk 'data' of web is new"):
        vm_plan({**PROXMOX, "disks": [system, data]}, "proxmox", host=PROXMOX_HOST)


def test_hyperv_is_looked_at_by_the_machines_name() -> None:
    assert vm_plan({**HYPERV, "name": "o'web"}, "hyperv", host=HYPERV_HOST)["look"].startswith("$name = 'o''web'\n")
