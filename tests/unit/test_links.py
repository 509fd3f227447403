# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the README to any page and any directory of code in three steps; links and commands that pages name are there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.imagemode.bootc.tests import specs

ROOT = specs.ROOT
LINK = re.compile(r"\]\(([^)\s#:]+)(?:#[^)]*)?\)")
CODE, FENCED = re.compile(r"`([^`]+)`"), re.compile(r"^ *```.*?^ *```\n", re.M | re.S)
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("roles/*/README.md"), *ROOT.glob("examples/**/*.md")})


def linked(page: Path) -> set[Path]:
    return {(page.parent / target).resolve() for target in LINK.findall(page.read_text())}


def steps() -> dict[Path, int]:
    """:returns: what is found from the README, and how many steps away; a directory shows what is in it"""
    found = {ROOT / "README.md": 0}
    todo = list(found)
    for path in todo:
        near = path.iterdir() if path.is_dir() else linked(path) if path.suffix == ".md" else ()
        for other in near:
            if other not in found:
                found[other] = found[path] + 1
                todo.append(other)
    return found


def test_links_lead_somewhere() -> None:
    assert [f"{page.relative_to(ROOT)}: {target}" for page in PAGES for target in sorted(linked(page)) if not target.exists()] == []


def test_every_page_and_every_directory_of_code_is_three_steps_from_the_readme() -> None:
    near = {path for path, count in steps().items() if count <= 3}
    code = (*ROOT.glob("plugins/**/*.py"), *ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/*/*.yml"), *ROOT.glob("tests/*/*.py"))
    wanted = {*PAGES, *(path.parent for path in code)}
    assert sorted(str(path.relative_to(ROOT)) for path in wanted - near) == []


def commands() -> Iterator[str]:
    """What pages tell to run of this repository."""
    for page in PAGES:
        text = page.read_text()
        blocks = FENCED.findall(text)
        for code in (*CODE.findall(FENCED.sub("", text)), *"".join(blocks).splitlines()):
            yield from re.findall(r"\b(?:make [a-z-]+|python3 \S+\.py[^;&|]*)", " ".join(code.split()))


def test_commands_that_pages_name_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    listed = subprocess.run([sys.executable, "tests/run.py", "nothing"], cwd=ROOT, capture_output=True, text=True, check=False).stderr
    stages = set(re.findall(r"[a-z0-9-]+", listed.partition("There are: ")[2]))
    assert {"check", "units", "canaries"} <= stages
    told, wrong = list(commands()), []
    assert {"make demo", "make test"} <= set(told)
    for command in told:
        program, *words = command.split()
        if program == "make":
            wrong += [command] if words[0] not in targets else []
        elif words[0] == "tests/run.py":
            wrong += [command for word in words[1:] if word.islower() and word not in stages]
        elif program == "python3" and not (ROOT / words[0]).exists():
            wrong.append(command)
    assert wrong == []
