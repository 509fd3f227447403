# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of the tests fits into the time there is, on a machine whose speed nobody knows before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping


class Budget:
    """A time until which all is to be over.

    :param seconds: from now on; 0 is no end
    :param usual: what each stage takes on the machine where that was measured, in seconds, with another stage beside it
    """

    def __init__(self, seconds: float, usual: Mapping[str, float], clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.end = clock() + seconds if seconds else None
        self.usual = usual
        self.expected = self.taken = 0.0
        self.lock = threading.Lock()

    def took(self, stage: str, seconds: float) -> None:
        with self.lock:
            self.expected += self.usual.get(stage, 0)
            self.taken += seconds

    def fits(self, stage: str) -> bool:
        """Whether a stage would be over in time, if this machine goes on as it did until now."""
        with self.lock:
            pace = self.taken / self.expected if self.expected else 1.0
        return self.end is None or self.clock() + pace * self.usual.get(stage, 0) <= self.end
