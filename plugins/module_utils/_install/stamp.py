# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stamp on the disk: which installation was begun there, and whether it was finished.

It is one block before the first partition, which no partitioning program and no boot loader on GPT uses, so it outlives
a power cut, and `bootc install` itself. It tells a half-written disk from one with somebody's data, and what an encrypted disk holds.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .._disk.device import Device
from .._disk.hints import describe
from .errors import InstallError

BLOCK = 4096
MIB = 1024**2
# Partitions begin at 1 MiB; GPT itself ends at 24 KiB at the latest (4096-byte sectors).
OFFSET = MIB - BLOCK
# Where bootc's partitions begin (baseline.rs): after none or one for BIOS or OpenFirmware, none or an ESP of either size, none or /boot.
_STARTS = tuple(sorted((1 + first + esp + boot) * MIB for first in (0, 1, 4) for esp in (0, 512, 1024) for boot in (0, 510)))
# All that tells a file system, RAID or partition table from nothing is in the first or last MiB.
_ZEROES = bytes(MIB)
_MAGIC = b"imagemode.bootc stamp 1\n"
# What `bootc install to-disk` makes partitions of (contract.md 5.2): BIOS boot, PReP, EFI system, Linux, its roots, /boot.
_PARTITION_TYPES = (
    "21686148-6449-6e6f-744e-656564454649",
    "9e1a2d38-c612-4316-aa26-8b49521e5a8b",
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    "0fc63daf-8483-4772-8e79-3d69d8477de4",
    "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    "b921b045-1df0-41c3-af44-4c6f280d3fae",
    "c31c45e6-3f39-412e-80fb-4809c4980599",
    "5eead9a9-fe09-4a1e-a1d7-520d00531306",
    "72ec70a6-cf74-40e6-bd49-4bda08e8f224",
    "bc13c2ff-59e6-4262-a352-b275fd6f7172",
)
# Its partitions' names, and the labels of the file systems in them: `sfdisk`, `mkfs` in recordings/install.jsonl (bootc 1.16.9).
_PARTITION_LABELS = ("BIOS-BOOT", "PowerPC-PReP-boot", "EFI-SYSTEM", "boot", "root")
# mkfs.fat writes the label after the rest; LUKS has none.
_MAY_LACK_LABEL = ("vfat", "crypto_LUKS")
_TABLES = ("gpt", "PMBR")
# What the kernel says of a disk that is not broken.
_FAULTS = {
    errno.EBUSY: ("disk_in_use", "Something took the disk into use meanwhile; find it with 'lsblk' and end that use."),
    errno.EROFS: ("disk_read_only", "Remove its write protection, or choose another disk."),
    errno.ENOENT: ("disk_gone", "The disk disappeared meanwhile; check its cabling and the kernel's log."),
    errno.ENXIO: ("disk_gone", "The disk disappeared meanwhile; check its cabling and the kernel's log."),
}


@dataclass(frozen=True)
class Stamp:
    """An installation as it was asked for.

    :ivar state: C(begun) or C(finished)
    :ivar disk: the disk it was made for, as L(identity) names it: a copy of the disk is another one
    :ivar image: what was installed from
    :ivar target: what the installed machine follows
    :ivar digest: of the manifest for its platform
    :ivar when: UTC, ISO 8601
    """

    state: str
    disk: str
    image: str
    target: str
    digest: str
    when: str

    def facts(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "disk"}

    def resumable(self, disk: Device) -> bool:
        """:returns: whether all that is on the disk is what the interrupted installation left"""
        return (
            self.state == "begun"
            and self.disk == identity(disk)
            and all(mark.type in _TABLES for mark in disk.signatures)
            and all(_made_by_bootc(partition) for partition in disk.partitions)
        )

    def holds(self, disk: Device, target: str, digests: frozenset[str]) -> bool:
        """:returns: whether that image was installed completely; an upgrade since then is not known here"""
        return self.state == "finished" and self.disk == identity(disk) and self.digest in digests and self.target == target


def _made_by_bootc(partition: Device) -> bool:
    """Whoever partitioned the disk since then, or made other file systems in it, would lose data."""
    return (
        (partition.partition_type or "").lower() in _PARTITION_TYPES
        and partition.partition_label in _PARTITION_LABELS
        and all(
            mark.label == partition.partition_label or (not mark.label and mark.type in _MAY_LACK_LABEL) for mark in partition.signatures
        )
    )


def identity(disk: Device) -> str:
    return f"{disk.serial or disk.wwn or ''}/{disk.size}"


def encode(stamp: Stamp) -> bytes:
    """:returns: the block"""
    return (_MAGIC + json.dumps(asdict(stamp), sort_keys=True).encode() + b"\n").ljust(BLOCK, b"\0")


def decode(block: bytes) -> Stamp | None:
    """:returns: the stamp, or C(None) if the block is not one"""
    if not block.startswith(_MAGIC):
        return None
    try:
        return Stamp(**json.loads(block[len(_MAGIC) :].partition(b"\n")[0]))
    except (ValueError, TypeError):
        return None


def read_block(disk: Device) -> bytes:
    """:returns: what is where the stamp belongs; empty if the disk cannot be read there"""
    try:
        descriptor = os.open(disk.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, BLOCK, OFFSET)
        finally:
            os.close(descriptor)
    except OSError:
        return b""


def write_block(disk: Device, block: bytes) -> None:
    """:raises InstallError: C(disk_failed), or a code that is known to be the cause"""
    _write(disk, {OFFSET: block})


def clear_head(disk: Device) -> None:
    """Leave nothing before the first partition: neither boot code nor a stamp.

    :raises InstallError: C(disk_failed), or a code that is known to be the cause
    """
    _write(disk, {0: _ZEROES})


def head_is_clear(file: str) -> bool:
    with open(file, "rb") as stream:
        return not any(stream.read(MIB))


def clear_starts(disk: Device) -> None:
    """Make way on a disk that holds nothing.

    C(mkfs.xfs) and C(mkfs.btrfs) refuse what an old file system has left where a new one begins, although no partition leads to it, and
    bootc has them overwrite it only with C(--wipe), and btrfs not even then (1.16.9, baseline.rs). With that it would not refuse
    partitions any more that somebody makes meanwhile.

    :raises InstallError: C(disk_failed), or a code that is known to be the cause
    """
    last = disk.size - len(_ZEROES)
    # RAID and ZFS have their marks at the end.
    _write(disk, dict.fromkeys([*(start for start in _STARTS if start < last), max(last, MIB)], _ZEROES))


def _write(disk: Device, blocks: Mapping[int, bytes]) -> None:
    try:
        descriptor = os.open(disk.path, os.O_WRONLY | os.O_EXCL | os.O_CLOEXEC)
        try:
            for offset, block in blocks.items():
                os.pwrite(descriptor, block, offset)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        code, hint = _FAULTS.get(
            error.errno or 0, ("disk_failed", "Look at the kernel's log (dmesg) and the disk's SMART data (smartctl).")
        )
        raise InstallError(
            f"{describe(disk)} does not take a write: {error.strerror}.", error=code, hint=hint, disk=disk.facts()
        ) from error
