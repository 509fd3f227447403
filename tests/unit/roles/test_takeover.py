# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role takeover says of the old system before it removes it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.imagemode.bootc.tests import specs
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

LIST = "/sysroot/.imagemode-bootc-old.json"


@pytest.mark.parametrize(("listed", "removed"), [(["etc", "home", "boot"], ["etc", "home", ".imagemode-bootc-old.json"]), (None, [])])
def test_check_mode_tells_what_of_the_old_system_would_be_removed(tmp_path: Path, listed: list[str] | None, removed: list[str]) -> None:
    """What was not there when the machine was taken over stays, and on a machine that was not taken over everything does."""
    tasks = yaml.safe_load((specs.ROOT / "roles/takeover/tasks/clean.yml").read_text())[2:]
    there = [] if listed is None else [LIST]
    variables = {
        **yaml.safe_load((specs.ROOT / "roles/takeover/vars/main.yml").read_text()),
        "takeover_left": {"files": [{"path": path} for path in ("/sysroot/home", "/sysroot/etc", "/sysroot/data", *there)]},
        "__takeover_noted": {} if listed is None else {"content": base64.b64encode(json.dumps(listed).encode()).decode()},
    }
    plays = [{"hosts": "all", "gather_facts": False, "vars": variables, "tasks": tasks}]
    rc, said = play(tmp_path, plays, {"web": {}}, "--check")
    assert rc == 0, said
    assert f"changed={int(bool(removed))} " in said
    assert ("would be removed: " + ", ".join(f"/sysroot/{name}" for name in removed) + "." in said) == bool(removed)
