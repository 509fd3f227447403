# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a disk from being written to. Decisions on data only; nothing here touches a device."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from .._errors import ImageModeError
from .device import Device
from .hints import describe, disks
from .size import human

# Other machines may be using these right now, and nothing on this machine shows it.
_CLUSTER_FILESYSTEMS = ("VMFS", "VMFS_volume_member", "gfs", "gfs2", "ocfs", "ocfs2", "gpfs", "mpool_member", "veritas_vxfs")
_CLUSTER_PARTITION_TYPES = {
    "aa31e02a-400f-11db-9590-000c2911d1b8": "VMFS",
    "0xfb": "VMFS",
    "37affc90-ef7d-4e96-91c3-2d7ae055b174": "GPFS",
}
_RUNNING_SYSTEM = ("/", "/boot", "/boot/efi", "/efi", "/sysroot", "/usr", "/var")
# libblkid calls these the signatures of a partition table.
_TABLES = ("gpt", "dos", "PMBR", "sun", "bsd", "sgi", "mac", "atari")


class DiskInUse(ImageModeError):
    """The disk is used by this machine, or may be by another: never written to."""

    error = "disk_in_use"


class DiskReadOnly(ImageModeError):
    """The kernel holds the disk for read-only."""

    error = "disk_read_only"


class DiskTooSmall(ImageModeError):
    """The image does not fit."""

    error = "disk_too_small"


class DiskChanged(ImageModeError):
    """Between the first look and the first write the disk became another, or got contents."""

    error = "disk_changed"


class WipeNotConfirmed(ImageModeError):
    """I(wipe_confirm) names another disk than the one that the hints chose."""

    error = "wipe_confirm_mismatch"


def uses(disk: Device) -> tuple[str, ...]:
    """:returns: by what the disk is in use, in words; empty if it is free"""
    found: list[str] = []
    for device in disk.tree():
        for mountpoint in device.mountpoints:
            running = ", a part of the running system" if mountpoint in _RUNNING_SYSTEM else ""
            found.append(f"{device.path} is mounted at {mountpoint}{running}")
        if device.swap:
            found.append(f"{device.path} is active swap")
        found += [f"{device.path} is held by {child.path} ({child.kind})" for child in device.children if child.kind != "part"]
        shown = {child.kname for child in device.children}
        found += [f"{device.path} is held by /dev/{holder}" for holder in device.holders if holder not in shown]
        cluster = _cluster(device)
        if cluster:
            found.append(f"{device.path} holds {cluster}, a file system that other machines may have mounted")
    if disk.claimed and not found:
        found.append(f"the kernel refuses exclusive access to {disk.path}: a driver or program uses it (a ZFS pool, say)")
    return tuple(found)


def require_free(disk: Device) -> None:
    """:raises DiskInUse: something uses the disk
    :raises DiskReadOnly: it cannot be written to
    """
    found = uses(disk)
    if found:
        raise DiskInUse(
            f"{describe(disk)} is in use and is never written to: {'; '.join(found)}.",
            hint=_way_out(disk),
            disk=disk.facts(),
            uses=list(found),
        )
    if disk.read_only:
        raise DiskReadOnly(
            f"{describe(disk)} is read-only.",
            hint="Remove its write protection, or choose another disk.",
            disk=disk.facts(),
        )


def _way_out(disk: Device) -> str:
    """:returns: what somebody can do about a disk in use, with the commands that end the uses which are known"""
    devices = list(disk.tree())
    mountpoints = {mountpoint for device in devices for mountpoint in device.mountpoints}
    if mountpoints.intersection(_RUNNING_SYSTEM):
        return (
            "The running system needs this disk. Choose another one with the hints; to replace the system itself, "
            "boot the machine from a live system, or use bootc_install_existing_root."
        )
    commands = [f"umount {shlex.quote(mountpoint)}" for mountpoint in sorted(mountpoints, reverse=True)]
    commands += [f"swapoff {device.path}" for device in devices if device.swap]
    commands += filter(None, map(_closed_by, reversed(devices)))
    if not commands:
        return "If the disk is the right one, end that use first (umount, vgchange -an, mdadm --stop, cryptsetup close, zpool export)."
    return f"If the disk is the right one, end that use first: {'; '.join(dict.fromkeys(commands))}."


def _closed_by(device: Device) -> str:
    name = device.path.rpartition("/")[2]
    if device.kind == "lvm":
        group = re.match(r"(?:[^-]|--)+", name)  # the device mapper's name: VG-LV, and hyphens in either are doubled
        return f"vgchange -an {group[0].replace('--', '-')}" if group else ""
    if device.kind.startswith("raid"):
        return f"mdadm --stop {device.path}"
    return f"cryptsetup close {shlex.quote(name)}" if device.kind == "crypt" else ""


def require_size(disk: Device, needed: int, why: str) -> None:
    """:param needed: bytes
    :param why: what needs them
    :raises DiskTooSmall: the disk is smaller
    """
    if disk.size < needed:
        raise DiskTooSmall(
            f"{describe(disk)} is too small: {human(needed)} are needed ({why}).",
            hint="Choose a larger disk, or a smaller image.",
            disk=disk.facts(),
            needed=needed,
        )


def contents(disk: Device) -> tuple[str, ...]:
    """:returns: partitions and signatures on the disk, in words; empty if there are none"""
    found: list[str] = []
    for device in disk.tree():
        if device.kind == "part":
            label = f" '{device.label}'" if device.label else ""
            found.append(f"{device.path}: {human(device.size)}, {device.content or 'no known contents'}{label}")
    types = [signature.type for signature in disk.signatures] or [kind for kind in (disk.table, disk.filesystem) if kind]
    for kind in dict.fromkeys(types):
        if kind not in _TABLES:
            found.append(f"{disk.path}: {kind}")  # beside partitions too, as on a hybrid ISO
        elif not disk.partitions:
            found.append(f"{disk.path}: partition table {kind}")
    return tuple(found)


def confirmation(disk: Device, devices: Iterable[Device]) -> str:
    """What the user must repeat so that the disk may be wiped.

    :param devices: all devices: an identity that two disks share identifies neither
    :returns: the serial; without a unique one the WWN; without that C(PATH/SIZE), the by-path name (or the kernel's) and bytes
    """
    others = [other for other in disks(devices) if other.kname != disk.kname]
    if disk.serial and disk.serial not in [other.serial for other in others]:
        return disk.serial
    if disk.wwn and disk.wwn not in [other.wwn for other in others]:
        return disk.wwn
    return f"{next(iter(disk.links_below('by-path')), disk.kname)}/{disk.size}"


def confirmed(disk: Device, wanted: str, wipe_confirm: str | None) -> bool:
    """:param wanted: what confirms this disk
    :returns: whether I(wipe_confirm) was given
    :raises WipeNotConfirmed: it was, and names another disk
    """
    if wipe_confirm is None:
        return False
    if wipe_confirm != wanted:
        raise WipeNotConfirmed(
            f"'wipe_confirm' is '{wipe_confirm}', but the hints chose {describe(disk)}, which is confirmed by '{wanted}'.",
            hint="One of the two is wrong. Nothing was written.",
            disk=disk.facts(),
            wipe_confirm_needed=wanted,
        )
    return True


def require_same(before: Device, now: Device) -> None:
    """Compare the disk that was examined with the one that the hints choose immediately before the first write.

    :raises DiskChanged: it is another one, or something was put on it
    """
    for name in ("kname", "serial", "wwn", "size"):
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            raise DiskChanged(
                f"Since {describe(before)} was examined, its {name} went from {old!r} to {new!r}.",
                hint="Disks came or went meanwhile. Nothing was written; run the task again.",
                disk=now.facts(),
            )
    if fingerprint(before) != fingerprint(now):
        raise DiskChanged(
            f"Since {describe(before)} was examined, its contents changed.",
            hint="Something else writes to it. Nothing was written; run the task again.",
            disk=now.facts(),
        )


def fingerprint(disk: Device) -> tuple[tuple[str, ...], ...]:
    """:returns: what tells whether the partitioning or a signature changed"""
    found = [(device.path, str(device.size)) for device in disk.partitions]
    marks = [(mark.device, mark.type, mark.offset, mark.uuid) for device in disk.tree() for mark in device.signatures]
    return tuple(sorted([*found, *marks]))


def _cluster(device: Device) -> str | None:
    kind = _CLUSTER_PARTITION_TYPES.get((device.partition_type or "").lower())
    types = {device.filesystem, *(signature.type for signature in device.signatures)}
    return kind or next((name for name in _CLUSTER_FILESYSTEMS if name in types), None)
