# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""A stand-in for bootc: the recorded command-line contract of both of its backends, on real ostree deployments."""

from __future__ import annotations

from pathlib import Path

VERSION = "1.16.9 (reference host)"
COMPOSEFS_VERSION = "1.16.9 (reference host, composefs flavour)"
# Written by `install --composefs-backend`: from then on the machine answers as that backend does.
COMPOSEFS_MARK = "ostree/bootc/composefs-flavour"


def is_composefs() -> bool:
    return Path("/sysroot", COMPOSEFS_MARK).exists()
