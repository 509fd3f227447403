# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done while something is killed: plays, and what they bring about, read without any code of the collection."""

from __future__ import annotations

import abc
import atexit
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from host import Host
from judge import Ending, State

# To look at all processes takes a few milliseconds.
TICK_SECONDS = 0.05
# No play takes a tenth of it where nothing else runs; those on an emulated machine have another.
LIMIT_SECONDS = 600.0


class Hung(Exception):
    """A play does not end."""


class Running:
    """A play at work, in a process group of its own."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], cwd: Path, log: Path, limit_seconds: float = LIMIT_SECONDS
    ) -> None:
        self.log, self._limit = log, limit_seconds
        with log.open("w") as output:
            self._process = subprocess.Popen(
                list(words), env=dict(environment), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        atexit.register(self.kill)
        self.started = time.monotonic()
        self._killed = False
        self._begun: float | None = None
        self._noticed: float | None = None

    def begin(self, host: Host) -> float | None:
        """Wait for the first module.

        :returns: when it was seen, as C(time.monotonic) tells; C(None) if the play ended without one
        """
        while not self.ended():
            if host.at_work():
                self._begun = time.monotonic()
                break
            time.sleep(TICK_SECONDS)
        return self._begun

    def ended(self) -> bool:
        if time.monotonic() - self.started > self._limit:
            self.kill()
            raise Hung(f"it did not end within {self._limit:g} s; log: {self.log}")
        if self._process.poll() is None:
            return False
        self._noticed = self._noticed or time.monotonic()
        return True

    def wait(self, seconds: float | None = None) -> None:
        """Until it ends, at most so many seconds."""
        deadline = time.monotonic() + (seconds or 0)
        while not self.ended() and (seconds is None or time.monotonic() < deadline):
            time.sleep(TICK_SECONDS)

    def kill(self) -> bool:
        """:returns: whether it still ran"""
        if self._process.poll() is not None:
            return False
        self._killed = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return True

    def ending(self) -> Ending:
        self.wait()
        text = self.log.read_text(errors="replace")
        codes = re.findall(r'"error": "([a-z_]+)"', text)
        return Ending(None if self._killed else self._process.returncode, codes[-1] if codes else None)

    def seconds(self) -> float:
        """Of a play that has ended: until it was noticed."""
        return (self._noticed or time.monotonic()) - self.started

    def seconds_at_work(self) -> float:
        """The same from the first module, which L(begin) waited for."""
        return self.seconds() - ((self._begun or self.started) - self.started)

    def changed(self) -> int:
        """How many tasks changed something."""
        return sum(int(number) for number in re.findall(r"changed=(\d+)", self.log.read_text(errors="replace").rpartition("PLAY RECAP")[2]))


class Verb(abc.ABC):
    """One verb of an operator's day on one host.

    :ivar victims: who can be killed while it is at work
    :ivar slow: it takes minutes, so that each victim is killed once a run
    """

    name: str
    victims: tuple[str, ...]
    slow = False
    host: Host

    @abc.abstractmethod
    def prepare(self, number: int) -> State:
        """Have something new to go to.

        :returns: where the verb is to lead
        """

    @abc.abstractmethod
    def start(self, log: Path) -> Running:
        """Begin the play; it is the same until the next C(prepare)."""

    @abc.abstractmethod
    def read(self) -> State: ...

    @abc.abstractmethod
    def left(self) -> list[str]:
        """What should not be there after a run that nothing happened to."""

    def stop_registry(self) -> None:
        raise NotImplementedError

    def start_registry(self) -> None:
        raise NotImplementedError

    def cut_power(self) -> None:
        raise NotImplementedError


def inventory(path: Path, groups: Mapping[str, Mapping[str, Any]]) -> None:
    """:param groups: group → host → variables; secrets are among them"""
    document = {group: {"hosts": hosts} for group, hosts in groups.items()}
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(document, file, indent=1)
