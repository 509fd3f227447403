# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of health as they are written: what cannot be checked is no reason to take an image back."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
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


# What `systemctl` says; the variables are those of a case.
SYSTEMCTL = """#!/bin/sh
case "$*" in
  "is-active -- good.service") exit 0 ;;
  is-active*) exit 3 ;;
  *--failed*) [ -z "$FAILED" ] || echo "$FAILED loaded failed failed" ;;
  *greenboot-healthcheck.service) echo "$GREENBOOT" ;;
esac
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a server that says "fine", or at /wrong that it is not."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(500 if self.path == "/wrong" else 200)
            self.end_headers()
            self.wfile.write(b"fine")

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_check_that_does_not_hold_is_found_however_often_it_is_tried(tmp_path: Path, address: str) -> None:
    """Each case is a host, and all that differs between them: what does not hold, or nothing."""
    pytest.importorskip("ansible_collections.community.general.plugins.filter.json_query")
    here = {"from": "controller"}
    third = f"sh -c 'echo >> {tmp_path}/tries; test $(wc -l < {tmp_path}/tries) -ge 3'"
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "all-well": (
            {
                "update_health_commands": ["true"],
                "update_health_urls": [
                    {"url": f"{address}/", "content": "^fi"},
                    {"url": f"{address}/wrong", "status": 500},
                    {"url": f"{address}/", **here},
                ],
                "update_health_units": ["good.service"],
                "update_health_expressions": ["python.version.major == `3`"],
                "greenboot": "active",
            },
            "",
        ),
        "third-try": ({"update_health_commands": [third], "update_health_retries": "2"}, ""),
        "command": ({"update_health_commands": ["true", "false"]}, "Commands succeed"),
        "content": ({"update_health_urls": [{"url": f"{address}/", "content": "well"}]}, "URLs answer the host"),
        "status": ({"update_health_urls": [{"url": f"{address}/wrong"}]}, "URLs answer the host"),
        "from-here": ({"update_health_urls": [{"url": f"{address}/", "content": "well", **here}]}, "URLs answer the controller"),
        "unit": ({"update_health_units": ["good.service", "bad.service"]}, "Units are active"),
        "failed-unit": ({"failed": "bad.service"}, "No unit has failed"),
        "failed-unit-unasked": ({"failed": "bad.service", "update_health_no_failed_units": False}, ""),
        "greenboot": ({"greenboot": "failed"}, "Greenboot has found nothing"),
        "greenboot-unasked": ({"greenboot": "failed", "update_health_greenboot": False}, ""),
        "expression": ({"update_health_expressions": ["python.version.major == `2`"]}, "Expressions are true"),
    }
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text(SYSTEMCTL)
    (tmp_path / "bin/systemctl").chmod(0o755)
    usual = {"update_health_retries": 0, "update_health_delay": 0, "update_health_no_failed_units": True}
    found = f"{tmp_path}/{{{{ inventory_hostname }}}}.found"
    checks = {
        "block": [{"ansible.builtin.include_role": {"name": "imagemode.bootc.update", "tasks_from": "health"}}],
        "rescue": [{"ansible.builtin.copy": {"dest": found, "content": "{{ ansible_failed_task.name }}"}}],
    }
    variables = {
        "PATH": f"{tmp_path}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "FAILED": "{{ failed | default('') }}",
        "GREENBOOT": "{{ greenboot | default('inactive') }}",
    }
    plays = [{"hosts": "all", "gather_facts": False, "environment": variables, "tasks": [checks]}]
    rc, output = play(tmp_path, plays, {name: {**usual, **options} for name, (options, _expected) in cases.items()})
    assert rc == 0, output
    files = {name: tmp_path / f"{name}.found" for name in cases}
    said = {name: file.read_text() if file.exists() else "" for name, file in files.items()}
    assert said == {name: expected for name, (_options, expected) in cases.items()}
