# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""GRUB for BIOS and UEFI. libostree writes the boot entries (as a syslinux.cfg, atomically); GRUB only reads them."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import BootcError, run

MODULES = [
    "normal",
    "part_gpt",
    "ext2",
    "xfs",
    "btrfs",
    "search",
    "search_fs_uuid",
    "linux",
    "boot",
    "echo",
    "test",
    "regexp",
    "minicmd",
    "configfile",
    "syslinuxcfg",
    "serial",
    "terminal",
    "sleep",
    "reboot",
    "gzio",
]
# Made where the root, or /boot, may be on LVM or RAID.
STACKED = ["lvm", "mdraid1x", "mdraid09"]
# No countdown: where a machine's host is short of time, GRUB gets its clock wrong, and a second took six minutes once.
CONFIG = """serial --unit=0 --speed=115200
terminal_output serial console
set default=0
set timeout=0
syslinux_source -s {prefix}/loader/syslinux.cfg
"""
SECTOR = 512


@dataclass(frozen=True)
class Place:
    """Where the system is written to.

    `root` is mounted; `root_spec` is how the kernel finds it; `boot` is the file system's UUID that holds /boot; `prefix` is
    where /boot is on it; `targets` are disks with their BIOS boot partition and ESP, as far as they have them.
    """

    root: Path
    root_spec: str
    boot: str
    prefix: str = "/boot"
    targets: tuple[tuple[str, str | None, str | None], ...] = ()


def prepare(root: Path) -> None:
    """Before the first deployment: where libostree's syslinux writer expects its file."""
    boot = root / "boot"
    (boot / "loader.0").mkdir(parents=True)
    (boot / "loader").symlink_to("loader.0")
    (boot / "loader.0/syslinux.cfg").write_text("TIMEOUT 10\n")
    (boot / "syslinux").mkdir()
    (boot / "syslinux/syslinux.cfg").symlink_to("../loader/syslinux.cfg")
    run("ostree", "config", f"--repo={root}/ostree/repo", "set", "sysroot.bootloader", "syslinux")


def _image(platform: str, place: Place, output: Path) -> None:
    early = output.with_suffix(".cfg")
    early.write_text(f"search.fs_uuid {place.boot} root\nset prefix=($root){place.prefix}/grub\n")
    extra = ["biosdisk", "linux16"] if platform == "i386-pc" else ["efi_gop", "fat"]
    available = Path("/usr/lib/grub", platform)
    modules = [name for name in [*MODULES, *STACKED, *extra] if (available / f"{name}.mod").exists()]
    run("grub-mkimage", "-O", platform, "-o", str(output), "-c", str(early), "-p", f"{place.prefix}/grub", *modules)
    early.unlink()


def install(place: Place) -> None:
    if not (shutil.which("bootupctl") and Path("/usr/lib/bootupd/updates").is_dir()):
        raise BootcError("bootupd is required for ostree-based installs")
    (place.root / "boot/grub").mkdir(exist_ok=True)
    (place.root / "boot/grub/grub.cfg").write_text(CONFIG.format(prefix=place.prefix))
    for device, bios, esp in place.targets:
        if bios:
            _bios(device, bios, place)
        if esp:
            _efi(esp, place)


def _efi(esp: str, place: Place) -> None:
    mounted = Path("/run/bootc-reference/esp")
    mounted.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "vfat", esp, str(mounted))
    try:
        (mounted / "EFI/BOOT").mkdir(parents=True, exist_ok=True)
        _image("x86_64-efi", place, mounted / "EFI/BOOT/BOOTX64.EFI")
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def _bios(device: str, partition: str, place: Place) -> None:
    """What grub-bios-setup writes, without its guesses about mounted directories."""
    core_file = Path("/run/bootc-reference/core.img")
    core_file.parent.mkdir(parents=True, exist_ok=True)
    _image("i386-pc", place, core_file)
    core = bytearray(core_file.read_bytes())
    boot = bytearray(Path("/usr/lib/grub/i386-pc/boot.img").read_bytes())
    name = os.path.basename(os.path.realpath(partition))
    start = int(Path(f"/sys/class/block/{name}/start").read_text())
    if len(core) > int(Path(f"/sys/class/block/{name}/size").read_text()) * SECTOR:
        raise BootcError("GRUB's core image does not fit the BIOS boot partition")
    struct.pack_into("<Q", boot, 0x5C, start)  # where the core image begins
    boot[0x66:0x68] = b"\x90\x90"  # no check for a floppy drive's number
    struct.pack_into("<QH", core, SECTOR - 12, start + 1, (len(core) + SECTOR - 1) // SECTOR - 1)  # and where the rest of it is
    core += bytes(-len(core) % SECTOR)
    with open(device, "r+b") as disk:
        disk.write(boot[:440])
        disk.seek(start * SECTOR)
        disk.write(core)
        disk.flush()
        os.fsync(disk.fileno())
