# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Day 2 on a simulated host (tests/fleet) that is reached by a real SSH server, and may lose its power."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from connection_plugins.simulated import ENTER
from fleet import Fleet
from host import ServedHost, entering
from judge import State
from prepare import ROOT, environment
from simulated_host import boot, save
from verbs import Running, Verb, inventory

REPOSITORY = "registry.test/os"
PULL_SECONDS = 0.7
# OpenSSH's own code for a host that does not answer.
UNREACHABLE = 255
DOWN = '"$(dirname {host})/bin/answers" || exit {code}\n'
ANSWERS = """#!{python} -SE
import json, os, sys, time
sys.exit(os.path.exists("{host}/off") or time.time() < json.load(open("{host}/state.json"))["down_until"])
"""


class Simulated:
    """One host of a fleet; C(bootc) on it takes a moment to pull."""

    def __init__(self, base: Path, home: Path) -> None:
        self.fleet = Fleet(base, 1)
        self.images: dict[str, str] = {}
        self.name = self.fleet.names[0]
        self.place = base / self.name
        self.save({**self.state(), "pull_seconds": PULL_SECONDS})
        answers = base / "bin/answers"
        answers.write_text(ANSWERS.format(python=sys.executable, host=self.place))
        answers.chmod(0o755)
        script = DOWN.format(host=self.place, code=UNREACHABLE) + ENTER.replace("{host}", str(self.place))
        self.host = ServedHost(self.name, home, {"SIMULATED_HOST": str(self.place)}, entering(script))
        variables = {**self.host.variables(), "ansible_python_interpreter": sys.executable, "ansible_become": False}
        inventory(base / "inventory.json", {"bootc_hosts": {self.name: variables}})

    def state(self) -> dict[str, Any]:
        return self.fleet.state(self.name)

    def save(self, state: dict[str, Any]) -> None:
        save(self.place, state)

    def play(self, playbook: str, options: dict[str, Any], log: Path) -> Running:
        words, variables = self.fleet.command(playbook, (), 1, options)
        return Running(words, environment(**{**variables, "ANSIBLE_HOST_KEY_CHECKING": "0"}), self.fleet.base, log)

    def cut_power(self) -> None:
        """What is staged is in memory until an orderly shutdown; what was written to the boot loader stays.

        The host is back when this returns: whoever runs the play again would wait for that.
        """
        off = self.place / "off"
        off.touch()
        self.host.kill_sessions()
        self.host.kill_workers()
        for path in (self.place / "run").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        state = {**self.state(), "staged": None}
        boot(state)
        self.save(state)
        off.unlink()
        time.sleep(max(0.0, state["down_until"] - time.time()))

    def read(self) -> State:
        state = self.state()
        booted, staged = state["booted"]["digest"], state["staged"]
        if state["queued"]:
            return State(booted, state["rollback"]["digest"])
        return State(booted, staged["digest"] if staged and not staged["download_only"] else booted)

    def left(self) -> list[str]:
        there = [*(self.place / "run").glob("imagemode-*/"), *(self.place / "lib").glob("imagemode-*")]
        return [str(path) for path in there]

    def stop(self) -> None:
        self.host.stop()


class _OnHost(Verb):
    victims: tuple[str, ...] = ("module", "tree", "ssh", "controller", "registry", "outage", "power")
    playbook: str

    def __init__(self, simulated: Simulated) -> None:
        self.simulated, self.host = simulated, simulated.host
        self._options: dict[str, Any] = {}

    def start(self, log: Path) -> Running:
        return self.simulated.play(self.playbook, self._options, log)

    def read(self) -> State:
        return self.simulated.read()

    def left(self) -> list[str]:
        return self.simulated.left()

    def stop_registry(self) -> None:
        (self.simulated.fleet.base / "registry.json").unlink()

    def start_registry(self) -> None:
        self.simulated.fleet.registry(self.simulated.images)

    def cut_power(self) -> None:
        self.simulated.cut_power()

    def _publish(self, number: int, image: str) -> str:
        """:returns: the digest that the image has from now on"""
        digest = self.simulated.images[image] = "sha256:" + hashlib.sha256(str(number).encode()).hexdigest()
        self.start_registry()
        return digest


class Switch(_OnHost):
    """To another tag; it is staged, and not booted."""

    name, playbook = "switch", str(ROOT / "tests/e2e/stage.yml")

    def prepare(self, number: int) -> State:
        image = f"{REPOSITORY}:{number}"
        self._options = {"image": image}
        return State(self.read().now, self._publish(number, image))


class Upgrade(_OnHost):
    """Of what is booted; it is staged, and not booted."""

    name, playbook = "upgrade", str(Path(__file__).with_name("upgrade.yml"))

    def prepare(self, number: int) -> State:
        state = self.simulated.state()
        self.simulated.save({**state, "staged": None, "queued": False})
        return State(self.read().now, self._publish(number, state["booted"]["image"]))


class Rollback(_OnHost):
    """The role: queued, booted and proved."""

    name, playbook = "rollback", "imagemode.bootc.rollback"
    # Nothing is pulled.
    victims = ("module", "tree", "ssh", "controller", "power")

    def prepare(self, number: int) -> State:
        state = self.simulated.state()
        digest = "sha256:" + hashlib.sha256(f"before {number}".encode()).hexdigest()
        there = {"image": f"{REPOSITORY}:0", "digest": digest, "download_only": False}
        self.simulated.save({**state, "staged": None, "queued": False, "rollback": there})
        self._options = {"rollback_away_from": state["booted"]["digest"], "rollback_reboot_timeout": 60}
        return State(there["digest"], there["digest"])
