# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A task's variable that is made of itself fails with "Recursive loop detected in template", and only where it is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FILES = sorted([*ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("roles/*/handlers/*.yml"), *ROOT.glob("playbooks/**/*.yml")])


def with_variables(node: Any) -> Iterator[dict[str, Any]]:
    """Everything below that has C(vars)."""
    if isinstance(node, dict):
        if isinstance(node.get("vars"), dict):
            yield node["vars"]
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from with_variables(part)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_variable_is_made_of_itself(path: Path) -> None:
    own = [
        name
        for variables in with_variables(yaml.safe_load(path.read_text()))
        for name, value in variables.items()
        if re.search(rf"{{[{{%][^}}]*(?<![\w.'\"]){name}(?![\w'\"])", str(value))
    ]
    assert not own
