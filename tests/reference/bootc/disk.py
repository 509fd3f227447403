# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""The target disk: what is on it, wiping, partitions, file systems."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from typing import Any

from .errors import BootcError, run
from .repository import human_size

BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
ROOT = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
UNITS = {"": 1, "M": 1, "G": 1 << 10, "T": 1 << 20}


def show(*command: str, stdin: str | None = None) -> None:
    """Run a tool whose output is part of the installer's own."""
    sys.stdout.flush()
    if subprocess.run(command, input=stdin, text=True, check=False).returncode:
        listing = "\n        ".join(f'"{word}",' for word in command)
        raise BootcError(
            f'Failed to run command: Command {{\n    program: "{command[0]}",\n    args: [\n        {listing}\n    ],\n'
            "    create_pidfd: false,\n}"
        )


def query(path: str, *, loopback: bool) -> None:
    try:
        found = os.stat(path)
    except OSError as error:
        raise BootcError(f"Querying {path}: {error.strerror} (os error {error.errno})") from error
    if loopback and not stat.S_ISREG(found.st_mode):
        raise BootcError(f"Not a regular file (to be used via loopback): {path}")
    if not loopback and not stat.S_ISBLK(found.st_mode):
        raise BootcError(f"Not a block device: {path}")


def tree(device: str) -> dict[str, Any]:
    return json.loads(run("lsblk", "-J", "-b", "-o", "PATH,SIZE,SERIAL,MODEL,TYPE,MOUNTPOINTS", device))["blockdevices"][0]


def below(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Children first."""
    return [item for child in node.get("children", []) for item in [*below(child), child]]


def host_mounts() -> set[str]:
    """Devices mounted anywhere the installing system sees, not only in this container."""
    with open("/proc/1/mountinfo", encoding="utf-8") as stream:
        return {line.split(" - ")[1].split()[1] for line in stream}


def clear(device: str, *, wipe: bool) -> dict[str, Any]:
    node = tree(device)
    children = below(node)
    mounted = host_mounts()
    if any(item["path"] in mounted or os.path.realpath(item["path"]) in mounted for item in [node, *children]):
        raise BootcError(f"Device {device} is mounted")
    if children and not wipe:
        raise BootcError(f"Detected existing partitions on {device}; use e.g. `wipefs` or --wipe if you intend to overwrite")
    if wipe:
        for path in [*dict.fromkeys(item["path"] for item in children), device]:
            print(f"Wiping {path}\nWiping device {path}", flush=True)
            show("wipefs", "-a", path)
    return node


def partition_path(device: str, number: int) -> str:
    return f"{device}p{number}" if device[-1].isdigit() else f"{device}{number}"


def partition(device: str, node: dict[str, Any], root_size: str | None, esp_size: int) -> tuple[str, str, str]:
    """BIOS boot, ESP (of so many MiB) and root partitions, as bootc lays them out on x86-64."""
    serial, model = node["serial"] or "<unknown>", node["model"] or "<unknown>"
    print(f"Block setup: direct\n       Size: {node['size']}\n     Serial: {serial}\n      Model: {model}\n Partitions: UUID", flush=True)
    size = ""
    if root_size:
        match = re.fullmatch(r"(\d+)([MGT]?)", root_size)
        if not match:
            raise BootcError(f"invalid size: {root_size}")
        room = int(node["size"]) // (1 << 20) - esp_size - 4
        size = f"size={min(int(match[1]) * UNITS[match[2]], room)}MiB, "
    esp = min(esp_size, max(1, int(node["size"]) // (1 << 20) - 4))
    table = (
        f'label: gpt\nsize=1MiB, type={BIOS_BOOT}, name="BIOS-BOOT"\nsize={esp}MiB, type={ESP}, name="EFI-SYSTEM"\n'
        f'{size}type={ROOT}, name="root"\n'
    )
    show("sfdisk", "--wipe=always", device, stdin=table)
    parts = tuple(partition_path(device, number) for number in (1, 2, 3))
    deadline = time.monotonic() + 20
    while not all(os.path.exists(part) for part in parts):
        if time.monotonic() > deadline:
            raise BootcError(f"Partitions of {device} did not appear")
        time.sleep(0.1)
    # udev on the installing system probes new partitions and holds them open for a moment.
    subprocess.run(["nsenter", "-t", "1", "-m", "udevadm", "settle"], check=False, capture_output=True)
    return parts[0], parts[1], parts[2]


def make_root(path: str, kind: str, uuid: str) -> None:
    size = int(run("blockdev", "--getsize64", path))
    print(f"Creating root filesystem ({kind}) on device {path} (size={human_size(size)})", flush=True)
    command = {
        "ext4": ["mkfs.ext4", "-q", "-U", uuid, "-L", "root", "-O", "verity", path],
        "xfs": ["mkfs.xfs", "-q", "-m", f"uuid={uuid}", "-L", "root", "-f", path],
        "btrfs": ["mkfs.btrfs", "-q", "-U", uuid, "-L", "root", path],
    }[kind]
    print("> " + " ".join(command), flush=True)
    show(*command)
