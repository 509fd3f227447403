# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show how far a pull is. For bootc_switch and bootc_upgrade (meta/runtime.yml).

The module does everything; what takes longer than a few seconds it leaves running on the host and says so. This action
follows it there, through lost connections too, and runs the module again to hear how it ended.
"""

from __future__ import annotations

import json
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

SHOW_SECONDS = 5
# The module's default of lock_timeout; the module itself waits a part of it at a time.
LOCK_SECONDS = 300
# How long a host may be out of reach while it pulls.
LOST_SECONDS = 300
# Ends as soon as the job does; costs the host next to nothing.
FOLLOW = (
    "timeout {seconds} tail --pid={pid} -s 0.3 -f /dev/null; "
    "if test -d /proc/{pid} && ! test -s {directory}/rc; then echo running; else echo ended; fi; "
    "tail -n 2 {directory}/progress 2>/dev/null || true"
)


class ActionModule(ActionBase):
    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        if self._task.async_val:
            asynchronous = not self._connection.has_native_async
            return {**result, **self._execute_module(task_vars=task_vars, wrap_async=asynchronous)}
        self._name = (task_vars or {}).get("inventory_hostname", "")
        self._started = time.monotonic()
        result.update(self._watch(task_vars))
        self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _watch(self, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        watch, lost_since = "start", None
        while True:
            try:
                answer: dict[str, Any] = self._execute_module(module_args={**self._task.args, "watch": watch}, task_vars=task_vars)
                lost_since = None
                if "running" in answer:
                    self._show(answer["running"]["command"], answer["running"]["progress"])
                    watch = answer["running"]["id"]
                    while self._follow(answer["running"]):
                        pass
                elif not self._waits_for_lock(answer):
                    return answer
            except AnsibleConnectionFailure as error:
                lost_since = lost_since or time.monotonic()
                if watch == "start" or time.monotonic() - lost_since > LOST_SECONDS:
                    raise
                self._say(f"the connection was lost, the host goes on; trying again ({error})")
                time.sleep(SHOW_SECONDS)

    def _follow(self, job: dict[str, Any]) -> bool:
        """Wait a while and show how far it is; whether it still runs."""
        command = FOLLOW.format(seconds=SHOW_SECONDS, pid=job["pid"], directory=job["directory"])
        answer = self._low_level_execute_command(command, sudoable=True)
        state, _newline, progress = str(answer.get("stdout", "")).lstrip().partition("\n")
        if state.strip() == "running":
            self._show(job["command"], progress)
            return True
        return False

    def _waits_for_lock(self, answer: dict[str, Any]) -> bool:
        if answer.get("error") != "bootc_locked":
            return False
        asked = self._task.args.get("lock_timeout")  # as the module takes it, that is a number; Jinja divides 600 / 2 to "300.0"
        if time.monotonic() - self._started >= (LOCK_SECONDS if asked in (None, "") else float(asked)):
            return False
        holder = answer.get("holder") or {}
        self._say(f"waiting for process {holder.get('pid', '?')} ({holder.get('command', 'unknown')})")
        return True

    def _show(self, command: str, progress: str) -> None:
        # What the command names, no_log may be for.
        self._say(f"{'bootc' if self._task.no_log else command}: {_in_words(progress)}")

    def _say(self, text: str) -> None:
        self._display.display(f"[{self._name}] {text}, {time.monotonic() - self._started:.0f} s")


def _in_words(progress: str) -> str:
    """The last of bootc's progress lines (contract.md 1.12), for people."""
    for line in reversed(progress.splitlines()):
        try:
            step = json.loads(line)
        except ValueError:  # cut off
            continue
        if step.get("type") == "ProgressBytes" and step.get("bytesTotal"):
            done, total = min(step["bytes"], step["bytesTotal"]), step["bytesTotal"]
            return f"{step['task']} {100 * done // total} % ({_human(done)} of {_human(total)})"
        if step.get("type") == "ProgressSteps":
            return f"{step['task']}, step {min(step['steps'] + 1, step['stepsTotal'])} of {step['stepsTotal']}"
    return "running"


def _human(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
