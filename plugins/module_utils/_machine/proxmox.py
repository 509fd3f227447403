# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proxmox VE: a machine as its configuration says it (qm.conf of 8), and as community.proxmox.proxmox_kvm is asked for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._errors import OptionError
from .plan import Plan
from .spec import Disk, Machine, Network

VENDOR = "bc:24:11"
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_GIB = 1 << 30


def options(machine: Machine, found: Machine | None, what: Plan, host: Mapping[str, Any]) -> dict[str, Any]:
    """:param host: C(storage), where disks go, and C(source), the disk image as the node sees it
    :returns: options of C(proxmox_kvm); new disks are imported with the machine, others are made by C(proxmox_disk)
    :raises OptionError: a network that the node does not know
    """
    if any(network.kind != "bridge" for network in machine.networks):
        raise OptionError("Proxmox knows networks of type 'bridge' only.", hint="Set 'type: bridge' and its 'name', for example vmbr0.")
    asked: dict[str, Any] = {
        "name": machine.name,
        "cores": machine.cpus,
        "memory": str(machine.memory),
        "serial": {"serial0": "socket"},
        "net": {f"net{number}": f"virtio={one.mac.upper()},bridge={one.name}" for number, one in enumerate(machine.networks)},
    }
    if found is not None:
        return asked
    scsi = {"scsi0": f"{host['storage']}:0,import-from={host['source']},serial={machine.disks[0].name},discard=on"}
    for number, disk in enumerate(machine.disks[1:], start=1):
        scsi[f"scsi{number}"] = f"{host['storage']}:{-(-(disk.size or 0) // _GIB)},serial={disk.name},discard=on"
    variables = {"storage": host["storage"], "format": "raw", "efitype": "4m", "pre_enrolled_keys": False}
    uefi = {"bios": "ovmf", "machine": "q35", "efidisk0": variables}
    return {**asked, "scsihw": "virtio-scsi-single", "scsi": scsi, "boot": "order=scsi0", **(uefi if machine.firmware == "uefi" else {})}


def parse(config: Mapping[str, Any], machine: Machine) -> Machine:
    """:param config: of C(qm config), as C(proxmox_vm_info) returns it
    :param machine: the wanted one; disks are told by their serial numbers, and their paths are the storage's business
    """
    paths = {disk.name: disk.path for disk in machine.disks}
    disks = []
    for key in sorted(key for key in config if re.fullmatch(r"scsi\d+", key)):
        values = dict(part.split("=", 1) for part in str(config[key]).split(",")[1:] if "=" in part)
        name = values.get("serial", key)
        disks.append(Disk(name, paths.get(name, str(config[key]).partition(",")[0]), _bytes(values.get("size", ""))))
    networks = []
    for key in sorted(key for key in config if re.fullmatch(r"net\d+", key)):
        values = dict(part.split("=", 1) for part in str(config[key]).split(",") if "=" in part)
        networks.append(Network("bridge", values.get("bridge", ""), values.get("virtio", "").lower()))
    return Machine(
        str(config.get("name", "")),
        int(config.get("cores", 1)) * int(config.get("sockets", 1)),
        int(config.get("memory", 512)),
        "uefi" if config.get("bios") == "ovmf" else "bios",
        tuple(disks),
        tuple(networks),
    )


def _bytes(text: str) -> int | None:
    match = re.fullmatch(r"(\d+)([KMGT])?", text)
    return int(match.group(1)) * _UNITS.get(match.group(2) or "", 1) if match else None
