# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A command of bootc that takes minutes, apart from the task that started it.

It runs as a transient unit of systemd, or in a session of its own where systemd does not run, so a lost connection or
a killed controller does not end it. A host has one such job at a time. Its files are in C(DIRECTORY), which only root
can read: job.json (what it is), run (the script, gone once it runs: it holds the task's environment), pid, progress
(what bootc writes to --progress-fd), stdout, stderr, and rc, which is there when it has ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .._runner import CommandTimeout
from . import boot_mount
from .errors import BootcError, failure

DIRECTORY = "/run/imagemode-bootc"

# bootc wants a pipe for its progress (contract.md 1.12), hence the cat. What bootc makes must not have the mask of
# what is made here.
SCRIPT = """cd {directory} && rm -f run || exit 1
{boot}
umask 0077
echo $$ > pid
{environment}
{{ (cd / && umask 0022 && exec timeout -k 5 {timeout} {command}) 3>&1 > stdout 2> stderr; echo $? > rc; }} | cat > progress
"""
START_SECONDS = 5.0
TICK_SECONDS = 0.05
# Each line of bootc's progress lists all the layers that are finished, with some 180 bytes for each.
PROGRESS_BYTES = 65536
# Of timeout(1): the command was asked to end, or killed; the latter is also what a shell says of a command that was killed.
TIMEOUT_CODES = (124, 137)
ENDED_FROM_OUTSIDE = 137


class Job:
    """The job of this host, running or ended.

    :ivar id: tells it from every other job
    :ivar argv: the command, as it was planned
    :ivar about: what its starter noted to make its result from
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.id: str = record["id"]
        self.argv: tuple[str, ...] = tuple(record["argv"])
        self.about: dict[str, Any] = record["about"]
        self._timeout: float = record["timeout"]

    @classmethod
    def find(cls) -> Job | None:
        """:returns: the job that runs, or that ended and was not collected"""
        try:
            with _lock():
                record = _record()
        except PermissionError:  # not root: bootc says it better
            return None
        return cls(record) if record else None

    @classmethod
    def start(cls, argv: Sequence[str], about: Mapping[str, Any], timeout: float, environment: Mapping[str, str]) -> Job:
        """Start a job; what is left of an earlier one goes.

        :param about: JSON-serialisable
        :param timeout: seconds until it is ended; 0 for no limit
        :raises BootcError: another job runs
        """
        record = {"id": f"{time.time_ns():x}", "argv": list(argv), "about": dict(about), "timeout": timeout}
        with _lock():
            found = _record()
            if found and cls(found).running:
                raise BootcError(
                    f"'{' '.join(found['argv'])}' was started on this host at the same time.",
                    error="bootc_locked",
                    hint="Run the task again: it waits for that one.",
                )
            shutil.rmtree(DIRECTORY, ignore_errors=True)
            os.mkdir(DIRECTORY, 0o700)
            _write("job.json", json.dumps(record))
            _write(
                "run",
                SCRIPT.format(
                    directory=DIRECTORY,
                    boot=boot_mount.in_shell(),
                    environment="\n".join(
                        f"export {name}={shlex.quote(value)}" for name, value in environment.items() if name.isidentifier()
                    ),
                    timeout=timeout,
                    command=shlex.join([*argv[:2], "--progress-fd", "3", *argv[2:]]),
                ),
            )
            _detach(f"imagemode-bootc-{argv[1]}", ["/bin/sh", f"{DIRECTORY}/run"])
            job = cls(record)
            deadline = time.monotonic() + START_SECONDS
            while not _read("pid") and time.monotonic() < deadline:
                time.sleep(0.02)
        return job

    @property
    def pid(self) -> int:
        """0 if it never came to run."""
        return int(_read("pid") or 0)

    @property
    def running(self) -> bool:
        if _read("rc").endswith("\n"):
            return False
        try:
            with open(f"/proc/{self.pid}/cmdline", "rb") as file:
                return DIRECTORY.encode() in file.read()
        except OSError:
            return False

    def wait(self, seconds: float | None) -> bool:
        """:returns: whether it has ended; C(None) waits until it has"""
        deadline = None if seconds is None else time.monotonic() + seconds
        pause = 0.05
        while self.running:
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        return True

    def as_dict(self) -> dict[str, Any]:
        """:returns: what the controller needs to follow it"""
        command, progress = " ".join(self.argv), _read("progress", PROGRESS_BYTES)
        return {"id": self.id, "pid": self.pid, "directory": DIRECTORY, "command": command, "progress": progress}

    def collect(self) -> bool:
        """Take note of how it ended, and remove its files.

        :returns: C(False) if another task, which waited for it too, was faster
        :raises CommandTimeout: it took longer than its limit
        :raises BootcError: it failed, classified
        """
        with _lock():
            record = _record()
            if record is None or record["id"] != self.id:
                return False
            code, stderr = int(_read("rc") or ENDED_FROM_OUTSIDE), _read("stderr")
            timed_out = bool(self._timeout) and code in TIMEOUT_CODES and _seconds() + TICK_SECONDS >= self._timeout
            shutil.rmtree(DIRECTORY)
        command = " ".join(self.argv)
        if timed_out:
            raise CommandTimeout(
                f"'{command}' did not finish within {self._timeout:g} seconds and was ended.",
                hint="Raise 'timeout' (0 is no limit); the end of what it said is in 'stderr'.",
                cmd=command,
                stderr=stderr[-2000:],
            )
        if code > 128:
            raise BootcError(
                f"'{command}' was ended from outside.", hint="Run the task again.", rc=code, cmd=command, stderr=stderr[-2000:]
            )
        if code:
            raise failure(command, code, stderr)
        return True


def _detach(unit: str, argv: list[str]) -> None:
    systemd_run = shutil.which("systemd-run")
    if systemd_run and os.path.isdir("/run/systemd/system"):
        asked = [systemd_run, "--quiet", "--collect", f"--unit={unit}", "--description=Started by imagemode.bootc", "--", *argv]
        if subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0:
            return
    nowhere = subprocess.DEVNULL
    subprocess.Popen(argv, stdin=nowhere, stdout=nowhere, stderr=nowhere, cwd="/", start_new_session=True)


@contextmanager
def _lock() -> Iterator[None]:
    """One task at a time looks for a job, starts one or removes one."""
    with open(os.open(f"{DIRECTORY}.lock", os.O_RDWR | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _record() -> dict[str, Any] | None:
    """:returns: what is written of the job, or C(None) if there is none"""
    try:
        record: dict[str, Any] = json.loads(_read("job.json"))
    except ValueError:
        return None
    return record


def _seconds() -> float:
    """From the start of the job to its end, by files whose times are those of the kernel's last tick."""
    ended, started = (os.stat(f"{DIRECTORY}/{name}").st_mtime if os.path.exists(f"{DIRECTORY}/{name}") else 0 for name in ("rc", "pid"))
    return ended - started


def _read(name: str, last: int | None = None) -> str:
    """
    :param last: of a file that may be large, read so many bytes at its end
    :returns: the file's text; nothing if it is not there
    """
    try:
        with open(f"{DIRECTORY}/{name}", "rb") as file:
            if last is not None:
                file.seek(max(0, os.fstat(file.fileno()).st_size - last))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _write(name: str, text: str) -> None:
    with open(os.open(f"{DIRECTORY}/{name}", os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
