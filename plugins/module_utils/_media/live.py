# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the live system finds its root, and why it leaves disks alone: files that are added to the image's own initramfs.

The root travels in the initramfs, as a squashfs. So a CD, a stick, PXE and HTTP boot are the same to the live system, it needs no
driver and no address to find its root, and the medium can be taken out once the kernel runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .cpio import Entry, file, link

ROOT = "live/root.squashfs"
SETTINGS = "live/settings"

# "root=" is not given: dracut leaves that case to systemd, which is told not to look for a root on a disk.
# The layers of an image hold no SELinux labels, so a policy that is enforced would forbid everything.
KERNEL_ARGUMENTS = (
    "systemd.gpt_auto=0",
    "systemd.swap=0",
    "rd.luks=0",
    "rd.lvm=0",
    "rd.md=0",
    "rd.dm=0",
    "raid=noautodetect",
    "enforcing=0",
)

_UNIT = """\
# Written by imagemode.bootc
[Unit]
Description=Root of the live system
DefaultDependencies=no
AssertPathExists=/live/root.squashfs
After=systemd-modules-load.service dracut-initqueue.service dracut-pre-mount.service
Before=initrd-root-fs.target
OnFailure=emergency.target
OnFailureJobMode=replace-irreversibly

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -e /live/mount
"""

_MOUNT = """\
# One that the initramfs has too is loaded by then, which is an error to insmod.
for module in /live/modules/*; do /live/insmod "$module" 2>/dev/null || true; done
mkdir -p /run/live/root /run/live/changes
mount -t squashfs -o ro,loop /live/root.squashfs /run/live/root
mount -t tmpfs -o mode=0755,size=75% changes /run/live/changes
mkdir /run/live/changes/upper /run/live/changes/work
mount -t overlay -o lowerdir=/run/live/root,upperdir=/run/live/changes/upper,workdir=/run/live/changes/work live /sysroot
# An overlay cannot be the upper layer of another one, and containers are overlays.
mkdir -p /sysroot/var/lib/containers
mount -t tmpfs -o mode=0755,size=90% containers /sysroot/var/lib/containers
if [ -d /live/settings ]; then cp -a /live/settings/. /sysroot/; fi
"""

# What assembles, activates or uses disks by itself: a live system waits to be told.
_MASKED_RULES = (
    "64-md-raid-assembly.rules",
    "65-md-incremental.rules",
    "69-dm-lvm.rules",
    "69-dm-lvm-metad.rules",
    "69-bcache.rules",
)
_MASKED_UNITS = (
    "bootc-fetch-apply-updates.timer",
    "lvm2-activation-early.service",
    "lvm2-activation.service",
    "zfs-import-cache.service",
    "zfs-import-scan.service",
)


def initramfs(modules: Sequence[Path]) -> dict[str, Entry]:
    """:param modules: files of kernel modules that the root needs, in the order in which they are loaded
    :returns: what mounts the root, without the root itself
    """
    unit = "etc/systemd/system/live-root.service"
    return {
        **{f"live/modules/{number:02}-{path.name}": file(path) for number, path in enumerate(modules)},
        # kmod is in every initramfs, and loads a file when it is called by this name.
        "live/insmod": link("/usr/bin/kmod"),
        unit: file(_UNIT.encode()),
        "etc/systemd/system/initrd-root-fs.target.requires/live-root.service": link(f"/{unit}"),
        "live/mount": file(_MOUNT.encode()),
    }


def quiet() -> dict[str, Entry]:
    """:returns: files of the live system that keep it from touching a disk by itself"""
    rules = {f"etc/udev/rules.d/{name}": link("/dev/null") for name in _MASKED_RULES}
    units = {f"etc/systemd/system/{name}": link("/dev/null") for name in _MASKED_UNITS}
    return {**rules, **units, "etc/fstab": file(b"# The live system mounts nothing by itself.\n")}
