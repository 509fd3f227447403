# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The boot entries of a host's deployments (ostree backend): kernel arguments, and who owns which.

A deployment that was finalized has a file of the Boot Loader Specification; a staged one is written to
/run/ostree/staged-deployment until then. bootc notes owners in both as keys C(x-options-source-NAME); libostree
carries them along from 2026.1 on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._kargs import split
from .errors import BootcError
from .gvariant import read_string_dict, read_strings, read_vardict
from .status import Deployment, Host

OWNER = "x-options-source-"
STAGED = "run/ostree/staged-deployment"
# The root of the host; another one only in tests.
ROOT = "/"


@dataclass(frozen=True)
class BootEntry:
    """What the boot loader hands to the kernel for a deployment.

    :ivar kargs: kernel arguments in order, without libostree's own C(ostree=)
    :ivar sources: arguments by the name of who owns them
    """

    kargs: tuple[str, ...]
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """:returns: JSON-serialisable, the shape that the modules return"""
        return {"kargs": list(self.kargs), "sources": {name: list(words) for name, words in sorted(self.sources.items())}}

    @property
    def footprint(self) -> tuple[object, ...]:
        """What a change is measured by; in which order a source has its arguments is no difference."""
        return self.kargs, {name: frozenset(words) for name, words in self.sources.items()}


def running_kargs() -> tuple[str, ...]:
    """:returns: what the running kernel was started with, all of it"""
    return split(Path(ROOT, "proc/cmdline").read_text(errors="replace"))


def next_entry(host: Host) -> BootEntry:
    """:returns: the boot entry of the staged deployment, else of the booted one
    :raises BootcError: C(boot_entry_invalid), it is not where libostree puts it
    """
    try:
        if host.staged:
            return _staged_entry()
        text, _target = _find(host.booted)
    except (OSError, ValueError, KeyError) as error:
        raise _invalid(str(error)) from None
    return _entry(text)


def deployment_root(booted: Deployment) -> str:
    """:returns: path of the directory that the booted deployment is in
    :raises BootcError: C(boot_entry_invalid), no boot entry leads there
    """
    try:
        return _find(booted)[1]
    except (OSError, ValueError, KeyError) as error:
        raise _invalid(str(error)) from None


def all_kargs() -> frozenset[str]:
    """:returns: every kernel argument in any boot entry, the staged one's too"""
    found = [_entry(text).kargs for text in _texts()]
    if Path(ROOT, STAGED).exists():
        found.append(_staged_entry().kargs)
    return frozenset(word for kargs in found for word in kargs)


def _staged_entry() -> BootEntry:
    staged = read_vardict(Path(ROOT, STAGED).read_bytes())
    kind, data = staged["kargs"]
    if kind != "as":
        raise ValueError(f"kargs of a staged deployment are of type {kind}")
    kind, extra = staged.get("bootconfig-extra", ("a{ss}", b""))
    if kind == "v":  # both were seen by bootc (crates/lib/src/loader_entries.rs, 1.16.9)
        extra, _nul, inner = extra.rpartition(b"\0")
        kind = inner.decode()
    owned = read_string_dict(extra) if kind == "a{ss}" else {}
    return BootEntry(_without_ostree(read_strings(data)), _sources(owned))


def _texts() -> list[str]:
    return [path.read_text() for path in sorted(Path(ROOT, "boot/loader/entries").glob("ostree-*.conf"))]


def _find(deployment: Deployment | None) -> tuple[str, str]:
    """The text of a deployment's boot entry, and where the deployment is. /proc/cmdline cannot tell after a soft reboot."""
    identity = deployment.identity if deployment else None
    for text in _texts():
        for word in split(_keys(text).get("options", "")):
            if word.startswith("ostree=/"):
                path = os.path.realpath(Path(ROOT, "sysroot", word[len("ostree=/") :]))
                if os.path.basename(path) == identity:
                    return text, path
    raise KeyError(f"no entry in /boot/loader/entries is of deployment {identity}")


def _entry(text: str) -> BootEntry:
    keys = _keys(text)
    return BootEntry(_without_ostree(split(keys.get("options", ""))), _sources(keys))


def _keys(text: str) -> dict[str, str]:
    return {line.split(None, 1)[0]: line.split(None, 1)[1] for line in text.splitlines() if len(line.split(None, 1)) == 2}


def _sources(keys: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """An empty value is bootc's way to forget a source: libostree cannot take a key away."""
    return {key[len(OWNER) :]: split(value) for key, value in keys.items() if key.startswith(OWNER) and value.strip()}


def _without_ostree(words: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if not word.startswith("ostree="))


def _invalid(why: str) -> BootcError:
    return BootcError(
        f"The boot entry of the next boot cannot be read: {why}.",
        error="boot_entry_invalid",
        hint="Look at /boot/loader/entries on the host, and run the task as root.",
    )
