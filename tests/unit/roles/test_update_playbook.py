# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook update: who is looked at, and who is updated."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.imagemode.bootc.tests import specs
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

NAME = [{"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} gets {{ update_image }}"}}]


@pytest.mark.parametrize("targets", [("web1:web2", "db"), (["web1", "web2"], ["db"]), ("bootc_hosts:!db", "bootc_hosts:!web*")])
def test_hosts_of_another_import_in_the_same_run_are_left_alone(tmp_path: Path, targets: tuple[object, object]) -> None:
    look, update = yaml.safe_load((specs.ROOT / "playbooks/update.yml").read_text())
    del update["roles"]
    plays = [
        {**part, "vars": {**part.get("vars", {}), "target": target, "update_image": image}}
        for target, image in zip(targets, ("registry.test/web:1", "registry.test/db:1"))
        for part in (look, {**update, "tasks": NAME})
    ]
    rc, output = play(tmp_path, plays, {name: {"ansible_become": False} for name in ("web1", "web2", "db")})
    assert rc == 0, output
    said = sorted(line.split('"')[3] for line in output.splitlines() if " gets " in line)
    assert said == ["db gets registry.test/db:1", "web1 gets registry.test/web:1", "web2 gets registry.test/web:1"]


def test_where_nobody_is_behind_nobody_is_updated(tmp_path: Path) -> None:
    _look, update = yaml.safe_load((specs.ROOT / "playbooks/update.yml").read_text())
    del update["roles"]
    rc, output = play(tmp_path, [{**update, "tasks": NAME}], {"web": {}})
    assert rc == 0, output
    assert "skipping: no hosts matched" in output
