# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NOT SSH: what would be run on the other machine is run on this one, where NOT_SSH_THERE is seen instead of NOT_SSH_HERE.

The number of bytes that an rsync sends is written to NOT_SSH_SENT. NOT_SSH_CUT of them arrive, then the connection is gone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

VALUED = ("-o", "-p", "-i", "-l")
THERE = ["unshare", "--mount", "sh", "-c", 'mount --bind "$NOT_SSH_THERE" "$NOT_SSH_HERE" && eval "$1"', "sh"]


class Sender(threading.Thread):
    """Passes on what rsync sends; a thread, as rsync's server may end while this waits for more."""

    def __init__(self, server: subprocess.Popen[bytes], cut: int) -> None:
        super().__init__(daemon=True)
        self.server, self.cut, self.sent = server, cut, 0

    def run(self) -> None:
        assert self.server.stdin
        with suppress(BrokenPipeError), self.server.stdin:
            while self.sent < self.cut and (piece := os.read(0, 65536)):
                self.sent += self.server.stdin.write(piece)
                self.server.stdin.flush()


def main(words: list[str]) -> int:
    while words[0].startswith("-"):
        words = words[2 if words[0] in VALUED else 1 :]
    command = " ".join(words[1:])
    if not command.startswith("rsync"):
        os.execvp(THERE[0], [*THERE, command])
    server = subprocess.Popen([*THERE, command], stdin=subprocess.PIPE)
    sender = Sender(server, int(os.environ.get("NOT_SSH_CUT") or 1 << 40))
    sender.start()
    server.wait()
    Path(os.environ["NOT_SSH_SENT"]).write_text(str(sender.sent))
    return server.returncode


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
