# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection to a simulated host: modules run on this machine, in a mount namespace with the host's own /run, /var/lib and programs."""

from __future__ import annotations

DOCUMENTATION = r"""
name: simulated
short_description: Run on a simulated host
description: Test equipment, see tests/fleet/simulated_host.py.
options:
  directory:
    description: Where the simulated hosts are.
    vars: [{name: simulated_directory}]
    required: true
"""

import json
import shlex
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as LocalConnection

# The host's programs stand before and, where reboot looks for it by its path, over this machine's own.
ENTER = """
set -e
host={host}
trap 'times >> "$host/times"' EXIT
mount --bind "$host/run" /run
mount --bind "$host/lib" /var/lib
mount --bind "$host/boot_id" /proc/sys/kernel/random/boot_id
mount --bind "$host/../bin" /usr/local/sbin
for real in /sbin/shutdown /usr/sbin/shutdown; do [ ! -e $real ] || mount --bind "$host/../bin/shutdown" $real; done
export SIMULATED_HOST="$host" PATH="$host/../bin:$PATH"
{command}
"""


class Connection(LocalConnection):
    transport = "simulated"
    has_pipelining = True

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> Any:
        self._answer()
        script = ENTER.format(host=shlex.quote(str(self._host)), command=cmd)
        return super().exec_command(f"unshare --mount --propagation private sh -c {shlex.quote(script)}", in_data=in_data, sudoable=False)

    def put_file(self, in_path: str, out_path: str) -> Any:
        self._answer()
        return super().put_file(in_path, out_path)

    def reset(self) -> None:
        pass

    @property
    def _host(self) -> Path:
        return Path(str(self.get_option("directory"))) / str(self._play_context.remote_addr)

    def _answer(self) -> None:
        state = json.loads((self._host / "state.json").read_text())
        if state["fault"] == "unreachable" or time.time() < state["down_until"]:
            raise AnsibleConnectionFailure(f"{self._host.name} does not answer")
