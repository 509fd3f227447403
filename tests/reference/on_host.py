# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the host: a line of standard input is a module's call, a line of standard output its result.

Each call is a child of its own, with the module's imports already done: on an emulated processor they are most of a call.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from typing import Any

MODULES = "ansible_collections.imagemode.bootc.plugins.modules"


def child(call: dict[str, Any], module: Any, arguments: int, result: int) -> None:
    os.dup2(arguments, 0)
    os.dup2(result, 1)
    sys.stdin = os.fdopen(0)
    os.environ.update(call["environment"])
    if call["user"]:
        os.setgroups([])
        os.setresgid(call["user"], call["user"], call["user"])
        os.setresuid(call["user"], call["user"], call["user"])
    with contextlib.suppress(SystemExit):
        module.main()
    sys.stdout.flush()


def main() -> None:
    for line in sys.stdin:
        call = json.loads(line)
        module = importlib.import_module(f"{MODULES}.{call['module']}")
        options = {"_ansible_check_mode": call["check"], "_ansible_diff": True, **call["options"]}
        arguments, result = (os.memfd_create(name) for name in ("arguments", "result"))
        os.write(arguments, json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
        os.lseek(arguments, 0, os.SEEK_SET)
        pid = os.fork()
        if not pid:
            try:
                child(call, module, arguments, result)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        os.lseek(result, 0, os.SEEK_SET)
        with os.fdopen(result) as stream:
            said = [text for text in stream.read().splitlines() if text.startswith("{")]
        os.close(arguments)
        print(said[-1] if said else "{}", flush=True)


if __name__ == "__main__":
    main()
