# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What QEMU is called and told on each architecture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .._errors import OptionError
from .credentials import root_keys
from .spec import Disk, Machine, Network


@dataclass(frozen=True)
class Platform:
    """:ivar console: the kernel's name for the first serial port"""

    program: str
    machine: str
    console: str


# `uname -m` → what QEMU is told.
PLATFORMS = {
    "x86_64": Platform("qemu-system-x86_64", "q35", "ttyS0"),
    "aarch64": Platform("qemu-system-aarch64", "virt", "ttyAMA0"),
    "ppc64le": Platform("qemu-system-ppc64", "pseries", "hvc0"),
    "s390x": Platform("qemu-system-s390x", "s390-ccw-virtio", "ttysclp0"),
}
# Where Enterprise Linux keeps it, for its own architecture only.
ENTERPRISE = "/usr/libexec/qemu-kvm"


def processor(accelerator: str, cpus: int) -> list[str]:
    """:param accelerator: C(kvm) or C(tcg)
    :returns: arguments for QEMU
    """
    if accelerator == "kvm":
        return ["-accel", "kvm", "-cpu", "host", "-smp", str(cpus)]
    # With several emulated processors guests have been seen to panic on each other's half-patched code (QEMU 7.2).
    return ["-accel", "tcg", "-cpu", "max", "-smp", "1"]


def command(machine: Machine, host: Mapping[str, Any]) -> list[str]:
    """:param host: C(architecture), C(accelerator), C(program), C(directory) for the machine's files, C(firmware_code)
    :returns: QEMU's command line
    """
    if not re.fullmatch(r"[A-Za-z0-9:_.@-]+", machine.name):
        raise OptionError(
            f"'{machine.name}' cannot name a machine of QEMU: systemd's service is named by it.",
            hint="Set 'vm_name' to letters, digits and any of : _ . @ - without spaces.",
        )
    platform, folder = PLATFORMS[host["architecture"]], host["directory"]
    argv = [
        host.get("program") or platform.program, "-name", machine.name, "-machine", platform.machine,
        *processor(host["accelerator"], machine.cpus), "-m", str(machine.memory),
        "-nodefaults", "-display", "none", "-serial", f"file:{folder}/console.log",
        "-monitor", f"unix:{folder}/monitor,server=on,wait=off", "-device", "virtio-rng-pci",
    ]  # fmt: skip
    if machine.keys:
        argv += ["-smbios", f"type=11,value={root_keys(machine.keys)}"]
    if machine.firmware == "uefi":
        argv += [
            "-drive",
            f"if=pflash,format=raw,readonly=on,file={host['firmware_code']}",
            "-drive",
            f"if=pflash,format=raw,file={folder}/efi-variables.fd",
        ]
    for number, disk in enumerate(machine.disks):
        argv += [
            "-drive",
            f"if=none,id=disk{number},format=qcow2,discard=unmap,detect-zeroes=unmap,file={_value(disk.path)}",
            "-device",
            f"virtio-blk-pci,drive=disk{number},serial={_value(disk.name)},bootindex={number}",
        ]
    for number, network in enumerate(machine.networks):
        argv += ["-netdev", netdev(network, f"net{number}"), "-device", f"virtio-net-pci,netdev=net{number},mac={network.mac}"]
    return argv


def _value(text: str) -> str:
    # QEMU ends a value at a comma, but not at two.
    return text.replace(",", ",,")


def netdev(network: Network, identity: str) -> str:
    """:raises OptionError: QEMU has no networks of its own"""
    if network.kind == "network":
        raise OptionError(
            f"QEMU by itself knows no network '{network.name}'.",
            hint="Use 'type: bridge' or 'type: user', or the driver libvirt.",
        )
    if network.kind == "bridge":
        return f"bridge,id={identity},br={network.name}"
    return ",".join([f"user,id={identity}", *(f"hostfwd={forward}" for forward in map(_forward, network.forwards))])


def _forward(text: str) -> str:
    address, port, guest = text.rsplit(":", 2)
    return f"tcp:{address}:{port}-:{guest}"


def encode(machine: Machine) -> dict[str, Any]:
    """:returns: what is kept beside the machine's disks, to compare with"""
    return asdict(machine)


def decode(document: Mapping[str, Any], sizes: Mapping[str, int]) -> Machine:
    """:param document: what L(encode) made, read back
    :param sizes: of the disks' files, as the machine sees them
    """
    disks = tuple(Disk(one["name"], one["path"], sizes.get(one["path"])) for one in document["disks"])
    networks = tuple(Network(**{**one, "forwards": tuple(one["forwards"])}) for one in document["networks"])
    return Machine(**{**document, "disks": disks, "networks": networks, "keys": tuple(document["keys"])})
