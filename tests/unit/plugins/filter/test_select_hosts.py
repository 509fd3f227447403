# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts selected by what is known of them."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError
from ansible_collections.imagemode.bootc.plugins.filter.select_hosts import select_hosts
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import Record

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ROWS = [
    Record("a", "2026", managed=True, digest=OLD, wanted=NEW, groups=("north",)).as_row(),
    Record("b", "2026", managed=True, digest=NEW, wanted=NEW, groups=("north",)).as_row(),
    Record("c", "2026", result="unreachable", wanted=NEW).as_row(),
]


@pytest.mark.parametrize(
    ("query", "hosts"),
    [
        ("drifted", ["a", "c"]),
        ("drifted && state != 'unreachable'", ["a"]),
        ("contains(groups, 'north')", ["a", "b"]),
        ("groups", ["a", "b"]),
        ("digest == null", ["c"]),
    ],
)
def test_rows_and_variables_of_hosts_are_asked_alike(query: str, hosts: list[str]) -> None:
    assert select_hosts(ROWS, query) == hosts
    assert select_hosts({row["host"]: row for row in ROWS}, query) == hosts


@pytest.mark.parametrize(("fleet", "query", "words"), [(ROWS, "drifted &&", "query_invalid"), ([{"name": "a"}], "name", "Not hosts")])
def test_what_cannot_be_asked_is_told(fleet: list[dict[str, str]], query: str, words: str) -> None:
    with pytest.raises(AnsibleError, match=words):
        select_hosts(fleet, query)
