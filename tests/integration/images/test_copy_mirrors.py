# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies to and from where others write, too: signatures of a mirror's own, pinned tags, directories with several platforms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import Access, Content, Image, Registry, put_blob, put_manifest

from .artifacts import MANIFEST, digest_of, put_image, put_index
from .conftest import LiveRegistry
from .test_copy import PLAIN, Module, copy

SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
BOTH = {"src_registry": PLAIN, "dest_registry": PLAIN}


@pytest.fixture
def name(registry: LiveRegistry, tmp_path: Path) -> str:
    return f"{registry.address}/{tmp_path.name.replace('_', '-')}"


def test_one_platform_of_a_directory_with_several(module: Module, name: str, tmp_path: Path) -> None:
    arm64 = put_image(f"{name}:arm64", architecture="arm64")
    put_index(f"{name}:1", amd64=put_image(f"{name}:amd64"), arm64=arm64)
    copy(module, f"{name}:1", f"dir:{tmp_path}/files", **BOTH)
    assert copy(module, f"dir:{tmp_path}/files", f"oci:{tmp_path}/one:1", platform="linux/arm64")["digest"] == arm64
    assert copy(module, f"dir:{tmp_path}/files", f"docker-archive:{tmp_path}/one.tar:os:1", platform="linux/arm64")["changed"]
    assert copy(module, f"dir:{tmp_path}/files", f"oci:{tmp_path}/none:1", platform="s390x")["error"] == "platform_missing"


def put_signatures(name: str, *signed: tuple[str, str]) -> list[Any]:
    """As cosign has them: a layer each, which two keys may have alike, and the signature in its annotations.

    :returns: the layers
    """
    registry, reference = Registry(Access(plain_http=True), lambda _reference: None), Reference.parse(name)
    parts = [
        {**put_blob(registry, reference, text.encode(), SIMPLE).as_document(), "annotations": {"dev.cosignproject.cosign/signature": by}}
        for text, by in signed
    ]
    config = {"config": {}, "rootfs": {"type": "layers", "diff_ids": [part["digest"] for part in parts]}}
    stored = put_blob(registry, reference, json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")
    body = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": stored.as_document(), "layers": parts}).encode()
    put_manifest(registry, reference, Content(body, MANIFEST, digest_of(body)))
    return parts


def there(name: str) -> tuple[list[Any], list[str]]:
    """:returns: the layers of a manifest, and what its configuration says of them"""
    registry, reference = Registry(Access(plain_http=True), lambda _reference: None), Reference.parse(name)
    image = registry.manifest(reference)
    assert isinstance(image, Image)
    found: list[str] = registry.config(reference, image)["rootfs"]["diff_ids"]
    return [layer.as_document() for layer in image.layers], found


@pytest.mark.parametrize("by", ["registry", "oci:{tmp}/stick:1", "oci-archive:{tmp}/stick.tar:1"])
def test_signatures_that_a_mirror_has_of_its_own_stay(module: Module, name: str, tmp_path: Path, by: str) -> None:
    tag = f"{put_image(f'{name}:1').replace(':', '-')}.sig"
    first, again, own = ("text", "first"), ("text", "second"), ("text", "the mirror's")

    def carry() -> dict[str, Any]:
        source = f"{name}:1" if by == "registry" else by.format(tmp=tmp_path)
        if by != "registry":
            copy(module, f"{name}:1", source, src_registry=PLAIN)
        return copy(module, source, f"{name}/mirror:1", **BOTH)

    put_signatures(f"{name}:{tag}", first)
    assert len(carry()["copied"]) == 2
    before = put_signatures(f"{name}/mirror:{tag}", first, own)
    assert not carry()["changed"]
    assert there(f"{name}/mirror:{tag}")[0] == before
    # Signed once more at the source.
    *_first, added = put_signatures(f"{name}:{tag}", first, again)
    assert [item["dest"].rpartition(":")[2] for item in carry()["copied"]] == [tag]
    layers, told = there(f"{name}/mirror:{tag}")
    assert layers == [*before, added]
    assert told == [layer["digest"] for layer in layers]
    # Where the mirror has nothing of its own, it has what the source has, byte for byte.
    put_signatures(f"{name}/mirror:{tag}", first)
    assert len(carry()["copied"]) == 1
    assert module("oci_image_copy", src=f"{name}:{tag}", dest=f"{name}/mirror:{tag}", **BOTH)["changed"] is False


def test_a_damaged_signature_in_files_is_found_out(module: Module, name: str, tmp_path: Path) -> None:
    tag = f"{put_image(f'{name}:1').replace(':', '-')}.sig"
    (part,) = put_signatures(f"{name}:{tag}", ("text", "first"))
    copy(module, f"{name}:1", f"oci:{tmp_path}/stick:1", src_registry=PLAIN)
    copy(module, f"oci:{tmp_path}/stick:1", f"{name}/mirror:1", **BOTH)
    put_signatures(f"{name}/mirror:{tag}", ("other", "the mirror's"))
    (tmp_path / "stick/blobs" / part["digest"].replace(":", "/")).write_text("tixt")
    assert module("oci_image_copy", src=f"oci:{tmp_path}/stick:1", dest=f"{name}/mirror:1", **BOTH)["error"] == "layout_invalid"
