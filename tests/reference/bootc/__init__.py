# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""A stand-in for bootc: the recorded command-line contract of its ostree backend, on real ostree deployments."""

from __future__ import annotations

VERSION = "1.16.9 (reference host)"
