# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of health as they are written: what cannot be checked is no reason to take an image back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import evaluated, play


def test_a_text_is_what_a_list_of_it_would_be(tmp_path: Path) -> None:
    checks = (
        "[__update_health_commands, __update_health_units, __update_pause_timers, __update_health_urls, __update_health_no_failed_units]"
    )
    written = {
        "update_health_commands": "test -e /etc/motd, really",
        "update_health_units": "nginx.service, sshd.service",
        "update_pause_timers": "a.timer",
        "update_health_urls": {"url": "http://localhost/"},
        "update_health_no_failed_units": "yes",
    }
    hosts: dict[str, dict[str, Any]] = {"text": written, "empty": dict.fromkeys(written, ""), "null": dict.fromkeys(written)}
    assert evaluated(tmp_path, "update", checks, hosts) == {
        "text": [["test -e /etc/motd, really"], ["nginx.service", "sshd.service"], ["a.timer"], [{"url": "http://localhost/"}], True],
        "empty": [[], [], [], [], False],
        "null": [[], [], [], [], False],
    }


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("update_health_urls", "http://localhost/health"),
        ("update_health_urls", [{"uri": "http://localhost/health"}]),
        ("update_health_urls", [{"url": "http://localhost/health", "from": "contoller"}]),
        ("update_health_units", [{"name": "nginx.service"}]),
        ("update_health_commands", [["test", "-e", "/etc/motd"]]),
    ],
)
def test_what_is_no_check_is_refused_before_the_host_is_looked_at(tmp_path: Path, option: str, value: Any) -> None:
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.update"]}]
    rc, output = play(tmp_path, plays, {"web": {}}, **{option: value})
    assert rc != 0
    assert option in output.partition("FAILED! =>")[2]
    assert "Read the state of the host" not in output


def test_an_expression_is_read_before_the_host_is_looked_at_and_not_asked_yet(tmp_path: Path) -> None:
    pytest.importorskip("ansible_collections.community.general.plugins.filter.json_query")
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.update"]}]
    rc, output = play(tmp_path, plays, {"web": {}}, update_health_expressions=["length(mounts > `3`"])
    assert rc != 0
    assert "JMESPath" in output
    assert "Read the state of the host" not in output
    _rc, output = play(tmp_path, plays, {"web": {}}, update_health_expressions=["length(mounts) > `3`", "python.version.major == `3` || x"])
    assert "TASK [imagemode.bootc.update : Read the state of the host]" in output
