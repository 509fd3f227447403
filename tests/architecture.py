# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/architecture.md from what the code imports: `python3 tests/architecture.py`. A test sees that it was done."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/architecture.md"
MODULE_UTILS = "ansible_collections.imagemode.bootc.plugins.module_utils."
# What every part may know; drawn, it would hide the rest.
EVERYBODYS = ("_errors", "_runner", "_reference")
HEAD = """# Architecture

This page is made by `python3 tests/architecture.py` from the imports of the code; a test fails where it is not up to date.

A module takes options, makes a plan and runs it. What a module knows, it knows from a *room* of `plugins/module_utils`: one noun
each, private, typed, without `AnsibleModule`. `_module.py`, `_host_module.py` and `_install_module.py` are where rooms and Ansible meet.
Every room may know `_errors`, `_runner` (commands, time limits, masked secrets) and `_reference` (image references); these arrows are
left out.
"""


def rooms() -> dict[str, list[Path]]:
    """:returns: room → its files"""
    found: dict[str, list[Path]] = defaultdict(list)
    base = ROOT / "plugins/module_utils"
    for path in sorted(base.rglob("*.py")):
        found[path.relative_to(base).parts[0].removesuffix(".py")].append(path)
    return dict(found)


def knows(path: Path) -> Iterator[str]:
    """:returns: the rooms that a file imports"""
    base = ROOT / "plugins/module_utils"
    package = path.relative_to(base).parts[:-1] if path.is_relative_to(base) else ()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        name = node.module or ""
        if node.level:
            above = package[: len(package) - node.level + 1]
            parts = [*above, *filter(None, name.split("."))]
            yield from [parts[0]] if parts else [alias.name for alias in node.names]
        elif name == MODULE_UTILS[:-1]:
            yield from (alias.name for alias in node.names)
        elif name.startswith(MODULE_UTILS):
            yield name.removeprefix(MODULE_UTILS).split(".")[0]


def says(files: list[Path]) -> str:
    """:returns: the first sentence that a room says of itself"""
    first = next((path for path in files if path.name == "__init__.py"), files[0])
    text = ast.get_docstring(ast.parse(first.read_text())) or ""
    return re.sub(r"\b[CLI]\(([^)]*)\)", r"`\1`", " ".join(text.split("\n\n")[0].split()))


def link(path: Path) -> str:
    """:returns: a link of the page to a module, a plugin or a room"""
    return f"[`{path.stem}`](../{path.relative_to(ROOT)})"


def page() -> str:
    there = rooms()
    edges = {room: sorted({name for path in files for name in knows(path)} & set(there) - {room}) for room, files in there.items()}
    drawn = [(room, name) for room, names in edges.items() for name in names if name not in EVERYBODYS]
    lines = [
        HEAD,
        "## Rooms",
        "```mermaid",
        "graph LR",
        *(f"  {room} --> {name}" for room, name in drawn),
        "```",
        "",
        "| room | is | knows, besides what all know |",
        "|---|---|---|",
    ]
    for room, files in there.items():
        others = ", ".join(f"`{name}`" for name in edges[room] if name not in EVERYBODYS)
        place = files[0].parent if files[0].stem != room else files[0]
        lines.append(f"| {link(place)} | {says(files)} | {others or '–'} |")
    for title, kinds in (("Modules", ["modules"]), ("Actions on the controller", ["action"]), ("Plugins", ["lookup", "filter"])):
        paths = sorted(path for kind in kinds for path in (ROOT / "plugins" / kind).glob("*.py"))
        lines += ["", f"## {title}", f"| {title.lower().split()[0].removesuffix('s')} | rooms that it asks |", "|---|---|"]
        for path in paths:
            asked = ", ".join(f"`{name}`" for name in sorted(set(knows(path)) & set(there)))
            lines.append(f"| {link(path)} | {asked or ('none: its action does it' if kinds == ['modules'] else 'none')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(PAGE.relative_to(ROOT))
    sys.exit(0)
