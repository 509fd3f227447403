# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Container-mode tests of an image: what is asked, how it is looked up in a container, and whether it holds."""

from __future__ import annotations

from ._run import ImageTestFailed, Result, run_tests
from ._test import TEST_ARGUMENTS, Test, parse_tests

__all__ = ["TEST_ARGUMENTS", "ImageTestFailed", "Result", "Test", "parse_tests", "run_tests"]
