# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`bootc install to-disk`: a whole disk, or a file that is used as one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .._destination import require_place
from .._disk.device import Device
from .._disk.guard import confirmation, confirmed, contents, fingerprint, require_free, require_same
from .._disk.hints import Hints, choose, describe
from .._disk.scan import Scanner, is_claimed
from .._errors import ImageModeError
from .._runner import Runner
from . import stamp as stamps
from .claim import Claim
from .command import to_disk
from .errors import DiskGone
from .image import Abilities, Image, Request, require_room
from .installation import Installation
from .installed import Installed
from .loop import attached
from .mounts import mountable, with_mounted
from .plan import Plan, plan, sealed
from .stamp import Stamp


class DiskInstallation(Installation):
    """A disk, and what is to be on it.

    :param may_write: not in check mode; a container that a killed run left behind is ended then
    :ivar disk: the disk that the hints chose, as it was last examined
    :ivar stamp: the one on it, as last read
    """

    def __init__(self, runner: Runner, hints: Hints, request: Request, *, may_write: bool) -> None:
        self._hints = hints
        self._scanner = Scanner(runner)
        self._devices = self._scanner.devices()
        disk = self._choose(self._devices)
        super().__init__(runner, request, Claim.of_disk(runner, disk.kname))
        require_tpm(request.block_setup)
        self.stamp = self._read_stamp(disk)
        begun = self.stamp is not None and self.stamp.state == "begun"
        if begun and self._claim.end_interrupted(may_write=may_write):
            self._devices = self._scanner.devices()
        self.disk = self._scanner.examine(self._choose(self._devices))
        require_free(self.disk)
        if not (self.stamp and self.stamp.resumable(self.disk)):
            self.installed = self._read()
        self._block: bytes | None = None

    @property
    def place(self) -> str:
        return self.disk.path

    def facts(self) -> dict[str, Any]:
        return self.disk.facts()

    @property
    def sealed(self) -> bool:
        return sealed(self.disk)

    def shown(self, installed: Mapping[str, Any] | None) -> dict[str, Any]:
        return {"disk": self.disk.path, "serial": self.disk.serial, "installed": installed}

    def plan(self, digests: frozenset[str], wipe_confirm: str | None) -> Plan:
        wanted = self._confirmation()
        return plan(
            self.disk,
            self._contents(),
            self.installed,
            self._request,
            digests,
            confirmed=confirmed(self.disk, wanted, wipe_confirm),
            confirmation=wanted,
            stamp=self.stamp,
        )

    def _choose(self, devices: tuple[Device, ...]) -> Device:
        return choose(devices, self._hints)

    def _confirmation(self) -> str:
        return confirmation(self.disk, self._devices)

    def _contents(self) -> tuple[str, ...]:
        return contents(self.disk)

    def _command(self, what: Plan) -> list[str]:
        return to_disk(self._request, self.disk.path, wipe=what.wipe)

    def _require_room(self, image: Image, abilities: Abilities) -> None:
        require_tpm(abilities.block_setup(self._request))
        require_room(image, abilities, self._request, self.disk)

    def _require_unchanged(self) -> None:
        now = self._scanner.examine(self._choose(self._scanner.devices()))
        require_same(self.disk, now)
        require_free(now)

    def _begin(self, image: Image, name: str, what: Plan) -> None:
        self._require_unchanged()
        self._block = stamps.read_block(self.disk)
        self.stamp = Stamp(
            "begun",
            stamps.identity(self.disk),
            name,
            self._request.target,
            image.digest,
            datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )
        stamps.write_block(self.disk, stamps.encode(self.stamp))
        if not what.wipe:
            stamps.clear_starts(self.disk)
        self._scanner.settle()  # udev looks at a disk that was written to, and keeps the partitioning program from it

    def _finish(self) -> None:
        if self.stamp is not None:
            self.stamp = Stamp(**{**vars(self.stamp), "state": "finished"})
            stamps.write_block(self.disk, stamps.encode(self.stamp))

    def _look_again(self) -> None:
        self._examine()
        self.installed = self._read()

    def _examine(self) -> None:
        """:raises DiskGone: the disk is not there any more"""
        self._devices = self._scanner.devices()
        now = next((device for device in self._devices if device.kname == self.disk.kname), None)
        if now is None or now.size != self.disk.size:
            raise DiskGone(
                f"{describe(self.disk)} disappeared while it was written to.",
                hint="Check its cabling and the kernel's log. Once it is back, run the task again: it is installed anew.",
                disk=self.disk.facts(),
            )
        self.disk = self._scanner.examine(now)

    def _undo(self) -> bool:
        before = fingerprint(self.disk)
        self._examine()
        if fingerprint(self.disk) == before:
            if self._block is not None:
                stamps.write_block(self.disk, self._block)
            return False
        self._clear()
        return True

    def _clear(self) -> None:
        """Take partition table and signatures away: a half-written system must not boot, and the next run finds an empty disk."""
        self._release()
        require_free(self.disk)
        paths = [*(partition.path for partition in self.disk.partitions), self.disk.path]
        for path in paths:
            self._runner.run(["wipefs", "--all", "--force", path], check=False)
        stamps.clear_head(self.disk)
        # udev looks at each wiped partition, and while it does, the kernel keeps its old table.
        for _attempt in range(5):
            self._scanner.settle()
            if self._runner.run(["blockdev", "--rereadpt", self.disk.path], check=False).rc == 0:
                break
            time.sleep(1)

    def _leave(self) -> None:
        stamps.write_block(self.disk, bytes(stamps.BLOCK))

    def _holds_nothing(self) -> bool:
        return not self.sealed and not mountable(self.disk)

    def _release(self) -> None:
        """The disk was free before, so what holds it now is what the installer left."""
        for device in self.disk.tree():
            if device.kind == "crypt" and self._runner.find("cryptsetup"):
                self._runner.run(["cryptsetup", "close", os.path.basename(device.path)], check=False)
        deadline = time.monotonic() + 15
        while is_claimed(self.disk.path) and time.monotonic() < deadline:
            time.sleep(0.5)  # the mounts of a killed container go a moment after it
        self._examine()

    def _read(self) -> Installed | None:
        found = super()._read()
        kinds = {partition.path: partition.content for partition in self.disk.partitions}
        return None if found is None else replace(found, filesystem=kinds.get(found.device))

    def _mounted(self, work: Callable[[Mapping[str, Path]], Any], *, writable: bool = False) -> Any:
        found = mountable(self.disk)
        return with_mounted(self._runner, found, work, writable=writable) if found else None

    def _read_stamp(self, disk: Device) -> Stamp | None:
        return stamps.decode(stamps.read_block(disk))


class FileInstallation(DiskInstallation):
    """A file that is used as a disk, by a loop device.

    :param size: bytes, for a file that is made now
    """

    def __init__(self, runner: Runner, file: str, size: int | None, request: Request, *, may_write: bool) -> None:
        self.file = os.path.realpath(file)
        self._open = ExitStack()
        try:
            self._device = self._attached(runner, size, may_write)
            # udev looks at what was written to, and would have the device a moment longer.
            self._open.callback(Scanner(runner).settle)
            super().__init__(runner, Hints(name=self.file), request, may_write=may_write)
        except BaseException:
            self.close()
            raise

    @property
    def place(self) -> str:
        return self.file

    def close(self) -> None:
        """Detach the loop device."""
        self._open.close()

    def facts(self) -> dict[str, Any]:
        return {**self.disk.facts(), "name": self.file}

    def shown(self, installed: Mapping[str, Any] | None) -> dict[str, Any]:
        return {"file": self.file, "installed": installed}

    def _choose(self, devices: tuple[Device, ...]) -> Device:
        return next(device for device in devices if device.path == self._device)

    def _confirmation(self) -> str:
        return self.file

    def _contents(self) -> tuple[str, ...]:
        """Of an archive, or of a disk image in another format, libblkid knows nothing."""
        found = super()._contents()
        return found or (() if stamps.head_is_clear(self.file) else (f"{self.file}: data of a kind that is not known",))

    def _attached(self, runner: Runner, size: int | None, may_write: bool) -> str:
        """:returns: path of the loop device"""
        made = not os.path.exists(self.file)
        if made:
            if size is None:
                raise ImageModeError(
                    f"There is no file {self.file}.",
                    error="disk_not_found",
                    hint="Set 'file_size' to have it made, or correct its path.",
                )
            require_place(Path(self.file))
            descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            os.ftruncate(descriptor, size)
            os.close(descriptor)
            if not may_write:  # a prediction leaves nothing
                self._open.callback(os.unlink, self.file)
        elif not os.path.isfile(self.file):
            raise ImageModeError(
                f"{self.file} is not a file.",
                error="disk_not_found",
                hint="For a disk use 'disk', for a directory 'root_path'.",
            )
        return self._open.enter_context(attached(runner, self.file))


def require_tpm(block_setup: str | None) -> None:
    """:raises ImageModeError: C(tpm_missing)"""
    if block_setup == "tpm2-luks" and not os.path.exists("/dev/tpmrm0"):
        raise ImageModeError(
            "The block set-up tpm2-luks binds the disk to the machine's TPM 2.0, and this machine shows none (/dev/tpmrm0).",
            error="tpm_missing",
            hint="Turn the TPM on in the firmware, or set 'block_setup: direct', if the image allows that.",
        )
