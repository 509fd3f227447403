# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection says of itself: the options of modules, plugins and roles, as data for the tests that hold it to that."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from ansible.module_utils import basic

ROOT = Path(__file__).resolve().parents[1]
COLLECTION = "imagemode.bootc"


@dataclass(frozen=True)
class Option:
    """One option of a module or a role.

    :ivar owner: the module or role
    :ivar path: its name, after that of the options that it is part of
    :ivar spec: as the argument specification has it
    """

    owner: str
    path: tuple[str, ...]
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        return ".".join(self.path)

    def __str__(self) -> str:
        return f"{self.owner}: {self.name}"


class _Asked(BaseException):
    """Carries an argument specification out of a module, before it does anything."""


@cache
def modules() -> dict[str, dict[str, Any]]:
    """:returns: module → its argument specification; that of what runs on the controller only is its documentation"""
    found = {}
    for path in sorted((ROOT / "plugins/modules").glob("*.py")):
        module = importlib.import_module(f"ansible_collections.imagemode.bootc.plugins.modules.{path.stem}")
        found[path.stem] = _argument_spec(module) if hasattr(module, "main") else documented("module")[path.stem]["options"]
    return found


def _argument_spec(module: Any) -> dict[str, Any]:
    def instead(_self: Any, argument_spec: dict[str, Any], **_more: Any) -> None:
        raise _Asked(argument_spec)

    with mock.patch.object(basic.AnsibleModule, "__init__", instead):
        try:
            module.main()
        except _Asked as asked:
            spec: dict[str, Any] = asked.args[0]
            return spec
    raise AssertionError(f"{module.__name__} has no argument specification")


@cache
def documented(kind: str) -> dict[str, dict[str, Any]]:
    """:param kind: as C(ansible-doc --type) has it
    :returns: name → documentation, the fragments being part of it
    """
    program = str(Path(sys.executable).with_name("ansible-doc"))
    listed = subprocess.run([program, "--type", kind, "--list", "--json", COLLECTION], check=True, capture_output=True, text=True)
    names = sorted(json.loads(listed.stdout))
    if not names:
        return {}
    told = subprocess.run([program, "--type", kind, "--json", *names], check=True, capture_output=True, text=True)
    return {name.removeprefix(f"{COLLECTION}."): {"options": {}, **text["doc"]} for name, text in json.loads(told.stdout).items()}


@cache
def roles() -> dict[str, dict[str, Any]]:
    """:returns: role → all its options, whichever entry point has them"""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        entries = yaml.safe_load(path.read_text())["argument_specs"].values()
        found[path.parents[1].name] = {name: spec for entry in entries for name, spec in (entry.get("options") or {}).items()}
    return found


def options(owners: Mapping[str, Mapping[str, Any]]) -> Iterator[Option]:
    """:param owners: L(modules) or L(roles)
    :returns: every option, those within others after them
    """

    def walk(owner: str, spec: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[Option]:
        for name, option in spec.items():
            yield Option(owner, (*above, name), option)
            yield from walk(owner, option.get("options") or option.get("suboptions") or {}, (*above, name))

    for owner, spec in owners.items():
        yield from walk(owner, spec, ())
