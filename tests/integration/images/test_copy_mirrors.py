# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies to and from where others write, too: signatures of a mirror's own, pinned tags, directories with several platforms."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
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


@pytest.mark.parametrize("dest", ["oci:{tmp}/o:1", "oci-archive:{tmp}/o.tar:1", "docker-archive:{tmp}/d.tar:os:1", "dir:{tmp}/files"])
def test_an_image_with_signatures_elsewhere_goes_where_none_can_be(
    module: Module, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dest: str
) -> None:
    """Of registry.redhat.io, RHEL's registries.d has skopeo find them; it copies no such image to a layout by itself."""
    digest = put_image(f"{name}:1")
    where = tmp_path / f"signatures/{name.partition('/')[2]}@{digest.replace(':', '=')}"
    registries_d = tmp_path / ".config/containers/registries.d"
    for directory in (where, registries_d):
        directory.mkdir(parents=True)
    (where / "signature-1").write_bytes(b"\x89 signed")
    place = dict.fromkeys(("lookaside", "sigstore"), f"file://{tmp_path}/signatures")
    (registries_d / "own.yaml").write_text(json.dumps({"docker": {name: place}}))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert copy(module, f"{name}:1", dest.format(tmp=tmp_path), src_registry=PLAIN).get("changed")
    assert (tmp_path / "files/signature-1").exists() == dest.startswith("dir:")


@pytest.mark.parametrize(("options", "removed"), [({}, True), ({"attached": False}, True), ({"src": "other"}, False)])
def test_signatures_that_are_carried_by_their_tags_are_not_skopeos_too(
    module: Module, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], removed: bool
) -> None:
    """It would write them into a registry only where registries.d says so for that one, too, and else refuse the image."""
    put_signatures(f"{name}:{put_image(f'{name}:1').replace(':', '-')}.sig", ("text", "first"))
    put_image(f"{name}:other", more="files")
    program = tmp_path / "bin/skopeo"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nexec {shutil.which("skopeo")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    source = f"{name}:{options.pop('src', '1')}"
    assert module("oci_image_copy", src=source, dest=f"{name}/mirror:1", **BOTH, **options)["changed"]
    calls = (tmp_path / "calls").read_text().splitlines()
    assert {"--remove-signatures" in call for call in calls} == {removed}, calls


def test_a_tag_beside_a_digest_is_to_mean_that_image(module: Module, registry: LiveRegistry, name: str, tmp_path: Path) -> None:
    digest = put_image(f"{name}:1")
    for tag in ("1", "2"):
        done = copy(module, f"{name}:1@{digest}", f"{name}/mirror:{tag}@{digest}", **BOTH)
        assert (done["changed"], registry.digest(f"{name.partition('/')[2]}/mirror", tag)) == (True, digest)
    assert copy(module, f"{name}:1@{digest}", f"docker-archive:{tmp_path}/one.tar:os:1", src_registry=PLAIN)["changed"]
    put_image(f"{name}:1", moved="on")
    for dest in (f"{name}/mirror:3@{digest}", f"{name}/mirror@{digest}"):
        assert copy(module, f"{name}:1", dest, **BOTH)["error"] == "option_invalid"
    assert registry.digest(f"{name.partition('/')[2]}/mirror", "3") is None


def test_one_of_several_images_in_a_docker_archive_is_named(module: Module, name: str, tmp_path: Path) -> None:
    """As `docker save one two` writes them."""
    together: dict[str, bytes] = {}
    images: list[Any] = []
    for number in ("1", "2"):
        put_image(f"{name}:{number}")
        copy(module, f"{name}:{number}", f"docker-archive:{tmp_path}/{number}.tar:os:{number}", src_registry=PLAIN)
        with tarfile.open(tmp_path / f"{number}.tar") as tar:
            files = {member.name: tar.extractfile(member) for member in tar if member.isreg()}
            together |= {path: file.read() for path, file in files.items() if file}
        images += json.loads(together["manifest.json"])
    together["manifest.json"] = json.dumps(images).encode()
    with tarfile.open(tmp_path / "both.tar", "w") as tar:
        for path, content in together.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    refused = copy(module, f"docker-archive:{tmp_path}/both.tar", f"oci:{tmp_path}/one:1")
    assert (refused["error"], "os:1, " in refused["msg"]) == ("layout_invalid", True), refused
    assert copy(module, f"docker-archive:{tmp_path}/both.tar:os:2", f"oci:{tmp_path}/one:1")["changed"]
    # As a destination it is replaced as a whole.
    assert copy(module, f"{name}:1", f"docker-archive:{tmp_path}/both.tar", src_registry=PLAIN)["digest"]
