# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JUnit XML is XML whatever a command said."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.imagemode.bootc.plugins.filter.junit import junit

TESTS = [
    {"name": "good", "passed": True, "reason": "", "seconds": 0.5},
    {"name": "bad <&\"'", "passed": False, "reason": "said \x1b[31m\x00 & \ud800", "seconds": 1, "stdout": "a\x07b"},
    {"name": "var-log", "passed": True, "message": "a warning"},
]


def test_counts_and_failures_can_be_read_back() -> None:
    (suite,) = ElementTree.fromstring(junit([{"name": "tests", "tests": TESTS}]))
    assert (suite.get("tests"), suite.get("failures"), suite.get("time")) == ("3", "1", "1.50")
    good, bad, warned = suite
    assert len(good) == 0
    assert bad.get("name") == "bad <&\"'"
    assert bad[0].tag == "failure"
    assert "said" in (bad[0].get("message") or "")
    assert warned[0].text == "a warning"


def test_anything_else_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="takes a list of suites"):
        junit([{"name": "tests"}])
