# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One kill after another: what is there before, what is there after it, and what the same play makes of that."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

from judge import NEW, OLD, REFUSED, WRONG, State, Verdict, judge
from plan import Kill
from prepare import ROOT
from verbs import Hung, Running, Verb
from victims import strike

SETTLE_SECONDS = 600.0
# The victim was not there any more.
LATE = "too late"
ATTEMPTS = 3
# Another number, so that there is something new to go to.
OTHER = 1000
WORDS = (OLD, NEW, REFUSED, LATE, WRONG)
CODES = frozenset(re.findall(r"^\| `(\w+)`", (ROOT / "docs/errors.md").read_text(), re.M))


class Trials:
    """:param logs: where each play's output goes
    :param thorough: see that a run after the one that repairs changes nothing, too
    """

    def __init__(self, logs: Path, count: int, thorough: bool) -> None:
        self._logs, self._count, self._thorough = logs, count, thorough
        self._seconds: dict[str, float] = {}
        self._found: dict[tuple[str, str], Counter[str]] = {}
        self.failed: list[int] = []

    def measure(self, verb: Verb) -> None:
        """How long the verb takes when nothing happens, from its first module; it works without faults, that is.

        :raises RuntimeError: it does not
        """
        wanted = verb.prepare(0)
        running = verb.start(self._logs / f"000-{verb.name}.log")
        running.begin(verb.host)
        running.wait()
        self._seconds[verb.name] = running.seconds_at_work()
        if running.ending().rc != 0 or verb.read() != wanted or verb.left():
            raise RuntimeError(
                f"{verb.name} does not even work without a kill: {verb.read()}, not {wanted}; left: {verb.left()}; log: {running.log}"
            )
        print(f"   {verb.name} takes {self._seconds[verb.name]:.1f} s", flush=True)

    def try_out(self, verb: Verb, kill: Kill) -> None:
        """A kill that came too late is tried again, in half the time."""
        verdict, after, seconds = Verdict(LATE), "", 0.0
        for attempt in range(ATTEMPTS):
            seconds = kill.moment * self._seconds[verb.name] / 2**attempt
            try:
                verdict, after = self._one(verb, replace(kill, number=kill.number + attempt * OTHER), seconds)
            except (Hung, OSError, subprocess.CalledProcessError) as error:
                verdict = Verdict(WRONG, str(error))
            if verdict.word != LATE:
                break
        if verdict.word == WRONG:
            self.failed.append(kill.number)
        self._found.setdefault((verb.name, kill.victim), Counter())[verdict.word] += 1
        print(
            f"{kill.number:4}/{self._count} {verb.name:9} {kill.victim:10} {kill.moment:4.0%} {seconds:5.1f} s  {verdict.word}{after}"
            f"{': ' if verdict.why else ''}{verdict.why}",
            flush=True,
        )

    def _one(self, verb: Verb, kill: Kill, seconds: float) -> tuple[Verdict, str]:
        """:returns: the verdict, and what more there is to tell"""
        wanted, before = verb.prepare(kill.number), verb.read()
        running = verb.start(self._logs / f"{kill.number:03}-{verb.name}-{kill.victim}.log")
        struck = strike(kill.victim, verb, running, seconds)
        ending = running.ending()
        if not verb.host.settle(SETTLE_SECONDS):
            return Verdict(WRONG, f"what was started goes on for more than {SETTLE_SECONDS:g} s"), ""
        after = verb.read()
        if not struck:
            whole = ending.rc == 0 and after == wanted
            return Verdict(LATE) if whole else Verdict(WRONG, f"without a kill there is {after}, not {wanted}; log: {running.log}"), ""
        verdict = judge(before, wanted, after, ending, kill.victim, CODES)
        return (verdict, "") if verdict.word == WRONG else self._repaired(verb, kill, wanted, verdict)

    def _repaired(self, verb: Verb, kill: Kill, wanted: State, verdict: Verdict) -> tuple[Verdict, str]:
        again = self._again(verb, kill, "again")
        if verdict.word != NEW:  # it had everything to do, on the machine as it is now
            self._seconds[verb.name] = again.seconds_at_work()
        if again.ending().rc != 0 or verb.read() != wanted:
            return Verdict(WRONG, f"{verdict.word}, but then {verb.read()} by another run, not {wanted}; log: {again.log}"), ""
        left = verb.left()
        if left:
            return Verdict(WRONG, f"{verdict.word}, but there is left after another run: {', '.join(left)}"), ""
        if self._thorough and self._again(verb, kill, "unchanged").changed():
            return Verdict(WRONG, f"{verdict.word}, but a run after the one that repaired it changed something"), ""
        return verdict, f", repaired in {again.seconds():.1f} s" if verdict.word != NEW else ""

    def _again(self, verb: Verb, kill: Kill, why: str) -> Running:
        running = verb.start(self._logs / f"{kill.number:03}-{verb.name}-{kill.victim}-{why}.log")
        running.begin(verb.host)
        running.wait()
        return running

    def table(self) -> str:
        lines = [f"{'verb':10}{'victim':12}" + "".join(f"{word:>10}" for word in WORDS)]
        for (verb, victim), found in sorted(self._found.items()):
            lines.append(f"{verb:10}{victim:12}" + "".join(f"{found[word] or '-':>10}" for word in WORDS))
        total: Counter[str] = sum(self._found.values(), Counter())
        return "\n".join([*lines, f"{'all':22}" + "".join(f"{total[word] or '-':>10}" for word in WORDS)])
