# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""One error type; context is put before it on its way up, as bootc's own chain is."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from typing import Any


class BootcError(Exception):
    """Ends the command with return code 1."""


class UsageError(Exception):
    """Ends the command with return code 2; the text is the whole message."""


@contextlib.contextmanager
def context(*words: str) -> Iterator[None]:
    try:
        yield
    except BootcError as error:
        raise BootcError(": ".join([*words, str(error)])) from error


def run(*command: str, check: bool = True, **options: Any) -> str:
    """Run a tool and return its stdout; its last line of stderr is the error."""
    done = subprocess.run(command, text=True, capture_output=True, check=False, **options)
    if check and done.returncode:
        last = (done.stderr.strip() or f"{command[0]} ended with {done.returncode}").splitlines()[-1]
        raise BootcError(last.removeprefix("error: "))
    return done.stdout
