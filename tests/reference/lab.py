# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""The lab of the reference host; `lab --help` lists its verbs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from labkit.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
