# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VMware vSphere: a machine as community.vmware.vmware_guest_info says it, and what its modules are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._errors import OptionError
from .spec import Disk, Machine, Network

VENDOR = "00:50:56"
_KIB = 1 << 10


def options(machine: Machine, found: Machine | None) -> dict[str, Any]:
    """:param found: as it is there; C(None) before its appliance is uploaded
    :returns: C(hardware) and C(disk) of C(vmware_guest), C(networks) for C(vmware_guest_network), the addresses of cards that go
        (no module changes one), and the C(firmware) of a machine that is new
    :raises OptionError: a network that vSphere does not know
    """
    if any(network.kind != "network" for network in machine.networks):
        raise OptionError(
            "vSphere knows networks of type 'network' only: port groups.",
            hint="Set 'type: network' and the port group's 'name'.",
        )
    # In the order that vSphere has them: the module then takes what is there for what is asked. Told controllers and unit numbers,
    # it goes by the controller's list of disks, which not every vCenter keeps (govmomi's simulator does not), and adds another.
    there = {disk.name: disk.size for disk in found.disks} if found else {}
    sizes = [disk.size or there.get(disk.name) or 0 for disk in machine.disks]
    wanted = [one.mac for one in machine.networks]
    return {
        "firmware": "efi" if machine.firmware == "uefi" else "bios",
        "hardware": {"num_cpus": machine.cpus, "memory_mb": machine.memory},
        "disk": [{"size_kb": size // _KIB, "type": "thin"} for size in sizes],
        "networks": [{"network_name": one.name, "mac_address": one.mac} for one in machine.networks],
        "unwanted_macs": [one.mac for one in found.networks if one.mac not in wanted] if found else [],
    }


def parse(found: Mapping[str, Any], machine: Machine) -> Machine:
    """:param found: C(instance) of C(vmware_guest_info), with C(hw_disks) of C(vmware_guest_disk_info) and C(boot_firmware)
    :param machine: the wanted one; vSphere's disks have numbers, not names
    """
    hardware = {key: value for key, value in found.items() if key.startswith("hw_")}
    there = [disk for _number, disk in sorted((found.get("hw_disks") or {}).items(), key=lambda item: int(item[0]))]
    names = [(disk.name, disk.path) for disk in machine.disks]
    names += [(str(disk.get("label")), str(disk.get("backing_filename"))) for disk in there[len(names) :]]
    disks = tuple(Disk(name, path, int(disk["capacity_in_kb"]) * _KIB) for (name, path), disk in zip(names, there))
    networks, places = [], {network.mac: number for number, network in enumerate(machine.networks)}
    for name in hardware.get("hw_interfaces", []):
        card = hardware[f"hw_{name}"]
        group = str(card.get("summary") or "")
        # Of a distributed switch only the identity is told.
        mac = str(card.get("macaddress") or "").lower()
        if group.startswith("DVSwitch") and mac in places:
            group = machine.networks[places[mac]].name
        networks.append(Network("network", group, mac))
    # A card that was added later is the last one there.
    networks.sort(key=lambda network: places.get(network.mac, len(places)))
    return Machine(
        str(hardware.get("hw_name")),
        int(hardware.get("hw_processor_count", 1)),
        int(hardware.get("hw_memtotal_mb", 0)),
        "uefi" if found.get("boot_firmware") == "efi" else "bios",
        disks,
        tuple(networks),
    )
