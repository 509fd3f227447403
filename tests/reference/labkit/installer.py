# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""The live installer: a kernel, an initramfs, and a read-only root that touches no disk."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from . import base, store
from .say import run

KERNEL_ARGUMENTS = "root=/dev/vda rootfstype=squashfs ro systemd.volatile=overlay console=ttyS0,115200 panic=1 quiet systemd.show_status=no"


def installer() -> Path:
    """A directory with vmlinuz, initrd and root.squashfs."""
    tree = base.root(base.IMAGE / "installer-packages.txt")
    files = base.IMAGE / "installer"
    dracut = base.IMAGE / "files"

    def make(where: Path) -> None:
        with tempfile.TemporaryDirectory(dir=store.directory("tmp")) as scratch:
            top = Path(scratch) / "root"
            top.mkdir()
            run(["tar", "-x", "-f", tree / "root.tar", "-C", top, "--numeric-owner"])
            shutil.copytree(dracut, top, symlinks=True, dirs_exist_ok=True)
            kernel = next((top / "usr/lib/modules").iterdir())
            (top / "var/roothome").mkdir(parents=True, exist_ok=True)
            run(
                [
                    "unshare",
                    "-m",
                    "sh",
                    "-ec",
                    'mount --bind "$1" "$1"; cd "$1"; mount -t proc proc proc; mount -t sysfs sys sys; '
                    'exec chroot . dracut --quiet --force --kver "$2" --tmpdir /tmp /tmp/initrd',
                    "dracut",
                    top,
                    kernel.name,
                ]
            )
            shutil.move(top / "tmp/initrd", where / "initrd")
            shutil.move(kernel / "vmlinuz", where / "vmlinuz")
            # Installed only in the live system: an image must not mount anything over its own storage.
            shutil.copytree(files, top, symlinks=True, dirs_exist_ok=True)
            (top / "var/lib/containers").mkdir(parents=True, exist_ok=True)
            options = ["-comp", "zstd", "-Xcompression-level", "6", "-noappend", "-quiet", "-no-progress"]
            run(["mksquashfs", top, where / "root.squashfs", *options])

    return store.artefact("installer", store.fingerprint([files, dracut], tree.name, "1"), make)
