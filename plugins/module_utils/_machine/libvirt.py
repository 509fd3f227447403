# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""libvirt: a machine as its domain XML says it (formatdomain of libvirt 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from .credentials import root_keys
from .qemu import PLATFORMS, netdev
from .spec import Disk, Machine, Network

_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
# Slots of the root complex from here on are free for devices that libvirt does not place.
_FIRST_SLOT = 0x10
_SOURCES = {"network": "network", "bridge": "bridge"}


def document(machine: Machine, host: Mapping[str, Any]) -> str:
    """:param host: C(architecture), C(accelerator), C(directory) for the machine's files; C(uuid) of the domain that is there
    :returns: the domain's XML
    """
    ElementTree.register_namespace("qemu", _QEMU)
    platform = PLATFORMS[host["architecture"]]
    domain = Element("domain", type="kvm" if host["accelerator"] == "kvm" else "qemu")
    _text(domain, "name", machine.name)
    if host.get("uuid"):
        _text(domain, "uuid", host["uuid"])
    _text(domain, "memory", str(machine.memory), unit="MiB")
    _text(domain, "vcpu", str(machine.cpus))
    system = SubElement(domain, "os", {"firmware": "efi"} if machine.firmware == "uefi" else {})
    _text(system, "type", "hvm", arch=host["architecture"], machine=platform.machine)
    if machine.firmware == "uefi":
        features = SubElement(system, "firmware")
        SubElement(features, "feature", enabled="no", name="secure-boot")
    if machine.keys:
        SubElement(system, "smbios", mode="sysinfo")
        strings = SubElement(SubElement(domain, "sysinfo", type="smbios"), "oemStrings")
        _text(strings, "entry", root_keys(machine.keys))
    features = SubElement(domain, "features")
    SubElement(features, "acpi")
    SubElement(domain, "cpu", mode="host-passthrough" if host["accelerator"] == "kvm" else "maximum")
    SubElement(domain, "clock", offset="utc")
    devices = SubElement(domain, "devices")
    for number, disk in enumerate(machine.disks):
        _disk(devices, number, disk)
    for network in machine.networks:
        if not network.forwards:
            _interface(devices, network)
    console = SubElement(devices, "serial", type="file")
    SubElement(console, "source", path=f"{host['directory']}/console.log")
    rng = SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
    forwarded = [network for network in machine.networks if network.forwards]
    if forwarded:
        _command_line(domain, forwarded)
    ElementTree.indent(domain)
    return ElementTree.tostring(domain, encoding="unicode") + "\n"


def _disk(devices: Element, number: int, disk: Disk) -> None:
    element = SubElement(devices, "disk", type="file", device="disk")
    SubElement(element, "driver", name="qemu", type="qcow2", discard="unmap", detect_zeroes="unmap")
    SubElement(element, "source", file=disk.path)
    SubElement(element, "target", dev=f"vd{chr(ord('a') + number)}", bus="virtio")
    _text(element, "serial", disk.name)
    SubElement(element, "boot", order=str(number + 1))


def _interface(devices: Element, network: Network) -> None:
    element = SubElement(devices, "interface", type=network.kind)
    SubElement(element, "mac", address=network.mac)
    if network.kind in _SOURCES:
        SubElement(element, "source", {_SOURCES[network.kind]: network.name})
    SubElement(element, "model", type="virtio")


def _command_line(domain: Element, networks: list[Network]) -> None:
    # libvirt itself forwards ports of this kind of network from 9.0 on, and with passt only.
    words: list[str] = []
    for number, network in enumerate(networks):
        identity, slot = f"forwarded{number}", _FIRST_SLOT + number
        words += ["-netdev", netdev(network, identity)]
        words += ["-device", f"virtio-net-pci,netdev={identity},mac={network.mac},bus=pcie.0,addr={slot:#x}"]
    line = SubElement(domain, f"{{{_QEMU}}}commandline")
    for word in words:
        SubElement(line, f"{{{_QEMU}}}arg", value=word)


def _text(parent: Element, name: str, text: str, **attributes: str) -> None:
    SubElement(parent, name, attributes).text = text


def parse(text: str, sizes: Mapping[str, int]) -> tuple[Machine, str]:
    """:param text: C(virsh dumpxml --inactive)
    :param sizes: of the disks' files, as the machine sees them
    :returns: the machine, and the domain's UUID
    """
    domain = ElementTree.fromstring(text)
    system = domain.find("os")
    uefi = system is not None and (system.get("firmware") == "efi" or system.find("loader") is not None)
    disks = []
    for element in domain.iterfind("devices/disk[@device='disk']"):
        source, path = element.find("source"), ""
        if source is not None:
            path = source.get("file") or source.get("dev") or ""
        disks.append(Disk(element.findtext("serial") or path, path, sizes.get(path)))
    entries = [entry.text or "" for entry in domain.iterfind("sysinfo/oemStrings/entry")]
    machine = Machine(
        name=domain.findtext("name") or "",
        cpus=int(domain.findtext("vcpu") or 1),
        memory=_mebibytes(domain),
        firmware="uefi" if uefi else "bios",
        disks=tuple(disks),
        networks=(*_interfaces(domain), *_forwarded(domain)),
        keys=tuple(entries),
    )
    return machine, domain.findtext("uuid") or ""


def _mebibytes(domain: Element) -> int:
    element = domain.find("memory")
    if element is None:
        return 0
    units = {"b": 1, "bytes": 1, "KiB": 1 << 10, "k": 1 << 10, "MiB": 1 << 20, "M": 1 << 20, "GiB": 1 << 30, "G": 1 << 30}
    return int(element.text or 0) * units[element.get("unit") or "KiB"] // (1 << 20)


def _interfaces(domain: Element) -> list[Network]:
    found = []
    for element in domain.iterfind("devices/interface"):
        mac, source, kind = element.find("mac"), element.find("source"), element.get("type") or ""
        name = source.get(_SOURCES.get(kind, ""), "") if source is not None else ""
        found.append(Network(kind, name, (mac.get("address") or "").lower() if mac is not None else ""))
    return found


def _forwarded(domain: Element) -> list[Network]:
    words = [element.get("value") or "" for element in domain.iterfind(f"{{{_QEMU}}}commandline/{{{_QEMU}}}arg")]
    backends = {}
    found = []
    for option, word in zip(words, words[1:]):
        pairs = [part.partition("=") for part in word.split(",")]
        values = {key: value for key, _equals, value in pairs}
        if option == "-netdev":
            backends[values.get("id")] = tuple(
                value.removeprefix("tcp:").replace("-:", ":") for key, _equals, value in pairs if key == "hostfwd"
            )
        elif option == "-device" and values.get("netdev") in backends:
            found.append(Network("user", "", values.get("mac", ""), backends[values["netdev"]]))
    return found


def as_domain(machine: Machine) -> Machine:
    """:returns: the wanted machine in the form and order that a domain has it, for comparing"""
    networks = tuple(sorted(machine.networks, key=lambda network: bool(network.forwards)))
    return replace(machine, networks=networks, keys=(root_keys(machine.keys),) if machine.keys else ())
