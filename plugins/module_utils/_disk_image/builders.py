# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three ways to make a raw disk, or what image-builder makes itself, from an image."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._disk.size import human
from .._errors import ImageModeError, OptionError
from .._install.image import OVERHEAD_PERCENT, Image, Request
from .._install.installation import require_ready
from .._install.on_disk import FileInstallation
from .._install.source import Wanted
from .._runner import Runner
from . import image_builder, machine
from .machine import Medium

DEFAULT_SIZE = 10 << 30


@dataclass(frozen=True)
class Order:
    """A disk image as it was asked for.

    :ivar size: bytes of the disk; C(None) if nothing was asked
    :ivar format: of the finished file
    :ivar timeout: seconds for pulling and installing, each
    """

    request: Request
    wanted: Wanted
    size: int | None
    format: str
    timeout: float

    @property
    def disk_size(self) -> int:
        """:returns: bytes of the disk, for builders that have no size of their own"""
        return self.size or DEFAULT_SIZE


@dataclass(frozen=True)
class Built:
    """:ivar format: of the file at I(path)
    :ivar digest: of the manifest that was installed
    :ivar details: further fields of the result
    """

    path: Path
    format: str
    digest: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Builder(ABC):
    """A way to make it.

    :param fetch: has the image in Podman's storage
    :param save: has it as files in a directory that is made
    """

    name = ""
    # What is asked for its version.
    programs: tuple[str, ...] = ()

    def __init__(self, runner: Runner, order: Order, fetch: Callable[[], Image], save: Callable[[Path], None]) -> None:
        self._runner = runner
        self._order = order
        self._fetch = fetch
        self._save = save

    @property
    def size(self) -> int | None:
        """:returns: bytes of the disk; C(None) if the builder decides"""
        return self._order.disk_size

    @abstractmethod
    def require(self) -> None:
        """:raises ImageModeError: it cannot be done on this machine, or what was asked for cannot be done in this way"""

    @abstractmethod
    def build(self, folder: Path) -> Built:
        """:param folder: beside the file that is made"""

    def tools(self) -> dict[str, str]:
        """:returns: program or medium → version"""
        return {program: version(self._runner, program) for program in self.programs}


class HostBuilder(Builder):
    """By a loop device of this machine, as root."""

    name = "host"
    programs = ("podman",)

    def require(self) -> None:
        _require_format(self._order)
        require_ready(self._runner, ("podman", "lsblk", "wipefs", "blockdev", "mount", "losetup"))

    def build(self, folder: Path) -> Built:
        order, raw = self._order, folder / "disk.raw"
        image = self._fetch()
        require_space(folder, image.size * (100 + OVERHEAD_PERCENT) // 100)
        job = FileInstallation(self._runner, str(raw), order.disk_size, order.request, may_write=True)
        try:
            plan = job.plan(frozenset(), None)
            name = None if order.wanted.files else order.wanted.name
            container, abilities = job.install(image, name, plan, os.uname().machine, order.timeout)
            verified = job.read_back(image, abilities)
            unread = job.unread
            installed = job.installed.facts() if job.installed else {}
        finally:
            job.close()
        details = {
            "command": list(container.argv),
            "seconds": round(container.seconds, 1),
            "verified": list(verified),
            "unread": list(unread),
            "installed": installed,
        }
        return Built(raw, "raw", image.digest, details)


class MachineBuilder(Builder):
    """Inside of a throw-away machine.

    :param live: options of the medium
    """

    name = "machine"

    def __init__(
        self, runner: Runner, order: Order, fetch: Callable[[], Image], save: Callable[[Path], None], live: Mapping[str, Any]
    ) -> None:
        super().__init__(runner, order, fetch, save)
        self._medium = Medium.find(live)

    def require(self) -> None:
        _require_format(self._order)
        if self._order.request.block_setup == "tpm2-luks":
            raise OptionError("A throw-away machine has no TPM that outlives it.", hint="Leave 'block_setup' out.")
        lacking = [program for program in ("skopeo", "ssh", "ssh-keygen", "mkfs.ext4") if self._runner.find(program) is None]
        if lacking:
            raise ImageModeError(
                f"This machine lacks {', '.join(lacking)}.",
                error="command_missing",
                missing=lacking,
                hint="Install skopeo, an SSH client and e2fsprogs, or set another 'builder'.",
            )

    def tools(self) -> dict[str, str]:
        return {"live": self._medium.version()}

    def build(self, folder: Path) -> Built:
        order, raw, files = self._order, folder / "disk.raw", folder / "image"
        self._save(files)
        # A second time on the disk with the image, unpacked there, and unpacked on the target.
        require_space(folder, 7 * sum(one.stat().st_size for one in files.iterdir()))
        found = machine.install(
            self._runner,
            self._medium,
            order.request,
            files,
            order.wanted.digest,
            raw,
            order.disk_size,
            order.timeout,
        )
        return Built(raw, "raw", found.pop("digest"), found)


class ImageBuilder(Builder):
    """By osbuild's image-builder.

    :param container: image of it; C(None) for its program on this machine
    """

    name = "image-builder"

    def __init__(
        self, runner: Runner, order: Order, fetch: Callable[[], Image], save: Callable[[Path], None], container: str | None
    ) -> None:
        super().__init__(runner, order, fetch, save)
        self._container = container
        self.programs = ("podman",) if container else ("image-builder",)

    @property
    def size(self) -> int | None:
        return self._order.size

    def require(self) -> None:
        order = self._order
        image_builder.require(order.request, order.format, self.size)
        if order.request.target != order.wanted.name:
            raise OptionError(
                f"The machine would follow '{order.wanted.name}': image-builder knows no other 'target_imgref' ({order.request.target}).",
                hint="Leave 'target_imgref' and 'digest' out and name the image by its tag, or set another 'builder'.",
            )
        if os.geteuid() != 0:
            raise ImageModeError("image-builder needs root.", error="not_root", hint="Run the task with 'become: true'.")
        if self._container is None and self._runner.find("image-builder") is None:
            raise ImageModeError(
                "image-builder is not installed on this machine.",
                error="command_missing",
                hint="Install it, or name its container with 'builder_image'.",
            )

    def tools(self) -> dict[str, str]:
        image = {"builder_image": self._container} if self._container else {}
        return {**super().tools(), **image}

    def build(self, folder: Path) -> Built:
        order = self._order
        image = self._fetch()
        itself = order.format in image_builder.TYPES
        kind = image_builder.TYPES[order.format if itself else "raw"]
        made = image_builder.build(self._runner, order.wanted.name, order.request, self.size, kind, folder, self._container, order.timeout)
        return Built(made.pop("path"), order.format if itself else "raw", image.digest, made)


def version(runner: Runner, program: str) -> str:
    """:returns: the first line of C(--version)"""
    said = runner.run([program, "--version"], parsed=True).stdout.splitlines()
    return said[0].strip() if said else ""


def require_space(folder: Path, needed: int) -> None:
    """:raises ImageModeError: C(disk_full)"""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ImageModeError(
            f"{folder.parent} has {human(free)} left, and making the disk image takes about {human(needed)}.",
            error="disk_full",
            hint="Free some space there, or choose another 'dest'.",
            needed=needed,
            free=free,
        )


def _require_format(order: Order) -> None:
    if order.format in image_builder.ONLY_HERE:
        raise OptionError(f"The format '{order.format}' is made by image-builder only.", hint="Set 'builder: image-builder'.")
