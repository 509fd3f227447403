# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hash of a build's inputs, the labels that carry it, and the words for what changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LABEL = "io.imagemode.fingerprint"
PARTS_LABEL = "io.imagemode.fingerprint.parts"
# What the labels of this collection begin with.
_OURS = "io.imagemode."
# Raised whenever the same inputs would give another hash, so that an old label never seems to fit.
VERSION = 1
# A label is carried by every image and shown by every `inspect`: beyond this, one digest stands for the whole context.
_MAX_TOP = 64
# Enough to tell one value from another; the whole is decided by the full hash.
_SHORT = 12
# Of a label's parts, what is no input itself.
_IDS = "ids"
_MAX_NAMED = 8

_NOUNS = {
    "args": "build argument",
    "bases": "base image",
    "labels": "label",
    "annotations": "annotation",
    "options": "option",
    "secrets": "secret id",
    "context": "context entry",
}


@dataclass(frozen=True)
class Inputs:
    """Everything that goes into an image, whatever engine builds it.

    :ivar containerfile: its text
    :ivar context: digest of the context's entries; C("") without a context
    :ivar top: digests of the entries at the top of the context
    :ivar bases: base image as written → its digest in the registry, or its local image id
    :ivar secrets: ids of the secrets, never their values
    :ivar options: further options that shape the image, such as target and platform
    """

    containerfile: str
    context: str
    top: Mapping[str, str] = field(hash=False)
    bases: Mapping[str, str] = field(hash=False)
    args: Mapping[str, str] = field(default_factory=dict, hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    secrets: Sequence[str] = ()
    options: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Fingerprint:
    """One hash, and what it is made of, short enough for a label.

    :ivar digest: C(sha256:…) of all inputs
    :ivar parts: kind of input → a short digest, or name → short digest
    :ivar ids: base image → its digest as it is one of the inputs, and its image id, by which it is known where no registry is asked
    """

    digest: str
    parts: Mapping[str, Any] = field(hash=False)
    ids: Mapping[str, tuple[str, str]] = field(default_factory=dict, hash=False)

    def as_labels(self) -> dict[str, str]:
        document = {**self.parts, **({_IDS: dict(self.ids)} if self.ids else {})}
        return {LABEL: self.digest, PARTS_LABEL: json.dumps(document, sort_keys=True, separators=(",", ":"))}

    def has_base(self, name: str, digest: str) -> bool:
        """Whether the base image is one of the inputs by this digest."""
        return _mapping(self.parts.get("bases")).get(name) == _short_of(digest)


def take(inputs: Inputs) -> Fingerprint:
    """Compute the fingerprint; equal inputs give an equal one on every machine."""
    document = {
        "version": VERSION,
        "containerfile": _digest(inputs.containerfile),
        "context": inputs.context,
        "bases": dict(inputs.bases),
        "args": dict(inputs.args),
        "labels": dict(inputs.labels),
        "annotations": dict(inputs.annotations),
        "secrets": sorted(inputs.secrets),
        "options": dict(inputs.options),
    }
    digest = _digest(json.dumps(document, sort_keys=True))
    parts: dict[str, Any] = {
        "version": VERSION,
        "containerfile": _short(inputs.containerfile),
        "context": _short_of(inputs.context),
        "bases": {name: _short_of(base) for name, base in inputs.bases.items()},
        "secrets": dict.fromkeys(inputs.secrets, ""),
    }
    if len(inputs.top) <= _MAX_TOP:
        parts["context"] = {name: part[:_SHORT] for name, part in inputs.top.items() if name.isprintable()}
    for kind in ("args", "labels", "annotations", "options"):
        parts[kind] = {name: _short(value) for name, value in getattr(inputs, kind).items()}
    return Fingerprint(f"sha256:{digest}", {kind: part for kind, part in parts.items() if part})


def from_labels(labels: Mapping[str, str], history: Sequence[str] = ()) -> Fingerprint | None:
    """
    :param history: the instructions that the image was made by
    :returns: the fingerprint that an image carries; C(None) if it carries none, or one that is of its base
    """
    digest = labels.get(LABEL)
    if not digest:
        return None
    # Podman and Buildah make labels the last instructions; BuildKit has none for them.
    if any(digest in step for step in history) and _OURS not in history[-1]:
        return None
    try:
        parts = json.loads(labels.get(PARTS_LABEL) or "{}")
    except ValueError:
        parts = {}
    ids = _mapping(parts.pop(_IDS, {})) if isinstance(parts, dict) else {}
    pairs = {name: (pair[0], pair[1]) for name, pair in ids.items() if isinstance(pair, list) and len(pair) == 2}
    return Fingerprint(digest, _mapping(parts), pairs)


def reasons(
    before: Fingerprint,
    after: Fingerprint,
    files: tuple[Mapping[str, str], Mapping[str, str]] | None = None,
) -> tuple[str, ...]:
    """What changed, in words, one input each.

    :param files: the context's entries before and after, where this machine remembers those before
    """
    if before.digest == after.digest:
        return ()
    found: list[str] = []
    if before.parts.get("version") != after.parts.get("version"):
        return ("the image was built by another version of this collection",)
    if before.parts.get("containerfile") != after.parts.get("containerfile"):
        found.append("the Containerfile changed")
    if files is not None and files[0] and files[0] != files[1]:
        found += _several(_differences("context file", *files))
    else:
        found += _several(_context(before.parts.get("context"), after.parts.get("context")))
    for kind in ("bases", "args", "secrets", "labels", "annotations", "options"):
        found += _differences(_NOUNS[kind], _mapping(before.parts.get(kind)), _mapping(after.parts.get(kind)))
    return tuple(found) or ("an input changed",)


def _context(before: Any, after: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        return list(_differences(_NOUNS["context"], before, after))
    return ["the context changed"] if before != after else []


def _differences(noun: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        if name not in before:
            yield f"{noun} {name} added"
        elif name not in after:
            yield f"{noun} {name} removed"
        elif before[name] != after[name]:
            yield f"{noun} {name} changed"


def _several(words: Iterator[str] | list[str]) -> list[str]:
    found = list(words)
    more = len(found) - _MAX_NAMED
    return found if more <= 0 else [*found[:_MAX_NAMED], f"{more} more of the context"]


def _mapping(part: Any) -> Mapping[str, Any]:
    return part if isinstance(part, dict) else {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _short_of(digest: str) -> str:
    return digest.partition(":")[2][:_SHORT]


def _short(text: str) -> str:
    return _digest(text)[:_SHORT]
