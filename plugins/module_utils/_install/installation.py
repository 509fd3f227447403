# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One installation, step by step: look, check the image, write, read back. On what it is written, its kinds know."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import _kargs as kargs
from .._errors import ImageModeError
from .._runner import Runner
from .._scratch import private_directory
from . import errors, keys
from .claim import Claim
from .command import podman_install, probe_first
from .container import InstallContainer
from .image import Abilities, Image, Request, parse_probe, require_bootable, require_bound_images, require_installable
from .installed import Installed
from .layout import read
from .plan import Plan, additions, contradictions, unread
from .repair import repair


class Installation(ABC):
    """What is to be installed, and the place for it.

    :ivar installed: the installation that is there, as last read
    """

    # Whether bootc makes partitions and file systems with the image's programs.
    formats = True
    # Where /var is, if it is a file system of its own.
    _var: Path | None = None

    def __init__(self, runner: Runner, request: Request, claim: Claim) -> None:
        self._runner = runner
        self._request = request
        self._claim = claim
        self.installed: Installed | None = None
        self._known = ("", "")

    # What the kinds of places differ in.

    @property
    @abstractmethod
    def place(self) -> str:
        """Path of the disk or directory, for messages."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """:returns: what identifies the place"""

    @property
    def sealed(self) -> bool:
        """Whether encryption hides what is installed."""
        return False

    @abstractmethod
    def plan(self, digests: frozenset[str], wipe_confirm: str | None) -> Plan:
        """:raises ImageModeError: something else is there, and wiping it was not confirmed"""

    @abstractmethod
    def _command(self, what: Plan) -> list[str]:
        """:returns: C(bootc install …) as run in the container"""

    def _volumes(self) -> list[str]:
        """:returns: what the container sees beyond devices and images, as podman's --volume has it"""
        return []

    @abstractmethod
    def _require_room(self, image: Image, abilities: Abilities) -> None:
        """:raises ImageModeError: the image does not fit"""

    @abstractmethod
    def _require_unchanged(self) -> None:
        """Immediately before the first write.

        :raises ImageModeError: the place is not any more what was examined
        """

    @abstractmethod
    def _begin(self, image: Image, name: str, what: Plan) -> None:
        """Immediately before the first write: the place is still the one that was examined."""

    @abstractmethod
    def _look_again(self) -> None:
        """Read what is there now."""

    @abstractmethod
    def _undo(self) -> bool:
        """Nothing writes any more; leave nothing bootable.

        :returns: whether something was written
        """

    @abstractmethod
    def _clear(self) -> None:
        """Take away what was installed."""

    def _leave(self) -> None:
        """Leave what was installed as it is, without vouching for it."""
        self._finish()

    def _holds_nothing(self) -> bool:
        """:returns: whether it is certain that nothing was installed"""
        return False

    @abstractmethod
    def _mounted(self, work: Callable[[Mapping[str, Path]], Any], *, writable: bool = False) -> Any:
        """Call I(work) with where each file system is mounted, by its device."""

    @abstractmethod
    def _finish(self) -> None:
        """The installation is complete and verified."""

    # What they share.

    def repair(self, what: Plan) -> None:
        """Add what is missing to the installation, and read it back.

        :raises InstallIncomplete: it is still missing
        :raises ImageModeError: the place is not any more what was examined
        """
        self._claim.take()
        self._require_unchanged()
        self._add(what)

    def _add(self, what: Plan) -> None:
        found, request = self.installed, self._request
        if found is None:
            raise errors.InstallIncomplete(f"{what.reason}, and nothing is installed there.", installed=None)
        self._mounted(lambda roots: repair(roots, found, what, request.root_keys or (), request.files, self._var), writable=True)
        self.installed = now = self._read()
        keys_there = now is not None and set(now.root_keys) == set(request.root_keys or ())
        arguments = () if now is None or now.kernel_arguments is None else now.kernel_arguments
        if now is None or now.lacking or (what.keys and not keys_there) or kargs.missing(what.missing_arguments, arguments):
            raise errors.InstallIncomplete(
                f"{what.reason}, and it could not be put there.",
                installed=now.facts() if now else None,
            )

    def install(self, image: Image, name: str | None, what: Plan, machine: str, timeout: float) -> tuple[InstallContainer, Abilities]:
        """Run `bootc install`; if it fails, nothing bootable is left.

        Everything that can be known of image and place together is checked before the first write.

        :param name: the image, as Podman knows it; C(None) if it may have no name there
        :param machine: C(uname -m)
        :raises ImageModeError: it does not fit, or failed; C(changed) tells whether something was written
        """
        require_bootable(image, machine)
        self._claim.take()
        with ExitStack() as stack:
            called = name or stack.enter_context(self._claim.named(image.id))
            directory = stack.enter_context(private_directory())
            keys_file = None
            if self._request.root_keys:
                keys_file = str(directory / "authorized_keys")
                Path(keys_file).touch(mode=0o600)
                Path(keys_file).write_text(keys.file_text(self._request.root_keys))
            inner = self._command(what)
            work = InstallContainer(self._podman(called, inner, keys_file), lambda said: self._checked(image, name or image.id, what, said))
            command = self._podman(called, probe_first(inner), keys_file)
            try:
                return work, work.run(self._runner, command, timeout)
            except BaseException as error:  # SIGTERM and SIGHUP among them
                self._give_up(error, work.started)
                raise

    def read_back(self, image: Image, abilities: Abilities) -> tuple[str, ...]:
        """Compare what is there with what was asked; put there what bootc left out.

        What cannot be read proves nothing: it is no reason to clear what bootc says it has installed.

        :returns: what was verified; nothing if something could not be read, which L(unread) tells
        :raises InstallIncomplete: something is not there and cannot be put there; the place is cleared
        :raises InstallUnread: whether it is there, or where it belongs, cannot be told; the place is left as it is
        """
        self.recognise(image.id, image.digest)
        self._look_again()
        try:
            verified = self._verified(image, abilities)
        except ImageModeError as error:
            # Whatever else failed, a program that ended with an error, say, does not make what bootc installed wrong.
            proven = error.error == errors.InstallIncomplete.error and not isinstance(error, errors.InstallUnread)
            (self._clear if proven else self._leave)()
            error.details["changed"] = True
            raise
        self._finish()
        return verified

    def recognise(self, config: str, digest: str) -> None:
        """Take an installation for that image also where the disk tells only its id: composefs before bootc 1.16.0.

        :param config: id of the image; I(digest) is that of its manifest
        """
        self._known = config, digest
        self.installed = self.installed.known_as(config, digest) if self.installed else None

    @property
    def unread(self) -> tuple[str, ...]:
        """What of an installation that is there cannot be read, in words."""
        if self.installed is not None:
            return tuple(unread(self.installed))
        return ("it is encrypted",) if self.sealed else ("no deployment of a kind that is known",)

    def verified(self) -> tuple[str, ...]:
        """:returns: what a reading proves, once nothing differs; nothing if something cannot be read"""
        if self.unread:
            return ()
        request = self._request
        asked = {
            "kernel_arguments": request.kernel_arguments,
            "root_ssh_authorized_keys": request.root_keys is not None,
            "files": request.files,
        }
        return ("digest", "target_imgref", *(name for name, was_asked in asked.items() if was_asked))

    def expected(self, what: Plan, digests: frozenset[str]) -> dict[str, Any] | None:
        """:param digests: of the wanted image, as far as known
        :returns: what the installation will be like, as L(Installed.facts); for check mode
        """
        found = self.installed
        if found is None and what.verb == "none":
            return None
        if what.verb == "install" or found is None:
            digest = next(iter(digests)) if len(digests) == 1 else None
            arguments, stateroot, backend = self._request.kernel_arguments, self._request.stateroot or "default", None
            found = Installed("", self._request.target, self._request.transport, digest, stateroot, arguments)
            return {**found.facts(), "backend": backend, "device": None, "root_ssh_keys": len(self._request.root_keys or ())}
        keys_there = self._request.root_keys if what.keys else None
        there = found.kernel_arguments
        return replace(
            found,
            kernel_arguments=None if there is None else (*there, *what.missing_arguments),
            root_keys=found.root_keys if keys_there is None else keys_there,
        ).facts()

    def shown(self, installed: Mapping[str, Any] | None) -> dict[str, Any]:
        """:returns: the place and what is on it, for a diff"""
        return {"place": self.place, "installed": installed}

    def _podman(self, image: str, inner: list[str], keys_file: str | None) -> list[str]:
        online = self._request.bound_images == "pull"
        return podman_install(image, self._claim.name, inner, keys_file, self._volumes(), online=online)

    def _checked(self, image: Image, name: str, what: Plan, said: str) -> Abilities:
        abilities = parse_probe(said)
        require_installable(abilities, self._request, firmware(), formats=self.formats)
        require_bound_images(abilities, self._request, self._runner)
        self._require_room(image, abilities)
        self._begin(image, name, what)
        return abilities

    def _verified(self, image: Image, abilities: Abilities) -> tuple[str, ...]:
        if self.installed is None:
            if self._holds_nothing():
                raise errors.InstallIncomplete(
                    f"bootc reported success, and nothing is installed on {self.place}.",
                    hint="Look at the kernel's log for errors of the disk.",
                )
            if self._request.files:
                why = "Its root is encrypted" if self.sealed else "Its layout is not known"
                raise errors.InstallUnread(
                    f"bootc reported success, and files of the machine cannot be put onto {self.place}.",
                    hint=f"{why}; put them into the image. What was installed was left there, without them.",
                )
            return ()
        wrong = contradictions(self.installed, self._request, image.digests)
        if wrong:
            raise errors.InstallIncomplete(
                f"bootc reported success, and the installation differs from what was asked: {'; '.join(wrong)}.",
                hint="What was installed was cleared. Report this with the image's bootc version.",
                installed=self.installed.facts(),
            )
        self.installed = replace(self.installed, root_home=self.installed.root_home or abilities.root_home)
        arguments = () if abilities.ukis else abilities.kernel_arguments
        left_out = additions(self.installed, self._request, arguments)
        if left_out.changes:
            self._add(left_out)
        return self.verified()

    def _give_up(self, error: BaseException, started: bool) -> None:
        """End what still writes, and take away what it has written."""
        self._claim.end_container()
        written = False
        try:
            written = started and self._undo()
        except errors.DiskGone as gone:
            gone.details["changed"] = True
            raise gone from error
        except ImageModeError as second:
            if not isinstance(error, ImageModeError):
                raise
            written = True
            error.hint = f"{error.hint or ''} What was written could not be cleared: {second.message}".strip()
        if isinstance(error, ImageModeError):
            error.details["changed"] = written

    def _read(self) -> Installed | None:
        found: Installed | None = self._mounted(lambda roots: read(roots, self._request.files, self._var))
        return found.known_as(*self._known) if found else None


def firmware() -> str:
    """:returns: C(uefi) or C(bios): how this machine was started, and most likely will be"""
    return "uefi" if os.path.isdir("/sys/firmware/efi") else "bios"


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
