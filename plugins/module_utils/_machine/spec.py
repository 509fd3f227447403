# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A virtual machine as data: as it is wanted, and as a hypervisor has it."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._disk.size import parse_size
from .._errors import OptionError

NETWORKS = ("user", "bridge", "network")


@dataclass(frozen=True)
class Disk:
    """:ivar name: also its serial number, where the hypervisor can say one
    :ivar path: of its file
    :ivar size: bytes that the machine sees; C(None) is that of the disk image, or not known
    """

    name: str
    path: str
    size: int | None = None


@dataclass(frozen=True)
class Network:
    """:ivar kind: C(user) (the machine goes out through its hypervisor's process), C(bridge), or C(network) (one the hypervisor knows)
    :ivar name: of the bridge or network
    :ivar mac: six octets with colons, in lower case
    :ivar forwards: of C(user): C(ADDRESS:PORT:GUEST_PORT), TCP
    """

    kind: str
    name: str
    mac: str
    forwards: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """:ivar memory: MiB
    :ivar firmware: C(bios) or C(uefi)
    :ivar keys: lines of root's authorized_keys
    """

    name: str
    cpus: int
    memory: int
    firmware: str
    disks: tuple[Disk, ...]
    networks: tuple[Network, ...]
    keys: tuple[str, ...] = ()


def wanted(options: Mapping[str, Any], vendor: str = "52:54:00") -> Machine:
    """:param options: C(name), C(cpus), C(memory), C(firmware), C(disks), C(networks), C(keys) as the role has them
    :param vendor: first octets of MAC addresses that nobody named
    :raises OptionError: something that is no machine
    """
    # A name may be what YAML takes for a number: that of a port group, say.
    name, disks = str(options["name"]), [{**disk, "name": str(disk["name"])} for disk in options["disks"] or ()]
    if not disks or len({disk["name"] for disk in disks}) != len(disks):
        raise OptionError(f"'vm_disks' of {name} must name at least one disk, and each name once.", hint="The first one holds the system.")
    return Machine(
        name=name,
        cpus=_count(name, options, "cpus"),
        memory=_count(name, options, "memory"),
        firmware=str(options["firmware"]),
        disks=tuple(Disk(one["name"], one["path"], parse_size(str(one["size"]), "vm_disks") if one.get("size") else None) for one in disks),
        networks=tuple(_network(name, number, network, vendor) for number, network in enumerate(options["networks"])),
        keys=tuple(options.get("keys") or ()),
    )


def _count(machine: str, options: Mapping[str, Any], what: str) -> int:
    try:
        number = int(options[what])
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise OptionError(f"'vm_{what}' of {machine} is '{options[what]}'.", hint="Write a whole number; that of the memory is MiB.")
    return number


def _network(machine: str, number: int, options: Mapping[str, Any], vendor: str) -> Network:
    kind = options.get("type") or "user"
    if kind not in NETWORKS or (kind == "user") == bool(options.get("name")):
        raise OptionError(
            f"'{dict(options)}' in 'vm_networks' of {machine} is no network.",
            hint="'type' is user, or bridge or network with a 'name'.",
        )
    asked = options.get("forwards") or ()
    asked = (asked,) if isinstance(asked, Mapping) else asked
    forwards = [_forward(machine, one) for one in asked]
    if forwards and kind != "user":
        raise OptionError(f"'forwards' of {machine} need a network of type user.", hint="On others the machine has an address of its own.")
    mac = options.get("mac") or mac_address(f"{machine}/{number}", vendor)
    digits = re.sub(r"[:.-]", "", str(mac).lower())
    # An odd first octet is the address of a group, which no card has.
    if not re.fullmatch(r"[0-9a-f][02468ace][0-9a-f]{10}", digits):
        raise OptionError(
            f"'{mac}' in 'vm_networks' of {machine} is no address of a network card.",
            hint="Write six octets, the first one even, in quotes (YAML takes some for a number), for example '52:54:00:12:34:56'.",
        )
    return Network(kind, str(options.get("name") or ""), ":".join(re.findall("..", digits)), tuple(forwards))


def _forward(machine: str, asked: Mapping[str, Any]) -> str:
    address, ports = str(asked.get("address") or "127.0.0.1"), [str(asked.get(name)) for name in ("host", "guest")]
    try:
        ipaddress.IPv4Address(address)
    except ValueError as error:
        # libvirt takes any, and the machine does not start.
        raise OptionError(
            f"'{address}' in 'vm_networks' of {machine} is no address of IPv4, the only ones that are listened at for 'forwards'.",
            hint="Write 0.0.0.0 for all that the hypervisor has.",
        ) from error
    for port in ports:
        if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 1 << 16:
            raise OptionError(f"'{port}' in 'vm_networks' of {machine} is no port.", hint="Each of 'forwards' has a 'host' and a 'guest'.")
    return ":".join([address, *(str(int(port)) for port in ports)])


def mac_address(seed: str, vendor: str) -> str:
    """:returns: the same address for the same machine, whenever it is asked for"""
    first, *octets = hashlib.sha256(seed.encode()).digest()[:3]
    # vSphere takes static addresses up to 3f:ff:ff of its vendor only.
    return ":".join([vendor, *(f"{octet:02x}" for octet in (first & 0x3F, *octets))])


def by_name(disks: Iterable[Disk]) -> dict[str, Disk]:
    return {disk.name: disk for disk in disks}


def file_stem(path: str) -> str:
    """:returns: what a disk's file is called, of Windows too, without its suffix: the name of one that nobody asked for"""
    return re.split(r"[\\/]", path)[-1].rpartition(".")[0]
