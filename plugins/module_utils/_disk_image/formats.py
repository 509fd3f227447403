# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a raw disk to the format that a hypervisor reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .._runner import Runner
from . import container_disk, ova
from .ova import Appliance

# What qemu-img is told for each format: the sparse, growing kind of it; vSphere imports streamOptimized only.
QEMU_IMG: dict[str, tuple[str, ...]] = {
    "qcow2": ("-O", "qcow2"),
    "vmdk": ("-O", "vmdk", "-o", "subformat=streamOptimized"),
    "vhdx": ("-O", "vhdx", "-o", "subformat=dynamic"),
    "vdi": ("-O", "vdi"),
}
FORMATS = ("raw", *QEMU_IMG, "ova", "container-disk")


def convert_command(raw: Path, to: str, target: Path) -> list[str]:
    """:returns: C(qemu-img convert …); zeros become holes"""
    return ["qemu-img", "convert", "-f", "raw", *QEMU_IMG[to], "-S", "4k", str(raw), str(target)]


def convert(runner: Runner, raw: Path, to: str, appliance: Appliance, architecture: str) -> Path:
    """:param appliance: what an C(ova) says of the machine
    :param architecture: as images name it, for a C(container-disk)
    :returns: the finished file, beside the raw one
    :raises ImageModeError: qemu-img is missing, or failed
    """
    size = raw.stat().st_size

    def as_file(name: str, suffix: str) -> Path:
        target = raw.with_name(suffix)
        runner.run(convert_command(raw, name, target), timeout=None)
        return target

    makers: dict[str, Callable[[], Path]] = {
        "raw": lambda: raw,
        "ova": lambda: ova.write(raw.with_name("disk.ova"), as_file("vmdk", f"{appliance.name}-disk1.vmdk"), size, appliance),
        "container-disk": lambda: container_disk.write(raw.with_name("disk.tar"), as_file("qcow2", "disk.qcow2"), architecture),
    }
    return makers[to]() if to in makers else as_file(to, f"disk.{to}")


def virtual_size(runner: Runner, path: Path) -> int:
    """:returns: bytes that a machine sees, of a file in any of qemu-img's formats"""
    said = runner.run(["qemu-img", "info", "--output=json", str(path)], parsed=True).stdout
    return int(json.loads(said)["virtual-size"])
