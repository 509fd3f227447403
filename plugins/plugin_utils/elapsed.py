# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A sign of life of a task that takes long: a module cannot print, so its action says how long it has been at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ansible.utils.display import Display

FIRST_SECONDS = 10.0
EVERY_SECONDS = 20.0


@contextmanager
def elapsed(host: str, what: str, first: float = FIRST_SECONDS, every: float = EVERY_SECONDS) -> Iterator[None]:
    """Say C([host] what, N s) after I(first) seconds, and then I(every) so many, until the block ends."""
    done, started = threading.Event(), time.monotonic()

    def tell() -> None:
        pause = first
        while not done.wait(pause):
            Display().display(f"[{host}] {what}, {time.monotonic() - started:.0f} s")
            pause = every

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
