# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Groups for module_defaults, in which an option that one module does not know is an error of its tasks."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.imagemode.bootc.tests import specs

GROUPS = yaml.safe_load((specs.ROOT / "meta/runtime.yml").read_text())["action_groups"]


@pytest.mark.parametrize(
    ("group", "options"),
    [("bootc", {"timeout"}), ("image", {"auth_file", "ca_path", "password", "plain_http", "username"}), ("test", {"engine", "timeout"})],
)
def test_every_member_takes_what_the_group_is_for(group: str, options: set[str]) -> None:
    found = specs.modules()
    assert {name: options - set(found[name]) for name in GROUPS[group] if options - set(found[name])} == {}


def test_no_group_goes_without_a_purpose() -> None:
    assert set(GROUPS) == {"bootc", "image", "test"}
