# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role takeover says of the old system before it removes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.imagemode.bootc.tests import specs
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play


@pytest.mark.parametrize(("left", "changed"), [([{"path": "/sysroot/etc"}, {"path": "/sysroot/home"}], 1), ([], 0)])
def test_check_mode_tells_that_the_old_system_would_be_removed(tmp_path: Path, left: list[Any], changed: int) -> None:
    _look, *tasks = yaml.safe_load((specs.ROOT / "roles/takeover/tasks/clean.yml").read_text())
    plays = [{"hosts": "all", "gather_facts": False, "vars": {"takeover_left": {"files": left}}, "tasks": tasks}]
    rc, said = play(tmp_path, plays, {"web": {}}, "--check")
    assert rc == 0, said
    assert f"changed={changed} " in said
    assert all(one["path"] in said for one in left)
