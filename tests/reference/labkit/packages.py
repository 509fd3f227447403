# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""The tools that the lab runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from .say import LabError, progress, run, say

NEEDED = {  # command or file → Debian package
    "mmdebstrap": "mmdebstrap",
    "podman": "podman",
    "buildah": "buildah",
    "skopeo": "skopeo",
    "crun": "crun",
    "mksquashfs": "squashfs-tools",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "/usr/share/OVMF/OVMF_CODE_4M.fd": "ovmf",
    "docker-registry": "docker-registry",
    "/usr/sbin/dockerd": "docker.io",
    "rootlesskit": "rootlesskit",
    "htpasswd": "apache2-utils",
    "go": "golang-go",
    "xorriso": "xorriso",
    "mformat": "mtools",
    "grub-mkrescue": "grub-common",
    "/usr/lib/grub/i386-pc/moddep.lst": "grub-pc-bin",
    "/usr/lib/grub/x86_64-efi/moddep.lst": "grub-efi-amd64-bin",
    "cpio": "cpio",
    "openssl": "openssl",
    "gpg": "gnupg",
    "shellcheck": "shellcheck",
    "rsync": "rsync",
    "ssh": "openssh-client",
    "dropbear": "dropbear-bin",
    "/usr/sbin/sfdisk": "fdisk",
    "/usr/sbin/mkfs.ext4": "e2fsprogs",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}


def missing(needed: Mapping[str, str]) -> list[str]:
    return [package for thing, package in needed.items() if not (Path(thing).exists() if thing.startswith("/") else shutil.which(thing))]


def packages(install: bool, more: Mapping[str, str] | None = None) -> int:
    """:param more: instead of what the lab needs"""
    needed = more or NEEDED
    absent = missing(needed)
    if not absent:
        say("every tool is here")
        return 0
    print("\n".join(absent))
    if not install:
        return 1
    if not shutil.which("apt-get"):
        raise LabError(
            "this is not Debian: install what gives these commands or files: "
            + ", ".join(thing for thing, package in needed.items() if package in absent)
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with progress(f"installing {' '.join(absent)}"):
        run(["apt-get", "update", "-q"], env=environment)
        run(["apt-get", "install", "-qy", "--no-install-recommends", *absent], env=environment)
    return 0
