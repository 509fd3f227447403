# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the next batch of a rollout goes, and what became of the last one; on the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.journal import append, read
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import Record
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.gate import WAITING, bad, halted, over_budget
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.state import (
    DONE,
    HALTED,
    PAUSED,
    RUNNING,
    Rollout,
    RolloutInvalid,
    need,
    save,
)
from ansible_collections.imagemode.bootc.plugins.plugin_utils.controller_action import ControllerAction, now


class ActionModule(ControllerAction):
    arguments: ClassVar[dict[str, Any]] = {
        "path": {"type": "path", "required": True},
        "journal": {"type": "path", "required": True},
        "hosts": {"type": "list", "elements": "str", "default": []},
        "until": {"type": "str"},
        "previous": {"type": "dict", "default": {}},
        "phase": {"type": "str", "choices": ["before", "after", "end"], "required": True},
    }

    def act(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        path, journal, hosts = Path(options["path"]), Path(options["journal"]), options["hosts"]
        # In check mode the file holds what was there before the plan.
        rollout = need(path, options["previous"], kept=not self._task.check_mode)
        records = rollout.of_this(read([journal]))
        if options["phase"] == "after" and not self._task.check_mode:
            _report_the_silent(rollout, hosts, records, journal)
            records = rollout.of_this(read([journal]))
        if options["phase"] == "before" and not self._task.check_mode:
            _refuse_to_pass_over(rollout, hosts, records)
        after = _decide(rollout, options["phase"], hosts, records)
        until = options["until"] if options["phase"] == "end" and after.state == RUNNING else None
        reached = until is not None and rollout.gone(records, until)
        if reached:
            after = after.now(PAUSED, f"it was to go no further than wave {until}")
        if after != rollout and not self._task.check_mode:
            save(path, after)
        wave = rollout.batch_of(hosts).wave if hosts else None
        left, there = rollout.remaining(records), rollout.newest_wave(records)
        return {
            "go": after.state == RUNNING,
            "state": after.state,
            "reason": after.reason,
            "wave": wave,
            "batch": hosts,
            "last_of_wave": not hosts or rollout.is_last_of_wave(hosts, records),
            "until_reached": reached,
            "failed_hosts": sorted(host for host, record in records.items() if bad(record, rollout.digest)),
            "remaining": [host for batch in left for host in batch.hosts],
            "wave_hosts": [host for batch in there for host in batch.hosts],
            "wave_serial": [len(batch.hosts) for batch in there],
            "rollout": after.as_dict(),
        }


def _refuse_to_pass_over(rollout: Rollout, hosts: list[str], records: dict[str, Record]) -> None:
    """A limit of Ansible's takes hosts out of the play, and leaves a canary out as well as any other."""
    missing = [host for host in rollout.before(hosts) if not _tried(rollout, records.get(host))]
    if missing:
        raise RolloutInvalid(
            f"{len(missing)} hosts of earlier waves were not tried in this run: {', '.join(missing[:10])}.",
            hint="Run the playbook 'rollout' without a limit: rollout_hosts says which hosts go, and rollout_waves in which order.",
        )


def _tried(rollout: Rollout, record: Record | None) -> bool:
    """Whether the host got there, or was tried since the rollout was gone on with."""
    return record is not None and (rollout.reached(record) or record.time >= rollout.continued)


def _decide(rollout: Rollout, phase: str, hosts: list[str], records: dict[str, Record]) -> Rollout:
    if rollout.state != RUNNING:
        return rollout
    if phase == "end" and not rollout.remaining(records):
        return rollout.now(DONE, "every host runs it")
    tried = {host: record for host, record in records.items() if record.time >= rollout.continued}
    # What nobody has seen at work in an earlier wave goes nowhere in a later one.
    asked = rollout.before(hosts) if phase == "before" else list(tried) if phase == "end" else []
    waiting = [host for host in asked if host in tried and tried[host].result == WAITING]
    if waiting:
        who = f"{len(waiting)} hosts{' of earlier waves' if hosts else ''}"
        return rollout.now(PAUSED, f"{who} wait for their windows: {', '.join(waiting[:10])}")
    reason = halted(rollout.halt, tried, rollout.digest, len(rollout.hosts))
    if reason is None and phase == "before":
        reason = over_budget(hosts, rollout.hosts, rollout.budgets, records, rollout.digest)
    return rollout.now(HALTED, reason) if reason else rollout


def _report_the_silent(rollout: Rollout, hosts: list[str], records: dict[str, Record], journal: Path) -> None:
    """A host that was lost in the middle of its batch wrote nothing down; nobody is left out."""
    wave = rollout.batch_of(hosts).wave
    for host in hosts:
        record = records.get(host)
        if record is None or not _tried(rollout, record) or record.wanted != rollout.digest or record.result is None:
            append(journal, Record(host, now(), wanted=rollout.digest, wave=wave, result="unreachable", message="lost during its batch"))
