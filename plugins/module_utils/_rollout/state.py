# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rollout as a file on the controller: what is rolled out, who goes when, and whether it goes on.

What became of each host is in the fleet's journal, and what runs is on the hosts; so a controller that was stopped anywhere
loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .._errors import ImageModeError
from .._fleet.record import Record
from .._replace import replace_file
from .gate import HaltRules, bad
from .plan import Batch, Budget, Candidate, cut_again

RUNNING, PAUSED, HALTED, CANCELLED, DONE = STATES = ("running", "paused", "halted", "cancelled", "done")
_REACHED = ("updated", "unchanged")


class RolloutInvalid(ImageModeError):
    """The rollout's file is not one, or cannot be read or written."""

    error = "rollout_invalid"


class RolloutMissing(ImageModeError):
    """There is no rollout."""

    error = "rollout_missing"


class RolloutUnfinished(ImageModeError):
    """Another rollout in this file is not finished."""

    error = "rollout_unfinished"


@dataclass(frozen=True)
class Rollout:
    """One digest on its way over a fleet.

    :ivar digest: what all hosts get, though the tag of I(image) may move meanwhile
    :ivar continued: when it was gone on with after it stopped; what failed before that is tried again and does not halt it
    :ivar state: one of C(running), C(paused), C(halted), C(cancelled), C(done)
    :ivar reason: why it is in this state, for people
    """

    image: str
    digest: str
    created: str
    batches: tuple[Batch, ...]
    hosts: tuple[Candidate, ...]
    budgets: tuple[Budget, ...] = ()
    halt: HaltRules = field(default_factory=HaltRules)
    continued: str = ""
    state: str = RUNNING
    reason: str = ""

    def now(self, state: str, reason: str = "") -> Rollout:
        return replace(self, state=state, reason=reason)

    def go_on(self, time: str, reason: str) -> Rollout:
        return replace(self, state=RUNNING, continued=time, reason=reason)

    def without(self, gone: Collection[str]) -> Rollout:
        """:returns: the rollout over the other hosts
        :raises RolloutInvalid: there are no others
        """
        hosts = tuple(host for host in self.hosts if host.name not in gone)
        if not hosts:
            some = ", ".join(sorted(gone)[:5])
            raise RolloutInvalid(
                f"No host of the rollout of {self.image} that is {self.state} is among those that were asked for: {some}.",
                hint="Go on with it with its own hosts, or cancel it with rollout_state; or keep the other one in a file of its own.",
            )
        return replace(self, hosts=hosts, batches=cut_again(self.batches, hosts, self.budgets))

    def remaining(self, records: Mapping[str, Record], until: str | None = None) -> tuple[Batch, ...]:
        """:param until: the last wave that counts
        :returns: the batches that are still to go, without the hosts that got there
        :raises RolloutInvalid: no wave is called so
        """
        batches = self.up_to(until)
        waiting = [tuple(host for host in batch.hosts if not self.reached(records.get(host))) for batch in batches]
        return tuple(replace(batch, hosts=hosts) for batch, hosts in zip(batches, waiting) if hosts)

    def up_to(self, wave: str | None) -> tuple[Batch, ...]:
        """:returns: the batches up to and with those of this wave; all of them for C(None)
        :raises RolloutInvalid: no wave is called so
        """
        if wave is None:
            return self.batches
        last = max((number for number, batch in enumerate(self.batches, 1) if batch.wave == wave), default=0)
        if not last:
            raise RolloutInvalid(
                f"No wave of this rollout is called '{wave}', or no host is in it.",
                hint=f"They are {', '.join(dict.fromkeys(batch.wave for batch in self.batches))}.",
            )
        return self.batches[:last]

    def reached(self, record: Record | None) -> bool:
        """Whether this rollout brought the host to the digest."""
        return record is not None and record.wanted == self.digest and record.result in _REACHED and record.time >= self.created

    def gone(self, records: Mapping[str, Record], until: str) -> bool:
        """Whether every host up to this wave got there, or was tried and failed; one that waits for its window did neither.

        :raises RolloutInvalid: no wave is called so
        """
        hosts = [records.get(host) for batch in self.up_to(until) for host in batch.hosts]
        return all(self.reached(record) or bad(record, self.digest) for record in hosts)

    def of_this(self, records: Mapping[str, Record]) -> dict[str, Record]:
        """:returns: the records of its hosts that were made since it began"""
        return {host.name: record for host in self.hosts if (record := records.get(host.name)) and record.time >= self.created}

    def newest_wave(self, records: Mapping[str, Record]) -> tuple[Batch, ...]:
        """:returns: the batches of the last wave that began, with the hosts which this rollout brought to the digest"""
        begun = [batch.wave for batch in self.batches if any(host in records for host in batch.hosts)]
        wave = [batch for batch in self.batches if batch.wave == (begun[-1] if begun else None)]
        there = (replace(batch, hosts=tuple(host for host in batch.hosts if self.reached(records.get(host)))) for batch in wave)
        return tuple(batch for batch in there if batch.hosts)

    def is_last_of_wave(self, hosts: Sequence[str], records: Mapping[str, Record]) -> bool:
        """Whether no later batch of its wave is still to go; one that went and failed is over."""
        batch = self.batch_of(hosts)
        later = self.batches[self.batches.index(batch) + 1 :]
        return all(self.reached(records.get(host)) for other in later if other.wave == batch.wave for host in other.hosts)

    def before(self, hosts: Sequence[str]) -> list[str]:
        """:returns: the hosts of the waves before that of this batch"""
        wave = self.batch_of(hosts).wave
        first = next(number for number, batch in enumerate(self.batches) if batch.wave == wave)
        return [host for batch in self.batches[:first] for host in batch.hosts]

    def batch_of(self, hosts: Sequence[str]) -> Batch:
        """:returns: the batch that these hosts belong to
        :raises RolloutInvalid: they are not of one batch
        """
        found = next((batch for batch in self.batches if set(hosts) <= set(batch.hosts)), None)
        if found is None:
            raise RolloutInvalid(
                f"The hosts {', '.join(hosts[:5])} are not of one batch of this rollout.",
                hint="Run the playbook 'rollout' as it is: it cannot be sliced or limited, because its waves are of the whole fleet.",
            )
        return found

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def find(path: Path, previous: Mapping[str, Any], *, kept: bool = True) -> Rollout | None:
    """:param previous: the rollout as a dictionary, for where the file was not kept or not written; empty if there is none
    :param kept: the file stands above the previous one
    :returns: the rollout of this file, or else the previous one
    :raises RolloutInvalid: it is no rollout
    """
    try:
        if path.exists() and (kept or not previous):
            return from_dict(json.loads(path.read_text()))
        return from_dict(previous) if previous else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RolloutInvalid(f"'{path}' is not a rollout: {error!r}.", hint="Name another file, or remove this one.") from None


def need(path: Path, previous: Mapping[str, Any], *, kept: bool = True) -> Rollout:
    """As L(find).

    :raises RolloutMissing: there is none
    """
    rollout = find(path, previous, kept=kept)
    if rollout is None:
        raise RolloutMissing(f"There is no rollout '{path}'.", hint="Plan one with rollout_plan.")
    return rollout


def from_dict(document: Mapping[str, Any]) -> Rollout:
    """:raises KeyError: a field is missing
    :raises TypeError: a field is another
    """
    values = dict(document)
    values["batches"] = tuple(Batch(item["wave"], tuple(item["hosts"])) for item in values["batches"])
    values["hosts"] = tuple(Candidate(item["name"], tuple(item["groups"]), item["labels"]) for item in values["hosts"])
    values["budgets"] = tuple(Budget(**item) for item in values["budgets"])
    values["halt"] = HaltRules(**values["halt"])
    return Rollout(**values)


def save(path: Path, rollout: Rollout) -> None:
    """Replace the file at once.

    :raises RolloutInvalid: it cannot be written
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(rollout.as_dict(), indent=1) + "\n")
    except OSError as error:
        raise RolloutInvalid(f"The rollout '{path}' cannot be written: {error}.", hint="Name another file.") from None
