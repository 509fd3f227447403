# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A takeover that fails leaves a machine that boots what it booted before. Files stand for disks, directories for mounted partitions."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.device import Device
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._install import old_boot
from ansible_collections.imagemode.bootc.plugins.module_utils._install.old_boot import OldBoot

ESP, BIOS_BOOT = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "21686148-6449-6e6f-744e-656564454649"


class Machine:
    """Its /boot, its EFI system partition and its disk.

    :ivar table: of the disk's partitions
    :ivar mountable: whether the EFI system partition can be mounted
    :ivar esp_at: where it is mounted already
    """

    def __init__(self, directory: Path) -> None:
        self.table = "gpt"
        self.mountable = True
        self.esp_at = "/boot/efi"
        self.boot, self.esp, self.disk, self.code = (directory / name for name in ("boot", "esp", "sda", "sda1"))
        for path, text in (
            (self.boot / "grub/grub.cfg", "old"),
            (self.boot / "grub/efi/x", "old"),
            (self.esp / "EFI/debian/shim.efi", "old"),
        ):
            path.parent.mkdir(parents=True)
            path.write_text(text)
        self.disk.write_bytes(b"o" * 4096)
        self.code.write_bytes(b"o" * 4096)

    def devices(self) -> tuple[Device, ...]:
        partitions = (
            Device("sda1", str(self.code), "part", 4096, partition_type=BIOS_BOOT),
            Device("sda15", "/dev/sda15", "part", 4096, filesystem="vfat", partition_type=ESP, mountpoints=(self.esp_at,)),
            Device("sda2", "/dev/sda2", "part", 4096, filesystem="ext4", mountpoints=("/",)),
        )
        other = Device("sdb15", "/dev/sdb15", "part", 4096, filesystem="vfat", partition_type=ESP)
        return (
            Device("sda", str(self.disk), "disk", 4096, serial="S/1", table=self.table, children=partitions),
            Device("sdb", "/dev/sdb", "disk", 4096, table="gpt", children=(other,)),
        )

    def with_mounted(self, _runner: Any, partitions: list[Device], work: Any, *, writable: bool) -> None:
        assert writable
        work({partition.path: self.esp for partition in partitions} if self.mountable else {})

    def install(self) -> None:
        """What bootc and bootupd do: `clean_boot_directories`, grub2-install, a new EFI system partition."""
        for place in (self.boot, self.esp):
            shutil.rmtree(place)
            (place / "new").mkdir(parents=True)
        self.disk.write_bytes(b"n" * 4096)
        self.code.write_bytes(b"n" * 4096)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(old_boot, "_BOOT", made.boot)
    monkeypatch.setattr(old_boot, "Scanner", lambda _runner: made)
    monkeypatch.setattr(old_boot, "with_mounted", made.with_mounted)
    monkeypatch.setattr(old_boot, "_begin", lambda _partition: 2048)
    return made


def old(tmp_path: Path) -> OldBoot:
    return OldBoot(SimpleNamespace(), tmp_path / "saved")  # type: ignore[arg-type]


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("esp_at", ["/boot/efi", ""])
def test_the_old_boot_loader_comes_back(machine: Machine, tmp_path: Path, esp_at: str) -> None:
    machine.esp_at = esp_at
    old(tmp_path).save()
    machine.install()
    again = old(tmp_path)  # a run that was killed is undone by the next
    again.restore()
    assert files(machine.boot) == ["grub/efi/x", "grub/grub.cfg"]
    assert files(machine.esp) == ["EFI/debian/shim.efi"]
    assert not (machine.esp / "new").exists()
    assert machine.code.read_bytes() == b"o" * 4096
    # The partition table is not touched.
    assert machine.disk.read_bytes() == b"o" * 440 + b"n" * (4096 - 440)
    again.forget()
    assert not (tmp_path / "saved").exists()
    assert "/dev/sda15" in again.said
    assert "sdb" not in again.said


def test_behind_an_mbr_is_boot_code_too(machine: Machine, tmp_path: Path) -> None:
    machine.table = "dos"
    old(tmp_path).save()
    machine.install()
    old(tmp_path).restore()
    assert machine.disk.read_bytes() == b"o" * 440 + b"n" * 72 + b"o" * 1536 + b"n" * 2048


def test_a_file_system_on_a_whole_disk_is_not_boot_code(machine: Machine, tmp_path: Path) -> None:
    machine.table = ""
    old(tmp_path).save()
    machine.install()
    old(tmp_path).restore()
    assert machine.disk.read_bytes() == b"n" * 4096


def test_an_esp_that_is_boot_is_saved_once(machine: Machine, tmp_path: Path) -> None:
    machine.esp_at = "/boot"
    old(tmp_path).save()
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["S-1-0", "S-1-1-0", "boot"]


def test_what_cannot_be_saved_is_not_overwritten(machine: Machine, tmp_path: Path) -> None:
    machine.mountable = False
    with pytest.raises(ImageModeError) as caught:
        old(tmp_path).save()
    assert caught.value.error == "takeover_unsuitable"
    assert "/dev/sda15" in caught.value.message
    assert not (tmp_path / "saved").exists()


def test_what_is_not_put_back_is_kept_and_forbids_a_reboot(machine: Machine, tmp_path: Path) -> None:
    old(tmp_path).save()
    machine.install()
    machine.mountable = False
    with pytest.raises(ImageModeError) as caught:
        old(tmp_path).restore()
    assert caught.value.error == "takeover_not_undone"
    assert "Do not reboot" in caught.value.message
    assert (tmp_path / "saved/S-1-15/EFI/debian/shim.efi").exists()


def test_an_unknown_disk_is_said_before_and_afterwards(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "devices", lambda: ())
    job = old(tmp_path)
    assert job.doubt == job.said
    job.save()
    machine.install()
    job.restore()
    assert files(machine.boot) == ["grub/efi/x", "grub/grub.cfg"]
    with pytest.raises(ImageModeError) as caught:
        job.require_no_doubt()
    assert "Do not reboot" in caught.value.message
