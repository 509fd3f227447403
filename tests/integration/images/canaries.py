# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Canaries: secrets that no other text contains, and eyes on every place where one could turn up."""

from __future__ import annotations

import base64
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

LARGEST_FILE = 64 << 20
# Other tests that run at the same time.
OTHERS = ("/tmp/pytest-of-",)
# Where programs leave files; the tests' own directory is told to the watch.
PLACES = ("/tmp", "/var/tmp", "/run", "/etc", "/dev/shm", "/var/log")
SAMPLE_SECONDS = 0.05


# What all secrets of a run begin with: one look for it says whether a closer one is worth it.
RUN = f"c4{secrets.token_hex(8)}"


def canary() -> str:
    """A secret with what shells, URLs and YAML would stumble over."""
    return f"{RUN}-{secrets.token_hex(8)}-$x%41'\"y"


def forms(secret: str) -> set[bytes]:
    """The ways in which a secret can be written: as it is, its middle however quoted, in a URL, in Base64 at any offset."""
    raw = secret.encode()
    encoded = {base64.b64encode(b"x" * offset + raw)[4 if offset else 0 :][:-4] for offset in range(3)}
    return {raw, quote(secret, safe="").encode(), *raw.split(b"-")[1:2], *encoded} - {b""}


class Watch:
    """Looks while something runs, and afterwards.

    :param secrets: name → secret
    :param inputs: files and directories that hold secrets because a test or a user put them there
    """

    def __init__(self, base: Path, secrets: dict[str, str], inputs: Iterable[Path]) -> None:
        self._base, self._inputs = base, tuple(map(str, inputs))
        self._needles = [(name, form) for name, secret in secrets.items() for form in forms(secret)]
        marks = forms(RUN) | {form for secret in secrets.values() if RUN not in secret for form in forms(secret)}
        self._any = re.compile(b"|".join(map(re.escape, marks)))
        self.seen: set[str] = set()
        self._started = time.time()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._sample, daemon=True)]
        self._log = _log_socket()
        if self._log:
            self._threads.append(threading.Thread(target=self._listen, daemon=True))

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self._log:
            self._log.close()
            os.unlink("/dev/log")

    def look(self, where: str, data: bytes) -> None:
        """Note each secret that is in it."""
        if self._any.search(data):
            self.seen |= {f"{name} in {where}" for name, form in self._needles if form in data}

    def files(self) -> None:
        """Look at every file that was written since the watch began."""
        for place in {*PLACES, str(self._base)}:
            for directory, names, files in os.walk(place):
                names[:] = [name for name in names if not os.path.ismount(f"{directory}/{name}")]
                if directory.startswith(self._inputs) or (
                    directory.startswith(OTHERS) and not str(self._base).startswith(directory) and not directory.startswith(str(self._base))
                ):
                    names.clear()
                    continue
                for name in files:
                    path = Path(directory, name)
                    with suppress(OSError):
                        about = path.lstat()
                        if (
                            path.is_file()
                            and not path.is_symlink()
                            and about.st_ctime >= self._started - 1
                            and about.st_size < LARGEST_FILE
                            and str(path) not in self._inputs
                        ):
                            self.look(str(path), path.read_bytes())

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read()
                    self.look(f"the command line of {words.split(bytes(1))[0].decode(errors='replace')}", words)

    def _listen(self) -> None:
        assert self._log
        while not self._over.is_set():
            with suppress(TimeoutError):
                self.look("syslog", self._log.recv(1 << 20))


def _log_socket() -> socket.socket | None:
    """What modules tell syslog; C(None) on a machine where somebody else listens."""
    if os.path.exists("/dev/log") or os.getuid() != 0:
        return None
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind("/dev/log")
    log.settimeout(0.2)
    return log
