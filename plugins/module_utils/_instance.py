# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which manifest of an index a host takes: the rule of containers/image, with which skopeo, Podman and bootc pull.

Read from its 5.36: internal/manifest/oci_index.go (`chooseInstance`) and internal/pkg/platform/platform_matcher.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ZSTD = "io.github.containers.compression.zstd"

# From the most capable to the most compatible; every other architecture has none.
_VARIANTS = {"arm": ("v8", "v7", "v6", "v5"), "arm64": ("v8",)}

# OCI's names, which are podman's, for what `uname -m` prints; others are the same in both.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "loongarch64": "loong64"}


def oci_architecture(machine: str) -> str:
    """:param machine: C(uname -m)"""
    return _ARCHITECTURES.get(machine, machine)


@dataclass(frozen=True)
class Instance:
    """An entry of an index.

    :ivar platform: operating system, architecture and variant as they are written there, C("") for what is not; C(None) without any
    :ivar zstd: its layers are said to be compressed by zstd
    """

    digest: str
    platform: tuple[str, str, str] | None = None
    zstd: bool = False

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Instance:
        """:param entry: as it stands in the index
        :raises KeyError, TypeError, AttributeError: it is no entry of an index
        """
        platform = entry.get("platform")
        os, architecture, variant = (str((platform or {}).get(name) or "") for name in ("os", "architecture", "variant"))
        zstd = (entry.get("annotations") or {}).get(ZSTD) == "true"
        return cls(entry["digest"], (os, architecture, variant) if platform else None, zstd)


def choose(instances: Iterable[Instance], os: str, architecture: str, variant: str = "") -> Instance | None:
    """The entry for a platform: the best variant, of the same ones that by zstd (since 5.25), of these the first.

    One without a platform stands in where there is none for it.

    :param variant: C("") for the usual one, which a machine finds out for itself: C(v8) on arm64
    """
    wanted = [(os, architecture, known) for known in _variants(architecture, variant)]
    ranked = [
        (len(wanted) if entry.platform is None else wanted.index(entry.platform), not entry.zstd, position, entry)
        for position, entry in enumerate(instances)
        if entry.platform is None or entry.platform in wanted
    ]
    return min(ranked)[-1] if ranked else None


def _variants(architecture: str, variant: str) -> tuple[str, ...]:
    known = _VARIANTS.get(architecture, ())
    if not variant and architecture == "arm64":
        variant = "v8"
    if variant in known:
        return (*known[known.index(variant) :], "")
    return (variant, "") if variant else ("", *known)
