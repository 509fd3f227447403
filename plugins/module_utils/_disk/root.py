# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disks that the running system is on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .device import Device

# On a bootc host / is a deployment, on composefs an image of it; the file system that holds it is at /sysroot.
ROOTS = ("/sysroot", "/")


def root_disks(devices: Iterable[Device]) -> list[dict[str, Any]]:
    """:param devices: the devices that stand on nothing else, as C(Scanner.devices) returns them
    :returns: what identifies each disk that the root file system is on, several below a volume group or an array; none for a
        root that is not on a disk of this machine
    """
    disks = tuple(devices)
    for mountpoint in ROOTS:
        found = [(disk, device) for disk in disks for device in disk.tree() if mountpoint in device.mountpoints]
        if found:
            return [
                {
                    **disk.facts(),
                    "by_id": [f"/dev/disk/by-id/{name}" for name in disk.links_below("by-id")],
                    "device": device.path,
                    "filesystem": device.filesystem,
                }
                for disk, device in dict(found).items()
            ]
    return []
