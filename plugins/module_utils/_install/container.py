# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container that first tells what the image can do, and then installs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .._runner import Runner
from . import errors
from .command import READY, answer
from .image import Abilities


class InstallContainer:
    """Starting a container costs seconds, so the one that installs also answers what has to be known before.

    :param argv: the command that installs, as it can be given by hand
    :param check: gets what the image said of itself; raises, and nothing is written
    :ivar seconds: how long it installed
    """

    def __init__(self, argv: Sequence[str], check: Callable[[str], Abilities]) -> None:
        self.argv = tuple(argv)
        self.seconds = 0.0
        self._check = check
        self._abilities: Abilities | None = None
        self._since = 0.0

    @property
    def started(self) -> bool:
        """Whether bootc was let loose on the disk."""
        return self._abilities is not None

    def run(self, runner: Runner, command: Sequence[str], timeout: float) -> Abilities:
        """:param command: what L(probe_first) made of the command
        :param timeout: seconds, for all
        :raises ImageModeError: the image does not fit, cannot be run, or its bootc failed
        """
        done = runner.run(command, timeout=timeout, check=False, reply=self._reply)
        self.seconds = time.monotonic() - self._since
        if done.rc == 0 and self._abilities:
            return self._abilities
        failure = errors.failure(" ".join(self.argv), done.rc, done.stderr)
        if self.started or failure.error != errors.InstallError.error:
            raise failure
        raise errors.ImageNotBootable(
            f"The image cannot be run to ask it what it can do: {done.last_words or 'it said nothing'}",
            hint="It needs /bin/sh and bootc; check that Podman can run a container here: 'podman run --rm IMAGE true'.",
            rc=done.rc,
            stderr=done.last_words,
        )

    def _reply(self, said: str) -> str | None:
        if not said.endswith(READY):
            return None
        self._abilities = self._check(said.removesuffix(READY))
        self._since = time.monotonic()
        return answer(self._abilities.version)
