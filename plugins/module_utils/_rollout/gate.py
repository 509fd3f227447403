# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a rollout goes on: asked before each batch. Pure: data in, data out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._errors import ImageModeError
from .._fleet.record import Record
from .._fleet.select import QueryInvalid, search
from .plan import Budget, Candidate, allowance, amount

_BAD = ("failed", "rolled_back", "unreachable")
WAITING = "waiting"


class HaltRuleInvalid(ImageModeError):
    """A rule for halting cannot be evaluated."""

    error = "halt_rule_invalid"


@dataclass(frozen=True)
class HaltRules:
    """When a rollout stops by itself; each is C(None) if it is not to count.

    :ivar failures: this many hosts did not get there: a number, or a percentage of those that were tried
    :ivar query: a JMESPath expression over C(results), C(counts) and C(total) that is true
    """

    failures: str | int | None = 1
    query: str | None = None


def bad(record: Record | None, digest: str) -> bool:
    """Whether a host was tried and did not get there."""
    return record is not None and record.wanted == digest and record.result in _BAD


def halted(rules: HaltRules, records: Mapping[str, Record], digest: str, total: int) -> str | None:
    """Why the rollout must stop.

    :param records: host → what is known of it, of the hosts of the rollout
    :param digest: the digest that is rolled out
    :param total: number of hosts of the rollout
    :returns: the reason in words; C(None) if it goes on
    :raises HaltRuleInvalid: the query is no expression
    """
    tried = {host: record for host, record in records.items() if record.wanted == digest and record.result not in (None, WAITING)}
    failed = sorted(host for host, record in tried.items() if bad(record, digest))
    if rules.failures is not None and failed:
        limit = amount(rules.failures, len(tried), "halt on failures")
        if len(failed) >= limit:
            return f"{len(failed)} of {len(tried)} hosts failed (the limit is {rules.failures}): {', '.join(failed[:10])}"
    if rules.query:
        counts = Counter(str(record.result) for record in tried.values())
        rows = [record.as_row() for record in tried.values()]
        if _search(rules.query, {"results": rows, "counts": dict(counts), "total": total}):
            return f"the halt rule holds: {rules.query}"
    return None


def over_budget(
    batch: Sequence[str], fleet: Sequence[Candidate], budgets: Sequence[Budget], records: Mapping[str, Record], digest: str
) -> str | None:
    """Why this batch may not go now: hosts that are away already count, too, and may be tried again whatever they are.

    :returns: the reason in words; C(None) if no budget forbids it
    """
    for budget in budgets:
        totals = Counter(budget.value_of(host) for host in fleet)
        away = [budget.value_of(host) for host in fleet if bad(records.get(host.name), digest)]
        going = [budget.value_of(host) for host in fleet if host.name in batch and not bad(records.get(host.name), digest)]
        counts = Counter(away + going)
        for value in dict.fromkeys(going):
            count, limit = counts[value], allowance(budget, totals[value])
            if count > limit:
                where = f"with {budget.by} '{value}' " if budget.by else ""
                return f"{count} hosts {where}would be away at the same time, and {limit} may be: some are away since they failed"
    return None


def _search(query: str, document: Mapping[str, Any]) -> Any:
    try:
        return search(query, document)
    except QueryInvalid as error:
        raise HaltRuleInvalid(error.message, hint=error.hint) from None
