# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be done so that a machine is as it is wanted: pure, the same for every hypervisor."""

from __future__ import annotations

from dataclasses import dataclass

from .._disk.size import human
from .spec import Disk, Machine, by_name


@dataclass(frozen=True)
class Plan:
    """:ivar verb: C(create), C(change) or C(none)
    :ivar changes: what differs and can be changed, in words
    :ivar rebuild: what differs and cannot be changed without making the machine anew, in words
    :ivar restart: the changes count from its next start on
    :ivar grow: disks that are to be as large as this
    :ivar new_disks: names of disks that are to be made
    """

    verb: str
    changes: tuple[str, ...] = ()
    rebuild: tuple[str, ...] = ()
    restart: bool = False
    grow: tuple[Disk, ...] = ()
    new_disks: tuple[str, ...] = ()


def plan(wanted: Machine, found: Machine | None, *, keys: bool = False) -> Plan:
    """Compare.

    :param found: as the hypervisor has it; C(None) if it does not know it
    :param keys: whether the machine's keys are its hypervisor's business
    """
    if found is None:
        return Plan("create", (f"{wanted.name} is not there",), new_disks=tuple(disk.name for disk in wanted.disks))
    changes: list[str] = []
    rebuild: list[str] = []
    for what in ("cpus", "memory"):
        old, new = getattr(found, what), getattr(wanted, what)
        if old != new:
            changes.append(f"{what} {old}, not {new}")
    if found.networks != wanted.networks:
        changes.append("networks")
    if keys and found.keys != wanted.keys:
        changes.append("keys")
    if found.firmware != wanted.firmware:
        rebuild.append(f"firmware {found.firmware}, not {wanted.firmware}: what is installed may not boot with it")
    old_disks, new_disks, grow = by_name(found.disks), by_name(wanted.disks), []
    for name, disk in new_disks.items():
        old = old_disks.get(name)
        if old is None:
            found_out = rebuild if disk == wanted.disks[0] else changes
            found_out.append(f"disk {name} is missing")
        elif old.path != disk.path:
            rebuild.append(f"disk {name} is {old.path}, not {disk.path}")
        elif disk.size is not None and old.size is not None and old.size != disk.size:
            text = f"disk {name} has {human(old.size)}, not {human(disk.size)}"
            if old.size < disk.size:
                changes.append(text)
                grow.append(disk)
            else:
                rebuild.append(f"{text}: disks do not shrink")
    rebuild += [f"disk {name} is one more than asked for" for name in old_disks if name not in new_disks]
    return Plan(
        "change" if changes else "none",
        tuple(changes),
        tuple(rebuild),
        bool(changes),
        tuple(grow),
        tuple(name for name in new_disks if name not in old_disks),
    )
