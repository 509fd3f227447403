# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Appends how long each task took on each host to the file that BENCH_DURATIONS names, one JSON document a line."""

from __future__ import annotations

DOCUMENTATION = """
name: durations
type: notification
short_description: Write each task's duration to a file
description: For the project's benchmarks.
"""

import json
import os
import time
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "durations"

    def __init__(self) -> None:
        super().__init__()
        self._since: dict[tuple[str, str], float] = {}

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._since[host.get_name(), task._uuid] = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        since = self._since.get((result._host.get_name(), result._task._uuid))
        if since is not None:
            with open(os.environ["BENCH_DURATIONS"], "a", encoding="utf-8") as file:
                file.write(json.dumps({"task": result._task.get_name(), "seconds": time.monotonic() - since}) + "\n")
