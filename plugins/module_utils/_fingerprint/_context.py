# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a build context as one digest, and each as a line of its own."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .._errors import ImageModeError
from . import _cache
from ._ignore import Rules

_VERSION = 2
_BLOCK = 1 << 20
# Contexts that are remembered; one of 5,000 files takes a megabyte.
_KEEP = 64
_TAKEN_ALONG = ("security.capability", "security.ima")


class ContextMissing(ImageModeError):
    """The context is not a directory, or a file of it cannot be read."""

    error = "context_invalid"


@dataclass(frozen=True)
class Context:
    """What an engine sees of a directory.

    :ivar digest: of all entries: path, type, permission bits, content or link target, and the extended attributes that engines take along
    :ivar top: the digest of each entry at the top, directories with all that is in them
    :ivar count: number of entries
    """

    digest: str
    top: Mapping[str, str]
    count: int
    _lines: Mapping[str, str] | None = field(default=None, repr=False, compare=False)
    _cache_file: Path | None = field(default=None, repr=False, compare=False)

    def files(self) -> Mapping[str, str]:
        """:returns: path → C(<type and permissions>:<content digest or link target>[+<attributes' digest>])"""
        if self._lines is not None:
            return self._lines
        body = _cached(self._cache_file, self.digest)
        return body or {}


class _Seen(NamedTuple):
    """One directory entry, as lstat(2) tells it.

    :ivar attributes: of a directory; those of a file are a part of what is hashed when its times change
    """

    path: str
    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    attributes: str

    @property
    def stamp(self) -> str:
        return f"{self.size} {self.mtime_ns} {self.ctime_ns} {self.inode}"


def read_context(directory: Path, rules: Rules, containerfile: Path | None = None) -> Context:
    """Read a context; files that have not changed since the last time are not opened.

    :param containerfile: its content is a part of the fingerprint on its own, and is left out here if it is in the context
    :raises ContextMissing: the context is not a directory, or a file of it cannot be read
    """
    if not directory.is_dir():
        raise ContextMissing(
            f"The context '{directory}' is not a directory on the machine that builds.",
            hint="Correct 'context', or copy it there first.",
            path=str(directory),
        )
    started = _cache.now_ns()
    root = os.path.realpath(directory)
    apart = os.path.relpath(os.path.realpath(containerfile), root) if containerfile else ""
    try:
        seen = _walk(root, rules)
        cache_file = _cache.cache_directory() / "contexts" / _cache.key(root, apart, rules.text)
        signature = _signature(seen, apart)
        cached = _header(cache_file)
        if cached and cached["signature"] == signature:
            _cache.used(cache_file)
            return Context(cached["digest"], cached["top"], len(seen), None, cache_file)
        return _hashed(root, seen, apart, cache_file, signature, started)
    except OSError as error:
        raise ContextMissing(
            f"The context '{directory}' cannot be read: {error.strerror}: {error.filename!r}.",
            hint="Correct the permissions, or name the file in '.containerignore'.",
            path=str(error.filename),
        ) from None


def _walk(root: str, rules: Rules) -> list[_Seen]:
    seen: list[_Seen] = []
    # Directories that are still to be read, each with what matched those above it.
    waiting: list[tuple[str, tuple[bool, ...]]] = [("", ())]
    while waiting:
        below, above = waiting.pop()
        prefix = f"{below}/" if below else ""
        with os.scandir(os.path.join(root, below)) as entries:
            for entry in entries:
                path = prefix + entry.name
                out, matches = rules.ignored(path, above) if rules else (False, ())
                is_directory = entry.is_dir(follow_symlinks=False)
                if not out:
                    found = entry.stat(follow_symlinks=False)
                    attributes = _attributes(entry.path) if is_directory else ""
                    seen.append(_Seen(path, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, attributes))
                if is_directory and (not out or rules.has_exceptions):
                    waiting.append((path, matches))
    return sorted(seen)


def _signature(seen: list[_Seen], apart: str) -> str:
    """What lstat(2) told of everything. A directory's size and times are left out: its entries are all here."""
    lines = [f"{entry.path}\0{entry.mode:o}\0{entry.attributes if stat.S_ISDIR(entry.mode) else entry.stamp}" for entry in seen]
    text = f"{_VERSION}\n{apart}\n" + "\n".join(lines)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _hashed(root: str, seen: list[_Seen], apart: str, cache_file: Path, signature: str, started: int) -> Context:
    known = _stamps(cache_file)
    lines: dict[str, str] = {}
    stamps: dict[str, tuple[str, str]] = {}
    racy = False
    for entry in seen:
        kind = f"{_kind(entry.mode)}{stat.S_IMODE(entry.mode):04o}"
        if stat.S_ISREG(entry.mode) and entry.path != apart:
            stamp, content = known.get(entry.path, ("", ""))
            if stamp != entry.stamp:
                path = os.path.join(root, entry.path)
                content = _content(path) + _attributes(path)
            if max(entry.mtime_ns, entry.ctime_ns) < started - _cache.RACY_NS:
                stamps[entry.path] = (entry.stamp, content)
            else:
                racy = True
        elif stat.S_ISLNK(entry.mode):
            # The permission bits of a symbolic link mean nothing on Linux.
            kind, content = _kind(entry.mode), os.readlink(os.path.join(root, entry.path))
        else:
            content = entry.attributes
        lines[entry.path] = f"{kind}:{content}"
    digest, top = _digests(lines)
    header = {"version": _VERSION, "signature": "" if racy else signature, "digest": digest, "top": top}
    _cache.write(cache_file, b"\n".join(json.dumps(part).encode() for part in (header, stamps, lines)))
    _cache.prune(cache_file.parent, _KEEP)
    return Context(digest, top, len(seen), lines)


def _digests(lines: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    whole = hashlib.sha256()
    top: dict[str, hashlib._Hash] = {}
    for path, line in lines.items():
        text = f"{path}\0{line}\n".encode(errors="surrogateescape")
        whole.update(text)
        first = path.partition("/")[0]
        if first not in top:
            top[first] = hashlib.sha256()
        top[first].update(text)
    return f"sha256:{whole.hexdigest()}", {name: part.hexdigest() for name, part in top.items()}


def _kind(mode: int) -> str:
    return {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l"}.get(stat.S_IFMT(mode), "s")


def _content(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _attributes(path: str) -> str:
    """A digest of the extended attributes, file capabilities among them; C("") if there are none.

    Others than these are no part of an image (Buildah's C(copier/xattrs.go)), and differ from machine to machine, as labels of SELinux do.
    """
    try:
        names = [name for name in os.listxattr(path) if name.startswith("user.") or name in _TAKEN_ALONG]
        found = {name: os.getxattr(path, name).hex() for name in sorted(names)}
    except OSError:
        return ""  # the file system has none
    return f"+{hashlib.sha256(json.dumps(found).encode(errors='surrogateescape')).hexdigest()}" if found else ""


def _header(cache_file: Path) -> dict[str, Any] | None:
    try:
        with cache_file.open("rb") as file:
            header = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    whole = isinstance(header, dict) and header.get("version") == _VERSION and isinstance(header.get("top"), dict)
    return header if whole and isinstance(header.get("digest"), str) else None


def _stamps(cache_file: Path) -> dict[str, tuple[str, str]]:
    if _header(cache_file) is None:
        return {}
    content = _cache.read(cache_file)
    try:
        stamps = json.loads((content or b"").split(b"\n")[1])
        return {path: (stamp, digest) for path, (stamp, digest) in stamps.items()}
    except (ValueError, IndexError, AttributeError, TypeError):
        return {}


def _cached(cache_file: Path | None, digest: str) -> dict[str, str] | None:
    content = _cache.read(cache_file) if cache_file else None
    try:
        header, _stamps_line, lines = (json.loads(line) for line in (content or b"").split(b"\n"))
        return dict(lines) if header["digest"] == digest else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
