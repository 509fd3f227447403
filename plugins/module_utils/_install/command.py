# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line: bootc inside the image, run by Podman with what `bootc install` asks for."""

from __future__ import annotations

from .._bootc.version import Version
from .image import MIB, PROBE, Request

KEYS_IN_CONTAINER = "/root-ssh-authorized-keys"
# From this bootc on the target is not fetched unless asked for; before, an unreachable registry ended an install.
_FETCH_CHECK_OPT_IN: Version = (1, 1, 7)


def bootc_install(request: Request, device: str, *, wipe: bool) -> list[str]:
    """:param device: path of the disk
    :returns: C(bootc install to-disk …) as run in the container
    """
    argv = ["bootc", "install", "to-disk", "--target-imgref", request.target]
    valued = {
        "--target-transport": request.transport if request.transport != "registry" else None,
        "--filesystem": request.filesystem,
        "--root-size": f"{request.root_size // MIB}M" if request.root_size else None,
        "--bootloader": request.bootloader,
        "--stateroot": request.stateroot,
        "--block-setup": request.block_setup,
        "--root-ssh-authorized-keys": KEYS_IN_CONTAINER if request.root_keys else None,
    }
    for option, value in valued.items():
        if value is not None:
            argv += [option, value]
    for argument in request.kernel_arguments:
        argv += ["--karg", argument]
    flags = {
        "--composefs-backend": bool(request.composefs),
        "--generic-image": request.generic_image,
        "--wipe": wipe,
    }
    return [*argv, *(flag for flag, wanted in flags.items() if wanted), device]


def podman_install(image: str, name: str, inner: list[str], keys_file: str | None) -> list[str]:
    """:param image: as Podman knows it
    :param name: of the container: two installs to the same disk collide on it
    :param inner: the command within
    :param keys_file: root's SSH keys on this machine
    """
    argv = [
        "podman", "run", "--rm", "--interactive", "--name", name, "--pull=never", "--privileged", "--pid=host", "--ipc=host",
        "--network=none", "--security-opt", "label=type:unconfined_t", "-v", "/dev:/dev", "-v", "/var/lib/containers:/var/lib/containers",
    ]
    if keys_file:
        argv += ["-v", f"{keys_file}:{KEYS_IN_CONTAINER}:ro"]
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
