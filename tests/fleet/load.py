# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fleet costs its controller: hosts that cost nothing, since they answer what one simulated host answered once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_registry import FakeRegistry
from fleet import OLD, Fleet
from processes import memory

PING = str(Path(__file__).resolve().parents[2] / "bench/plays/ping.yml")
INFO = "imagemode.bootc.bootc_info"


@dataclass
class Cost:
    """Of one play: seconds of CPU, and the most memory of all its processes at a time, in MiB."""

    cpu: float
    memory: float


def cost(fleet: Fleet, playbook: str, forks: int, **options: Any) -> Cost:
    """Of the controller, and of all that it runs on this machine."""
    command, environment = fleet.command(playbook, (), forks, options)
    with (fleet.base / "output").open("w") as output:
        child = subprocess.Popen(command, env=environment, cwd=fleet.base, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        most, done = 0.0, 0
        while not done:
            most = max(most, memory(child.pid))
            time.sleep(1)
            done, status, usage = os.wait4(child.pid, os.WNOHANG)
    assert status == 0, (fleet.base / "output").read_text()[-5000:]
    return Cost(usage.ru_utime + usage.ru_stime, most)


class Load:
    """`size` hosts that run OLD already; `busy` requests to their registry are refused first."""

    def __init__(self, base: Path, size: int, busy: int = 0) -> None:
        self.fleet = Fleet(base, 1)
        self.registry = FakeRegistry(OLD, busy)
        self.image = f"{self.registry.address}/os:stable"
        info = self._recorded()
        info["host"]["image"] = self.image
        answers = {"ansible.modules.ping": {"ping": "pong"}, "plugins.modules.bootc_info": info}
        (base / "answers.json").write_text(json.dumps(answers))
        variables = {
            "ansible_connection": "answering",
            "answering_answers": str(base / "answers.json"),
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
        }
        hosts: dict[str, Any] = {f"host{number:05}": {} for number in range(size)}
        inventory = {
            "all": {
                "hosts": {"localhost": {"ansible_connection": "local"}},
                "children": {"bootc_hosts": {"hosts": hosts, "vars": variables}},
            }
        }
        (base / "inventory.json").write_text(json.dumps(inventory))

    def _recorded(self) -> dict[str, Any]:
        """What the module answers on a simulated host."""
        path = self.fleet.base / "info.json"
        copy = {"ansible.builtin.copy": {"content": "{{ info | to_json }}", "dest": str(path), "mode": "0644"}, "delegate_to": "localhost"}
        play = [{"hosts": "bootc_hosts", "gather_facts": False, "tasks": [{INFO: {}, "register": "info"}, copy]}]
        (self.fleet.base / "ask.yml").write_text(json.dumps(play))
        rc, output = self.fleet.play("ask.yml")
        assert rc == 0, output
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def ping(self, forks: int) -> Cost:
        return cost(self.fleet, PING, forks)

    def converge(self, forks: int) -> Cost:
        """The playbook, with a digest that the registry has to tell."""
        return cost(self.fleet, "imagemode.bootc.update", forks, update_image=self.image, update_registry_options={"plain_http": True})


def faults(fleet_size: int, share: float) -> dict[str, str]:
    """:returns: host → what goes wrong there: each kind in turn, spread evenly, none among the first tenth of the hosts"""
    kinds = ("unreachable", "unhealthy", "rolls_back", "throttled")
    count = max(1, round(fleet_size * share))
    first, step = fleet_size // 10 + 1, (fleet_size - fleet_size // 10 - 1) // count
    return {f"host{first + number * step:04}": kinds[number % len(kinds)] for number in range(count)}
