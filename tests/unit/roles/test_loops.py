# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles that are included in a loop: Ansible evaluates their options where they are used, in a loop of the role too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.imagemode.bootc.tests import specs
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

FILES = sorted((specs.ROOT / "roles").glob("*/tasks/**/*.yml"))
REPORT = {"image": "registry.test/os:1", "image_id": "sha256:1", "passed": True, "suites": []}


def looping(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        if "loop" in task:
            yield task
        for section in ("block", "rescue", "always"):
            yield from looping(task.get(section) or [])


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(specs.ROOT / "roles")))
def test_a_loop_of_a_role_has_a_variable_of_the_role(file: Path) -> None:
    role = file.relative_to(specs.ROOT / "roles").parts[0]
    loops = looping(yaml.safe_load(file.read_text()))
    others = [task["name"] for task in loops if not task.get("loop_control", {}).get("loop_var", "item").startswith(f"__{role}_")]
    assert others == []


def test_a_role_that_is_included_for_each_item_has_the_options_of_each(tmp_path: Path) -> None:
    options = {"image_name": "{{ item.name }}", "image_report_path": f"{tmp_path}/{{{{ item.directory }}}}", "__image_report": REPORT}
    role = {
        "ansible.builtin.include_role": {"name": "imagemode.bootc.image", "tasks_from": "report"},
        "vars": options,
        "loop": [{"name": "registry.test/one", "directory": "first"}, {"name": "registry.test/two", "directory": "second"}],
    }
    rc, output = play(tmp_path, [{"hosts": "all", "gather_facts": False, "tasks": [role]}], {"a": {}})
    assert rc == 0, output
    assert "WARNING" not in output
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/registry*.json")) == [
        "first/registry.test_one.json",
        "second/registry.test_two.json",
    ]
