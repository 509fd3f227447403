# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Block devices as data: what C(lsblk) says of them, and what the kernel uses them for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Signature:
    """What libblkid recognises on a device (C(wipefs --no-act)).

    :ivar device: path of the disk or partition
    :ivar type: for example C(gpt), C(ext4), C(LVM2_member)
    :ivar offset: where it is, as C(wipefs) writes it
    :ivar uuid: its UUID, or C("")
    :ivar label: its label, or C("")
    """

    device: str
    type: str
    offset: str = ""
    uuid: str = ""
    label: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What is known of block devices from elsewhere than C(lsblk).

    :ivar mounts: mount points by C(MAJ:MIN) and by path of the mounted device, of every mount namespace looked at
    :ivar swaps: paths of active swap devices
    :ivar holders: kernel names of devices built on a device (C(/sys/class/block/*/holders)), by kernel name
    :ivar claimed: kernel names of disks that cannot be opened exclusively (C(O_EXCL)): a part of them is in use
    :ivar links: names under C(/dev/disk) by kernel name, for example C(by-id/ata-X)
    :ivar signatures: signatures by path of the device
    """

    mounts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    swaps: frozenset[str] = frozenset()
    holders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    claimed: frozenset[str] = frozenset()
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    signatures: Mapping[str, tuple[Signature, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Device:
    """A disk, a partition, or something built on one.

    :ivar kname: the kernel's name, for example C(nvme0n1)
    :ivar path: for example C(/dev/nvme0n1)
    :ivar kind: lsblk's type: C(disk), C(part), C(lvm), C(crypt), C(raid1), C(mpath), C(loop), C(rom)…
    :ivar size: bytes
    :ivar filesystem: what lsblk takes it for, for example C(ext4), C(LVM2_member)
    :ivar table: type of its partition table, C(gpt) or C(dos)
    :ivar partition_type: GPT type GUID or MBR type of a partition
    :ivar partition_label: name of a partition in the GPT
    :ivar children: partitions, and what is built on the device
    """

    kname: str
    path: str
    kind: str
    size: int
    serial: str | None = None
    wwn: str | None = None
    model: str | None = None
    vendor: str | None = None
    transport: str | None = None
    hctl: str | None = None
    rotational: bool = False
    read_only: bool = False
    removable: bool = False
    filesystem: str | None = None
    table: str | None = None
    label: str | None = None
    partition_type: str | None = None
    partition_label: str | None = None
    links: tuple[str, ...] = ()
    mountpoints: tuple[str, ...] = ()
    swap: bool = False
    holders: tuple[str, ...] = ()
    claimed: bool = False
    signatures: tuple[Signature, ...] = ()
    children: tuple[Device, ...] = ()

    def tree(self) -> Iterator[Device]:
        """The device, and everything on it, parents first."""
        yield self
        for child in self.children:
            yield from child.tree()

    @property
    def partitions(self) -> tuple[Device, ...]:
        return tuple(child for child in self.children if child.kind == "part")

    @property
    def content(self) -> str | None:
        """Type of the file system or of the membership; what is on the disk now counts more than what udev remembers."""
        types = [signature.type for signature in self.signatures if signature.type not in ("gpt", "dos", "PMBR")]
        return types[0] if types else self.filesystem

    def links_below(self, directory: str) -> tuple[str, ...]:
        """:returns: names in C(/dev/disk/DIRECTORY), for example of C(by-path)"""
        return tuple(link.partition("/")[2] for link in self.links if link.startswith(f"{directory}/"))

    def facts(self) -> dict[str, Any]:
        """:returns: what identifies the disk, for results and messages"""
        return {
            "name": self.path,
            "serial": self.serial,
            "wwn": self.wwn,
            "model": self.model,
            "vendor": self.vendor,
            "size": self.size,
            "rotational": self.rotational,
            "transport": self.transport,
            "hctl": self.hctl,
            "by_path": next(iter(self.links_below("by-path")), None),
        }


def parse_lsblk(document: Mapping[str, Any], around: Surroundings) -> tuple[Device, ...]:
    """Read C(lsblk --json --bytes).

    :param document: the parsed JSON document
    :returns: the devices that stand on nothing else, with everything on them
    """
    return tuple(_device(node, around) for node in document["blockdevices"])


def _device(node: Mapping[str, Any], around: Surroundings) -> Device:
    kname = str(node.get("kname") or node["name"])
    path = str(node.get("path") or f"/dev/{kname}")
    mounts = [*around.mounts.get(str(node.get("maj:min")), ()), *around.mounts.get(path, ())]
    transport = _text(node.get("tran"))
    if transport is None and kname.startswith("vd"):
        transport = "virtio"  # lsblk before 2.39 leaves it empty
    return Device(
        kname=kname,
        path=path,
        kind=str(node.get("type") or ""),
        size=int(node.get("size") or 0),
        serial=_text(node.get("serial")),
        wwn=_text(node.get("wwn")),
        model=_text(node.get("model")),
        vendor=_text(node.get("vendor")),
        transport=transport,
        hctl=_text(node.get("hctl")),
        rotational=_flag(node.get("rota")),
        read_only=_flag(node.get("ro")),
        removable=_flag(node.get("rm")),
        filesystem=_text(node.get("fstype")),
        table=_text(node.get("pttype")),
        label=_text(node.get("label")),
        partition_type=_text(node.get("parttype")),
        partition_label=_text(node.get("partlabel")),
        links=tuple(sorted(around.links.get(kname, ()))),
        mountpoints=tuple(dict.fromkeys(mounts)),
        swap=path in around.swaps,
        holders=around.holders.get(kname, ()),
        claimed=kname in around.claimed,
        signatures=around.signatures.get(path, ()),
        children=tuple(_device(child, around) for child in node.get("children") or ()),
    )


def _text(value: Any) -> str | None:
    return str(value).strip() or None if value is not None else None


def _flag(value: Any) -> bool:
    return value in (True, 1, "1")  # strings in util-linux before 2.33
