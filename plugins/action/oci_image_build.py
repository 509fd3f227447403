# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as it is, and how long it has been at work; with C(-v), and where the controller is the builder, the output of the
build is shown as it comes.

A module cannot print: what it writes is its result. So it writes the output into a file, and the file is followed.
"""

from __future__ import annotations

import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.plugins.action.normal import ActionModule as Normal
from ansible.utils.display import Display
from ansible_collections.imagemode.bootc.plugins.plugin_utils.elapsed import elapsed

SECONDS = 0.3


class ActionModule(Normal):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        host = (task_vars or {}).get("inventory_hostname", "")
        if not self._followed():
            with elapsed(host, "oci_image_build is at work"):
                return super().run(tmp, task_vars)
        with tempfile.TemporaryDirectory(prefix="imagemode-log-") as directory:
            log, done = Path(directory) / "log", threading.Event()
            self._task.args = {**self._task.args, "log_path": str(log)}
            follower = threading.Thread(target=show, args=(log, done, host), daemon=True)
            follower.start()
            try:
                return super().run(tmp, task_vars)
            finally:
                done.set()
                follower.join()

    def _followed(self) -> bool:
        become = self._connection.become
        readable = become is None or become.get_option("become_user") in (None, "root")
        asked = Display().verbosity > 0 and not self._task.async_val and not self._task.args.get("log_path")
        return bool(asked and readable and not self._task.no_log and self._connection.transport == "local")


def show(log: Path, done: threading.Event, host: str | None) -> None:
    """Print what is added to the file, whole lines at a time, until it is complete."""
    position, rest = 0, b""
    while True:
        complete = done.wait(SECONDS)
        with suppress(FileNotFoundError), log.open("rb") as file:
            file.seek(position)
            rest += file.read()
            position = file.tell()
        whole, _newline, rest = (rest, b"", b"") if complete else rest.rpartition(b"\n")
        for line in whole.decode(errors="replace").splitlines():
            Display().v(line, host=host)
        if complete:
            return
