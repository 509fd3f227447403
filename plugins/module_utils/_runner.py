# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running commands: one place for time limits, streaming, the environment and masked secrets."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ._errors import ImageModeError

MASK = "********"
# The last lines of a command are what a reader needs; whole build logs are not kept in memory twice.
TAIL_LINES = 40
# Of a secret of several lines, shorter ones are brackets and the like, and tell nothing.
_TELLING = 4


class CommandMissing(ImageModeError):
    """The program is not installed, or not on PATH."""

    error = "command_missing"


class CommandTimeout(ImageModeError):
    """The program ran longer than its limit and was ended with its children."""

    error = "command_timeout"


class CommandFailed(ImageModeError):
    """The program ended with a return code other than 0."""

    error = "command_failed"


@dataclass(frozen=True)
class Completed:
    """A command that has ended.

    :ivar argv: the command, without secrets
    :ivar rc: its return code
    :ivar stdout: standard output, secrets masked unless it was to be parsed
    :ivar stderr: standard error, secrets masked
    :ivar seconds: wall-clock time
    """

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def command(self) -> str:
        return " ".join(self.argv)

    @property
    def last_words(self) -> str:
        """The tail of what it said: stderr if there is any, else stdout."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return "\n".join(lines[-TAIL_LINES:])


class Runner:
    """Runs commands with one environment.

    :param environment: variables added to the process's own
    :param without: variables taken out of it
    :param secrets: strings that are masked in everything that is returned or raised
    :ivar environment: what the commands get
    """

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        without: Sequence[str] = (),
        secrets: Sequence[str] = (),
    ) -> None:
        self.environment = {name: value for name, value in os.environ.items() if name not in without}
        self.environment.update({"LC_ALL": "C.UTF-8", **(environment or {})})
        self._secrets = tuple(sorted({part for secret in secrets for part in secret_parts(secret)}, key=len, reverse=True))

    def mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def find(self, program: str) -> str | None:
        """:returns: the program's path, or C(None); sbin directories are looked at too"""
        path = self.environment.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
        return shutil.which(program, path=path)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | None = None,
        timeout: float | None = None,
        check: bool = True,
        cwd: str | None = None,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        reply: Callable[[str], str | None] | None = None,
        tidies: bool = False,
        parsed: bool = False,
    ) -> Completed:
        """Run a command to its end.

        :param argv: program and arguments; a secret never belongs here
        :param stdin: text for standard input; without it standard input is empty
        :param timeout: seconds until the command and its children are ended
        :param check: raise L(CommandFailed) for a return code other than 0
        :param on_line: called with each line of output as it comes, secrets masked
        :param reply: called with the standard output so far until it returns something, which is written to standard input,
            and that closed; what it raises ends the command
        :param tidies: to end it early, end what it runs and let it clean up after the failure; a signal would keep it from that
        :param parsed: standard output is data that the caller takes apart and shows nobody: a short secret, masked, would spoil it
        :raises CommandMissing: the program is not installed
        :raises CommandTimeout: it took longer than I(timeout)
        :raises CommandFailed: it ended with a return code other than 0
        """
        program = self.find(argv[0])
        if program is None:
            raise CommandMissing(
                f"'{argv[0]}' is not installed on this machine, or not on its PATH.",
                hint=f"Install '{argv[0]}' or run the task where it is.",
                program=argv[0],
            )
        started = time.monotonic()
        with subprocess.Popen(
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL if stdin is None and reply is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**self.environment, **(environment or {})},
            # A group of its own, so that a time limit ends the children too.
            start_new_session=True,
        ) as process:
            try:
                stdout, stderr = self._talk(process, stdin, timeout, on_line, reply)
                stdout = stdout if parsed else self.mask(stdout)
            except BaseException:
                if tidies:
                    _end_children(process)
                _end(process)
                raise
        completed = Completed(tuple(self.mask(word) for word in argv), process.returncode, stdout, stderr, time.monotonic() - started)
        if check and completed.rc != 0:
            raise CommandFailed(
                f"'{completed.command}' failed with return code {completed.rc}: {completed.last_words}",
                rc=completed.rc,
                cmd=completed.command,
                stderr=completed.last_words,
            )
        return completed

    def _talk(
        self,
        process: subprocess.Popen[bytes],
        stdin: str | None,
        timeout: float | None,
        on_line: Callable[[str], None] | None,
        reply: Callable[[str], str | None] | None,
    ) -> tuple[str, str]:
        deadline = None if timeout is None else time.monotonic() + timeout
        untold = memoryview((stdin or "").encode())
        streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
        captured: dict[int, bytearray] = {0: bytearray(), 1: bytearray()}
        unfinished: dict[int, bytes] = {0: b"", 1: b""}
        with selectors.DefaultSelector() as selector:
            for index, stream in enumerate(streams):
                selector.register(stream, selectors.EVENT_READ, index)
            if process.stdin is not None and reply is None:
                # A program may say much before it reads, or read nothing.
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE)
            while selector.get_map():
                left = None if deadline is None else deadline - time.monotonic()
                events = selector.select(left) if left is None or left > 0 else []
                if not events:
                    raise CommandTimeout(
                        f"'{self.mask(' '.join(str(word) for word in process.args))}' "  # type: ignore[union-attr]
                        f"did not finish within {timeout:g} seconds and was ended.",
                        hint="Raise 'timeout' where the task has that option, or look in 'stderr' at what it was waiting for.",
                        stderr="\n".join(self.mask(captured[1].decode(errors="replace")).strip().splitlines()[-TAIL_LINES:]),
                    )
                for key, _mask in events:
                    if key.fileobj is process.stdin:
                        untold = _tell_some(key.fd, untold)
                        if not untold:
                            selector.unregister(key.fileobj)
                            process.stdin.close()
                        continue
                    chunk = os.read(key.fd, 65536)
                    if not chunk:
                        selector.unregister(key.fileobj)
                        continue
                    captured[key.data] += chunk
                    if reply and key.data == 0:
                        answer = reply(captured[0].decode(errors="replace"))
                        if answer is not None:
                            _tell(process, answer)
                            reply = None
                    if on_line:
                        *lines, unfinished[key.data] = (unfinished[key.data] + chunk).split(b"\n")
                        for line in lines:
                            on_line(self.mask(line.decode(errors="replace")))
        process.wait()
        return captured[0].decode(errors="replace"), self.mask(captured[1].decode(errors="replace"))


def secret_parts(secret: str) -> set[str]:
    """:returns: the secret as it may be seen: as a whole, and line by line, which is how output comes"""
    whole = secret.strip()
    lines = {line.strip() for line in whole.splitlines()}
    return ({whole} | {line for line in lines if len(line) >= _TELLING}) - {""}


def _tell(process: subprocess.Popen[bytes], text: str) -> None:
    """Write all of standard input, and close it."""
    if process.stdin is not None:
        try:
            process.stdin.write(text.encode())
            process.stdin.close()
        except BrokenPipeError:
            pass  # the program did not want it; its return code tells the rest


def _tell_some(descriptor: int, text: memoryview) -> memoryview:
    """:returns: what is still to be written; nothing if the program does not want it: its return code tells the rest"""
    try:
        return text[os.write(descriptor, text) :]
    except BrokenPipeError:
        return text[:0]


def _end_children(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever the command runs, again and again, until it gives up; ten seconds at the most."""
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        for child in _last_descendants(process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue


def _last_descendants(ancestor: int) -> list[int]:
    """The processes below this one that have no children themselves: those between may be what cleans up."""
    parents = _parents()
    return [pid for pid in below(ancestor, parents) if pid not in parents.values()]


def below(ancestor: int, parents: Mapping[int, int] | None = None) -> list[int]:
    """:returns: the living processes that this one runs, and those that they run"""
    known = _parents() if parents is None else parents

    def descends(pid: int) -> bool:
        while pid in known:
            pid = known[pid]
            if pid == ancestor:
                return True
        return False

    return [pid for pid in known if descends(pid)]


def _parents() -> dict[int, int]:
    """:returns: each living process and its parent"""
    stats = {int(directory): process_stat(directory) for directory in os.listdir("/proc") if directory.isdigit()}
    return {process: int(stat[1]) for process, stat in stats.items() if stat}


def process_stat(process: str) -> list[str]:
    """:returns: fields of C(/proc/PID/stat) from the third one on, which is the state; none if the process does not live. proc(5)"""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            # The second one is the name, which may hold spaces and parentheses.
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return []
    return [] if fields[:1] == ["Z"] else fields


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and its children: asked first, killed after five seconds. Some outlive the command that started them."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 5
        try:
            os.killpg(process.pid, signal_number)
            while time.monotonic() < deadline:
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.02)
        except ProcessLookupError:
            return
