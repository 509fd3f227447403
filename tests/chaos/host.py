# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machines that plays are run on: what runs there for them, and how it is killed."""

from __future__ import annotations

import abc
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from processes import descendants

MARK = "CHAOS_HOST"
SERVER = "dropbear"


class Host(abc.ABC):
    """A machine that Ansible reaches by SSH."""

    name: str

    @abc.abstractmethod
    def at_work(self) -> bool:
        """Whether a module is."""

    @abc.abstractmethod
    def kill_modules(self) -> int:
        """Kill the modules' own processes, and leave what they started; how many."""

    @abc.abstractmethod
    def kill_workers(self) -> int:
        """Kill whatever was started by Ansible, and what that started; how many."""

    @abc.abstractmethod
    def kill_sessions(self) -> int:
        """Kill the SSH server's processes for its connections; how many."""

    @abc.abstractmethod
    def settle(self, seconds: float) -> bool:
        """Wait for what goes on without its controller.

        :returns: whether it has ended
        """


class ServedHost(Host):
    """This machine under another name, with an SSH server of its own.

    :param home: of root, where the key is to be
    :param environment: of every command on it
    :param command: run instead of what was asked for, which is in SSH_ORIGINAL_COMMAND
    """

    def __init__(self, name: str, home: Path, environment: Mapping[str, str], command: str | None = None) -> None:
        self.name = name
        mark = f"{name} of {os.getpid()}"
        self._mark = f"{MARK}={mark}".encode()
        self._key = home / ".ssh/id_ed25519"
        if not self._key.exists():
            self._key.parent.mkdir(mode=0o700, parents=True)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._key)], check=True)
            shutil.copy(f"{self._key}.pub", self._key.with_name("authorized_keys"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        own = home / f"{name}.key"
        subprocess.run(["dropbearkey", "-t", "ed25519", "-f", str(own)], check=True, capture_output=True)
        words = [SERVER, "-F", "-E", "-e", "-m", "-s", "-p", f"127.0.0.1:{self._port}", "-r", str(own), "-P", f"{own}.pid",
                 *(["-c", command] if command else [])]  # fmt: skip
        with (home / f"{name}.log").open("w") as log:
            self._server = subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, **environment, MARK: mark})

    def variables(self) -> dict[str, Any]:
        """Of the inventory."""
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": self._port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self._key),
            "ansible_ssh_common_args": options,
            "ansible_ssh_transfer_method": "piped",
        }

    def stop(self) -> None:
        self.kill_workers()
        self.kill_sessions()
        self._server.kill()
        self._server.wait()

    def at_work(self) -> bool:
        return bool(self._modules())

    def kill_modules(self) -> int:
        return kill(self._modules())

    def kill_workers(self) -> int:
        total = 0
        while killed := kill(self._workers()):
            total += killed  # one of them may have started another meanwhile
        return total

    def kill_sessions(self) -> int:
        return kill([pid for pid in self._marked() if pid != self._server.pid and _words(pid)[:1] == [SERVER]])

    def settle(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._workers():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _workers(self) -> list[int]:
        """Containers have variables of their own, and no mark."""
        found = {pid for pid in self._marked() if _words(pid)[:1] != [SERVER]}
        return sorted(found.union(descendants(*found)))

    def _modules(self) -> list[int]:
        """Python that Ansible sent a module to, by its standard input or as a file."""
        found = {pid: _words(pid) for pid in self._marked()}
        return [
            pid
            for pid, words in found.items()
            if words and Path(words[0]).name.startswith("python") and (len(words) == 1 or any("AnsiballZ_" in word for word in words))
        ]

    def _marked(self) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if self._mark in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found


def entering(script: str) -> str:
    """:param script: with C({command}) where what was asked for belongs
    :returns: a command for L(ServedHost)
    """
    asked = 'exec sh -c "$SSH_ORIGINAL_COMMAND"'
    return f"exec unshare --mount --propagation private sh -c {shlex.quote(script.format(command=asked))}"


def kill(pids: list[int]) -> int:
    """:returns: how many were still there"""
    killed = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []
