# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking at this machine's block devices: C(lsblk), C(/proc), C(/sys), C(/dev/disk), C(wipefs --no-act)."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from .._errors import ImageModeError
from .._runner import Runner
from .device import Device, Signature, Surroundings, parse_lsblk

SYSFS = Path("/sys/class/block")
COLUMNS = (
    "NAME",
    "KNAME",
    "PATH",
    "MAJ:MIN",
    "TYPE",
    "SIZE",
    "SERIAL",
    "WWN",
    "MODEL",
    "VENDOR",
    "TRAN",
    "HCTL",
    "ROTA",
    "RO",
    "RM",
    "FSTYPE",
    "PTTYPE",
    "LABEL",
    "PARTTYPE",
    "PARTLABEL",
)


class ScanFailed(ImageModeError):
    """C(lsblk) or C(wipefs) said something that cannot be read."""

    error = "disk_scan_failed"


class Scanner:
    """Reads block devices.

    :param runner: runs C(lsblk) and C(wipefs)
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def devices(self) -> tuple[Device, ...]:
        """:returns: all devices, without their signatures
        :raises ScanFailed: C(lsblk) cannot be understood
        """
        self.settle()
        text = self._runner.run(["lsblk", "--json", "--bytes", "--output", ",".join(COLUMNS)], parsed=True).stdout
        around = Surroundings(mounts=mounts(), swaps=swaps(), holders=holders(), links=links())
        try:
            return parse_lsblk(json.loads(text), around)
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable("lsblk --json", error) from error

    def settle(self) -> None:
        """Let udev finish what it is at: serial numbers and links come from its database."""
        if self._runner.find("udevadm"):
            self._runner.run(["udevadm", "settle", "--timeout=30"], check=False)

    def examine(self, disk: Device) -> Device:
        """:returns: the disk with its and its partitions' signatures, and whether the kernel lets it be opened exclusively"""
        marks = self._signatures([disk.path, *(partition.path for partition in disk.partitions)])
        partitions = {child.path: replace(child, signatures=marks.get(child.path, ())) for child in disk.children}
        return replace(
            disk,
            claimed=is_claimed(disk.path),
            signatures=marks.get(disk.path, ()),
            children=tuple(partitions.values()),
        )

    def _signatures(self, paths: Iterable[str]) -> dict[str, tuple[Signature, ...]]:
        found: dict[str, list[Signature]] = {}
        text = self._runner.run(["wipefs", "--no-act", "--json", *paths], parsed=True).stdout.strip()
        decoder = json.JSONDecoder()
        try:
            while text:  # one document for all devices, or one for each: util-linux did both
                document, end = decoder.raw_decode(text)
                text = text[end:].strip()
                for mark in document["signatures"]:
                    path = f"/dev/{mark['device']}" if not mark["device"].startswith("/") else mark["device"]
                    words = (mark.get(name) or "" for name in ("uuid", "label"))
                    found.setdefault(path, []).append(Signature(path, mark["type"], mark["offset"], *words))
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable("wipefs --json", error) from error
        return {path: tuple(marks) for path, marks in found.items()}


def is_claimed(path: str) -> bool:
    """Whether the kernel refuses exclusive access, as it does for a disk of which any part is mounted, held or swapped to.

    This sees what no table shows: other mount namespaces, ZFS pools, databases on raw devices.
    """
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


@dataclass(frozen=True)
class MountEntry:
    """A line of C(/proc/PID/mountinfo).

    :ivar source: real path of the mounted device, or what the file system calls it
    """

    number: str
    path: str
    options: str
    source: str


def mount_table(process: str = "self") -> tuple[MountEntry, ...]:
    """:returns: what a process sees mounted, in order; nothing if it cannot be read"""
    try:
        lines = Path(f"/proc/{process}/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        first, _separator, second = line.partition(" - ")
        words, source = first.split(" "), _unescape((second.split(" ")[1:2] or [""])[0])
        source = os.path.realpath(source) if source.startswith("/dev/") else source
        found.append(MountEntry(words[2], _unescape(words[4]), words[5], source))
    return tuple(found)


def mounts() -> dict[str, tuple[str, ...]]:
    """:returns: mount points by MAJ:MIN and by device path, of this process and of PID 1"""
    found: dict[str, dict[str, None]] = {}
    for entry in (*mount_table("self"), *mount_table("1")):
        # Btrfs and bcachefs have device numbers of their own; their source names a device.
        for key in (entry.number, *([entry.source] if entry.source.startswith("/dev/") else [])):
            found.setdefault(key, {})[entry.path] = None
    return {key: tuple(points) for key, points in found.items()}


def swaps() -> frozenset[str]:
    """:returns: real paths of active swap devices and files"""
    try:
        lines = Path("/proc/swaps").read_text(errors="surrogateescape").splitlines()[1:]
    except OSError:
        return frozenset()
    return frozenset(os.path.realpath(_unescape(line.split()[0])) for line in lines if line.strip())


def holders() -> dict[str, tuple[str, ...]]:
    """:returns: what the kernel built on each device, by kernel name"""
    found: dict[str, list[str]] = {}
    for directory in SYSFS.glob("*/holders"):
        with suppress(OSError):  # the device has gone meanwhile
            names = sorted(entry.name for entry in directory.iterdir())
            if names:
                found[_kname(directory.parent)] = names
    # A loop device does not appear among the holders of the device that it is on, and does not claim it.
    for kname, file in loop_files().items():
        backing = os.path.realpath(file)
        if backing.startswith("/dev/"):
            found.setdefault(os.path.relpath(backing, "/dev"), []).append(kname)
    return {kname: tuple(names) for kname, names in found.items()}


def loop_files() -> dict[str, str]:
    """:returns: kernel name of each loop device that is attached → path of its file"""
    found = {}
    for file in SYSFS.glob("loop*/loop/backing_file"):
        with suppress(OSError):  # it was detached meanwhile
            found[_kname(file.parents[1])] = file.read_text(errors="surrogateescape").rstrip("\n")
    return found


def _kname(directory: Path) -> str:
    return directory.name.replace("!", "/")  # cciss!c0d0


def links() -> dict[str, tuple[str, ...]]:
    """:returns: udev's names below /dev/disk, by-id, by-path and all others, by kernel name"""
    found: dict[str, list[str]] = {}
    for link in sorted(Path("/dev/disk").glob("*/*")):
        found.setdefault(os.path.relpath(os.path.realpath(link), "/dev"), []).append(f"{link.parent.name}/{link.name}")
    return {kname: tuple(names) for kname, names in found.items()}


def _unreadable(command: str, error: Exception) -> ScanFailed:
    return ScanFailed(f"'{command}' printed something else than its document: {error}", hint="It needs util-linux 2.33.")


def _unescape(text: str) -> str:
    # The kernel writes blanks, tabs, newlines and backslashes as octal numbers.
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)
