# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""File systems that are there already: what they are on, whether they are empty, how they are found again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .bootloader import Place
from .disk import BIOS_BOOT, ESP
from .errors import BootcError, run


def require_empty(root: Path) -> None:
    """Only mount points, and directories that lead to them."""
    for path in root.iterdir():
        if path.name != "lost+found" and not os.path.ismount(path):
            if not path.is_dir() or path.is_symlink():
                raise BootcError(f"Non-empty root filesystem; found {json.dumps(path.name)}")
            if not any(path.iterdir()):
                raise BootcError(f"Requiring directory contains only mount points: Found empty directory: {path.name}")
            require_empty(path)


def place(root: Path, root_spec: str | None) -> Place:
    source = _found(root, "SOURCE")
    boot = root / "boot"
    separate = os.path.ismount(boot)
    spec = f"UUID={_found(root, 'UUID')}" if root_spec is None else root_spec
    return Place(root, spec, _found(boot if separate else root, "UUID"), "" if separate else "/boot", tuple(_targets(source)))


def write_fstab(place: Place, boot_spec: str | None) -> None:
    """/boot is not found by the kernel's arguments."""
    if not place.prefix:
        boot = place.root / "boot"
        line = f"{boot_spec or 'UUID=' + place.boot} /boot {_found(boot, 'FSTYPE')} ro 0 2\n"
        (newest_deployment(place.root) / "etc/fstab").write_text(line)


def empty_boot(root: Path) -> None:
    for path in (root / "boot").iterdir():
        if os.path.ismount(path) or path.name == "lost+found":
            continue
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def newest_deployment(root: Path) -> Path:
    return max((path for path in root.glob("ostree/deploy/*/deploy/*.*") if path.is_dir()), key=lambda path: path.stat().st_ctime)


def _found(path: Path, column: str) -> str:
    return run("findmnt", "--noheadings", "--first-only", "--nofsroot", "--output", column, "--mountpoint", str(path)).strip()


def _targets(source: str) -> Iterator[tuple[str, str | None, str | None]]:
    """Every disk below a device, with where a boot loader can go."""
    below = json.loads(run("lsblk", "--json", "--inverse", "--list", "--output", "PATH,TYPE", source))["blockdevices"]
    for path in dict.fromkeys(node["path"] for node in below if node["type"] in ("disk", "loop")):
        # lsblk takes the types of partitions from udev, which a container knows nothing of.
        table = subprocess.run(["sfdisk", "--json", path], capture_output=True, text=True, check=False).stdout
        parts = json.loads(table)["partitiontable"].get("partitions", []) if table else []
        kinds = {part["type"].upper(): part["node"] for part in parts}
        yield path, kinds.get(BIOS_BOOT), kinds.get(ESP)
