# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan a rollout on the controller, or find where one was."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.journal import read
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import Record
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import is_digest
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.gate import HaltRules, halted
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.holder import hold
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.plan import (
    Batch,
    Budget,
    Candidate,
    WaveRule,
    amount,
    cut,
    fitting_none,
    label_text,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.state import (
    CANCELLED,
    DONE,
    HALTED,
    RUNNING,
    Rollout,
    RolloutInvalid,
    RolloutUnfinished,
    find,
    save,
)
from ansible_collections.imagemode.bootc.plugins.plugin_utils.controller_action import ControllerAction, now

WAVE: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "size": {"type": "str"},
    "groups": {"type": "list", "elements": "str", "default": []},
    "labels": {"type": "dict", "default": {}},
    "batch": {"type": "str"},
}
BUDGET: dict[str, Any] = {"by": {"type": "str"}, "max_unavailable": {"type": "str", "required": True}}
HALT: dict[str, Any] = {"failures": {"type": "str"}, "query": {"type": "str"}}
_BACK = "the wave in which it halted goes back, and nobody goes on before that"


class ActionModule(ControllerAction):
    arguments: ClassVar[dict[str, Any]] = {
        "path": {"type": "path", "required": True},
        "journal": {"type": "path", "required": True},
        "image": {"type": "str", "required": True},
        "digest": {"type": "str", "required": True},
        "hosts": {"type": "list", "elements": "str", "required": True},
        "waves": {"type": "list", "elements": "dict", "options": WAVE, "default": []},
        "budgets": {"type": "list", "elements": "dict", "options": BUDGET, "default": []},
        "halt": {"type": "dict", "options": HALT, "default": {"failures": "1"}},
        "until": {"type": "str"},
        "take_back": {"type": "bool", "default": False},
        "previous": {"type": "dict", "default": {}},
    }

    def act(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        path = Path(options["path"])
        # Before it is read, so that nobody writes it meanwhile. A new one only with its plan: one that is refused leaves nothing.
        if path.exists() and not self._task.check_mode:
            _hold(path)
        before = find(path, options["previous"])
        records = read([Path(options["journal"])])
        rollout = _rollout(options, before, records, variables)
        resumed = before is not None and before.created == rollout.created
        left = rollout.remaining(records, options["until"]) if rollout.state == RUNNING else ()
        if not self._task.check_mode:
            _hold(path)
            save(path, rollout)
        return {
            "changed": rollout != before,
            "resumed": resumed,
            "digest": rollout.digest,
            "rollout": rollout.as_dict(),
            "batches": [batch.as_dict() for batch in left],
            "order": [host for batch in left for host in batch.hosts],
            "serial": [len(batch.hosts) for batch in left],
            "plan": [_line(number, batch) for number, batch in enumerate(left, 1)] if rollout.state == RUNNING else [_BACK],
            "warnings": _warnings(options, rollout, before if resumed else None, variables),
        }


def _hold(path: Path) -> None:
    """For the run, whose child works on this task."""
    run = multiprocessing.parent_process()
    try:
        hold(path, (run.pid if run else None) or os.getpid())
    except OSError as error:
        raise RolloutInvalid(f"The rollout '{path}' cannot be had: {error}.", hint="Name another file.") from None


def _rollout(options: dict[str, Any], before: Rollout | None, records: dict[str, Record], variables: dict[str, Any]) -> Rollout:
    """The one that is on its way, if it is the one that was asked for; else a new one."""
    if not is_digest(options["digest"]):
        raise OptionError(f"'{options['digest']}' is not a digest.", hint="A digest is 'sha256:' and 64 hexadecimal digits.")
    if before is not None and before.state not in (DONE, CANCELLED):
        if before.image != options["image"]:
            raise RolloutUnfinished(
                f"The rollout of {before.image} ({before.digest}) is {before.state}, and {options['image']} was asked for.",
                hint="Finish it, or cancel it with rollout_state; or keep the other one in a file of its own.",
                rollout=before.as_dict(),
            )
        same = before.without(_gone(before, options, variables))
        if options["take_back"] and same.state == HALTED and same.newest_wave(same.of_this(records)):
            return same
        # The tag may have moved meanwhile: the rollout stays with its digest.
        return same.go_on(now(), "continued")
    budgets = tuple(Budget(item["max_unavailable"], item["by"]) for item in options["budgets"])
    waves = _waves(options)
    labels = sorted({budget.by for budget in budgets if budget.by} | {name for wave in waves for name in wave.labels or {}})
    hosts = tuple(_candidate(name, labels, variables["hostvars"].get(name, {})) for name in dict.fromkeys(options["hosts"]))
    halt = HaltRules(options["halt"].get("failures"), options["halt"].get("query"))
    if halt.failures is not None:
        amount(halt.failures, 1, "halt on failures")
    # What is no expression is told here, before anybody goes.
    halted(halt, {}, options["digest"], len(hosts))
    return Rollout(options["image"], options["digest"], now(), cut(hosts, waves, budgets), hosts, budgets, halt)


def _waves(options: dict[str, Any]) -> list[WaveRule]:
    return [WaveRule(item["name"], item["size"], tuple(item["groups"]), item["labels"], item["batch"]) for item in options["waves"]]


def _warnings(options: dict[str, Any], rollout: Rollout, resumed: Rollout | None, variables: dict[str, Any]) -> list[str]:
    if resumed:
        gone = sorted(_gone(resumed, options, variables))
        left = [f"{len(gone)} hosts are not among 'hosts' any more, or not in the inventory: {', '.join(gone[:10])}."] if gone else []
        other = f"It goes on with {resumed.digest}, and not with {options['digest']}: cancel it with rollout_state to have that rolled out."
        return left + ([other] if options["digest"] != resumed.digest else [])
    left_out = [f"No host of this rollout fits wave '{name}': it is left out." for name in fitting_none(rollout.hosts, _waves(options))]
    unknown = [budget.by for budget in rollout.budgets if budget.by and not any(budget.value_of(host) for host in rollout.hosts)]
    return left_out + [f"No host of this rollout has '{name}', by which a budget goes: to it, the fleet is one." for name in unknown]


def _gone(rollout: Rollout, options: dict[str, Any], variables: dict[str, Any]) -> set[str]:
    """The hosts that are not asked for any more, and those that were taken out of the inventory: Ansible would leave these out, and cut
    batches of their size all the same.
    """
    return {host.name for host in rollout.hosts} - {name for name in options["hosts"] if name in variables["hostvars"]}


def _candidate(name: str, labels: list[str], known: dict[str, Any]) -> Candidate:
    return Candidate(name, tuple(known.get("group_names", ())), {label: label_text(known.get(label, "")) for label in labels})


def _line(number: int, batch: Batch) -> str:
    more = " …" if len(batch.hosts) > 8 else ""
    return f"{number}. {batch.wave}, {len(batch.hosts)} hosts: {', '.join(batch.hosts[:8])}{more}"
