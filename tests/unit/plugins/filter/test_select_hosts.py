# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts selected by what is known of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.errors import AnsibleError
from ansible_collections.imagemode.bootc.plugins.filter.select_hosts import select_hosts
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import Record
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

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
        ("`0`", ["a", "b", "c"]),
        ("''", []),
    ],
)
def test_rows_and_variables_of_hosts_are_asked_alike(query: str, hosts: list[str]) -> None:
    assert select_hosts(ROWS, query) == hosts
    assert select_hosts({row["host"]: row for row in ROWS}, query) == hosts


@pytest.mark.parametrize(("fleet", "query", "words"), [(ROWS, "drifted &&", "query_invalid"), ([{"name": "a"}], "name", "Not hosts")])
def test_what_cannot_be_asked_is_told(fleet: list[dict[str, str]], query: str, words: str) -> None:
    with pytest.raises(AnsibleError, match=words):
        select_hosts(fleet, query)


def test_functions_know_what_comes_from_a_playbook(tmp_path: Path) -> None:
    """A template's lists, texts and numbers are types of Ansible's own since 2.19, and JMESPath's functions go by the names of types."""
    row = {"host": "a", "sites": ["north"], "version": "40", "number": -1, "labels": {"a": "b"}, "missing": "{{ not_there }}"}
    queries = ["contains(sites, 'north') && version < '41'", "starts_with(version, '4')", "abs(number) == `1`", "length(labels) == `1`"]
    asked = {"that": "fleet | imagemode.bootc.select_hosts(item) == ['a']"}
    rows = {"fleet": "{{ [{'host': 'a', 'sites': sites, 'version': version, 'number': number, 'labels': labels}] }}"}
    tasks = [
        {"ansible.builtin.assert": asked, "loop": queries, "vars": rows},
        {"ansible.builtin.assert": asked, "loop": queries, "vars": {"fleet": "{{ hostvars }}"}},
    ]
    rc, output = play(tmp_path, [{"hosts": "all", "gather_facts": False, "tasks": tasks}], {"a": row})
    assert rc == 0, output


def test_a_refusal_names_the_query_as_it_was_written() -> None:
    with pytest.raises(AnsibleError, match="'drifted &&'"):
        select_hosts(ROWS, "drifted &&")


@pytest.mark.parametrize(
    "asked", ["[{'host': 'a'}] | imagemode.bootc.select_hosts('abs(host)')", "query('imagemode.bootc.fleet', journal, query='abs(host)')"]
)
def test_a_refusal_is_told_once(asked: str, tmp_path: Path) -> None:
    """ansible-core 2.19 and newer add the words of the error from which another one is raised."""
    journal = tmp_path / "fleet.jsonl"
    journal.write_text(json.dumps({"host": "a", "time": "2026"}) + "\n")
    tasks = [{"ansible.builtin.debug": {"msg": f"{{{{ {asked} }}}}"}, "vars": {"journal": str(journal)}}]
    rc, output = play(tmp_path, [{"hosts": "all", "gather_facts": False, "tasks": tasks}], {"a": {}})
    assert rc != 0
    assert output.rpartition("fatal:")[2].count("cannot be evaluated") == 1, output
