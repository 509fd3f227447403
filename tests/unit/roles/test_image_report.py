# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that the role image writes about its tests."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

REPORT = {"image": "registry.test/os:1", "image_id": "sha256:1", "passed": True, "suites": []}


def test_the_report_is_the_same_file_whichever_ansible_writes_it(tmp_path: Path) -> None:
    given = {"__image_report": REPORT, "image_report_path": f"{tmp_path}/report", "image_name": REPORT["image"], "image_report": REPORT}
    role = {"ansible.builtin.include_role": {"name": "imagemode.bootc.image", "tasks_from": "report"}, "vars": given}
    rc, output = play(tmp_path, [{"hosts": "all", "gather_facts": False, "tasks": [role]}], {"a": {}})
    assert rc == 0, output
    (written,) = (tmp_path / "report").glob("*.json")
    assert written.read_text().splitlines() == json.dumps(REPORT, indent=4, sort_keys=True).splitlines()
