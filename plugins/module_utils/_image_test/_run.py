# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running the tests: one container for all, and one more where the image's own command is to be seen at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._engine import Container, Engine, LocalImage, container
from .._errors import ImageModeError
from .._runner import CommandTimeout, Runner
from ._judge import judge, judge_command
from ._probe import Facts, port_script, read, script
from ._test import Test

# A port is usually there at once, or not at all.
_PORT_SECONDS = 10
# For starting the container and looking things up, beside the tests' own limits.
_OVERHEAD_SECONDS = 600


class ImageTestFailed(ImageModeError):
    """A test of the image failed; the image works, or does not, all the same."""

    error = "image_test_failed"


@dataclass(frozen=True)
class Result:
    """The outcome of a test.

    :ivar reason: why it failed; empty if it passed
    :ivar seconds: wall-clock time
    :ivar output: what a failed command said: C(stdout) and C(stderr)
    """

    name: str
    reason: str
    seconds: float
    output: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def passed(self) -> bool:
        return not self.reason

    def as_result(self) -> dict[str, Any]:
        return {"name": self.name, "passed": self.passed, "reason": self.reason, "seconds": round(self.seconds, 2), **self.output}


def run_tests(tests: Sequence[Test], engine: Engine, runner: Runner, image: LocalImage, network: str, timeout: int) -> list[Result]:
    """Run all of them, whether or not one fails.

    :param timeout: seconds for a command that has no limit of its own
    :returns: a result for each, in order
    :raises ImageModeError: no container of the image can be run
    """
    found: dict[int, Result] = {}
    numbered = list(enumerate(tests))
    seconds = sum(_limit(test, timeout) for test in tests) + _OVERHEAD_SECONDS
    shared = [(number, test) for number, test in numbered if not _needs_own_command(test)]
    alone = [(number, test) for number, test in numbered if _needs_own_command(test)]
    if shared:
        with container(engine, runner, image, network, seconds) as box:
            found.update(_look(box, image, [one for one in shared if one[1].kind not in ("command", "port")]))
            for number, test in shared:
                if test.kind == "command":
                    found[number] = _command(box, test, _limit(test, timeout))
                elif test.kind == "port":
                    found[number] = _port(box, test, _limit(test, timeout))
    if alone:
        with container(engine, runner, image, network, seconds, own_command=True) as box:
            for number, test in alone:
                found[number] = _port(box, test, _limit(test, timeout))
    return [found[number] for number, _test in numbered]


def _needs_own_command(test: Test) -> bool:
    return test.kind == "port" and "start" not in test.expected


def _limit(test: Test, timeout: int) -> int:
    default = {"command": timeout, "port": _PORT_SECONDS}.get(test.kind, 0)
    return int(test.expected.get("timeout") or default)


def _look(box: Container, image: LocalImage, tests: Sequence[tuple[int, Test]]) -> Iterable[tuple[int, Result]]:
    if not tests:
        return
    clock = _Clock()
    done = box.run(
        ["/bin/sh", "-c", script([(number, test) for number, test in tests if test.kind != "label"])],
        timeout=_OVERHEAD_SECONDS,
        on_line=clock.hear,
    )
    clock.hear("test\t")
    facts = read(done.stdout)
    for number, test in tests:
        known: Facts | None = facts.get(number)
        if test.kind == "label":
            known = {"value": (image.labels[test.subject],)} if test.subject in image.labels else {}
        # A script that was cut off has told nothing of the rest.
        reason = f"it could not be looked up: {done.last_words or f'return code {done.rc}'}" if known is None else judge(test, known)
        yield number, Result(test.name, reason or "", clock.seconds.get(number, 0.0))


class _Clock:
    """How long each test took, by when its first line came."""

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}
        self._current: int | None = None
        self._since = time.monotonic()

    def hear(self, line: str) -> None:
        if not line.startswith("test\t"):
            return
        now = time.monotonic()
        if self._current is not None:
            self.seconds[self._current] = now - self._since
        number = line.partition("\t")[2]
        self._current, self._since = int(number) if number else None, now


def _command(box: Container, test: Test, limit: int) -> Result:
    def do() -> tuple[str | None, dict[str, str]]:
        done = box.run(["/bin/sh", "-c", test.subject], timeout=limit)
        reason = judge_command(test, done)
        return reason, {"stdout": _tail(done.stdout), "stderr": _tail(done.stderr)} if reason else {}

    return _timed(test, limit, do)


def _port(box: Container, test: Test, limit: int) -> Result:
    def do() -> tuple[str | None, dict[str, str]]:
        # Beside the port's own limit there is time for the container to answer.
        done = box.run(["/bin/sh", "-c", port_script(test, limit), "sh", test.expected.get("start", "")], timeout=limit + 60)
        if done.rc == 0:
            return None, {}
        said = " / ".join((done.stdout or done.stderr).splitlines()[-4:])
        protocol = test.expected.get("protocol") or "tcp"
        return f"nothing listens on {protocol} port {test.subject} within {limit} s" + (f": {said}" if said else ""), {}

    return _timed(test, limit, do)


def _timed(test: Test, limit: int, do: Callable[[], tuple[str | None, dict[str, str]]]) -> Result:
    started = time.monotonic()
    try:
        reason, output = do()
    except CommandTimeout:
        reason, output = f"it did not end within {limit} s", {}
    return Result(test.name, reason or "", time.monotonic() - started, output)


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-20:])
