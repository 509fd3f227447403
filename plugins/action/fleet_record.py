# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write down on the controller what was seen of a host."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.imagemode.bootc.plugins.module_utils._action import options
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.journal import append
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import from_info

ARGUMENTS: dict[str, Any] = {
    "journal": {"type": "path", "required": True},
    "info": {"type": "dict", "default": {}},
    "wanted": {"type": "str"},
    "platform_digest": {"type": "str"},
    "wave": {"type": "str"},
    "result": {"type": "str", "choices": ["unchanged", "staged", "updated", "rolled_back", "failed", "unreachable"]},
    "message": {"type": "str"},
}


class ActionModule(ActionBase):
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        variables = task_vars or {}
        try:
            asked = options(ARGUMENTS, self._task.args)
            record = from_info(
                str(variables["inventory_hostname"]),
                datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
                asked["info"],
                groups=tuple(str(name) for name in variables.get("group_names", ())),
                **{name: asked[name] for name in ("wanted", "platform_digest", "wave", "result", "message")},
            )
            if not self._task.check_mode:
                append(Path(asked["journal"]), record)
            # What is written down is not a change of the host.
            result.update(changed=False, record=record.as_row())
        except ImageModeError as error:
            result.update(failed=True, **error.as_result())
        return result
