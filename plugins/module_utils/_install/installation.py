# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One installation to one disk, step by step: look, check the image, write, read back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._auth import private_directory
from .._disk.guard import confirmation, confirmed, contents, fingerprint, require_free, require_same
from .._disk.hints import Hints, choose
from .._disk.scan import Scanner
from .._errors import ImageModeError
from .._runner import Runner
from . import errors, kargs, keys
from .command import bootc_install, podman_install, probe_first
from .container import InstallContainer
from .image import Abilities, Image, Request, parse_probe, require_bootable, require_installable, require_room
from .installed import Installed
from .layout import read
from .mounts import mountable, with_mounted
from .plan import Plan, additions, differences, plan
from .repair import repair


class Installation:
    """A disk, and what is to be on it.

    :ivar disk: the disk that the hints chose, as it was last examined
    :ivar installed: the installation on it, as last read
    """

    def __init__(self, runner: Runner, hints: Hints, request: Request) -> None:
        self._runner = runner
        self._scanner = Scanner(runner)
        self._hints = hints
        self._request = request
        self._devices = self._scanner.devices()
        self.disk = self._scanner.examine(choose(self._devices, hints))
        require_free(self.disk)
        self.installed = self._read()

    @property
    def _container(self) -> str:
        return f"bootc-install-{self.disk.kname}"

    @property
    def contents(self) -> tuple[str, ...]:
        return contents(self.disk)

    @property
    def sealed(self) -> bool:
        """Whether an encrypted partition hides what is installed."""
        return any(partition.content == "crypto_LUKS" for partition in self.disk.partitions)

    def plan(self, digests: frozenset[str], wipe_confirm: str | None) -> Plan:
        """:raises ImageModeError: the disk holds something else, and wiping it was not confirmed"""
        agreed = confirmed(self.disk, self._devices, wipe_confirm)
        return plan(
            self.disk, self.contents, self.installed, self._request, digests,
            confirmed=agreed, confirmation=confirmation(self.disk, self._devices),
        )

    def repair(self, what: Plan) -> None:
        """Add what is missing to the installation on the disk, and read it back.

        :raises InstallIncomplete: it is still missing
        """
        found = self.installed
        if found is None:
            raise errors.InstallIncomplete(f"{what.reason}, and nothing is installed on the disk.", installed=None)
        self._mounted(lambda roots: repair(roots, found, what, self._request.root_keys or ()), writable=True)
        self.installed = now = self._read()
        keys_there = now is not None and set(now.root_keys) == set(self._request.root_keys or ())
        if now is None or (what.keys and not keys_there) or kargs.missing(what.missing_arguments, now.kernel_arguments):
            raise errors.InstallIncomplete(
                f"{what.reason}, and they could not be put there.", installed=now.facts() if now else None,
            )

    def install(self, image: Image, name: str, what: Plan, machine: str, timeout: float) -> tuple[InstallContainer, Abilities]:
        """Run `bootc install to-disk`; if it fails, nothing bootable is left.

        Everything that can be known of image and disk together is checked before the first write.

        :param name: the image, as Podman knows it
        :param machine: C(uname -m)
        :raises ImageModeError: it does not fit, or failed; C(changed) tells whether the disk was written to
        """
        require_bootable(image, machine)
        with private_directory() as directory:
            keys_file = None
            if self._request.root_keys:
                keys_file = str(directory / "authorized_keys")
                Path(keys_file).touch(mode=0o600)
                Path(keys_file).write_text(keys.file_text(self._request.root_keys))
            inner = bootc_install(self._request, self.disk.path, wipe=what.wipe)
            work = InstallContainer(self._podman(name, inner, keys_file), lambda said: self._checked(image, said))
            command = self._podman(name, probe_first(inner), keys_file)
            try:
                return work, work.run(self._runner, command, timeout)
            except BaseException as error:  # SIGTERM and SIGHUP among them
                mine = not isinstance(error, ImageModeError) or error.error != "install_running"
                written = self._give_up(mine) if work.started else self._remove_container(mine)
                if isinstance(error, ImageModeError):
                    error.details["changed"] = written
                raise

    def _podman(self, image: str, inner: list[str], keys_file: str | None) -> list[str]:
        return podman_install(image, self._container, inner, keys_file)

    def _checked(self, image: Image, said: str) -> Abilities:
        abilities = parse_probe(said)
        require_installable(abilities, self._request)
        require_room(image, abilities, self._request, self.disk)
        self._require_unchanged()
        return abilities

    def read_back(self, image: Image, abilities: Abilities) -> tuple[str, ...]:
        """Compare the disk with what was asked; put there what bootc left out.

        :returns: what was verified
        :raises InstallIncomplete: something is not there and cannot be put there; the disk is cleared
        """
        self._look_again()
        try:
            return self._verified(image, abilities)
        except ImageModeError as error:
            self._clear()
            error.details["changed"] = True
            raise

    def verified(self) -> tuple[str, ...]:
        """:returns: what a reading of the disk proves, once nothing differs"""
        request = self._request
        asked = {"kernel_arguments": request.kernel_arguments, "root_ssh_authorized_keys": request.root_keys is not None}
        return ("digest", "target_imgref", *(name for name, was_asked in asked.items() if was_asked))

    def expected(self, what: Plan, digests: frozenset[str]) -> dict[str, Any] | None:
        """:param digests: of the wanted image, as far as known
        :returns: what the installation will be like, as L(Installed.facts); for check mode
        """
        found = self.installed
        if what.verb == "install" or found is None:
            digest = next(iter(digests)) if len(digests) == 1 else None
            arguments, stateroot, backend = self._request.kernel_arguments, self._request.stateroot or "default", None
            found = Installed("", self._request.target, self._request.transport, digest, stateroot, arguments)
            return {**found.facts(), "backend": backend, "device": None, "root_ssh_keys": len(self._request.root_keys or ())}
        keys_there = self._request.root_keys if what.keys else None
        return replace(
            found,
            kernel_arguments=(*found.kernel_arguments, *what.missing_arguments),
            root_keys=found.root_keys if keys_there is None else keys_there,
        ).facts()

    def shown(self, installed: Mapping[str, Any] | None) -> dict[str, Any]:
        """:returns: the disk and what is on it, for a diff"""
        return {"disk": self.disk.path, "serial": self.disk.serial, "installed": installed}

    def _verified(self, image: Image, abilities: Abilities) -> tuple[str, ...]:
        if self.installed is None:
            if self.sealed:
                return ()
            raise errors.InstallIncomplete(
                f"bootc reported success, and no installation can be read from {self.disk.path}.",
                hint="Look at the kernel's log for errors of the disk. The disk was cleared.",
            )
        wrong = differences(self.installed, self._request, image.digests)
        if wrong:
            raise errors.InstallIncomplete(
                f"bootc reported success, and the installation differs from what was asked: {'; '.join(wrong)}.",
                hint="The disk was cleared. Report this with the image's bootc version.",
                installed=self.installed.facts(),
            )
        arguments = () if abilities.ukis else abilities.kernel_arguments
        left_out = additions(self.installed, self._request, arguments)
        if left_out.changes:
            self.repair(left_out)
        return self.verified()

    def _require_unchanged(self) -> None:
        devices = self._scanner.devices()
        now = self._scanner.examine(choose(devices, self._hints))
        require_same(self.disk, now)
        require_free(now)

    def _look_again(self) -> None:
        devices = self._scanner.devices()
        self.disk = self._scanner.examine(next(device for device in devices if device.kname == self.disk.kname))
        self.installed = self._read()

    def _remove_container(self, mine: bool) -> bool:
        """:returns: whether the disk was written to: no"""
        if mine:
            self._runner.run(["podman", "rm", "--force", "--ignore", self._container], check=False, timeout=60)
        return False

    def _give_up(self, mine: bool) -> bool:
        """End what still writes, and clear what it has written.

        :param mine: the container is this run's
        :returns: whether the disk was written to
        """
        self._remove_container(mine)
        before = fingerprint(self.disk)
        self._look_again()
        if fingerprint(self.disk) == before:
            return False
        self._clear()
        return True

    def _clear(self) -> None:
        """Take partition table and signatures away: a half-written system must not boot, and the next run finds an empty disk."""
        require_free(self.disk)
        paths = [*(partition.path for partition in self.disk.partitions), self.disk.path]
        for path in paths:
            self._runner.run(["wipefs", "--all", "--force", path], check=False)
        # udev looks at each wiped partition, and while it does, the kernel keeps its old table.
        for _attempt in range(5):
            self._scanner.settle()
            if self._runner.run(["blockdev", "--rereadpt", self.disk.path], check=False).rc == 0:
                break
            time.sleep(1)

    def _read(self) -> Installed | None:
        return self._mounted(read) if mountable(self.disk) else None

    def _mounted(self, work: Callable[[Mapping[str, Path]], Installed | None], *, writable: bool = False) -> Installed | None:
        return with_mounted(self._runner, mountable(self.disk), work, writable=writable)


def require_ready(runner: Runner, programs: Sequence[str] = ("podman", "lsblk", "wipefs", "blockdev", "mount")) -> None:
    """:raises ImageModeError: not root, or a program is missing"""
    if os.geteuid() != 0:
        raise ImageModeError("Writing to disks needs root.", error="not_root", hint="Run the task with 'become: true'.")
    lacking = [program for program in programs if runner.find(program) is None]
    if lacking:
        raise ImageModeError(
            f"This machine lacks {', '.join(lacking)}.",
            error="podman_missing" if "podman" in lacking else "command_missing",
            hint="Use a live system with Podman and util-linux, or install them (apt install podman, dnf install podman).",
            missing=lacking,
        )
