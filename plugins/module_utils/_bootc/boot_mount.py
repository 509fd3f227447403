# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C(/boot) stays mounted while bootc runs.

Where systemd-gpt-auto-generator has made it an automount it goes after two idle minutes, and bootc, in a mount namespace of its
own, cannot bring it back: C(opendir(boot): Operation not permitted) (bootc 1.16.9, libostree 2026.4, systemd 262).
Where there is none, or it cannot be mounted, bootc says what it lacks.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

PATH = "/boot"


@contextmanager
def in_use() -> Iterator[None]:
    with ExitStack() as stack:
        with suppress(OSError):
            stack.callback(os.close, os.open(PATH, os.O_RDONLY | os.O_DIRECTORY))
        yield


def in_shell() -> str:
    """:returns: the line that does it for a shell script and all that it runs; C(exec) alone would end the script where it fails"""
    path = shlex.quote(PATH)
    return f"(: < {path}) 2> /dev/null && exec 9< {path}"
