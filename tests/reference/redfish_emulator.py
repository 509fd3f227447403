# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""sushy-tools' Redfish emulator, of which the lab's BMCs are made: `redfish_emulator.py --config FILE --interface ADDRESS --port N`."""

from __future__ import annotations

import random
import sys

# libvirt's binding comes with the distribution: it has to be that of the daemon, and is not on PyPI as a wheel.
sys.path.append("/usr/lib/python3/dist-packages")

from sushy_tools.emulator import main

if __name__ == "__main__":
    # The driver without machines takes up to eleven seconds for what a machine does, by chance.
    random.randint = lambda _least, _most: 1
    sys.exit(main.main())
