# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who goes when: a fleet is cut into waves, and waves into batches that no budget forbids. Pure: data in, data out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from .._errors import ImageModeError


class PlanInvalid(ImageModeError):
    """The waves or budgets cannot be meant so."""

    error = "rollout_plan_invalid"


@dataclass(frozen=True)
class Candidate:
    """A host that takes part.

    :ivar labels: label → value as L(label_text) has it, what budgets and waves go by
    """

    name: str
    groups: tuple[str, ...] = ()
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True)
class WaveRule:
    """Which hosts a wave takes of those that no earlier wave took.

    :ivar size: a number of hosts, or a percentage of the whole fleet such as C(10%); C(None) for all that fit
    :ivar groups: only hosts of one of these groups
    :ivar labels: only hosts with all of these labels
    :ivar batch: how many of its hosts go at the same time, a number or a percentage of the wave; C(None) for all
    """

    name: str
    size: str | int | None = None
    groups: tuple[str, ...] = ()
    labels: Mapping[str, str] | None = None
    batch: str | int | None = None


@dataclass(frozen=True)
class Budget:
    """How many hosts with the same value of a label may be away at the same time.

    :ivar by: the label, for example C(site); C(None) for the whole fleet
    :ivar max_unavailable: a number, or a percentage of the hosts with that value, rounded down but never to none
    """

    max_unavailable: str | int
    by: str | None = None

    def value_of(self, host: Candidate) -> str:
        return "" if self.by is None else str((host.labels or {}).get(self.by, ""))


@dataclass(frozen=True)
class Batch:
    """Hosts that go at the same time."""

    wave: str
    hosts: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "hosts": list(self.hosts)}


# One host to see, a quarter to learn, then everybody.
DEFAULT_WAVES = (WaveRule("canary", 1), WaveRule("early", "25%"), WaveRule("rest"))


def cut(hosts: Sequence[Candidate], waves: Sequence[WaveRule], budgets: Sequence[Budget] = ()) -> tuple[Batch, ...]:
    """:returns: the batches in order; each host is in exactly one
    :raises PlanInvalid: there are no hosts, a size is none, two waves have one name, or hosts are left that no wave takes
    """
    if not hosts:
        raise PlanInvalid("There are no hosts to roll out to.", hint="Look at the group or the pattern that 'hosts' comes from.")
    twice = next((name for name, times in Counter(rule.name for rule in waves).items() if times > 1), None)
    if twice is not None:
        raise PlanInvalid(f"Two waves are called '{twice}'.", hint="Give each wave a name of its own; 'batch' cuts one into parts.")
    batches: list[Batch] = []
    left = list(hosts)
    for rule in waves or DEFAULT_WAVES:
        fitting = [host for host in left if _fits(host, rule)]
        taken = fitting if rule.size is None else fitting[: amount(rule.size, len(hosts), f"the size of wave '{rule.name}'")]
        names = {host.name for host in taken}
        left = [host for host in left if host.name not in names]
        room = None if rule.batch is None else amount(rule.batch, len(taken), f"the batch of wave '{rule.name}'")
        batches += _batches(rule.name, taken, room, hosts, budgets)
    if left:
        some = ", ".join(host.name for host in left[:5]) + (" …" if len(left) > 5 else "")
        raise PlanInvalid(
            f"No wave takes {len(left)} of {len(hosts)} hosts: {some}.",
            hint="Let the last wave have no size, groups and labels, so that it takes the rest.",
        )
    return tuple(batches)


def label_text(value: Any) -> str:
    """:returns: a label's value as text: an inventory in INI has C(true) as text and C(True) as a boolean, and one in YAML both as one"""
    text = str(value)
    return text.lower() if text in ("True", "False") else text


def fitting_none(hosts: Sequence[Candidate], waves: Sequence[WaveRule]) -> list[str]:
    """:returns: the waves that no host fits, be it taken by an earlier one or not: a name is misspelt, perhaps that of the canaries"""
    return [rule.name for rule in waves if not any(_fits(host, rule) for host in hosts)]


def _fits(host: Candidate, rule: WaveRule) -> bool:
    labels = host.labels or {}
    return (not rule.groups or any(group in host.groups for group in rule.groups)) and all(
        labels.get(name) == label_text(value) for name, value in (rule.labels or {}).items()
    )


def cut_again(batches: Sequence[Batch], hosts: Sequence[Candidate], budgets: Sequence[Budget]) -> tuple[Batch, ...]:
    """:returns: the batches, of the hosts that are left; in parts where a budget is a share of fewer hosts now"""
    known = {host.name: host for host in hosts}
    left = [(batch.wave, [known[name] for name in batch.hosts if name in known]) for batch in batches]
    return tuple(part for wave, taken in left for part in _batches(wave, taken, None, hosts, budgets))


def _batches(
    wave: str, taken: Sequence[Candidate], room: int | None, fleet: Sequence[Candidate], budgets: Sequence[Budget]
) -> Iterator[Batch]:
    room = len(taken) if room is None else room
    totals = [Counter(budget.value_of(host) for host in fleet) for budget in budgets]
    waiting = list(taken)
    while waiting:
        batch: list[str] = []
        away = [Counter[str]() for _budget in budgets]
        later: list[Candidate] = []
        for host in waiting:
            values = [budget.value_of(host) for budget in budgets]
            fits = len(batch) < room and all(
                used[value] < allowance(budget, total[value]) for budget, used, total, value in zip(budgets, away, totals, values)
            )
            if not fits:
                later.append(host)
                continue
            batch.append(host.name)
            for used, value in zip(away, values):
                used[value] += 1
        yield Batch(wave, tuple(batch))
        waiting = later


def allowance(budget: Budget, total: int) -> int:
    """:returns: how many of this many hosts may be away"""
    return amount(budget.max_unavailable, total, f"max_unavailable by '{budget.by or 'fleet'}'", down=True)


def amount(size: str | int, total: int, what: str, down: bool = False) -> int:
    """:returns: a number of hosts, at least one
    :raises PlanInvalid: it is neither a number above 0 nor a percentage above 0 and up to 100
    """
    text = str(size).strip()
    try:
        if text.endswith("%"):
            share = Fraction(text[:-1])  # a float would make 162 of 64.4% of 250, which are 161
            if not 0 < share <= 100:
                raise ValueError
            part = total * share / 100
            return max(1, math.floor(part) if down else math.ceil(part))
        number = int(text)
        if number < 1:
            raise ValueError
        return number
    except (ValueError, ZeroDivisionError):
        raise PlanInvalid(f"{what} is '{size}'.", hint="Write a number of hosts, or a percentage such as '10%'.") from None
