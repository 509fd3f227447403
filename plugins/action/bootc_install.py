# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as it is, and how long it has been at work. For bootc_install and what else takes minutes (meta/runtime.yml)."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action.normal import ActionModule as Normal
from ansible_collections.imagemode.bootc.plugins.plugin_utils.elapsed import elapsed


class ActionModule(Normal):
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._task.async_val:
            return super().run(tmp, task_vars)
        module = self._task.action.rpartition(".")[2]
        with elapsed((task_vars or {}).get("inventory_hostname", ""), f"{module} is at work"):
            return super().run(tmp, task_vars)
