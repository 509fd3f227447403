# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates are checked unless somebody says otherwise, by modules, roles and the modules of others that roles call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.imagemode.bootc.tests import specs

# Of these the default is not to check, or not the same in all versions; ansible.builtin.uri checks by itself.
OF_OTHERS = re.compile(r"(community\.proxmox|community\.vmware|vmware\.vmware)\.|community\.general\.(redfish|proxmox)_")
TASKS = sorted(specs.ROOT.glob("roles/*/tasks/**/*.yml"))


class Loader(yaml.SafeLoader):
    """Knows Ansible's own tags."""


Loader.add_multi_constructor("!", lambda loader, _tag, node: loader.construct_scalar(node))


def calls(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """:returns: every module that a file of tasks calls, with its options"""
    for entry in node if isinstance(node, list) else []:
        for name, value in entry.items():
            if name in ("block", "rescue", "always"):
                yield from calls(value)
            elif "." in name and isinstance(value, dict):
                yield name, value


@pytest.mark.parametrize("owners", [specs.modules(), specs.roles()], ids=["modules", "roles"])
def test_certificates_are_checked_by_default_and_http_is_asked_for(owners: dict[str, dict[str, Any]]) -> None:
    told = [option for option in specs.options(owners) if option.name.endswith("validate_certs") or option.name.endswith("plain_http")]
    assert told
    assert [str(option) for option in told if option.spec.get("default") is not option.name.endswith("validate_certs")] == []


def test_an_unset_option_of_a_role_is_the_default() -> None:
    """An AWX survey sends an empty text, which is not true."""
    for path in specs.ROOT.glob("roles/*/vars/main.yml"):
        for name, value in yaml.load(path.read_text(), Loader).items():
            if str(name).endswith("validate_certs"):
                assert re.match(r"\{\{ true if \w+_validate_certs in \['', none\] else", value), f"{path}: {name}"


@pytest.mark.parametrize("path", TASKS, ids=[str(path.relative_to(specs.ROOT / "roles")) for path in TASKS])
def test_no_task_leaves_it_to_others_or_turns_it_off(path: Path) -> None:
    for name, options in calls(yaml.load(path.read_text(), Loader)):
        given = str(options.get("validate_certs", "")).lower()
        assert given not in ("false", "no"), name
        assert not OF_OTHERS.match(name) or "validate_certs" in given, f"{name} says nothing of certificates"
