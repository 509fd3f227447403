# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schedule of a host's own updates, before it is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

TIMER = [{"ansible.builtin.include_role": {"name": "imagemode.bootc.host", "tasks_from": "timer"}}]
GOOD, BAD = ("Sun 03:00", "daily", "*-*-* 02..04:30"), ("Sun 3am", "every night", "Sun 03:00 --force")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_what_systemd_does_not_understand_is_refused_before_the_old_schedule_is_gone(tmp_path: Path) -> None:
    hosts = {str(number): {"host_update_timer": "on", "host_update_schedule": text} for number, text in enumerate((*GOOD, *BAD))}
    plays = [{"hosts": "all", "gather_facts": False, "tasks": TIMER}]
    # What is good goes on to the look for the timer, which there is none of here.
    _rc, output = play(tmp_path, plays, hosts, "--check")
    refused = {number for number in hosts if f"fatal: [{number}]: FAILED! => " in output.partition("Look for the timer")[0]}
    assert refused == {str(len(GOOD) + number) for number in range(len(BAD))}, output
    assert "host_update_schedule. Failed to parse" in output


def test_a_schedule_without_a_word_on_the_timer_is_an_error(tmp_path: Path) -> None:
    nothing_else: dict[str, object] = {"host_pull_check": False}
    hosts = {"when": {**nothing_else, "host_update_schedule": "Sun 03:00"}, "neither": {**nothing_else, "host_update_schedule": ""}}
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.host"]}]
    _rc, output = play(tmp_path, plays, hosts, "--check")
    assert "fatal: [when]: FAILED! => " in output, output
    assert "host_update_timer is not. Set that to 'on'" in output
    assert "fatal: [neither]" not in output
