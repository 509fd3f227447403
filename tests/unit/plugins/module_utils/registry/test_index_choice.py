# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controller and host choose from an index as containers/image does on the host."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.client import remote_of
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import BootcError
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import Index, Platform, parse_manifest

ZSTD = "+zstd"


def index(*entries: str) -> str:
    """An index of such as C(linux/arm64/v8+zstd), or C(-) for one without a platform; the first has the digest 0…0."""
    manifests: list[dict[str, Any]] = []
    for number, entry in enumerate(entries):
        manifests.append({"digest": f"sha256:{str(number) * 64}", "size": 1})
        if entry.endswith(ZSTD):
            manifests[-1]["annotations"] = {"io.github.containers.compression.zstd": "true"}
        if not entry.startswith("-"):
            words = entry.removesuffix(ZSTD).split("/")
            manifests[-1]["platform"] = dict(zip(("os", "architecture", "variant"), words))
    return json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests})


TABLE = [
    ("amd64", ("linux/amd64", "linux/amd64+zstd"), 1),
    ("amd64", ("linux/amd64+zstd", "linux/amd64"), 0),
    ("amd64", ("linux/arm64+zstd", "linux/amd64", "linux/amd64"), 1),
    ("amd64", ("linux/amd64/v3", "linux/amd64"), 1),
    ("amd64", ("linux/amd64/v3",), None),
    ("amd64", ("windows/amd64", "linux/amd64"), 1),
    ("amd64", ("-", "linux/amd64"), 1),
    ("amd64", ("linux/arm64", "-"), 1),
    ("amd64", ("unknown/unknown", "linux/arm64"), None),
    ("arm64", ("linux/arm64", "linux/arm64/v8"), 1),
    ("arm64", ("linux/arm64+zstd", "linux/arm64/v8"), 1),
    ("arm64", ("linux/arm64/v9", "linux/arm64"), 1),
]


@pytest.mark.parametrize(("here", "entries", "chosen"), TABLE)
def test_the_host_and_the_controller_choose_alike(here: str, entries: tuple[str, ...], chosen: int | None) -> None:
    text = index(*entries)
    manifest = parse_manifest(text.encode(), "", "sha256:" + "f" * 64)
    assert isinstance(manifest, Index)
    if chosen is None:
        for ask in (lambda: remote_of(text, here).digest, lambda: manifest.choose(Platform.parse(here)).digest):
            with pytest.raises(Exception, match=r"no image for|exists for") as refusal:
                ask()
            assert refusal.value.error in ("architecture_mismatch", "platform_missing")  # type: ignore[attr-defined]
        return
    digest = f"sha256:{str(chosen) * 64}"
    assert remote_of(text, here).digest == digest
    assert manifest.choose(Platform.parse(here)).digest == digest


@pytest.mark.parametrize(
    ("platform", "chosen"), [("linux/arm/v7", 1), ("linux/arm/v6", 0), ("linux/arm", 1), ("linux/arm/v8", 1), ("linux/riscv64", 2)]
)
def test_the_best_variant_that_runs_is_chosen(platform: str, chosen: int) -> None:
    manifest = parse_manifest(index("linux/arm/v6", "linux/arm/v7", "-").encode(), "", "sha256:" + "f" * 64)
    assert isinstance(manifest, Index)
    assert manifest.choose(Platform.parse(platform)).digest == f"sha256:{str(chosen) * 64}"


def test_what_there_is_is_told() -> None:
    with pytest.raises(BootcError, match=r"amd64/v3, s390x.*amd64"):
        remote_of(index("linux/s390x", "linux/amd64/v3"), "amd64")
