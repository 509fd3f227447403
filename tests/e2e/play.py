# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running playbooks in the lab as a user does at a terminal, with a sign of life and a log of each."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from labkit import machine, namespace
from prepare import environment

SILENCE_SECONDS = 10


class PlayFailed(Exception):
    """A playbook failed; the log holds all that it said."""


class Player:
    """Plays against the lab's machines; `folder` holds the logs and the inventory.

    `quiet` shows nothing of a play but that it goes on; `label` is before each line, where another player shows its own; `variables`
    are added to its environment.
    """

    def __init__(self, folder: Path, venv: Path, *, quiet: bool = False, label: str = "", **variables: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.venv = venv
        self.quiet = quiet
        self.label = label
        self.variables = variables
        self._played = 0
        self.inventory(localhost=["builder"])

    def inventory(self, **hosts: list[str]) -> None:
        """Name of a machine (or localhost) → its groups."""
        groups: dict[str, dict[str, dict[str, object]]] = {}
        for host, names in hosts.items():
            for name in names:
                groups.setdefault(name, {"hosts": {}})["hosts"][host] = {}
        variables = {host: machine.inventory(host) for host in hosts if host != "localhost"}
        variables["localhost"] = {"ansible_connection": "local", "ansible_python_interpreter": str(self.venv / "bin/python")}
        (self.folder / "inventory.json").write_text(json.dumps({"all": {"hosts": variables, "children": groups}}, indent=1))

    def become(self, host: str, user: str) -> None:
        """Reach a host of the inventory as a user who may become root by sudo, and become root for every task."""
        path = self.folder / "inventory.json"
        document = json.loads(path.read_text())
        document["all"]["hosts"][host] |= {"ansible_user": user, "ansible_become": True}
        path.write_text(json.dumps(document, indent=1))

    def play(self, playbook: str, options: dict[str, object], *arguments: str) -> int:
        """Run a playbook to success; how many tasks changed something.

        :raises PlayFailed: it failed
        """
        text, log, failed = self._play(playbook, options, arguments)
        if failed:
            raise PlayFailed(f"{playbook} failed; log: {log}")
        return sum(int(number) for number in re.findall(r"changed=(\d+)", text.rpartition("PLAY RECAP")[2]))

    def refused(self, playbook: str, options: dict[str, object], *arguments: str) -> str:
        """Run a playbook that has to fail; what it said.

        :raises PlayFailed: it succeeded
        """
        text, log, failed = self._play(playbook, options, arguments)
        if not failed:
            raise PlayFailed(f"{playbook} was to fail and did not; log: {log}")
        return text

    def _play(self, playbook: str, options: dict[str, object], arguments: tuple[str, ...]) -> tuple[str, Path, bool]:
        words, log = self._command(playbook, options)
        text = self._stream([*words, *arguments], log)
        recap = text.rpartition("PLAY RECAP")[2]
        return text, log, "failed=" not in recap or bool(re.search(r"(failed|unreachable)=[1-9]", recap))

    def kill(self, playbook: str, options: dict[str, object], after: float, since: Callable[[], bool] = lambda: True) -> None:
        """Run a playbook, and kill it and its connections, as a power cut of the controller does: so many seconds after `since`
        begins to hold.

        :raises PlayFailed: it ended before
        """
        words, log = self._command(playbook, options)
        command, variables = self._environment(words)
        with (
            log.open("w") as file,
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=variables, start_new_session=True) as child,
        ):
            while not since():
                if child.poll() is not None:
                    raise PlayFailed(f"{playbook} ended before it was to be killed; log: {log}")
                time.sleep(0.2)
            time.sleep(after)
            os.killpg(child.pid, signal.SIGKILL)

    def _command(self, playbook: str, options: dict[str, object]) -> tuple[list[str], Path]:
        self._played += 1
        log = self.folder / f"{self._played:02}-{Path(playbook).name.removesuffix('.yml').rpartition('.')[2]}.log"
        return ["ansible-playbook", "-i", str(self.folder / "inventory.json"), playbook, "-e", json.dumps(options)], log

    def _environment(self, words: list[str]) -> tuple[list[str], dict[str, str]]:
        command, variables = namespace.command(words)
        kept = {name: variables[name] for name in ("CONTAINERS_CONF", "BUILDAH_ISOLATION") if name in variables}
        return command, environment(
            **kept,
            ANSIBLE_HOME=str(self.folder / "home"),
            ANSIBLE_DISPLAY_SKIPPED_HOSTS="0",
            PYTHONUNBUFFERED="1",
            XDG_CACHE_HOME=str(self.folder / "cache"),
            **self.variables,
        )

    def _stream(self, words: list[str], log: Path) -> str:
        command, variables = self._environment(words)
        last, done = [time.monotonic()], threading.Event()
        started = time.monotonic()

        def tick() -> None:
            while not done.wait(1):
                if time.monotonic() - last[0] >= SILENCE_SECONDS:
                    last[0] = time.monotonic()
                    print(f"   {self.label}… {last[0] - started:.0f} s", flush=True)

        threading.Thread(target=tick, daemon=True).start()
        shown: list[str] = []
        with (
            log.open("w") as file,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables
            ) as child,
        ):
            assert child.stdout is not None
            for line in child.stdout:
                last[0] = last[0] if self.quiet else time.monotonic()
                shown.append(line)
                file.write(line)
                file.flush()
                if line.strip() and not self.quiet:
                    sys.stdout.write(f"   {self.label}{line}")
                    sys.stdout.flush()
        done.set()
        return "".join(shown)
