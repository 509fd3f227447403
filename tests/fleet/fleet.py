# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet of simulated hosts below a directory, and playbooks over it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
IMAGE = "registry.test/os:stable"
NOON = datetime.now(timezone.utc) + timedelta(hours=12)
CLOSED = {"start": f"{NOON:%H:%M}", "end": f"{NOON + timedelta(minutes=30):%H:%M}"}
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


class Fleet:
    """`size` hosts that run OLD of IMAGE, whose tag is NEW now."""

    def __init__(self, base: Path, size: int, faults: Mapping[str, str] | None = None, prefix: str = "host") -> None:
        self.base = base
        self.names = [f"{prefix}{number:04}" for number in range(size)]
        binaries = base / "bin"
        binaries.mkdir(parents=True)
        for program in ("bootc", "skopeo", "systemctl", "shutdown", "healthy"):
            (binaries / program).write_text(f"#!{sys.executable} -SE\n" + (HERE / "simulated_host.py").read_text())
            (binaries / program).chmod(0o755)
        self.registry({IMAGE: NEW})
        for number, name in enumerate(self.names):
            host = base / name
            for directory in ("run", "lib"):
                (host / directory).mkdir(parents=True)
            booted = {"image": IMAGE, "digest": OLD, "download_only": False}
            (host / "state.json").write_text(
                json.dumps(
                    {
                        "booted": booted,
                        "staged": None,
                        "rollback": None,
                        "queued": False,
                        "first": OLD,
                        "boot_id": f"boot-{number}",
                        "down_until": 0,
                        "fault": (faults or {}).get(name),
                    }
                )
            )
            (host / "boot_id").write_text(f"boot-{number}\n")
        self._inventory()

    def _inventory(self) -> None:
        hosts = {name: {"site": f"site{number % 4}"} for number, name in enumerate(self.names)}
        variables = {
            "ansible_connection": "simulated",
            "simulated_directory": str(self.base),
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
        }
        groups = {"bootc_hosts": {"hosts": hosts, "vars": variables}, "canary": {"hosts": {self.names[0]: {}}}}
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        (self.base / "inventory.json").write_text(json.dumps({"all": {"hosts": {"localhost": local}, "children": groups}}))

    def registry(self, images: Mapping[str, str]) -> None:
        (self.base / "registry.json.new").write_text(json.dumps(images))
        (self.base / "registry.json.new").replace(self.base / "registry.json")

    def state(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.base / name / "state.json").read_text())
        return found

    def set_fault(self, name: str, fault: str | None) -> None:
        (self.base / name / "state.json").write_text(json.dumps({**self.state(name), "fault": fault}))

    def digests(self) -> dict[str, str]:
        return {name: self.state(name)["booted"]["digest"] for name in self.names}

    def cpu(self) -> float:
        """:returns: seconds of CPU that ran on the hosts, as their shells counted them"""
        text = "".join(path.read_text() for path in self.base.glob("*/times"))
        return sum(60 * int(minutes) + float(seconds) for minutes, seconds in re.findall(r"(\d+)m([\d.]+)s", text))

    def requests(self) -> int:
        path = self.base / "requests"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def play(self, playbook: str, *arguments: str, forks: int = 10, **options: Any) -> tuple[int, str]:
        """:returns: exit code and output"""
        command, environment = self.command(playbook, arguments, forks, options)
        done = subprocess.run(
            command,
            env=environment,
            cwd=self.base,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def kill(self, playbook: str, moment: Callable[[], bool], **options: Any) -> None:
        """Run a playbook, and kill it and its workers as soon as `moment` is true."""
        command, environment = self.command(playbook, (), 10, options)
        with subprocess.Popen(
            command,
            env=environment,
            cwd=self.base,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as child:
            while child.poll() is None and not moment():
                time.sleep(0.1)
            assert child.poll() is None, "it ended before the moment came"
            os.killpg(child.pid, signal.SIGKILL)

    def command(
        self, playbook: str, arguments: tuple[str, ...], forks: int, options: Mapping[str, Any]
    ) -> tuple[list[str], dict[str, str]]:
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        environment = {
            **os.environ,
            "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "connection_plugins"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.base / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "0",
            "ANSIBLE_SHOW_CUSTOM_STATS": "1",
        }
        words = ["-i", str(self.base / "inventory.json"), "-f", str(forks), "-e", json.dumps(options), *arguments]
        return [program, playbook, *words], environment


def recap(output: str) -> dict[str, dict[str, int]]:
    """:returns: host → counter → number"""
    text = output.rpartition("PLAY RECAP")[2]
    lines = [line for line in text.splitlines() if "ok=" in line]
    return {line.split()[0]: {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", line)} for line in lines}


def artifacts(output: str) -> dict[str, Any]:
    """:returns: what a play gave to the next job, by set_stats"""
    found: dict[str, Any] = json.JSONDecoder().raw_decode(output.rpartition("RUN: ")[2])[0]
    return found
