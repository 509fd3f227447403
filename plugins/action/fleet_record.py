# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write down on the controller what was seen of a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.journal import append
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import from_info
from ansible_collections.imagemode.bootc.plugins.plugin_utils.controller_action import ControllerAction, now


class ActionModule(ControllerAction):
    arguments: ClassVar[dict[str, Any]] = {
        "journal": {"type": "path", "required": True},
        "info": {"type": "dict", "default": {}},
        "wanted": {"type": "str"},
        "platform_digest": {"type": "str"},
        "wave": {"type": "str"},
        "result": {"type": "str", "choices": ["unchanged", "staged", "updated", "rolled_back", "failed", "unreachable", "waiting"]},
        "message": {"type": "str"},
    }

    def act(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """What is written down is not a change of the host."""
        record = from_info(
            str(variables["inventory_hostname"]),
            now(),
            options["info"],
            groups=tuple(str(name) for name in variables.get("group_names", ())),
            **{name: options[name] for name in ("wanted", "platform_digest", "wave", "result", "message")},
        )
        if not self._task.check_mode:
            append(Path(options["journal"]), record)
        return {"record": record.as_row()}
