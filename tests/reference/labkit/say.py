# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""Progress on stderr (data goes to stdout), and the one error type of the lab."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


class LabError(Exception):
    """Something the user can act on; printed without a traceback."""


def say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress(what: str) -> Iterator[None]:
    """Say what is going on, every ten seconds that it still is, and how long it took."""
    started, done = time.monotonic(), threading.Event()

    def tick() -> None:
        while not done.wait(10):
            say(f"{what} … {time.monotonic() - started:.0f} s")

    say(what)
    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
        took = time.monotonic() - started
        if took > 3:
            say(f"{what}: done in {took:.0f} s")
    finally:
        done.set()
        thread.join()


def run(command: Sequence[str | Path], *, log: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run to success, or raise with the end of what it said."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, text=True, capture_output=True, check=False, **options)
    except FileNotFoundError as error:
        raise LabError(f"{words[0]} is not installed; try `tests/reference/lab packages --install`") from error
    if log is not None:
        with log.open("a") as stream:
            stream.write(f"$ {' '.join(words)}\n{done.stdout}{done.stderr}")
    if done.returncode:
        tail = "\n".join((done.stderr + done.stdout).strip().splitlines()[-15:])
        raise LabError(f"`{' '.join(words[:6])}` ended with {done.returncode}" + (f" (log: {log})" if log else "") + f":\n{tail}")
    return done
