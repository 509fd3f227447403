# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""The verbs as the composefs backend of bootc answers them: recordings/composefs.jsonl, over the same ostree deployments.

Underneath it is still ostree: nothing here is a composefs image, and no digest of fs-verity is ever computed.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import change, overlay, softreboot
from .errors import BootcError, context, run
from .reference import TRANSPORTS, Reference
from .repository import Image, print_difference
from .sysroot import Deployment, Sysroot, open_sysroot

OVERLAY = ("A read/write overlayfs is now mounted on /usr", "A read-only overlayfs is now mounted on /usr")


def upgrade(options: Any) -> None:
    sysroot = open_sysroot()
    with context("Upgrading composefs"):
        if options.from_downloaded:
            return _from_downloaded(sysroot, options)
        followed = sysroot.current_reference()
        if followed is None:
            raise BootcError("No image source specified")
        reference = followed.with_tag(options.tag) if options.tag else followed
        image = _pull_config(sysroot, reference)
        where = "No changes in"
        if sysroot.staged:  # what is staged goes before what was asked for, a tag included
            reference, image, where = followed, _pull_config(sysroot, followed), "No changes in staged image"
        pulled = _is_pulled(sysroot, image)
        if pulled and _same_content(sysroot, image):
            return print(f"{where}: {reference.image}")
        if options.check and not pulled:
            return print_difference(sysroot.image(sysroot.booted) or image, image)
        # An image that is there and not deployed is staged even if only a check was asked for.
        _stage(sysroot, reference, options, locked=options.download_only)


def _from_downloaded(sysroot: Sysroot, options: Any) -> None:
    if sysroot.staged is None:
        raise BootcError("No staged deployment found")
    if not sysroot.locked:
        return print("Staged deployment is present and not in download only mode.\nUse `bootc update --apply` to apply the update.")
    sysroot.lock(False)
    change.finish(sysroot, options, True)


def switch(options: Any) -> None:
    sysroot = open_sysroot()
    with context("Switching", "Composefs Switching"):
        if options.transport not in TRANSPORTS:
            raise BootcError(f"Invalid transport: {options.transport}")
        transport = "registry" if options.transport == "docker" else options.transport
        reference = Reference(options.target, transport, "containerPolicy" if options.enforce_container_sigpolicy else None)
        if reference == sysroot.current_reference():
            print("Image specification is unchanged.")
            return change.finish(sysroot, options, sysroot.staged is not None)
        image = _pull_config(sysroot, reference)
        if _is_pulled(sysroot, image):
            _refuse_same_content(sysroot, image)
        _stage(sysroot, reference, options)


def rollback(options: Any) -> None:
    sysroot = open_sysroot()
    with context("Rollback", "Rolling back composefs"):
        change.rollback_order(sysroot)
        options.soft_reboot = None
        change.finish(sysroot, options, True)


def edit(_options: Any) -> None:
    with context("Editing spec"):
        raise BootcError("Edit is not yet supported for composefs backend")


def loader_entries(_options: Any) -> None:
    with context("Setting options for source"):
        raise BootcError("This feature is not yet supported for composefs backend")


def usr_overlay(options: Any) -> None:
    if overlay.sysroot_from_outside().booted.unlocked:
        return print("An overlayfs is already mounted on /usr")
    overlay.unlock(options, f"{OVERLAY[options.read_only]}\nAll changes there will be discarded on reboot.")


def delete_deployment(options: Any) -> None:
    sysroot = open_sysroot()
    with context(f"Deleting composefs deployment {options.id}"):
        name, found = next((item for item in _deployments(sysroot).items() if item[1][1].verity == options.id), (None, None))
        if name == "Booted":
            raise BootcError("Cannot delete currently booted deployment")
        if found is None:
            raise BootcError(f"Deployment {options.id} not found")
        if name == "Rollback" and sysroot.rollback_queued:
            sysroot.make_default(sysroot.booted)
        ids = [deployment.id for deployment in sysroot.deployments]
        run("ostree", "admin", "undeploy", str(ids.index(found[0].id)))


def prep_soft_reboot(options: Any) -> None:
    sysroot = open_sysroot()
    if options.reset:
        return softreboot.reset()
    with context("Soft rebooting"):
        found = next((item for item in _deployments(sysroot).items() if item[1][1].verity == options.deployment), None)
        if found is None:
            raise BootcError(f"Deployment '{options.deployment}' not found")
        name, (deployment, _image) = found
        if name == "Booted":
            raise BootcError("Cannot soft-reboot to currently booted deployment")
        softreboot.prepare_chosen(sysroot, deployment)
        print("Soft reboot setup complete")


def images(options: Any) -> None:
    print("[]" if options.format == "json" else "", end="")


def gc(_options: Any) -> None:
    print("Dry run (no files deleted)\nObjects: 0 removed (0 bytes)")


def _pull_config(sysroot: Sysroot, reference: Reference) -> Image:
    return sysroot.repository.peek(
        reference, f"Checking if image {reference.image} is pulled", "Getting container info", f"Opening image {reference.url()}"
    )


def _is_pulled(sysroot: Sysroot, image: Image) -> bool:
    return any(known.is_same(image) for _deployment, known in _deployments(sysroot).values()) or sysroot.repository.holds(image)


def _deployments(sysroot: Sysroot) -> dict[str, tuple[Deployment, Image]]:
    slots = {"Booted": sysroot.booted, "Staged": sysroot.staged, "Rollback": sysroot.rollback}
    return {name: (deployment, image) for name, deployment in slots.items() if deployment and (image := sysroot.image(deployment))}


def _same_content(sysroot: Sysroot, image: Image) -> str | None:
    """Which deployment holds the same files."""
    return next((name for name, (_deployment, known) in _deployments(sysroot).items() if known.verity == image.verity), None)


def _refuse_same_content(sysroot: Sysroot, image: Image) -> None:
    name = _same_content(sysroot, image)
    if name:
        raise BootcError(f"Target image has the same fs-verity digest as the existing Some({name}) deployment.")


def _stage(sysroot: Sysroot, reference: Reference, options: Any, *, locked: bool = False) -> None:
    with context("Performing Upgrade Operation"):
        with contextlib.redirect_stdout(io.StringIO()):  # this backend says nothing of what it does
            commit, image = sysroot.repository.pull(reference, bootable=False)
        _refuse_same_content(sysroot, image)
        if not run("ostree", "ls", f"--repo={sysroot.repository.path}", "-R", commit, "/usr/lib/modules", check=False).count("/vmlinuz"):
            raise BootcError("No boot entries!")
        conflicts = etc_conflicts(sysroot, commit)
        if conflicts:
            print("\n".join(conflicts), file=sys.stderr)
            raise BootcError("Merge conflicts found in etc")
        sysroot.stage(commit, replace(reference, signature=None), locked=locked)  # whatever was asked is not written down
        with contextlib.redirect_stdout(io.StringIO()):
            sysroot.prune()
    change.finish(sysroot, options, True)


def etc_conflicts(sysroot: Sysroot, commit: str) -> list[str]:
    """What the machine added or changed in /etc and is a directory on one side and none on the other."""
    conflicts = []
    for line in run("ostree", "ls", f"--repo={sysroot.repository.path}", "-R", commit, "/usr/etc", check=False).splitlines():
        name, directory = line.partition(" -> ")[0].partition(" /usr/etc/")[2], line.startswith("d")
        mine, shipped = Path("/etc", name), sysroot.booted.path / "usr/etc" / name
        if not name or not os.path.lexists(mine) or _is_directory(mine) == directory:
            continue
        if not os.path.lexists(shipped) or _is_directory(shipped) != _is_directory(mine):
            here, there = ("file", "directory") if directory else ("directory", "file")
            conflicts.append(f"{mine}: a {here} here, a {there} in the image")
    return conflicts


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
