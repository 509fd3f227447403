# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an execution environment needs, as ansible-builder sees it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "ansible_collections.imagemode.bootc."
BUILDER = str(Path(sys.executable).with_name("ansible-builder"))


def imports(path: Path) -> Iterator[str]:
    """Absolute names of what a file imports."""
    package = PREFIX + ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) + "." if node.level else ""
            name = base + (node.module or "")
            yield name.rstrip(".")
            yield from (f"{name.rstrip('.')}.{alias.name}" for alias in node.names)


def own(name: str) -> Path | None:
    """The file of one of the collection's own modules."""
    if not name.startswith(PREFIX):
        return None
    path = ROOT / name.removeprefix(PREFIX).replace(".", "/")
    return next((found for found in (path.with_suffix(".py"), path / "__init__.py") if found.exists()), None)


def test_it_lists_what_the_controllers_plugins_import_and_nothing_else() -> None:
    done = subprocess.run([BUILDER, "introspect", str(ROOT.parents[2])], capture_output=True, text=True, check=True)
    found = yaml.safe_load(done.stdout)
    assert all(line.endswith("# from collection imagemode.bootc") for lines in found.values() for line in lines)
    needs = {line.split()[0] for line in found["python"]}
    assert {line.split()[0] for line in found["system"]} == {"openssh-client", "openssh-clients"}

    todo = [path for room in ("action", "lookup", "filter", "plugin_utils") for path in (ROOT / "plugins" / room).glob("*.py")]
    seen: set[Path] = set()
    foreign: set[str] = set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imports(path):
            ours = own(name)
            if ours:
                todo.append(ours)
            elif name.partition(".")[0] not in {*sys.stdlib_module_names, "ansible", "ansible_collections", "__future__"}:
                foreign.add(name.partition(".")[0])
    # urllib3 is part of requests, tomli of Python 3.11 and newer; tzdata is what zoneinfo reads where the system has no time zones.
    assert foreign - {"urllib3", "tomli"} == needs - {"tzdata"}


def test_the_definition_is_one_and_the_base_is_of_the_users_choice(tmp_path: Path) -> None:
    definition = ROOT / "execution-environment/execution-environment.yml"
    subprocess.run([BUILDER, "create", "-f", str(definition), "-c", str(tmp_path / "context")], check=True, capture_output=True)
    lines = (tmp_path / "context/Containerfile").read_text().splitlines()
    assert 'ARG EE_BASE_IMAGE="localhost/ee-base:latest"' in lines
    assert (tmp_path / "context/_build/requirements.yml").read_text() == (definition.parent / "requirements.yml").read_text()
