# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A journal that is to be kept needs a /var that is."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

JOURNAL = [{"ansible.builtin.include_role": {"name": "imagemode.bootc.host", "tasks_from": "journal"}}]


def test_a_journal_is_kept_only_where_var_is(tmp_path: Path) -> None:
    hosts = {}
    for name, kind, journal in (("disk", "xfs", "persistent"), ("memory", "tmpfs", "persistent"), ("volatile", "tmpfs", "volatile")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stat").write_text(f"#!/bin/sh\necho {kind}\n")
        (tmp_path / name / "stat").chmod(0o755)
        hosts[name] = {"host_journal": journal}
    path = {"PATH": f"{tmp_path}/{{{{ inventory_hostname }}}}:/usr/sbin:/usr/bin:/sbin:/bin"}
    plays = [{"hosts": "all", "gather_facts": False, "environment": path, "tasks": JOURNAL}]
    _rc, output = play(tmp_path, plays, hosts, "--check")
    output = output.partition("Let the journal begin")[0]  # there may be no systemd here
    assert {name for name in hosts if f"fatal: [{name}]: FAILED! => " in output} == {"memory"}, output
    assert "/var of this host is in memory (tmpfs)" in output
