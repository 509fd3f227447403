# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options for the lookup of a digest, in roles that know themselves whose platform is meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import evaluated


@pytest.mark.parametrize("role", ["update", "report", "rollout"])
def test_a_platform_among_them_is_left_out(role: str, tmp_path: Path) -> None:
    given = {f"{role}_registry_options": {"plain_http": True, "platform": "linux/arm64"}}
    assert evaluated(tmp_path, role, f"__{role}_registry_options", {"one": given}) == {"one": {"plain_http": True}}
