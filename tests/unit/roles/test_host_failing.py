# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run of the role host that ends before its end."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

SYSTEMCTL = """#!/bin/sh
echo "$*" >> "${0%/*}/../calls"
printf 'LoadState=loaded\\nActiveState=active\\n'
"""
OPTIONS = {"host_proxy_https": "http://proxy.test:3128", "host_journal": "volatile", "host_pull_image": "registry.test/os:1"}


def test_what_was_written_is_in_force_though_the_image_cannot_be_opened(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text(SYSTEMCTL)
    (programs / "systemctl").chmod(0o755)
    path = {"PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin"}
    plays = [{"hosts": "all", "gather_facts": False, "environment": path, "roles": ["imagemode.bootc.host"]}]
    files = {"__host_proxy_file": f"{tmp_path}/proxy/a.conf", "__host_journal_file": f"{tmp_path}/journal/a.conf"}
    rc, output = play(tmp_path, plays, {"a": OPTIONS}, **files)
    assert rc != 0
    assert "TASK [imagemode.bootc.host : Open the image as bootc does]" in output, output
    calls = (tmp_path / "calls").read_text().splitlines()
    assert "daemon-reload" in calls
    assert "restart systemd-journald.service" in calls
