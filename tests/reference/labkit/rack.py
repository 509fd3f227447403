# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""A rack: libvirt's daemon with state of its own, a network of its own, and machines that only a BMC switches on."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import hypervisor, store
from .say import run

# TEST-NET-2: nothing else is there.
GATEWAY = "198.51.100.1"
BRIDGE = "lab-rack"
PACKAGES = {
    "libvirtd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "/usr/lib/python3/dist-packages/libvirt.py": "python3-libvirt",
    "dnsmasq": "dnsmasq-base",
    "/usr/lib/ipxe/qemu": "ipxe-qemu",
}
FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
POOL = "<pool type='dir'><name>default</name><target><path>{path}</path></target></pool>"
DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name><uuid>{uuid}</uuid>
  <memory unit='MiB'>{memory}</memory><vcpu>1</vcpu>
  <sysinfo type='smbios'><system><entry name='manufacturer'>lab</entry><entry name='serial'>{serial}</entry></system></sysinfo>
  <os><type arch='x86_64' machine='pc'>hvm</type>{firmware}<boot dev='hd'/><smbios mode='sysinfo'/><bios useserial='yes'/></os>
  <features><acpi/></features><cpu mode='custom' check='none'><model fallback='forbid'>qemu64</model></cpu>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    {disks}
    <controller type='ide' index='0'/>
    <interface type='ethernet'><target dev='{tap}' managed='no'/><mac address='{mac}'/><model type='virtio'/></interface>
    <serial type='file'><source path='{folder}/console.log' append='on'/></serial>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='none'/>
  </devices>
</domain>
"""
DISK = (
    "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='unsafe' discard='unmap'/><source file='{path}'/>"
    "<target dev='{device}' bus='virtio'/><serial>{serial}</serial></disk>"
)


@dataclass(frozen=True)
class Machine:
    """:ivar disks: serial number → bytes
    :ivar serial: what its firmware tells
    """

    name: str
    number: int
    disks: dict[str, int]
    serial: str
    uefi: bool = False
    memory: int = 4096

    @property
    def uuid(self) -> str:
        return f"0ab0ab0a-0000-4000-8000-{self.number:012x}"

    @property
    def mac(self) -> str:
        return f"52:54:00:ab:00:{self.number:02x}"

    @property
    def address(self) -> str:
        return f"198.51.100.{10 + self.number}"


class Rack:
    """:ivar uri: of libvirt, as the emulator takes it"""

    def __init__(self) -> None:
        self.folder = store.directory("rack")
        self.uri = hypervisor.uri_of(self.folder)

    def up(self) -> None:
        self.down()
        shutil.rmtree(self.folder, ignore_errors=True)
        store.directory("rack", "pool")
        run(["ip", "link", "add", BRIDGE, "type", "bridge"])
        run(["ip", "address", "add", f"{GATEWAY}/24", "dev", BRIDGE])
        run(["ip", "link", "set", BRIDGE, "up"])
        hypervisor.start(self.folder)
        (self.folder / "pool.xml").write_text(POOL.format(path=self.folder / "pool"))
        self.virsh("pool-create", str(self.folder / "pool.xml"))

    def add(self, machine: Machine) -> None:
        """Put a machine in; it stays off."""
        folder = self.where(machine)
        folder.mkdir()
        disks = []
        for number, (serial, size) in enumerate(machine.disks.items()):
            path = folder / f"disk-{serial}.raw"
            with path.open("wb") as stream:
                stream.truncate(size)
            disks.append(DISK.format(path=path, device=f"vd{'abc'[number]}", serial=serial))
        tap = f"rack{machine.number}"
        run(["ip", "tuntap", "add", tap, "mode", "tap"])
        run(["ip", "link", "set", tap, "master", BRIDGE, "up"])
        firmware = (
            f"<loader readonly='yes' type='pflash'>{FIRMWARE[0]}</loader><nvram template='{FIRMWARE[1]}'>{folder}/efi-variables.fd</nvram>"
            if machine.uefi
            else ""
        )
        (folder / "domain.xml").write_text(
            DOMAIN.format(
                name=machine.name,
                uuid=machine.uuid,
                memory=machine.memory,
                serial=machine.serial,
                firmware=firmware,
                disks="".join(disks),
                tap=tap,
                mac=machine.mac,
                folder=folder,
            )
        )
        self.virsh("define", str(folder / "domain.xml"))

    def where(self, machine: Machine) -> Path:
        return self.folder / f"machine-{machine.name}"

    def virsh(self, *words: str) -> str:
        return run(["virsh", "-c", self.uri, *words]).stdout

    def down(self) -> None:
        """Cut the power, end the daemon, and take the network away."""
        hypervisor.stop(self.folder)
        # Not from /sys, which may be that of another network namespace.
        listed = run(["ip", "-oneline", "link"]).stdout.splitlines()
        for link in (line.split()[1].rstrip(":").partition("@")[0] for line in listed):
            if link == BRIDGE or re.fullmatch(r"rack\d+", link):
                subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)

    def remove(self) -> None:
        self.down()
        shutil.rmtree(self.folder, ignore_errors=True)
