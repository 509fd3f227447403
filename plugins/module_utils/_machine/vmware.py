# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VMware vSphere: a machine as community.vmware.vmware_guest_info says it, and as vmware_guest is asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._errors import OptionError
from .spec import Disk, Machine, Network

VENDOR = "00:50:56"
_KIB = 1 << 10


def options(machine: Machine, found: Machine | None) -> dict[str, Any]:
    """:param found: C(None) if the machine comes into being with its appliance, of which only what differs is asked for again
    :returns: C(hardware), C(disk) and C(networks) of C(vmware_guest)
    :raises OptionError: a network that vSphere does not know
    """
    if any(network.kind != "network" for network in machine.networks):
        raise OptionError(
            "vSphere knows networks of type 'network' only: port groups.", hint="Set 'type: network' and the port group's 'name'.",
        )
    disks = [
        {"size_kb": (disk.size or 0) // _KIB, "type": "thin",
         "controller_type": "paravirtual", "controller_number": 0, "unit_number": number}
        for number, disk in enumerate(machine.disks)
    ]
    return {
        "hardware": {
            "num_cpus": machine.cpus, "memory_mb": machine.memory, "boot_firmware": "efi" if machine.firmware == "uefi" else "bios",
        },
        "disk": [disk for disk in disks if disk["size_kb"]],
        "networks": [{"name": one.name, "mac": one.mac, "device_type": "vmxnet3", "start_connected": True} for one in machine.networks],
    }


def parse(found: Mapping[str, Any], machine: Machine) -> Machine:
    """:param found: C(instance) of C(vmware_guest_info), with C(hw_disks) of C(vmware_guest_disk_info) and C(boot_firmware)
    :param machine: the wanted one; vSphere's disks have numbers, not names
    """
    hardware = {key: value for key, value in found.items() if key.startswith("hw_")}
    there = [disk for _number, disk in sorted((found.get("hw_disks") or {}).items(), key=lambda item: int(item[0]))]
    names = [(disk.name, disk.path) for disk in machine.disks]
    names += [(str(disk.get("label")), str(disk.get("backing_filename"))) for disk in there[len(names):]]
    disks = tuple(Disk(name, path, int(disk["capacity_in_kb"]) * _KIB) for (name, path), disk in zip(names, there))
    networks = []
    for number, name in enumerate(hardware.get("hw_interfaces", [])):
        card = hardware[f"hw_{name}"]
        group = str(card.get("summary") or "")
        # Of a distributed switch only the identity is told.
        if group.startswith("DVSwitch") and number < len(machine.networks):
            group = machine.networks[number].name
        networks.append(Network("network", group, str(card.get("macaddress") or "").lower()))
    return Machine(
        str(hardware.get("hw_name")), int(hardware.get("hw_processor_count", 1)), int(hardware.get("hw_memtotal_mb", 0)),
        "uefi" if found.get("boot_firmware") == "efi" else "bios", disks, tuple(networks),
    )
