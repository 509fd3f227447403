# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Layouts of disks as C(lsblk --json --bytes) prints them: one dangerous thing each, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.imagemode.bootc.plugins.module_utils._disk.device import Device, Signature, Surroundings, parse_lsblk

GIB = 1024**3


def node(name: str, kind: str, size: int = 12 * GIB, **more: Any) -> dict[str, Any]:
    """A device as lsblk writes it."""
    empty = dict.fromkeys(("serial", "wwn", "model", "vendor", "tran", "hctl", "fstype", "pttype", "label", "parttype"))
    path = f"/dev/{name}" if kind in ("disk", "part", "loop", "rom") or kind.startswith("raid") else f"/dev/mapper/{name}"
    return {
        **empty,
        "name": name,
        "kname": name,
        "path": path,
        "maj:min": more.pop("number", f"254:{sum(map(ord, name))}"),
        "type": kind,
        "size": size,
        "rota": False,
        "ro": False,
        "rm": False,
        **more,
    }


def disk(*children: dict[str, Any], name: str = "vdb", **more: Any) -> dict[str, Any]:
    return node(name, "disk", **{"serial": "TARGET01", **({"children": list(children)} if children else {}), **more})


def part(index: int, *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    return node(f"vdb{index}", "part", **{"size": 4 * GIB, **({"children": list(children)} if children else {}), **more})


@dataclass(frozen=True)
class Layout:
    """A disk in its surroundings.

    :ivar why: what a refusal must say
    """

    document: dict[str, Any]
    why: str = ""
    around: Surroundings = field(default_factory=Surroundings)

    @property
    def device(self) -> Device:
        return parse_lsblk({"blockdevices": [self.document]}, self.around)[0]


def mounted(where: str, number: str = "254:99") -> Surroundings:
    return Surroundings(mounts={number: (where,)})


def signed(path: str, *types: str) -> Surroundings:
    return Surroundings(signatures={path: tuple(Signature(path, kind, "0x0") for kind in types)})


# Never written to, whatever is confirmed.
IN_USE: dict[str, Layout] = {
    "root on a partition": Layout(disk(part(1, number="254:99", fstype="ext4")), "the running system", mounted("/")),
    "boot on a partition": Layout(disk(part(1, number="254:99", fstype="ext4")), "mounted at /boot", mounted("/boot")),
    "efi system partition": Layout(disk(part(1, number="254:99", fstype="vfat")), "mounted at /boot/efi", mounted("/boot/efi")),
    "sysroot of an image-mode host": Layout(disk(part(3, number="254:99")), "the running system", mounted("/sysroot")),
    "medium of the live system": Layout(disk(part(1, number="254:99")), "/run/live/medium", mounted("/run/live/medium")),
    "file system on the whole disk": Layout(disk(fstype="xfs", number="254:99"), "mounted at /srv", mounted("/srv")),
    "mounted data partition": Layout(disk(part(1), part(2, number="254:99")), "/dev/vdb2 is mounted at /data", mounted("/data")),
    "mount point with a blank": Layout(disk(part(1, number="254:99")), "/my data", mounted("/my data")),
    "btrfs known only by its source": Layout(
        disk(part(1, fstype="btrfs")), "mounted at /home", Surroundings(mounts={"0:42": ("/x",), "/dev/vdb1": ("/home",)})
    ),
    "swap partition": Layout(disk(part(1, fstype="swap")), "active swap", Surroundings(swaps=frozenset(["/dev/vdb1"]))),
    "swap on the whole disk": Layout(disk(fstype="swap"), "active swap", Surroundings(swaps=frozenset(["/dev/vdb"]))),
    "lvm, active volume": Layout(disk(part(1, node("vg0-lv0", "lvm"), fstype="LVM2_member")), "held by /dev/mapper/vg0-lv0 (lvm)"),
    "lvm on the whole disk": Layout(disk(node("vg0-lv0", "lvm"), fstype="LVM2_member"), "held by /dev/mapper/vg0-lv0"),
    "lvm, a volume that is the root": Layout(
        disk(part(2, node("vg0-root", "lvm", number="253:0"))), "mounted at /,", mounted("/", "253:0")
    ),
    "md raid member": Layout(disk(part(1, node("md0", "raid1"), fstype="linux_raid_member")), "held by /dev/md0 (raid1)"),
    "md raid of whole disks": Layout(disk(node("md127", "raid5"), fstype="linux_raid_member"), "held by /dev/md127"),
    "open luks": Layout(disk(part(1, node("secret", "crypt"), fstype="crypto_LUKS")), "(crypt)"),
    "luks below lvm below a mount": Layout(
        disk(part(1, node("luks", "crypt", children=[node("vg-home", "lvm", number="253:7")]))),
        "mounted at /home",
        mounted("/home", "253:7"),
    ),
    "multipath member": Layout(disk(node("mpatha", "mpath"), fstype="mpath_member"), "(mpath)"),
    "device mapper that lsblk does not show": Layout(disk(), "held by /dev/dm-3", Surroundings(holders={"vdb": ("dm-3",)})),
    "bcache backing device": Layout(disk(part(1)), "held by /dev/bcache0", Surroundings(holders={"vdb1": ("bcache0",)})),
    "imported zfs pool": Layout(disk(part(1, fstype="zfs_member")), "exclusive access", Surroundings(claimed=frozenset(["vdb"]))),
    "mounted in another namespace": Layout(disk(part(1, fstype="ext4")), "exclusive access", Surroundings(claimed=frozenset(["vdb"]))),
    "database on a raw disk": Layout(disk(), "exclusive access", Surroundings(claimed=frozenset(["vdb"]))),
    "vmfs datastore": Layout(disk(part(1, fstype="VMFS")), "other machines"),
    "vmfs by its partition type": Layout(disk(part(1, parttype="AA31E02A-400F-11DB-9590-000C2911D1B8")), "VMFS"),
    "gpfs by its partition type": Layout(disk(part(1, parttype="37affc90-ef7d-4e96-91c3-2d7ae055b174")), "GPFS"),
    "ocfs2": Layout(disk(fstype="ocfs2"), "other machines"),
    "gfs2 that only the disk itself tells": Layout(disk(), "gfs2", signed("/dev/vdb", "gfs2")),
}

# Written to only after wipe_confirm.
HAS_DATA: dict[str, Layout] = {
    "gpt without partitions": Layout(disk(pttype="gpt"), "gpt"),
    "stale partition table that udev does not know": Layout(disk(), "partition table dos", signed("/dev/vdb", "dos")),
    "windows": Layout(disk(part(1, fstype="vfat"), part(2), part(3, fstype="ntfs", label="Windows")), "ntfs 'Windows'"),
    "partition without known contents": Layout(disk(part(1)), "no known contents"),
    "ext4 on the whole disk": Layout(disk(), "ext4", signed("/dev/vdb", "ext4")),
    "lvm that is not active": Layout(disk(), "LVM2_member", signed("/dev/vdb", "LVM2_member")),
    "md raid that is not assembled": Layout(disk(part(1, fstype="linux_raid_member")), "linux_raid_member"),
    "closed luks": Layout(disk(part(1, fstype="crypto_LUKS")), "crypto_LUKS"),
    "exported zfs pool": Layout(disk(part(1, fstype="zfs_member")), "zfs_member"),
    "swap that is not active": Layout(disk(), "swap", signed("/dev/vdb", "swap")),
    "firmware raid": Layout(disk(), "isw_raid_member", signed("/dev/vdb", "isw_raid_member")),
    "ceph": Layout(disk(), "ceph_bluestore", signed("/dev/vdb", "ceph_bluestore")),
    "hybrid iso": Layout(disk(part(1)), "/dev/vdb: iso9660", signed("/dev/vdb", "iso9660", "dos")),
    "bitlocker": Layout(disk(part(1, fstype="BitLocker")), "BitLocker"),
}
