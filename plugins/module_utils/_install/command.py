# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line: bootc inside the image, run by Podman with what `bootc install` asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._bootc.version import Version
from .image import MIB, PROBE, Request

TARGET_IN_CONTAINER = "/target"
KEYS_IN_CONTAINER = "/root-ssh-authorized-keys"
# From this bootc on the target is not fetched unless asked for; before, an unreachable registry ended an install.
_FETCH_CHECK_OPT_IN: Version = (1, 1, 7)


def to_disk(request: Request, device: str, *, wipe: bool) -> list[str]:
    """:param device: path of the disk
    :returns: C(bootc install to-disk …) as run in the container
    """
    valued = {
        "--filesystem": request.filesystem,
        "--root-size": f"{request.root_size // MIB}M" if request.root_size else None,
        "--block-setup": request.block_setup,
    }
    return ["bootc", "install", "to-disk", *_shared(request), *_given(valued), *(["--wipe"] if wipe else []), device]


def to_filesystem(request: Request) -> list[str]:
    """:returns: C(bootc install to-filesystem …) as run in the container, where the directory is C(/target)"""
    valued = {"--root-mount-spec": request.root_mount_spec, "--boot-mount-spec": request.boot_mount_spec}
    # Finalizing makes it read-only, and the machine's files come after.
    return ["bootc", "install", "to-filesystem", *_shared(request), *_given(valued), "--skip-finalize", TARGET_IN_CONTAINER]


def to_existing_root(request: Request) -> list[str]:
    """:returns: C(bootc install to-existing-root …) as run in the container, where the running root is C(/target)"""
    # Without being told that it is meant, bootc waits for 20 seconds.
    return ["bootc", "install", "to-existing-root", *_shared(request), "--acknowledge-destructive", TARGET_IN_CONTAINER]


def _shared(request: Request) -> list[str]:
    valued = {
        "--target-imgref": request.target,
        "--target-transport": request.transport if request.transport != "registry" else None,
        "--bootloader": request.bootloader,
        "--stateroot": request.stateroot,
        "--bound-images": request.bound_images,
        "--root-ssh-authorized-keys": KEYS_IN_CONTAINER if request.root_keys else None,
    }
    argv = _given(valued)
    for argument in request.kernel_arguments:
        argv += ["--karg", argument]
    flags = {"--composefs-backend": bool(request.composefs), "--generic-image": request.generic_image}
    return [*argv, *(flag for flag, wanted in flags.items() if wanted)]


def _given(valued: Mapping[str, str | None]) -> list[str]:
    return [word for option, value in valued.items() if value is not None for word in (option, value)]


def podman_install(
    image: str, name: str, inner: list[str], keys_file: str | None, volumes: Sequence[str] = (), *, online: bool = False
) -> list[str]:
    """:param image: as Podman knows it
    :param name: of the container: two installs to the same place collide on it
    :param inner: the command within
    :param keys_file: root's SSH keys on this machine
    :param volumes: further ones
    :param online: bootc pulls the images that belong to the image
    """
    argv = [
        "podman",
        "run",
        "--rm",
        "--interactive",
        "--name",
        name,
        "--pull=never",
        "--privileged",
        "--pid=host",
        "--ipc=host",
        *([] if online else ["--network=none"]),
        "--security-opt",
        "label=type:unconfined_t",
        "-v",
        "/dev:/dev",
        "-v",
        "/var/lib/containers:/var/lib/containers",
    ]
    if keys_file:
        volumes = [*volumes, f"{keys_file}:{KEYS_IN_CONTAINER}:ro"]
    for volume in volumes:
        argv += ["-v", volume]
    return [*argv, "--entrypoint", inner[0], image, *inner[1:]]


def probe_first(inner: list[str]) -> list[str]:
    """A shell that tells what the image can do, waits for the answer, and becomes the command.

    Starting a container costs seconds, so the one that installs is asked. Without the answer nothing is written.
    """
    return ["/bin/sh", "-c", f"{PROBE}{_WAIT}", "bootc-install", *inner]


# What the answer has beyond the first word is added to the command.
_WAIT = r"""
printf '%s\n' ready
read -r answer more || exit 125
[ "$answer" = install ] || exit 125
# shellcheck disable=SC2086
exec "$@" $more
"""
READY = "ready\n"


def answer(version: Version) -> str:
    """:param version: of the image's bootc
    :returns: the line that lets the container install
    """
    return "install --skip-fetch-check\n" if version < _FETCH_CHECK_OPT_IN else "install\n"
