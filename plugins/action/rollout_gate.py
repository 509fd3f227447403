# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the next batch of a rollout goes, and what became of the last one; on the controller."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.imagemode.bootc.plugins.module_utils._action import options
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.journal import append, read
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import Record
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.gate import bad, halted, over_budget
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.state import (
    DONE,
    HALTED,
    RUNNING,
    Rollout,
    RolloutMissing,
    from_dict,
    load,
    save,
)

ARGUMENTS: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "journal": {"type": "path", "required": True},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "previous": {"type": "dict", "default": {}},
    "phase": {"type": "str", "choices": ["before", "after", "end"], "required": True},
}


class ActionModule(ActionBase):
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        try:
            asked = options(ARGUMENTS, self._task.args)
            path, journal = Path(asked["path"]), Path(asked["journal"])
            rollout = load(path) or (from_dict(asked["previous"]) if asked["previous"] else None)
            if rollout is None:
                raise RolloutMissing(f"There is no rollout '{path}'.", hint="Plan one with rollout_plan.")
            records = rollout.of_this(read([journal]))
            if asked["phase"] == "after":
                self._report_the_silent(rollout, asked["hosts"], records, journal)
                records = rollout.of_this(read([journal]))
            after = self._decide(rollout, asked, records)
            if after != rollout and not self._task.check_mode:
                save(path, after)
            failed = sorted(host for host, record in records.items() if bad(record, rollout.digest))
            wave = rollout.batch_of(asked["hosts"]).wave if asked["hosts"] else None
            left = rollout.remaining(records)
            result.update(
                changed=False,
                go=after.state == RUNNING,
                state=after.state,
                reason=after.reason,
                wave=wave,
                last_of_wave=not any(batch.wave == wave and set(batch.hosts) - set(asked["hosts"]) for batch in left),
                failed_hosts=failed,
                remaining=[host for batch in left for host in batch.hosts],
                wave_hosts=rollout.newest_wave(records),
                rollout=after.as_dict(),
            )
        except ImageModeError as error:
            result.update(failed=True, **error.as_result())
        return result

    def _decide(self, rollout: Rollout, asked: dict[str, Any], records: dict[str, Record]) -> Rollout:
        if rollout.state != RUNNING:
            return rollout
        if asked["phase"] == "end" and not rollout.remaining(records):
            return rollout.now(DONE, "every host runs it")
        tried = {host: record for host, record in records.items() if record.time >= rollout.continued}
        reason = halted(rollout.halt, tried, rollout.digest, len(rollout.hosts))
        if reason is None and asked["phase"] == "before":
            # A host of this batch that failed before is tried again; what it did then is not held against it twice.
            others = {host: record for host, record in records.items() if host not in asked["hosts"]}
            reason = over_budget(asked["hosts"], rollout.hosts, rollout.budgets, others, rollout.digest)
        return rollout.now(HALTED, reason) if reason else rollout

    def _report_the_silent(self, rollout: Rollout, hosts: list[str], records: dict[str, Record], journal: Path) -> None:
        """A host that was lost in the middle of its batch wrote nothing down; nobody is left out."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        wave = rollout.batch_of(hosts).wave
        for host in hosts:
            record = records.get(host)
            if (record is None or record.wanted != rollout.digest or record.result is None) and not self._task.check_mode:
                append(journal, Record(host, now, wanted=rollout.digest, wave=wave, result="unreachable", message="lost during its batch"))
