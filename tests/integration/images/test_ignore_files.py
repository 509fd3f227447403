# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an ignore file leaves out of a context is what it leaves out of the image, with each engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint._ignore import Rules

from .artifacts import digest_of

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


def write(context: Path, pattern: str) -> None:
    (context / ".dockerignore").write_text(f"{pattern}\nDockerfile\n.dockerignore\n")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")


def kept(engine: str, context: Path, pattern: str, scratch: Path) -> set[str]:
    """What is in the image, though the engine is asked without the module."""
    write(context, pattern)
    name = f"localhost/ignored-{engine}:1"
    subprocess.run([engine, "build", "-q", "--no-cache", "-t", name, str(context)], check=True, capture_output=True)
    return held(engine, name, scratch)


def held(engine: str, name: str, scratch: Path) -> set[str]:
    """What is in an image."""
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


@pytest.mark.parametrize("lines", ["/x", "/deep/er/", " /x", "\t//deep/er", "\ufeffx", "\ufeff/x", "/*\n!/x", "*\n! x", " *\n!\t/file1"])
def test_what_a_line_begins_with_means_the_same_to_each_engine(
    module: Callable[..., dict[str, Any]], everything: Path, tmp_path: Path, engine: str, lines: str
) -> None:
    """Podman and Buildah would leave nothing out by some, as they are told which ignore file to read."""
    write(everything, lines)
    name = f"localhost/left-out-{engine}:{digest_of(lines.encode())[7:19]}"
    assert module("oci_image_build", name=name, context=str(everything), engine=engine)["changed"]
    rules = Rules(lines)
    assert held(engine, name, tmp_path) == {path for path in PATHS if not rules.leaves_out(path)} != set(PATHS)
