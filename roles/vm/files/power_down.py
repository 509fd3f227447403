# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Press a QEMU machine's power button and wait until it is off; after two minutes cut its power. Needs its monitor's socket."""

import socket
import sys
import time

PATIENCE_SECONDS = 120


def main(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as monitor:
        try:
            monitor.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return  # it is off
        monitor.sendall(b"system_powerdown\n")
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            while time.monotonic() < deadline:
                monitor.settimeout(max(0.1, deadline - time.monotonic()))
                if not monitor.recv(4096):
                    return
        except ConnectionResetError:
            return
        except socket.timeout:  # until Python 3.10 no TimeoutError
            pass
        monitor.sendall(b"quit\n")
        monitor.settimeout(10)
        while monitor.recv(4096):
            pass


if __name__ == "__main__":
    main(sys.argv[1])
