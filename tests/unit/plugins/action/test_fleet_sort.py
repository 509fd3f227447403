# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that is looked at, and a registry that does not tell what it has to run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.imagemode.bootc.tests.unit.plugins.modules import conftest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

documents = conftest.documents
host = conftest.host


def test_a_registry_that_does_not_answer_is_told_with_what_was_asked_of_it(host: Any, documents: Any, tmp_path: Path) -> None:
    host.set(documents("booted"))
    sort = {
        "name": "Look",
        "imagemode.bootc.fleet_sort": {
            "image": "127.0.0.1:1/os:1",
            "group": "behind",
            "registry_options": {"plain_http": True, "retries": 0},
        },
        "environment": {"FAKE_HOST": str(tmp_path), "PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
        "register": "sorted",
        "ignore_errors": True,
    }
    kept = {"ansible.builtin.copy": {"dest": f"{tmp_path}/sorted.json", "content": "{{ sorted | to_json }}"}}
    rc, output = play(tmp_path, [{"hosts": "web1", "gather_facts": False, "tasks": [sort, kept]}], {"web1": {}})
    assert rc == 0, output
    result = json.loads((tmp_path / "sorted.json").read_text())
    assert (result["failed"], result["error"]) == (True, "digest_unknown")
    assert result["msg"].startswith("The digest of '127.0.0.1:1/os:1' for linux/amd64 is not known. registry_unreachable: ")
    assert "'registry_options'" in result["hint"]
