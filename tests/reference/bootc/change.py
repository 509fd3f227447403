# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""`upgrade`, `switch`, `rollback`, `edit`: the ways to another deployment."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from . import softreboot
from .errors import BootcError, context
from .progress import Progress
from .reference import Reference
from .repository import Image, print_difference
from .sysroot import Sysroot, open_sysroot


def _deploy(sysroot: Sysroot, commit: str, image: Image, reference: Reference, progress: Progress, *, locked: bool = False) -> None:
    started = time.monotonic()
    progress.deploying(image.digest)
    with context("Staging"):
        sysroot.stage(commit, reference, locked=locked)
    print(f"Deploying...done ({time.monotonic() - started:.0f} seconds)", file=sys.stderr, flush=True)
    progress.deployed(image.digest)
    sysroot.prune()
    print(f"Queued for next boot: {reference.image}")
    if image.version:
        print(f"  Version: {image.version}")
    print(f"  Digest: {image.digest}", flush=True)
    sysroot.touch()


def _fetch(sysroot: Sysroot, reference: Reference, progress: Progress) -> tuple[str, Image]:
    commit, image = sysroot.repository.pull(reference, progress=progress)
    progress.importing(image.digest)
    progress.imported(image.digest)
    return commit, image


def finish(sysroot: Sysroot, options: Any, changed: bool) -> None:
    """The options that go on after the change: soft reboot, and reboot."""
    if options.soft_reboot and sysroot.staged:
        softreboot.prepare(sysroot, required=options.soft_reboot == "required")
    if options.apply and changed:
        subprocess.run(["systemd-run", "--quiet", "systemctl", "reboot"], check=True)
        while True:
            time.sleep(3600)


def upgrade(options: Any) -> None:
    sysroot = open_sysroot()
    with context("Upgrading"):
        if options.from_downloaded:
            return _from_downloaded(sysroot, options)
        reference = sysroot.current_reference()
        if reference is None:
            raise BootcError("No image source specified")
        if options.tag:
            reference = reference.with_tag(options.tag)
        if options.check:
            return _check(sysroot, reference)
        commit, image = _fetch(sysroot, reference, Progress(options.progress_fd))
        staged, booted = sysroot.image(sysroot.staged), sysroot.image(sysroot.booted)
        changed = True
        if staged and staged.digest == image.digest:
            if options.download_only and not sysroot.locked:
                sysroot.lock(True)
                print("Image downloaded, but will not be applied on reboot")
            elif sysroot.locked and not options.download_only:
                sysroot.lock(False)
                print("Staged deployment will now be applied on reboot")
            else:
                print("Staged update present, not changed")
        elif booted and booted.digest == image.digest:
            print("No update available.")
            changed = False
        else:
            _deploy(sysroot, commit, image, reference, Progress(options.progress_fd), locked=options.download_only)
            if booted:
                print_difference(booted, image)
        finish(sysroot, options, changed)


def _from_downloaded(sysroot: Sysroot, options: Any) -> None:
    if sysroot.staged is None:
        raise BootcError("No staged deployment found")
    if sysroot.locked:
        sysroot.lock(False)
        print("Staged deployment will now be applied on reboot")
    else:
        print("Staged deployment is already set to apply on reboot")
    finish(sysroot, options, True)


def _check(sysroot: Sysroot, reference: Reference) -> None:
    """Compared with the last fetched image of that name, not with the booted one: so does bootc, false negatives included."""
    image = sysroot.repository.peek(reference)
    last = sysroot.repository.last_fetched(reference)
    known = sysroot.repository.image(last) if last else None
    if known and known.is_same(image):
        print(f"No changes in: {reference.url()}")
        return
    if last:
        sysroot.repository.set_cached_update(last, image, reference)
    sysroot.touch()
    print(f"Update available for: {reference.url()}")
    if image.version:
        print(f"  Version: {image.version}")
    print(f"  Digest: {image.digest}")
    booted = known or sysroot.image(sysroot.booted)
    if booted:
        print_difference(booted, image)


def switch_to(sysroot: Sysroot, reference: Reference, options: Any) -> None:
    progress = Progress(options.progress_fd)
    commit, image = _fetch(sysroot, reference, progress)
    _deploy(sysroot, commit, image, reference, progress)


def switch(options: Any) -> None:
    sysroot = open_sysroot()
    with context("Switching", "Switching (ostree)"):
        signature = "containerPolicy" if options.enforce_container_sigpolicy else None
        try:
            reference = Reference.parse(options.target, options.transport, signature)
        except BootcError as error:
            if "reference format" in str(error):
                print(f'Error: parsing reference "{options.target}": {error}', file=sys.stderr)
            raise
        if reference == sysroot.current_reference():
            print("Image specification is unchanged.")
            return finish(sysroot, options, sysroot.staged is not None)
        switch_to(sysroot, reference, options)
        finish(sysroot, options, True)


def rollback_order(sysroot: Sysroot) -> None:
    target = sysroot.rollback
    if target is None:
        raise BootcError("No rollback available")
    if target.reference() is None:
        raise BootcError("Rollback is not container image based")
    if sysroot.rollback_queued:
        print("notice: Reverting queued rollback state")
        target = sysroot.booted
    sysroot.drop_staged()
    target = next(d for d in sysroot.deployments if d.id == target.id)
    sysroot.make_default(target)
    print(f"Next boot: {'current' if target.booted else 'rollback'} deployment", flush=True)
    sysroot.touch()


def rollback(options: Any) -> None:
    sysroot = open_sysroot()
    with context("Rollback", "Rollback (ostree)"):
        rollback_order(sysroot)
        image = sysroot.image(sysroot.deployments[0])
        if image:
            with open("/run/reboot-required", "w", encoding="utf-8") as stream:
                stream.write(f"bootc: Reboot required for image: {image.digest}\n")
        options.soft_reboot = None
        finish(sysroot, options, True)


def wanted_spec(text: str) -> dict[str, str]:
    """The scalars below `spec:` of a Host document, by dotted name."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith(("#", "- ")) or ":" not in line:
            continue
        indent = len(line) - len(line.lstrip())
        key, _colon, value = line.strip().partition(":")
        path = [item for item in path if item[0] < indent] + [(indent, key)]
        if value.strip():
            found[".".join(item[1] for item in path)] = value.strip().strip("\"'")
    if "apiVersion" not in found or "kind" not in found:
        raise BootcError("missing field `apiVersion`" if "apiVersion" not in found else "missing field `kind`")
    return {key.removeprefix("spec."): value for key, value in found.items() if key.startswith("spec.")}


def edit(options: Any) -> None:
    sysroot = open_sysroot()
    with context("Editing spec"):
        try:
            with open(options.filename, encoding="utf-8") as stream:
                spec = wanted_spec(stream.read())
        except OSError as error:
            raise BootcError(f"{error.strerror} (os error {error.errno})") from error
        current = sysroot.current_reference()
        order = "rollback" if sysroot.rollback_queued else "default"
        wanted = current
        if spec.get("image.image"):
            wanted = Reference.parse(spec["image.image"], spec.get("image.transport", "registry"), spec.get("image.signature"))
        flips, moves = spec.get("bootOrder", order) != order, wanted != current
        if flips and moves:
            raise BootcError("Invalid state transition: rollback and image change")
        if flips:
            rollback_order(sysroot)
        elif moves and wanted:
            switch_to(sysroot, wanted, options)
        else:
            print("Edit cancelled, no changes made.")
