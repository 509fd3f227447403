# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong while installing, as stable codes; and how bootc's error text is told apart."""

from __future__ import annotations

import re

from .._bootc.errors import readable
from .._errors import ImageModeError, OptionError


class InstallError(ImageModeError):
    """`bootc install` failed; C(error) is the class of the failure."""

    error = "install_failed"


class InstallIncomplete(ImageModeError):
    """bootc reported success, and something that was asked for is not on the disk."""

    error = "install_incomplete"


class InstallUnread(InstallIncomplete):
    """bootc reported success, and where something that was asked for belongs cannot be told: what was installed is left as it is."""


class ImageNotBootable(ImageModeError):
    """The image cannot be installed as an operating system."""

    error = "image_not_bootable"


class BootloaderMissing(ImageModeError):
    """The image does not hold the boot loader that would be installed."""

    error = "bootloader_missing"


class DiskHasData(ImageModeError):
    """The disk holds something that is not this image, and wiping it was not confirmed."""

    error = "disk_has_data"


class DiskHasOtherImage(ImageModeError):
    """The disk holds another bootc installation, and wiping it was not confirmed."""

    error = "disk_has_other_image"


class DiskGone(InstallError):
    """The disk disappeared while it was written to."""

    error = "disk_gone"


# (code, pattern in stderr, hint), the first that matches decides.
# Sources: recordings/install.jsonl (bootc 1.16.9) and contract.md 5.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (
        "disk_in_use",
        r"Device \S+ is mounted|Device or resource busy",
        "Something took the disk into use meanwhile; find it with 'lsblk' and end that use.",
    ),
    (
        "disk_has_data",
        r"appears to contain an existing file ?system",
        "An old file system was left where a new one begins. It is taken away now; run the task again.",
    ),
    ("disk_has_data", r"Detected existing partitions", "Partitions appeared on the disk meanwhile; look at it with 'lsblk'."),
    (
        "disk_not_found",
        r"Querying \S+: No such file or directory|Not a block device",
        "The disk disappeared meanwhile; check its cabling and the kernel's log.",
    ),
    (
        "disk_too_small",
        r"Insufficient free space|No space left on device",
        "Choose a larger disk, a larger 'root_size', or a smaller image.",
    ),
    (
        "disk_full",
        # With a small letter it is Podman or skopeo that says so, of what they write on this machine.
        r"no space left on device",
        "Podman's storage is full; a live system keeps it in memory. Free images there, or mount a disk there.",
    ),
    (
        "disk_failed",
        r"Input/output error|I/O error|Remote I/O error|No such device",
        "The disk does not take writes; look at the kernel's log and its SMART data.",
    ),
    (
        "bootloader_missing",
        r"bootupd is required|bootupctl.*No such file",
        "Build bootupd into the image, or set 'bootloader: none' and bring your own boot loader.",
    ),
    (
        "bootloader_failed",
        r"Installing bootloader",
        "What the boot loader's own program said is in 'stderr'; repair the image, or choose another 'bootloader' if it has one.",
    ),
    ("block_setup_unsupported", r"Block setup \S+ is not enabled", "Allow it in the image: 'block' in /usr/lib/bootc/install/*.toml."),
    (
        "filesystem_missing",
        r"No root filesystem specified|No install configuration found",
        "Set 'filesystem', or the image's default in /usr/lib/bootc/install/*.toml.",
    ),
    (
        "podman_unsuitable",
        r"--pid=host flag|full privileges|root user namespace|rootless podman|only supports being executed via",
        "The machine must run Podman as root, outside of any container.",
    ),
    (
        "image_not_bootable",
        r"SELinux policy|does not have (?:ostree\.bootable|containers\.bootc) label|No kernel|Found multiple subdirectories",
        "Repair the image; 'bootc container lint' in its build finds most of this.",
    ),
    (
        "bootc_unsupported",
        r"unexpected argument|invalid value|unrecognized subcommand",
        "The image's bootc does not know this option; update it, or leave the option out.",
    ),
    (
        "install_running",
        r"name \S+ is already in use",
        "Another install to this disk is running, or its container was left behind: see 'podman ps --all'.",
    ),
    (
        "image_missing",
        r"image not known|no such image|manifest unknown|does not resolve to an image ID",
        "Something removed the image from Podman's storage meanwhile; run again.",
    ),
)


def arguments_sealed() -> OptionError:
    """:returns: the error for kernel arguments that nothing can add"""
    return OptionError(
        "The image boots a unified kernel image, whose kernel arguments are sealed in; 'kernel_arguments' cannot be added.",
        hint="Put them into the image, in /usr/lib/bootc/kargs.d/.",
    )


def failure(command: str, rc: int, stderr: str) -> InstallError:
    """:returns: the typed error for a C(bootc install) that ended with a return code other than 0"""
    code, hint = InstallError.error, None
    for candidate, pattern, advice in _CAUSES:
        if re.search(pattern, stderr):
            code, hint = candidate, advice
            break
    lines = readable(stderr)
    said = next((line for line in lines if line.startswith(("error: ", "ERROR "))), lines[-1] if lines else "it said nothing")
    return InstallError(f"'{command}' failed: {said}", error=code, hint=hint, rc=rc, cmd=command, stderr="\n".join(lines[-20:]))
