# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan a rollout on the controller, or find where one was."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.imagemode.bootc.plugins.module_utils._action import options
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError, OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.journal import read
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import is_digest
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.gate import HaltRules
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.plan import Batch, Budget, Candidate, WaveRule, amount, cut
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.state import (
    CANCELLED,
    DONE,
    Rollout,
    RolloutUnfinished,
    from_dict,
    load,
    save,
)

WAVE: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "size": {"type": "str"},
    "groups": {"type": "list", "elements": "str", "default": []},
    "labels": {"type": "dict", "default": {}},
    "batch": {"type": "str"},
}
BUDGET: dict[str, Any] = {"by": {"type": "str"}, "max_unavailable": {"type": "str", "required": True}}
HALT: dict[str, Any] = {"failures": {"type": "str"}, "query": {"type": "str"}}
ARGUMENTS: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "journal": {"type": "path", "required": True},
    "image": {"type": "str", "required": True},
    "digest": {"type": "str", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "waves": {"type": "list", "elements": "dict", "options": WAVE, "default": []},
    "budgets": {"type": "list", "elements": "dict", "options": BUDGET, "default": []},
    "halt": {"type": "dict", "options": HALT, "default": {"failures": "1"}},
    "previous": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        try:
            asked = options(ARGUMENTS, self._task.args)
            path = Path(asked["path"])
            before = load(path) or (from_dict(asked["previous"]) if asked["previous"] else None)
            rollout = self._rollout(asked, before, task_vars or {})
            if not self._task.check_mode:
                save(path, rollout)
            left = rollout.remaining(read([Path(asked["journal"])]))
            result.update(
                changed=rollout != before,
                resumed=before is not None and before.created == rollout.created,
                digest=rollout.digest,
                rollout=rollout.as_dict(),
                batches=[batch.as_dict() for batch in left],
                order=[host for batch in left for host in batch.hosts],
                serial=[len(batch.hosts) for batch in left],
                plan=[_line(number, batch) for number, batch in enumerate(left, 1)],
            )
        except ImageModeError as error:
            result.update(failed=True, **error.as_result())
        return result

    def _rollout(self, asked: dict[str, Any], before: Rollout | None, variables: dict[str, Any]) -> Rollout:
        """The one that is on its way, if it is the one that was asked for; else a new one."""
        if not is_digest(asked["digest"]):
            raise OptionError(f"'{asked['digest']}' is not a digest.", hint="A digest is 'sha256:' and 64 hexadecimal digits.")
        if before is not None and before.state not in (DONE, CANCELLED):
            if before.image != asked["image"]:
                raise RolloutUnfinished(
                    f"The rollout of {before.image} ({before.digest}) is {before.state}, and {asked['image']} was asked for.",
                    hint="Finish it, or cancel it with rollout_state; or keep the other one in a file of its own.",
                    rollout=before.as_dict(),
                )
            # The tag may have moved meanwhile: the rollout stays with its digest.
            return before.go_on(_now(), "continued")
        budgets = tuple(Budget(item["max_unavailable"], item["by"]) for item in asked["budgets"])
        waves = [WaveRule(item["name"], item["size"], tuple(item["groups"]), item["labels"], item["batch"]) for item in asked["waves"]]
        labels = {budget.by for budget in budgets if budget.by} | {name for wave in waves for name in wave.labels or {}}
        hosts = tuple(self._candidate(name, sorted(labels), variables) for name in asked["hosts"])
        halt = HaltRules(asked["halt"].get("failures"), asked["halt"].get("query"))
        if halt.failures is not None:
            amount(halt.failures, 1, "halt on failures")
        return Rollout(asked["image"], asked["digest"], _now(), cut(hosts, waves, budgets), hosts, budgets, halt)

    def _candidate(self, name: str, labels: list[str], variables: dict[str, Any]) -> Candidate:
        known = variables["hostvars"][name] if labels or name in variables["hostvars"] else {}
        return Candidate(name, tuple(known.get("group_names", ())), {label: str(known.get(label, "")) for label in labels})


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _line(number: int, batch: Batch) -> str:
    more = " …" if len(batch.hosts) > 8 else ""
    return f"{number}. {batch.wave}, {len(batch.hosts)} hosts: {', '.join(batch.hosts[:8])}{more}"
