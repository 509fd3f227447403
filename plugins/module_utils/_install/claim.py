# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run's right to write to a disk: a lock that ends with the run, whatever ends it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._runner import Runner
from .errors import InstallError

_LOCKS = Path("/run/lock")
_REPOSITORY = "localhost/imagemode-install"
_LONGEST_TAG = 128


class Claim:
    """Held until the process ends.

    :param name: of the container that installs; what holds the lock may end a container of that name
    """

    def __init__(self, runner: Runner, name: str) -> None:
        self.name = name
        self._runner = runner
        self._lock: int | None = None

    @classmethod
    def of_disk(cls, runner: Runner, kname: str) -> Claim:
        return cls(runner, f"bootc-install-{kname}")

    def take(self) -> None:
        """:raises InstallError: C(install_running)"""
        if self._lock is not None:
            return
        _LOCKS.mkdir(parents=True, exist_ok=True)  # not every live system has it
        descriptor = os.open(_LOCKS / f"{self.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise self.running() from error
        self._lock = descriptor

    def running(self) -> InstallError:
        return InstallError(
            f"Another installation is writing there: the container {self.name}.",
            error="install_running",
            hint="Wait for it. If it was left behind by a task that was killed, the next run outside of check mode ends it.",
        )

    def container_left(self) -> bool:
        """:returns: whether a container of this name exists, left by a run that was killed or at work for one that is not"""
        return self._runner.run(["podman", "container", "exists", self.name], check=False).rc == 0

    def end_interrupted(self, *, may_write: bool) -> bool:
        """End what a run that was killed has left at work.

        :param may_write: not in check mode
        :returns: whether something was
        :raises InstallError: C(install_running)
        """
        self.take()
        if not self.container_left():
            return False
        if not may_write:
            raise self.running()
        self.end_container()
        return True

    def end_container(self) -> None:
        """End what still writes. Only with the lock."""
        self._runner.run(["podman", "rm", "--force", "--ignore", "--time=2", self.name], check=False, timeout=120)
        self._untag()

    @contextmanager
    def named(self, image: str) -> Iterator[str]:
        """Give an image a name as long as it is installed: bootc asks the storage for NAME@DIGEST (install.rs, from_container), and
        an id in its place "does not resolve to an image ID".

        :param image: its id
        """
        self._runner.run(["podman", "tag", image, self._tagged])
        try:
            yield self._tagged
        finally:
            self._untag()

    @property
    def _tagged(self) -> str:
        return f"{_REPOSITORY}:{self.name[-_LONGEST_TAG:].lstrip('.-')}"

    def _untag(self) -> None:
        # With one argument, podman takes all names away.
        self._runner.run(["podman", "untag", self._tagged, self._tagged], check=False, timeout=120)
