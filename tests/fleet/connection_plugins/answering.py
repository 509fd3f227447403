# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection to a host that costs nothing: it answers what a simulated host answered once, so that all the work is the controller's."""

from __future__ import annotations

DOCUMENTATION = r"""
name: answering
short_description: Answer like a host that was asked before
description: Test equipment for measurements. A module that nobody recorded is an error.
options:
  answers:
    description: File with the results of modules, a dictionary by their full names.
    vars: [{name: answering_answers}]
    required: true
"""

import json
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase


class Connection(ConnectionBase):
    transport = "answering"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        answers = json.loads(Path(str(self.get_option("answers"))).read_text())
        for module, result in answers.items():
            if module.encode() in (in_data or b""):
                return 0, json.dumps(result).encode(), b""
        raise AnsibleConnectionFailure(f"nobody recorded an answer to this: {cmd}")

    def put_file(self, in_path: str, out_path: str) -> None:
        raise AnsibleConnectionFailure("this host takes no files: turn pipelining on")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        raise AnsibleConnectionFailure("this host gives no files")

    def close(self) -> None:
        self._connected = False
