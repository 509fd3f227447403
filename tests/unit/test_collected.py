# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No test is passed over in silence: pytest does not look into directories of some names, C(build) among them."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


def test_pytest_looks_into_every_directory_that_has_tests(request: pytest.FixtureRequest) -> None:
    names = {name for path in TESTS.rglob("test_*.py") for name in path.relative_to(TESTS).parts[:-1]}
    passed_over = [name for name in sorted(names) for pattern in request.config.getini("norecursedirs") if fnmatch(name, pattern)]
    assert not passed_over
    assert "unit" in names
