# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""Where the lab keeps things: artefacts named by what made them, and small state files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable

from .say import progress

REFERENCE = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("IMAGEMODE_CACHE") or REFERENCE.parent.parent / ".cache").resolve() / "lab"


def directory(*names: str) -> Path:
    path = CACHE.joinpath(*names)
    path.mkdir(parents=True, exist_ok=True)
    return path


def read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def write(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(data, indent=1) + "\n")
    temporary.replace(path)


def fingerprint(paths: Iterable[Path], *words: str) -> str:
    """One hash of file contents, modes and link targets below `paths`, and of `words`."""
    total = hashlib.sha256("\0".join(words).encode())
    for top in paths:
        files = [top] if not top.is_dir() else sorted(p for p in top.rglob("*") if "__pycache__" not in p.parts)
        for path in files:
            if path.is_dir() and not path.is_symlink():
                continue
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            name = path.relative_to(top.parent)
            total.update(f"{name}\0{path.lstat().st_mode:o}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:16]


def artefact(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The directory of the artefact `kind` made from `key`; made now when it is not there, and published at once or not at all."""
    final = CACHE / kind / key
    if final.is_dir():
        return final
    scratch = directory(kind) / f".{key}.{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        with progress(f"making {kind} {key}"):
            make(scratch)
        try:
            scratch.rename(final)
        except OSError:
            if not final.is_dir():  # else somebody else was faster: theirs is as good
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return final
