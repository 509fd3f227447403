# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`bootc install to-filesystem`: file systems that the user made and mounted: LVM, RAID, several disks, /var of its own."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._bootc.version import Version
from .._disk.guard import DiskInUse, DiskReadOnly, DiskTooSmall
from .._disk.scan import mount_table
from .._disk.size import human
from .._errors import ImageModeError, OptionError
from .._runner import Runner
from . import plan as plans
from .claim import Claim
from .command import TARGET_IN_CONTAINER, to_filesystem
from .errors import BootloaderMissing, DiskHasData, DiskHasOtherImage
from .image import OVERHEAD_PERCENT, Abilities, Image, Request, too_old
from .installation import Installation, firmware
from .note import DAY_SECONDS, Note
from .plan import Plan

_RUNNING_SYSTEM = ("/", "/usr", "/var", "/boot", "/boot/efi", "/efi", "/home", "/etc", "/run")
_BOOT_PARTITIONS = {
    "uefi": ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "0xef"),
    # BIOS boot, PReP; an MBR needs none.
    "bios": ("21686148-6449-6e6f-744e-656564454649", "9e1a2d38-c612-4316-aa26-8b49521e5a8b"),
}
# What an installation has at the top of its root: an interrupted one is told by it from somebody's data.
_INSTALLED = ("ostree", "composefs", "state", "boot", "efi", ".bootc-aleph.json", ".bootc-meta.json")
_MORE_MOUNTS_SINCE: Version = (1, 12, 0)
# linux/fs.h: ostree makes deployments immutable.
_GETFLAGS, _SETFLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x00000010


@dataclass(frozen=True)
class Mount:
    """A file system below the directory.

    :ivar inner: where it is, relative to the directory; C(.) for itself
    """

    inner: str
    path: Path
    source: str
    options: str


class TreeInstallation(Installation):
    """A directory where file systems are mounted, and what is to be on them.

    :param root: a mount point
    :param may_write: not in check mode; a container that a killed run left behind is ended then
    """

    formats = False

    def __init__(self, runner: Runner, root: str, request: Request, *, may_write: bool) -> None:
        self.root = Path(os.path.realpath(root))
        super().__init__(runner, request, Claim(runner, f"bootc-install{str(self.root).replace('/', '-')}"))
        for option in ("root_size", "filesystem", "block_setup"):
            if getattr(request, option) is not None:
                raise OptionError(f"'{option}' has no meaning for file systems that are there already.", hint=f"Leave '{option}' out.")
        self._mounts = self._examined()
        self._uuid = self._identity()
        var = next((mount.path for mount in self._mounts if mount.inner == "var"), None)
        self._var = var
        self._note = Note(f"{self._claim.name}.json")
        begun = self._note.read(DAY_SECONDS).get("uuid") == self._uuid
        if begun:
            self._claim.end_interrupted(may_write=may_write)
        self._interrupted = begun and all(name.partition("/")[0] in _INSTALLED for name in self._contents())
        if not self._interrupted:
            self.installed = self._read()

    @property
    def place(self) -> str:
        return str(self.root)

    def facts(self) -> dict[str, Any]:
        return {
            "root_path": str(self.root),
            "uuid": self._uuid,
            "mounts": [{"path": str(mount.path), "source": mount.source} for mount in self._mounts],
        }

    def plan(self, digests: frozenset[str], wipe_confirm: str | None) -> Plan:
        found = self._contents()
        if wipe_confirm is not None and wipe_confirm != self._uuid:
            raise ImageModeError(
                f"'wipe_confirm' is '{wipe_confirm}', and the file system at {self.root} is confirmed by its UUID '{self._uuid}'.",
                error="wipe_confirm_mismatch",
                hint="One of the two is wrong. Nothing was written.",
                wipe_confirm_needed=self._uuid,
            )
        if self._interrupted:
            return Plan("install", f"an installation to {self.root} was interrupted; it is made anew", wipe=bool(found))
        if not found and self.installed is None:
            return Plan("install", f"{self.root} is empty")
        other = [] if self.installed is None else plans.differences(self.installed, self._request, digests)
        if self.installed is not None and not other:
            return plans.additions(self.installed, self._request)
        what = f"an installation that differs: {'; '.join(other)}" if self.installed is not None else ", ".join(found[:8])
        if wipe_confirm is not None:
            return Plan("install", f"{self.root} holds {what}; emptying it is confirmed", wipe=True)
        kind = DiskHasData if self.installed is None else DiskHasOtherImage
        raise kind(
            f"The file systems at {self.root} are not empty. They hold {what}.",
            hint=f"If all of that may be lost, set 'wipe_confirm: \"{self._uuid}\"'; else make new file systems.",
            contents=found,
            installed=self.installed.facts() if self.installed is not None else None,
            wipe_confirm_needed=self._uuid,
        )

    def _command(self, what: Plan) -> list[str]:
        return to_filesystem(self._request)

    def _volumes(self) -> list[str]:
        return [f"{self.root}:{TARGET_IN_CONTAINER}"]

    def _require_room(self, image: Image, abilities: Abilities) -> None:
        room = os.statvfs(self.root)
        needed, free = image.size * (100 + OVERHEAD_PERCENT) // 100, room.f_blocks * room.f_frsize
        if free < needed:
            raise DiskTooSmall(
                f"The file system at {self.root} has {human(free)}; the image needs about {human(needed)}.",
                hint="Make it larger, and leave room for updates: a second image of the same size.",
                needed=needed,
            )
        self._require_mounts(abilities)
        self._require_boot_partition(abilities)

    def _require_mounts(self, abilities: Abilities) -> None:
        """:raises Unsupported: require_empty_rootdir of a bootc before 1.12.0 lets nothing be there but C(boot)"""
        more = [str(mount.path) for mount in self._mounts if mount.inner not in (".", "boot", "boot/efi")]
        if more and abilities.version < _MORE_MOUNTS_SINCE:
            otherwise = "unmount them, and let them be mounted by the image (a mount unit, /etc/fstab)"
            raise too_old(f"A root with {', '.join(more)} beside /boot", abilities.version, _MORE_MOUNTS_SINCE, otherwise)

    def _require_boot_partition(self, abilities: Abilities) -> None:
        """:raises BootloaderMissing: C(esp_missing): no disk below has a partition that a boot loader could go to"""
        if (self._request.bootloader or abilities.configuration.get("bootloader")) == "none":
            return
        source = next(mount.source for mount in self._mounts if mount.inner == ".")
        below = self._lsblk("--inverse", "--output", "PATH,TYPE,PTTYPE", source)
        disks = [node for node in below if node["type"] in ("disk", "loop")]
        wanted, tables, types = firmware(), [], []
        for disk in disks:
            tables.append(disk["pttype"])
            types += [str(node["parttype"]).lower() for node in self._lsblk("--output", "PARTTYPE", disk["path"])]
        if not any(kind in types for kind in _BOOT_PARTITIONS[wanted]) and (wanted == "uefi" or "dos" not in tables):
            name = "an EFI system partition" if wanted == "uefi" else "a BIOS boot partition"
            listed = ", ".join(disk["path"] for disk in disks)
            raise BootloaderMissing(
                f"No disk below {self.root} ({listed or 'none'}) has {name}, where the boot loader goes.",
                error="esp_missing",
                hint="Make one on a disk that the root is on, or set 'bootloader: none'.",
            )

    def _lsblk(self, *arguments: str) -> list[dict[str, Any]]:
        said = self._runner.run(["lsblk", "--json", "--list", *arguments], parsed=True).stdout
        found: list[dict[str, Any]] = json.loads(said)["blockdevices"]
        return found

    def _require_unchanged(self) -> None:
        if self._examined() != self._mounts:
            raise self._changed()

    def _changed(self) -> ImageModeError:
        return ImageModeError(
            f"What is mounted at {self.root}, or what is in it, changed meanwhile.",
            error="disk_changed",
            hint="Something else works there. Nothing was written; run the task again.",
        )

    def _begin(self, image: Image, name: str, what: Plan) -> None:
        self._require_unchanged()
        if self._contents() and not what.wipe:
            raise self._changed()
        self._note.write({"uuid": self._uuid, "image": name})
        if what.wipe:
            self._empty()

    def _look_again(self) -> None:
        self._mounts = self._examined()
        self.installed = self._read()

    def _finish(self) -> None:
        self._runner.run(["sync", "--file-system", *(str(mount.path) for mount in self._mounts)])
        self._note.remove()

    def _undo(self) -> bool:
        found = bool(self._contents())
        self._clear()
        return found

    def _clear(self) -> None:
        self._empty()
        self._note.remove()

    def _empty(self) -> None:
        """They were empty before, or it was agreed that they may be."""
        make_mutable(self.root)
        for path in self._entries():
            remove(path)

    def _contents(self) -> list[str]:
        """:returns: names of what is in the file systems, relative to the directory"""
        return [str(path.relative_to(self.root)) for path in self._entries()]

    def _entries(self) -> Iterator[Path]:
        points = {mount.path for mount in self._mounts}
        for mount in self._mounts:
            for path in sorted(mount.path.iterdir()):
                leads = any(point == path or path in point.parents for point in points)
                if not leads and path.name != "lost+found":
                    yield path

    def _mounted(self, work: Callable[[Mapping[str, Path]], Any], *, writable: bool = False) -> Any:
        roots: dict[str, Path] = {}
        for mount in self._mounts:  # subvolumes of a btrfs are all of one device
            roots[mount.source if mount.source not in roots else str(mount.path)] = mount.path
        return work(roots)

    def _identity(self) -> str:
        source = next(mount.source for mount in self._mounts if mount.inner == ".")
        asked = ["lsblk", "--noheadings", "--nodeps", "--output", "UUID", source]
        return self._runner.run(asked, check=False, parsed=True).stdout.strip() or source

    def _examined(self) -> tuple[Mount, ...]:
        """:raises ImageModeError: C(target_not_mounted), C(disk_in_use), C(disk_read_only)"""
        table = mount_table()
        system = {entry.source for entry in table if entry.path in _RUNNING_SYSTEM and entry.source.startswith("/dev/")}
        found = [
            Mount(os.path.relpath(entry.path, self.root), Path(entry.path), entry.source, entry.options)
            for entry in table
            if entry.path == str(self.root) or entry.path.startswith(f"{str(self.root).rstrip('/')}/")
        ]
        if not any(mount.inner == "." for mount in found):
            raise ImageModeError(
                f"{self.root} is not a mount point.",
                error="target_not_mounted",
                hint="Make the file systems, and mount them there: the root, and /boot and /boot/efi below it if they are their own.",
            )
        for mount in found:
            if str(self.root) in _RUNNING_SYSTEM or mount.source in system:
                raise DiskInUse(
                    f"{mount.path} ({mount.source}) is a part of the running system.",
                    hint="Mount the file systems of the new system; to take the running one over, use bootc_install_existing_root.",
                )
            if "ro" in mount.options.split(","):
                raise DiskReadOnly(f"{mount.path} is mounted read-only.", hint="Mount it for writing.")
        return tuple(sorted(found, key=lambda mount: mount.inner))


def make_mutable(root: Path) -> None:
    """Deployments cannot be removed as long as they are immutable."""
    for directory in root.glob("ostree/deploy/*/deploy/*"):
        if directory.is_dir() and not directory.is_symlink():
            descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
            try:
                with suppress(OSError):  # the file system has no such flags
                    flags = struct.unpack("l", fcntl.ioctl(descriptor, _GETFLAGS, bytes(8)))[0]
                    fcntl.ioctl(descriptor, _SETFLAGS, struct.pack("l", flags & ~_IMMUTABLE))
            finally:
                os.close(descriptor)


def remove(path: Path) -> None:
    """A file, or a directory with all that is in it."""
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
