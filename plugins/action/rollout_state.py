# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pause, resume or cancel a rollout on the controller."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.imagemode.bootc.plugins.module_utils._action import options
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.state import (
    CANCELLED,
    DONE,
    HALTED,
    PAUSED,
    RUNNING,
    Rollout,
    RolloutMissing,
    load,
    save,
)

ARGUMENTS: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": [RUNNING, PAUSED, HALTED, CANCELLED], "required": True},
    "reason": {"type": "str"},
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
            before = load(path)
            if before is None:
                raise RolloutMissing(f"There is no rollout '{path}'.", hint="Plan one with rollout_plan.")
            over = before.state in (DONE, CANCELLED)
            after = before if over or before.state == asked["state"] else _changed(before, asked)
            if after != before and not self._task.check_mode:
                save(path, after)
            result.update(changed=after != before, state=after.state, reason=after.reason, rollout=after.as_dict())
            result["diff"] = {"before": f"{before.state}\n", "after": f"{after.state}\n"}
        except ImageModeError as error:
            result.update(failed=True, **error.as_result())
        return result


def _changed(rollout: Rollout, asked: dict[str, Any]) -> Rollout:
    reason = asked["reason"] or "asked for"
    if asked["state"] == RUNNING:
        return rollout.go_on(datetime.now(timezone.utc).isoformat(timespec="milliseconds"), reason)
    return rollout.now(asked["state"], reason)
