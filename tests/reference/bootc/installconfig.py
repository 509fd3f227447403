# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""What the image says about its own installation: /usr/lib/bootc/install/*.toml and its kernel arguments."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import tomllib

KEYS = (
    "block",
    "boot-mount-spec",
    "bootloader",
    "bootupd",
    "discoverable-partitions",
    "enforce-container-sigpolicy",
    "filesystem",
    "match-architectures",
    "ostree",
    "root-fs-type",
    "root-mount-spec",
    "stateroot",
)


def load() -> dict[str, Any]:
    found: dict[str, Path] = {}
    for folder in ("/usr/lib/bootc/install", "/usr/local/lib/bootc/install", "/etc/bootc/install", "/run/bootc/install"):
        for path in Path(folder).glob("*.toml"):
            found[path.name] = path
    merged: dict[str, Any] = dict.fromkeys(KEYS)
    merged["kargs"] = []
    for _name, path in sorted(found.items()):
        install = tomllib.loads(path.read_text()).get("install", {})
        machines = install.get("match-architectures")
        if machines and os.uname().machine not in machines:
            continue
        merged["kargs"] = merged["kargs"] + install.pop("kargs", [])
        merged.update(install)
    root_type = ((merged["filesystem"] or {}).get("root") or {}).get("type") or merged["root-fs-type"]
    if root_type:
        merged["filesystem"] = {"root": {"type": root_type}}
        merged["root-fs-type"] = root_type
    return merged


def command(options: Any) -> None:
    merged = load()
    if not options.all:
        del merged["kargs"]
    sys.stdout.write(json.dumps(merged, sort_keys=True, separators=(",", ":")))
