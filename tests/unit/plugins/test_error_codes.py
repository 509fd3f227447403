# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every error code of the collection is documented and tested, and nothing is documented that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
RAISED = re.compile(r'^    error = "([a-z_]+)"|error="([a-z_]+)"|^    \(\s*"([a-z_]+)",\s*r"', re.M)
IN_ROLES = re.compile(r"^\s+(?:__\w+_error|error): ([a-z]+_[a-z_]+)$", re.M)
NAMED = {".py": r'"([a-z_]+)"', ".json": r'"([a-z_]+)"', ".yml": r"\b[a-z_]+\b"}
DOCUMENTED = re.compile(r"^\| `([a-z_]+)` \|", re.M)


def test_the_table_is_one_and_sorted() -> None:
    lines = [line for line in (ROOT / "docs/errors.md").read_text().splitlines() if line.startswith("|")]
    assert lines[:2] == ["| `error` | meaning |", "|---|---|"]
    assert lines[2:] == sorted(lines[2:])


def test_codes_and_documentation_agree() -> None:
    documented = set(DOCUMENTED.findall((ROOT / "docs/errors.md").read_text())) - {"error"}
    text = "\n".join(path.read_text() for path in (ROOT / "plugins").rglob("*.py"))
    raised = {code for groups in RAISED.findall(text) for code in groups if code}
    roles = "\n".join(path.read_text() for path in (ROOT / "roles").glob("*/tasks/*.yml"))
    in_roles = set(IN_ROLES.findall(roles))
    assert (raised | in_roles) - documented == set()
    assert {code for code in documented if f'"{code}"' not in text} - in_roles == set()


def test_every_code_is_expected_by_a_test() -> None:
    """By its name, between quotation marks in Python and JSON; as a word in YAML."""
    files = [path for path in (ROOT / "tests").rglob("*") if path.suffix in (".py", ".json", ".yml")]
    named = {code for path in files for code in re.findall(NAMED[path.suffix], path.read_text(encoding="utf-8"))}
    assert set(DOCUMENTED.findall((ROOT / "docs/errors.md").read_text())) - named == set()
