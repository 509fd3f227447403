# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of an image in Podman's storage. They are only read: nothing of the image is run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .._engine import LocalImage
from .._errors import ImageModeError
from .._install.files import inside
from .._runner import Runner

# What the root needs to be mounted: it is a file, and is written to in memory only.
MODULES = ("loop", "squashfs", "overlay")
_PROGRAMS = {"podman": ("usr/bin/podman",), "an SSH server": ("usr/sbin/sshd", "usr/bin/sshd"), "systemd": ("usr/lib/systemd/systemd",)}


class NotLive(ImageModeError):
    """The image cannot be a live system that installs."""

    error = "image_not_live"


@dataclass(frozen=True)
class Kernel:
    """The image's kernel, as it lies there.

    :ivar modules: files of the modules that the root needs, in the order in which they are loaded
    """

    version: str
    kernel: Path
    initramfs: Path
    modules: tuple[Path, ...]


@contextmanager
def mounted(runner: Runner, image: LocalImage) -> Iterator[Path]:
    """The root of a container that is never started: unlike an image, it can be mounted from additional image stores, too.

    :returns: the image's root directory while the context lasts
    """
    create = ["podman", "create", "--pull=never", "--network=none", "--entrypoint=/bin/false", image.id.removeprefix("sha256:")]
    container = runner.run(create).stdout.strip()
    try:
        yield Path(runner.run(["podman", "mount", container]).stdout.strip())
    finally:
        runner.run(["podman", "rm", "--force", container], check=False)


def kernel(root: Path) -> Kernel:
    """:raises NotLive: something is missing that a live system needs to boot and to install"""
    missing = [what for what, places in _PROGRAMS.items() if not any(_find(root, place) for place in places)]
    if missing:
        raise NotLive(f"The image has no {' and no '.join(missing)}.", hint="Install it in the image's Containerfile.", missing=missing)
    versions = sorted(path.name for path in (root / "usr/lib/modules").glob("*") if (path / "modules.dep").exists())
    if len(versions) != 1:
        raise NotLive(
            f"The image has {len(versions)} kernels in /usr/lib/modules: {', '.join(versions) or 'none'}.",
            hint="A live system needs one kernel with its modules.",
        )
    version = versions[0]
    image = _find(root, f"usr/lib/modules/{version}/vmlinuz") or _find(root, f"boot/vmlinuz-{version}")
    places = (f"usr/lib/modules/{version}/initramfs.img", f"boot/initramfs-{version}.img", f"boot/initrd.img-{version}")
    initramfs = next(filter(None, (_find(root, place) for place in places)), None)
    if image is None or initramfs is None:
        raise NotLive(
            f"The image has no {'initramfs' if image else 'vmlinuz'} for its kernel {version}.",
            hint="Let its Containerfile run dracut, for example 'dracut --no-hostonly /usr/lib/modules/VERSION/initramfs.img VERSION'.",
        )
    return Kernel(version, image, initramfs, _modules(root / "usr/lib/modules" / version))


def _modules(directory: Path) -> tuple[Path, ...]:
    """modules.dep(5): "file: what it needs, the first needed last"."""
    needs = {}
    for line in (directory / "modules.dep").read_text().splitlines():
        name, _colon, rest = line.partition(":")
        needs[name] = rest.split()
    built_in = {Path(line).name.partition(".")[0] for line in _lines(directory / "modules.builtin")}
    wanted: list[str] = []
    for module in MODULES:
        file = next((name for name in needs if Path(name).name.partition(".")[0] == module), None)
        if file:
            wanted += [*reversed(needs[file]), file]
        elif module not in built_in:
            raise NotLive(f"The image's kernel {directory.name} has no module '{module}'.", hint="Install all of the kernel's modules.")
    return tuple(directory / name for name in dict.fromkeys(wanted))


def _find(root: Path, place: str) -> Path | None:
    """Links of the image are followed within the image."""
    found = inside(root, place)
    return found if found is not None and os.path.exists(found) else None


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
