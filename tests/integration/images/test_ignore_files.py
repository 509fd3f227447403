# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an ignore file leaves out of a context is what it leaves out of the image, with each engine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint._ignore import Rules

PATHS = ["file1", "filea", "filed", "file]", "file-", "file\\", "x/y", "deep/er/file1"]
# Of each kind one; more are in the unit tests of the room.
PATTERNS = [r"file[\d]", r"file[\]]", r"file[a\-b]", "file[[:alpha:]]", "x[^a]y", "**/file1"]


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    """A context of files whose names are signs of patterns, all of which the image takes."""
    context = tmp_path / "all"
    for path in PATHS:
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        (context / path).write_text(path)
    return context


def kept(engine: str, context: Path, pattern: str, scratch: Path) -> set[str]:
    """What is in the image, though the engine is asked without the module."""
    (context / ".dockerignore").write_text(f"{pattern}\nDockerfile\n.dockerignore\n")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    name = f"localhost/ignored-{engine}:1"
    subprocess.run([engine, "build", "-q", "--no-cache", "-t", name, str(context)], check=True, capture_output=True)
    archive = scratch / "image.tar"
    archive.unlink(missing_ok=True)
    if engine == "docker":
        subprocess.run([engine, "save", "-o", str(archive), name], check=True, capture_output=True)
    else:
        subprocess.run([engine, "push", "-q", name, f"docker-archive:{archive}"], check=True, capture_output=True)
    words = subprocess.run(["tar", "xOf", str(archive), "manifest.json"], check=True, capture_output=True).stdout
    found: set[str] = set()
    for layer in json.loads(words)[0]["Layers"]:
        content = subprocess.run(["tar", "xOf", str(archive), layer], check=True, capture_output=True).stdout
        names = subprocess.run(["tar", "tf", "-", "--quoting-style=literal"], input=content, check=True, capture_output=True).stdout
        found |= set(names.decode().splitlines())
    return {path for path in PATHS if path in found}


def test_a_pattern_leaves_out_what_the_engine_leaves_out(everything: Path, tmp_path: Path, engine: str) -> None:
    for pattern in PATTERNS:
        rules = Rules(pattern)
        assert {path for path in PATHS if not rules.leaves_out(path)} == kept(engine, everything, pattern, tmp_path), pattern
