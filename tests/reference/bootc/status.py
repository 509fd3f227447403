# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""`status`: the host as one document."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

from . import is_composefs
from .errors import BootcError, context
from .repository import Image
from .sysroot import Deployment, Sysroot, in_container, is_booted, require_root, wait_for_lock

EMPTY = {
    "apiVersion": "org.containers.bootc/v1",
    "kind": "BootcHost",
    "metadata": {"name": "host"},
    "spec": {"bootOrder": "default", "image": None},
    "status": {
        "booted": None,
        "readOnly": False,
        "rollback": None,
        "rollbackQueued": False,
        "staged": None,
        "type": None,
        "usrOverlay": None,
    },
}


def composefs(deployment: Deployment, image: Image) -> dict[str, Any]:
    boot = hashlib.sha256((deployment.bootcsum or deployment.checksum).encode()).hexdigest()
    return {"bootDigest": boot, "bootType": "Bls", "bootloader": "grub", "missingVerityAllowed": False, "verity": image.verity}


def entry(sysroot: Sysroot, deployment: Deployment | None) -> dict[str, Any] | None:
    if deployment is None:
        return None
    reference, image, flavour = deployment.reference(), sysroot.image(deployment), is_composefs()
    described = image.document(reference) if image and reference else None
    return {
        "cachedUpdate": None if flavour else sysroot.repository.cached_update(deployment.checksum),
        "composefs": composefs(deployment, image) if flavour and image else None,
        "downloadOnly": deployment.staged and sysroot.locked,
        "image": {**described, "version": None} if described and flavour else described,
        "incompatible": False,
        "ostree": None
        if flavour
        else {"checksum": deployment.checksum, "deploySerial": deployment.serial, "stateroot": deployment.stateroot},
        "pinned": deployment.pinned,
        "softRebootCapable": not (flavour and deployment.booted) and sysroot.soft_reboot_capable(deployment),
        "store": "ostreeContainer" if image and not flavour else None,
    }


def document(sysroot: Sysroot, *, booted_only: bool = False) -> dict[str, Any]:
    staged, booted, rollback = sysroot.staged, sysroot.booted, sysroot.rollback
    reference = sysroot.current_reference()
    others = [d for d in sysroot.deployments if d not in (staged, booted, rollback)]
    status: dict[str, Any] = {
        "booted": entry(sysroot, booted),
        "staged": None if booted_only else entry(sysroot, staged),
        "rollback": None if booted_only else entry(sysroot, rollback),
        "rollbackQueued": sysroot.rollback_queued,
        "readOnly": False,
        "type": "bootcHost" if reference and not is_composefs() else None,
        "usrOverlay": {
            "accessMode": "readOnly" if booted.unlocked == "transient" else "readWrite",
            "persistence": "persistent" if booted.unlocked == "hotfix" else "transient",
        }
        if booted.unlocked
        else None,
    }
    if others:
        status["otherDeployments"] = [entry(sysroot, deployment) for deployment in others]
    return {
        **EMPTY,
        "spec": {"bootOrder": "rollback" if sysroot.rollback_queued else "default", "image": reference.document() if reference else None},
        "status": status,
    }


def to_yaml(value: Any, indent: str = "") -> str:
    """Enough YAML for this document: mappings, lists of mappings, scalars."""
    lines: list[str] = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines.append(f"{indent}{key}:\n{to_yaml(item, indent + '  ')}" if item else f"{indent}{key}: {{}}")
        elif isinstance(item, list):
            lines.append(f"{indent}{key}:")
            lines += [indent + "- " + to_yaml(element, indent + "  ").lstrip() for element in item]
        else:
            plain = isinstance(item, str) and not item[:1].isdigit() and item not in ("", "null", "true", "false") and ": " not in item
            lines.append(f"{indent}{key}: {item if plain else json.dumps(item)}")
    return "\n".join(lines)


def human(data: dict[str, Any]) -> str:
    status = data["status"]
    if status["booted"] is None:
        return "System is not deployed via bootc."
    blocks: list[str] = []
    for name, mark in (("staged", "  Staged image"), ("booted", "● Booted image"), ("rollback", "  Rollback image")):
        found = status[name]
        if not found:
            continue
        image = found["image"]
        if not image:
            blocks.append(f"{mark}: {found['ostree']['checksum']}")
            continue
        width = len(mark)
        lines = [f"{mark}: {image['image']['image']}", f"{'Digest'.rjust(width)}: {image['imageDigest']} ({image['architecture']})"]
        if found["composefs"]:
            lines.append(f"{'Verity'.rjust(width)}: {found['composefs']['verity']}")
        if found["composefs"] and image["timestamp"]:
            lines.append(f"{'Timestamp'.rjust(width)}: {image['timestamp'][:19]}Z")
        if image["version"]:
            stamp = f" ({image['timestamp'][:19]}Z)" if image["timestamp"] else ""
            lines.append(f"{'Version'.rjust(width)}: {image['version']}{stamp}")
        if found["downloadOnly"]:
            lines.append(f"{'Download-only'.rjust(width)}: yes")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def gather(booted_only: bool = False) -> dict[str, Any]:
    if in_container() or not is_booted():
        return EMPTY
    with context("Preparing for write"):
        require_root()
    wait_for_lock()
    return document(Sysroot(), booted_only=booted_only)


def command(options: Any) -> None:
    with context("Status"):
        if options.format_version not in (0, 1):
            raise BootcError(f"Unsupported format version: {options.format_version}")
        data = gather(options.booted)
    chosen = "json" if options.json else options.format or ("humanreadable" if sys.stdout.isatty() else "yaml")
    if chosen == "json":
        sys.stdout.write(json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    else:
        print(to_yaml(data) if chosen == "yaml" else human(data))
