# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of bootc_facts in Ansible's cache: the next run has them without asking the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

CONFIG = "[defaults]\nfact_caching = jsonfile\nfact_caching_connection = cache\n"


@pytest.mark.skipif(os.path.exists("/run/ostree-booted"), reason="needs a machine that is no bootc host")
def test_facts_are_there_in_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").write_text(CONFIG)
    host = {"a": {}}
    rc, output = play(tmp_path, [{"hosts": "all", "gather_facts": False, "tasks": [{"imagemode.bootc.bootc_facts": None}]}], host)
    assert rc == 0, output
    tasks = [{"ansible.builtin.assert": {"that": "ansible_facts.bootc.managed is false"}}]
    rc, output = play(tmp_path, [{"hosts": "all", "gather_facts": False, "tasks": tasks}], host)
    assert rc == 0, output
