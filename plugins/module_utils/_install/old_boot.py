# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the machine boots from before it is taken over: C(/boot), EFI system partitions, boot code of disks.

bootc empties C(/boot) and the EFI system partition (clean_boot_directories; from 1.12.0 on also one that is not mounted), and
bootupd writes to these, and to the boot code. Its entry in the firmware's variables is left: one for the same system leads to
the same file, and the firmware passes over one whose file is gone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .._disk.device import Device
from .._disk.scan import Scanner
from .._errors import ImageModeError
from .._runner import Runner
from .mounts import with_mounted
from .on_tree import remove

_BOOT = Path("/boot")
_ESP = ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "0xef")
# BIOS boot; PReP in a GPT and in an MBR.
_CODE = ("21686148-6449-6e6f-744e-656564454649", "9e1a2d38-c612-4316-aa26-8b49521e5a8b", "0x41")
# Before the partition table in the first sector.
_MBR_CODE = 440
_SECTOR = 512
# GRUB's code behind an MBR ends before the first partition, and is smaller than this.
_GAP_END = 1024**2


@dataclass(frozen=True)
class BootCode:
    """A part of a device where a boot loader is.

    :ivar name: of the file that keeps it: it names the same part after a reboot
    """

    name: str
    path: str
    start: int
    size: int

    def read(self) -> bytes:
        with open(self.path, "rb") as device:
            device.seek(self.start)
            return device.read(self.size)

    def write(self, content: bytes) -> None:
        # Not compared first: GRUB writes a partition by way of its disk, and the kernel may remember the partition as it was.
        with open(self.path, "r+b") as device:
            device.seek(self.start)
            device.write(content)
            device.flush()
            os.fsync(device.fileno())


class OldBoot:
    """
    :param directory: where it is saved
    """

    def __init__(self, runner: Runner, directory: Path) -> None:
        self._runner = runner
        self._directory = directory
        try:
            devices = Scanner(runner).devices()
        except ImageModeError:
            devices = ()
        self._disks = [disk for disk in devices if any("/" in device.mountpoints for device in disk.tree())]
        self._esps = {
            _name(disk, device): device for disk in self._disks for device in disk.tree() if device.filesystem == "vfat" and _is_esp(device)
        }
        self._code = [code for disk in self._disks for code in _boot_code(disk)]

    @property
    def doubt(self) -> str | None:
        """:returns: what cannot be put back, in words; C(None) if all can be"""
        if self._disks:
            return None
        return "The disk below the root was not found: if the installation fails, /boot is put back, and no boot loader."

    @property
    def said(self) -> str:
        esps = [device.path for device in self._esps.values()]
        code = sorted({f"the boot code of {code.path}" for code in self._code})
        return self.doubt or f"If the installation fails, this is put back: {', '.join(['/boot', *esps, *code])}."

    def save(self) -> None:
        """:raises ImageModeError: C(takeover_unsuitable): something cannot be read, and could not be put back"""
        remove(self._directory)
        try:
            _copy(_BOOT, self._directory / "boot")
            self._each_esp(lambda name, esp: _copy(esp, self._directory / name))
            for code in self._code:
                (self._directory / code.name).write_bytes(code.read())
        except OSError as error:
            self.forget()
            raise ImageModeError(
                f"What this machine boots from cannot be saved: {error}",
                error="takeover_unsuitable",
                hint="Mend that; if the installation failed, the machine would not boot any more. Nothing was written.",
            ) from error
        os.sync()

    def restore(self) -> None:
        """:raises ImageModeError: C(takeover_not_undone); what was saved stays for another try"""
        os.sync()  # what was written by way of the disk must not follow what is written to its partition
        try:
            _put_back(self._directory / "boot", _BOOT)
            self._each_esp(lambda name, esp: _put_back(self._directory / name, esp))
            for code in self._code:
                if (self._directory / code.name).exists():
                    code.write((self._directory / code.name).read_bytes())
        except OSError as error:
            raise ImageModeError(
                f"What this machine booted from could not be put back: {error} Do not reboot before /boot, the EFI system partition and the"
                f" boot code are as they are saved in {self._directory}.",
                error="takeover_not_undone",
                changed=True,
            ) from error

    def forget(self) -> None:
        remove(self._directory)

    def require_no_doubt(self) -> None:
        """:raises ImageModeError: C(takeover_not_undone)"""
        if self.doubt:
            raise ImageModeError(
                "/boot was put back, and the boot loader was not, as the disk below the root was not found. Do not reboot before the old"
                " system's boot loader is installed again (grub-install, bootctl install).",
                error="takeover_not_undone",
                changed=True,
            )

    def _each_esp(self, work: Callable[[str, Path], None]) -> None:
        def inside(roots: Mapping[str, Path]) -> None:
            for name, esp in self._esps.items():
                if esp.path not in roots:
                    raise OSError(f"{esp.path} cannot be mounted for writing.")
                work(name, roots[esp.path])

        if self._esps:
            with_mounted(self._runner, list(self._esps.values()), inside, writable=True)


def _is_esp(device: Device) -> bool:
    # One on a RAID 1 has no type of its own. At /boot it is saved with that.
    return "/boot" not in device.mountpoints and (device.partition_type in _ESP or bool({"/boot/efi", "/efi"} & set(device.mountpoints)))


def _name(disk: Device, device: Device, start: int | None = None) -> str:
    """:returns: one that names the same part after a reboot, when disks may have other names"""
    words = [disk.serial or disk.kname, device.kname.removeprefix(disk.kname), "" if start is None else str(start)]
    return "-".join(word.replace("/", "-") for word in words if word)


def _boot_code(disk: Device) -> list[BootCode]:
    found = [
        BootCode(_name(disk, device, 0), device.path, 0, device.size)
        for device in disk.tree()
        if (device.partition_type or "").lower() in _CODE
    ]
    # A file system on a disk without partitions begins where the code would be.
    if disk.table in ("gpt", "dos"):
        found.append(BootCode(_name(disk, disk, 0), disk.path, 0, _MBR_CODE))
    if disk.table == "dos" and disk.partitions:
        end = min(_GAP_END, *(_begin(partition) for partition in disk.partitions))
        found.append(BootCode(_name(disk, disk, _SECTOR), disk.path, _SECTOR, end - _SECTOR))
    return found


def _begin(partition: Device) -> int:
    # In sectors of 512 bytes, whatever the disk has: the kernel's Documentation/ABI/stable/sysfs-block.
    return int(Path("/sys/class/block", partition.kname, "start").read_text()) * 512


def _copy(source: Path, target: Path) -> None:
    """Copy a directory, and nothing that is mounted in it."""

    def mounted(directory: str, names: list[str]) -> list[str]:
        return [name for name in names if os.path.ismount(os.path.join(directory, name))]

    shutil.copytree(source, target, symlinks=True, ignore=mounted)


def _put_back(saved: Path, place: Path) -> None:
    """Make a directory what was saved of it, but for what is mounted in it."""
    for path in place.iterdir():
        if not path.is_mount() and path.name != "lost+found":
            remove(path)
    shutil.copytree(saved, place, symlinks=True, dirs_exist_ok=True)
