# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pause, resume, halt or cancel a rollout on the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.state import (
    CANCELLED,
    DONE,
    HALTED,
    PAUSED,
    RUNNING,
    Rollout,
    need,
    save,
)
from ansible_collections.imagemode.bootc.plugins.plugin_utils.controller_action import ControllerAction, now


class ActionModule(ControllerAction):
    arguments: ClassVar[dict[str, Any]] = {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": [RUNNING, PAUSED, HALTED, CANCELLED], "required": True},
        "reason": {"type": "str"},
    }

    def act(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        path = Path(options["path"])
        before = need(path, {})
        after = _changed(before, options["state"], options["reason"] or "asked for")
        if after != before and not self._task.check_mode:
            save(path, after)
        return {
            "changed": after != before,
            "state": after.state,
            "reason": after.reason,
            "rollout": after.as_dict(),
            "diff": {"before": f"{before.state}\n", "after": f"{after.state}\n"},
        }


def _changed(rollout: Rollout, state: str, reason: str) -> Rollout:
    if rollout.state in (DONE, CANCELLED, state):
        return rollout
    # A run that was paused and not ended yet goes on as one, with all of its failures.
    return rollout.go_on(now(), reason) if (rollout.state, state) == (HALTED, RUNNING) else rollout.now(state, reason)
