# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each tag that a role's README names, alone: it brings what it needs, or says what is missing. Only in check mode."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.tests import specs
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

IMAGE = "registry.test/os:1"
OPTIONS: dict[str, dict[str, Any]] = {
    "takeover": {"takeover_image": IMAGE},
    "bare_metal": {"bare_metal_image": IMAGE, "bare_metal_disk": {"serial": "none"}},
    "vm": {"vm_driver": "qemu", "vm_firmware": "bios", "vm_disk_image": "/none.qcow2", "vm_verify": False},
    "update": {"update_resolve": False},
}


def tags(role: str) -> list[str]:
    """Those that the README names."""
    said = re.search(r"Tags: ((?:`[a-z]+`[, ]*)+)", (specs.ROOT / "roles" / role / "README.md").read_text())
    assert said, role
    return re.findall(r"`([a-z]+)`", said[1])


@pytest.mark.parametrize(("role", "tag"), [(role, tag) for role in OPTIONS for tag in tags(role)])
def test_a_tag_alone_looks_at_first_what_it_needs_to_know(tmp_path: Path, role: str, tag: str) -> None:
    plays = [{"hosts": "all", "gather_facts": False, "roles": [f"imagemode.bootc.{role}"]}]
    options = {"vm_directory": str(tmp_path), **OPTIONS[role]} if role == "vm" else OPTIONS[role]
    _rc, output = play(tmp_path, plays, {"web": {}}, "--check", "--tags", tag, **options)
    assert "undefined" not in output, output
    assert re.search(r"^TASK \[imagemode\.bootc\.\w+ : (Read|Look)", output, re.M), output


def test_a_signature_of_what_was_not_pushed_is_refused(tmp_path: Path) -> None:
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.image"]}]
    options = {"image_name": IMAGE, "image_context": str(tmp_path), "image_sign": {"key": "/none"}}
    rc, output = play(tmp_path, plays, {"web": {}}, "--check", "--tags", "sign", **options)
    assert rc != 0
    assert "this run has not pushed registry.test/os:1. Run it with the tags push and sign" in output
