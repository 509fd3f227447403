# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proxmox VE: a machine as its configuration says it (qm.conf of 8), and as community.proxmox.proxmox_kvm is asked for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from .._errors import OptionError
from .plan import Plan
from .spec import Disk, Machine, Network, by_name

VENDOR = "bc:24:11"
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_GIB = 1 << 30


def options(machine: Machine, config: Mapping[str, Any], what: Plan, host: Mapping[str, Any]) -> dict[str, Any]:
    """:param config: of the machine that is there, empty if it is new
    :param host: C(storage), where disks go, and C(source), the disk image as the node sees it
    :returns: C(kvm) for C(proxmox_kvm), with which new machines get their disks; C(delete), what it takes away; C(new_disks) and C(grow)
        for C(proxmox_disk)
    :raises OptionError: a network that the node does not know
    """
    if any(network.kind != "bridge" for network in machine.networks):
        raise OptionError("Proxmox knows networks of type 'bridge' only.", hint="Set 'type: bridge' and its 'name', for example vmbr0.")
    # A processor is a core of the one socket: what was made by hand may have more, and 'cores' alone would multiply.
    kvm: dict[str, Any] = {"name": machine.name, "cores": machine.cpus, "sockets": 1, "memory": str(machine.memory)}
    networks = {f"net{number}": f"virtio={one.mac.upper()},bridge={one.name}" for number, one in enumerate(machine.networks)}
    if config:
        # Cards that are as they should be keep what else was said of them: a VLAN, the firewall.
        changed = "networks" in what.changes
        places = {name: key for key, name in _disks(config).items()}
        free = (f"scsi{number}" for number in range(31) if f"scsi{number}" not in config)
        disks = by_name(machine.disks)
        return {
            "kvm": {**kvm, "net": networks} if changed else kvm,
            "delete": [key for key in _keys(config, "net") if key not in networks] if changed else [],
            "new_disks": [{"disk": next(free), "size": _gibibytes(disks[name]), "serial": _serial(name)} for name in what.new_disks],
            "grow": [{"disk": places[disk.name], "size": _mebibytes(disk)} for disk in what.grow],
        }
    scsi = {"scsi0": f"{host['storage']}:0,import-from={host['source']},serial={_serial(machine.disks[0].name)},discard=on"}
    for number, disk in enumerate(machine.disks[1:], start=1):
        scsi[f"scsi{number}"] = f"{host['storage']}:{_gibibytes(disk)},serial={_serial(disk.name)},discard=on"
    variables = {"storage": host["storage"], "format": "raw", "efitype": "4m", "pre_enrolled_keys": False}
    uefi = {"bios": "ovmf", "machine": "q35", "efidisk0": variables} if machine.firmware == "uefi" else {}
    new = {"net": networks, "serial": {"serial0": "socket"}, "scsihw": "virtio-scsi-single", "scsi": scsi, "boot": "order=scsi0", **uefi}
    grow = [{"disk": "scsi0", "size": _mebibytes(machine.disks[0])}] if machine.disks[0].size else []
    return {"kvm": {**kvm, **new}, "delete": [], "new_disks": [], "grow": grow}


def parse(config: Mapping[str, Any], machine: Machine) -> Machine:
    """:param config: of C(qm config), as C(proxmox_vm_info) returns it
    :param machine: the wanted one; disks are told by their serial numbers, and their paths are the storage's business
    """
    wanted, disks = by_name(machine.disks), []
    for key, name in _disks(config).items():
        size = _bytes(_values(config[key]).get("size", ""))
        disk = wanted.get(name, Disk(name, str(config[key]).partition(",")[0]))
        # Storages round up: a whole GiB is what can be asked for, and LVM has extents.
        if size is not None and disk.size is not None and disk.size <= size < disk.size + _GIB:
            size = disk.size
        disks.append(Disk(name, disk.path, size))
    networks = []
    for key in _keys(config, "net"):
        values = _values(config[key])
        networks.append(Network("bridge", values.get("bridge", ""), values.get("virtio", "").lower()))
    return Machine(
        str(config.get("name", "")),
        int(config.get("cores", 1)) * int(config.get("sockets", 1)),
        int(str(config.get("memory", 512)).removeprefix("current=")),
        "uefi" if config.get("bios") == "ovmf" else "bios",
        tuple(disks),
        tuple(networks),
    )


def _disks(config: Mapping[str, Any]) -> dict[str, str]:
    """:returns: place, for example C(scsi0) → the disk's name"""
    found = {key: _values(config[key]) for key in _keys(config, "scsi")}
    return {key: unquote(values.get("serial", key)) for key, values in found.items() if values.get("media") != "cdrom"}


def _keys(config: Mapping[str, Any], bus: str) -> list[str]:
    return sorted((key for key in config if re.fullmatch(rf"{bus}\d+", key)), key=lambda key: int(key[len(bus) :]))


def _values(text: Any) -> dict[str, str]:
    return dict(part.split("=", 1) for part in str(text).split(",") if "=" in part)


def _serial(name: str) -> str:
    # qm.conf has it URL-encoded.
    return quote(name, safe="")


def _gibibytes(disk: Disk) -> str:
    return str(-(-(disk.size or 0) // _GIB))


def _mebibytes(disk: Disk) -> str:
    return f"{-(-(disk.size or 0) // _UNITS['M'])}M"


def _bytes(text: str) -> int | None:
    match = re.fullmatch(r"(\d+)([KMGT])?", text)
    return int(match.group(1)) * _UNITS.get(match.group(2) or "", 1) if match else None
