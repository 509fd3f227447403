# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mounting a disk's partitions where nobody else sees them, and never leaving them mounted."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from .._disk.device import Device
from .._runner import CommandFailed, Runner

T = TypeVar("T")

_CLONE_NEWNS = 0x00020000  # linux/sched.h
# Reading must not write: without these options the kernel replays a journal even on a read-only mount.
_READ_ONLY = {
    "ext4": "ro,noload",
    "ext3": "ro,noload",
    "ext2": "ro",
    "xfs": "ro,norecovery,nouuid",
    "btrfs": "ro,rescue=nologreplay",
    "vfat": "ro",
}


def with_mounted(
    runner: Runner,
    partitions: Sequence[Device],
    work: Callable[[Mapping[str, Path]], T],
    *,
    writable: bool = False,
) -> T:
    """Call I(work) with where each partition is mounted, by its path; what cannot be mounted is left out.

    It runs in a thread with a mount namespace of its own: should this process be killed, the kernel unmounts.

    :param writable: mount for writing
    """

    def inside() -> T:
        _leave_mount_namespace()
        runner.run(["mount", "--make-rprivate", "/"])
        mounted: dict[str, Path] = {}
        directory = tempfile.mkdtemp(prefix="imagemode-disk-", dir="/run")
        try:
            for partition in partitions:
                target = Path(directory, partition.kname)
                if _mount(runner, partition, target, writable):
                    mounted[partition.path] = target
            return work(mounted)
        finally:
            _unmount(runner, list(mounted.values()), directory)

    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(inside).result()


def mountable(disk: Device) -> tuple[Device, ...]:
    """:returns: partitions with a file system that an installation uses, the ones of Linux first"""
    found = [partition for partition in disk.partitions if partition.content in _READ_ONLY]
    return tuple(sorted(found, key=lambda partition: partition.content == "vfat"))


def _mount(runner: Runner, partition: Device, target: Path, writable: bool) -> bool:
    options = "rw" if writable else _READ_ONLY[str(partition.content)]
    target.mkdir()
    try:
        runner.run(["mount", "-t", str(partition.content), "-o", f"{options},nosuid,nodev,noexec", partition.path, str(target)])
    except CommandFailed:
        target.rmdir()
        return False
    return True


def _unmount(runner: Runner, targets: Sequence[Path], directory: str) -> None:
    """Unmount all of them, and remove nothing but empty directories: what could not be unmounted still leads to the disk.

    :raises CommandFailed: one could not be unmounted
    """
    failed: CommandFailed | None = None
    for target in reversed(targets):
        try:
            runner.run(["umount", str(target)])
            target.rmdir()
        except CommandFailed as error:
            failed = error
    if failed:
        raise failed
    os.rmdir(directory)


def _leave_mount_namespace() -> None:
    # os.unshare is there from Python 3.12 on. A namespace belongs to a thread, so only this one is moved.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")
