# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether prepare-root.conf enables composefs, as the probe prints it: lines parted by semicolons, without blanks."""

from __future__ import annotations

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._lint._checks import CHECKS


@pytest.mark.parametrize(
    ("files", "enabled"),
    [
        (("[composefs];enabled=yes;[sysroot];readonly=true;",), True),
        (("#ours;[sysroot];readonly=true;[composefs];Enabled=verity",), True),
        (("[sysroot];readonly=true;", "[composefs];enabled=maybe;"), True),
        (("[composefs];enabled=no;#enabled=yes;",), False),
        (("[composefs];#enabled=yes;[sysroot];enabled=yes;",), False),
        (("#[composefs];enabled=yes;",), False),
        (("[sysroot];readonly=true;",), False),
        ((), True),  # which is another lint's to tell
    ],
)
def test_what_is_commented_out_enables_nothing(files: tuple[str, ...], enabled: bool) -> None:
    _level, check = CHECKS["baseimage-composefs"]
    assert (check({"prepare_root": files} if files else {}, {}) is None) is enabled
