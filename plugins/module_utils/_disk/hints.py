# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choosing one disk by hints, as Ironic's root device hints and Talos's disk selectors know them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from .._errors import ImageModeError, OptionError
from .device import Device
from .size import SizeRule, human

# Never a place for an operating system; zram, ram disks, floppies and the boot areas of an eMMC are of type "disk" too.
_NOT_DISKS = re.compile(r"(?:zram|ram|fd)\d*\Z|mmcblk\d+(?:boot\d+|rpmb)\Z")

# The hints as a module's suboptions.
ARGUMENTS: dict[str, dict[str, Any]] = {
    **{name: {"type": "str"} for name in ("serial", "wwn", "model", "vendor", "size", "transport", "by_path", "by_id", "hctl")},
    "rotational": {"type": "bool"},
    "name": {"type": "str", "aliases": ["path"]},
}


class DiskNotFound(ImageModeError):
    """No disk matches the hints."""

    error = "disk_not_found"


class DiskAmbiguous(ImageModeError):
    """More than one disk matches the hints."""

    error = "disk_ambiguous"


@dataclass(frozen=True)
class Hints:
    """What the disk must be like; all that are set must hold.

    :ivar serial: exactly; the letters' case does not matter
    :ivar wwn: exactly; C(0x), C(naa.) and C(eui.) in front do not matter
    :ivar model: shell pattern, case-insensitive; so are I(vendor), I(by_path), I(by_id) and I(hctl)
    :ivar size: conditions, see L(SizeRule)
    :ivar name: C(/dev/sda), C(sda), or any link to it
    """

    serial: str | None = None
    wwn: str | None = None
    model: str | None = None
    vendor: str | None = None
    size: SizeRule | None = None
    rotational: bool | None = None
    transport: str | None = None
    by_path: str | None = None
    by_id: str | None = None
    hctl: str | None = None
    name: str | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Hints:
        """:param options: one entry per hint, C(None) or C("") for those not given
        :raises OptionError: no hint at all, or a size that cannot be read
        """
        given = {field.name: options.get(field.name) for field in fields(cls)}
        given = {name: value for name, value in given.items() if value is not None and value != ""}
        if not given:
            raise OptionError(
                "No hint says which disk is meant, and this module never guesses one.",
                hint=f"Set at least one of {', '.join(field.name for field in fields(cls))} below 'disk'; the serial is best.",
            )
        if "size" in given:
            given["size"] = SizeRule.parse(str(given["size"]))
        return cls(**given)

    @property
    def text(self) -> str:
        """:returns: for example C(serial=X, size='>= 100GiB')"""
        words = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                words.append(f"{field.name}={value.text if isinstance(value, SizeRule) else value!r}")
        return ", ".join(words)

    def misses(self, disk: Device) -> tuple[str, ...]:
        """:returns: why the disk is not the one; empty if it is"""
        why = []
        if self.serial is not None and (disk.serial or "").lower() != self.serial.lower():
            why.append(_differs("serial", disk.serial, self.serial))
        if self.wwn is not None and (disk.wwn is None or _wwn(disk.wwn) != _wwn(self.wwn)):
            why.append(_differs("wwn", disk.wwn, self.wwn))
        for name in ("model", "vendor", "hctl"):
            pattern, value = getattr(self, name), getattr(disk, name)
            if pattern is not None and not _like(value or "", pattern):
                why.append(_differs(name, value, pattern))
        for name in ("by_path", "by_id"):
            pattern, links = getattr(self, name), disk.links_below(name.replace("_", "-"))
            if pattern is not None and not any(_like(link, os.path.basename(pattern)) for link in links):
                why.append(_differs(name, ", ".join(links) or None, pattern))
        if self.size is not None and not self.size.met_by(disk.size):
            why.append(f"size is {human(disk.size)} ({disk.size} bytes), not {self.size.text}")
        if self.rotational is not None and disk.rotational != self.rotational:
            why.append(_differs("rotational", disk.rotational, self.rotational))
        if self.transport is not None and (disk.transport or "").lower() != self.transport.lower():
            why.append(_differs("transport", disk.transport, self.transport))
        if self.name is not None and self.name not in _names(disk):
            why.append(_differs("name", disk.path, self.name))
        return tuple(why)


def disks(devices: Iterable[Device]) -> tuple[Device, ...]:
    """:returns: the devices that an operating system could be installed on at all; drives without a medium are left out"""
    return tuple(device for device in devices if device.kind == "disk" and device.size > 0 and not _NOT_DISKS.match(device.kname))


def choose(devices: Iterable[Device], hints: Hints) -> Device:
    """:returns: the one disk that matches
    :raises DiskNotFound: none does
    :raises DiskAmbiguous: more than one does
    """
    found = {disk.kname: (disk, hints.misses(disk)) for disk in disks(devices)}
    matching = [disk for disk, why in found.values() if not why]
    candidates = [{**disk.facts(), "why_not": list(why)} for disk, why in found.values()]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise DiskAmbiguous(
            f"{len(matching)} disks match {hints.text}: {'; '.join(describe(disk) for disk in matching)}.",
            hint="Add hints until one disk is left; the serial is best, by_path where disks share their serial.",
            candidates=candidates,
        )
    listed = "; ".join(f"{disk.path}: {', '.join(why)}" for disk, why in found.values())
    raise DiskNotFound(
        f"No disk matches {hints.text}. {listed + '.' if listed else 'This machine has no disk at all.'}",
        hint="Compare the hints with 'candidates'; a partition, a loop device or a volume is not a disk.",
        candidates=candidates,
    )


def describe(disk: Device) -> str:
    """:returns: for example C(/dev/vdb (serial TARGET01, 12.0 GiB))"""
    identity = f"serial {disk.serial}" if disk.serial else f"wwn {disk.wwn}" if disk.wwn else "no serial"
    return f"{disk.path} ({identity}, {human(disk.size)})"


def _names(disk: Device) -> set[str]:
    return {disk.path, disk.kname, *(f"/dev/disk/{link}" for link in disk.links)}


def _differs(name: str, there: object, wanted: object) -> str:
    return f"{name} is {'not known' if there is None else repr(there)}, not {wanted!r}"


def _like(value: str, pattern: str) -> bool:
    return fnmatchcase(value.lower(), pattern.lower())


def _wwn(text: str) -> str:
    text = text.lower()
    for prefix in ("0x", "naa.", "eui."):
        if text.startswith(prefix):
            text = text[len(prefix) :]
    return text
