# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image and what is attached to it, carried between real registries, layouts and archives."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .artifacts import attach, put_image, put_index
from .conftest import PASSWORD, USER, LiveRegistry

Module = Callable[..., dict[str, Any]]
PLAIN = {"plain_http": True}


@pytest.fixture
def image(registry: LiveRegistry, tmp_path: Path) -> str:
    """With a signature as cosign's tag scheme has it: here any image under that tag will do."""
    name = f"{registry.address}/{tmp_path.name.replace('_', '-')}:1"
    digest = put_image(name)
    put_image(f"{name.rpartition(':')[0]}:{digest.replace(':', '-')}.sig", of=digest)
    return name


def copy(module: Module, src: str, dest: str, **options: Any) -> dict[str, Any]:
    """Check mode, the run, and the run again, which agree."""
    predicted = module("oci_image_copy", check_mode=True, src=src, dest=dest, **options)
    done = module("oci_image_copy", src=src, dest=dest, **options)
    assert done.get("error") == predicted.get("error"), (predicted, done)
    if "error" not in done:
        if src.startswith("docker-archive:") and done["changed"] and not dest.startswith("docker-archive:"):
            assert (predicted["digest"], predicted["copied"][0].pop("digest")) == (None, None), "which nobody knows before"
            predicted["digest"], predicted["copied"][0]["digest"] = done["digest"], done["digest"]
        assert [predicted[key] for key in ("changed", "digest", "copied")] == [done[key] for key in ("changed", "digest", "copied")]
        again = module("oci_image_copy", src=src, dest=dest, **options)
        assert (again["changed"], again["digest"]) == (False, done["digest"])
    return done


@pytest.mark.parametrize("stick", ["oci:{tmp}/stick:1", "oci-archive:{tmp}/stick.tar:1"])
def test_to_a_disconnected_site_and_into_its_registry(
    module: Module, registry: LiveRegistry, guarded_registry: LiveRegistry, image: str, tmp_path: Path, stick: str
) -> None:
    """With a signature by tag, an SBOM as a referrer, and a signature of the SBOM."""
    stick = stick.format(tmp=tmp_path)
    site = f"{guarded_registry.address}/{image.partition('/')[2]}"
    sbom = attach(image, "application/spdx+json", b'{"spdxVersion": "SPDX-2.3"}')
    signed = attach(image, "application/vnd.dev.sigstore.bundle.v0.3+json", b"{}", sbom)
    carried = copy(module, image, stick, src_registry=PLAIN)
    repository = image.partition("/")[2].rpartition(":")[0]
    assert carried["digest"] == registry.digest(repository, "1")
    digest = carried["digest"]
    assert [(item["kind"], item["tag"], item["subject"]) for item in carried["attached"]] == [
        ("sbom", "", digest),
        ("signature", f"{digest.replace(':', '-')}.sig", digest),
        ("signature", "", sbom),
    ]
    assert len(carried["copied"]) == 4
    access = {"ca_path": f"{guarded_registry.base}/ca.crt", "username": USER, "password": PASSWORD}
    served = copy(module, stick, site, dest_registry=access)
    assert served["digest"] == carried["digest"]
    there = module("oci_image_info", name=site, attached=True, **access)
    assert there["digest"] == carried["digest"]
    assert sorted(item["kind"] for item in there["attached"]) == ["sbom", "signature"]
    about_sbom = module("oci_image_info", name=f"{site.rpartition(':')[0]}@{sbom}", attached=True, **access)
    assert [item["digest"] for item in about_sbom["attached"]] == [signed]
    # What is attached later is carried without the image.
    attach(image, "application/vnd.cyclonedx+json", b"{}")
    again = copy(module, image, stick, src_registry=PLAIN)
    assert [item["digest"] for item in again["copied"]] == [again["attached"][1]["digest"]]
    assert not list(tmp_path.glob(".stick*"))


def test_a_stick_that_was_pulled_out_is_found_out_and_mended(
    module: Module, guarded_registry: LiveRegistry, image: str, tmp_path: Path
) -> None:
    stick, site = f"oci:{tmp_path}/stick:1", f"{guarded_registry.address}/tipped:1"
    access = {"ca_path": f"{guarded_registry.base}/ca.crt", "username": USER, "password": PASSWORD}
    copy(module, image, stick, src_registry=PLAIN)
    layer = next(file for file in (tmp_path / "stick/blobs/sha256").iterdir() if file.read_bytes().startswith(b"\x1f\x8b"))
    whole = layer.read_bytes()
    layer.write_bytes(whole[:-1])
    assert module("oci_image_copy", src=stick, dest=site, dest_registry=access)["error"] == "layout_invalid"
    layer.unlink()
    assert module("oci_image_copy", src=stick, dest=site, dest_registry=access)["error"] == "layout_invalid"
    layer.write_bytes(whole[:-1])
    assert copy(module, image, stick, src_registry=PLAIN)["changed"]
    assert layer.read_bytes() == whole
    # A bit that tipped over is noticed where the content is read.
    layer.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    tipped = module("oci_image_copy", src=stick, dest=site, dest_registry=access)
    assert tipped["error"] == "digest_mismatch", tipped
    assert not module("oci_image_info", name=site, **access)["exists"]


def test_an_archive_is_replaced_as_a_whole_or_not_at_all(module: Module, image: str, tmp_path: Path) -> None:
    archive = tmp_path / "site.tar"
    copy(module, image, f"oci-archive:{archive}:1", src_registry=PLAIN)
    before = archive.read_bytes()
    with tarfile.open(archive) as tar:
        assert {name.split("/")[0] for name in tar.getnames()} == {"blobs", "index.json", "oci-layout"}
    program = tmp_path / "bin/skopeo"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ ! -e {tmp_path}/again ] && touch {tmp_path}/again && exec {shutil.which("skopeo")} "$@"\nexit 1\n')
    program.chmod(0o755)
    attach(image, "application/spdx+json", b"{}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        failed = module("oci_image_copy", src=image, dest=f"oci-archive:{archive}:1", src_registry=PLAIN)
    assert failed["error"] == "engine_failed", failed
    assert (archive.read_bytes(), [file.name for file in tmp_path.glob(".site*")]) == (before, [])
    assert copy(module, image, f"oci-archive:{archive}:1", src_registry=PLAIN)["changed"]


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_a_link_to_an_archive_stays_one(module: Module, image: str, tmp_path: Path, transport: str) -> None:
    """Such as one to a stick, which is to have the image, and has to be there."""
    link, stick = tmp_path / "os.tar", tmp_path / "stick/os.tar"
    link.symlink_to(stick)
    missing = copy(module, image, f"{transport}:{link}", src_registry=PLAIN)
    assert (missing["error"], missing["path"]) == ("destination_missing", str(stick.parent)), missing
    stick.parent.mkdir()
    assert copy(module, image, f"{transport}:{link}", src_registry=PLAIN)["changed"]
    assert (link.is_symlink(), stick.is_file()) == (True, True)


def test_where_there_is_no_room_a_warning_says_what_stays_behind(module: Module, image: str, tmp_path: Path) -> None:
    for place in (f"dir:{tmp_path}/files", f"oci:{tmp_path}/unnamed", f"oci-archive:{tmp_path}/unnamed.tar"):
        done = copy(module, image, place, src_registry=PLAIN)
        assert "1 signatures" in str(done["warnings"]), done
        silent = module("oci_image_copy", src=image, dest=place, src_registry=PLAIN, attached=False)
        assert (silent["changed"], silent.get("warnings")) == (False, None)


def test_a_layout_holds_several_images_and_other_tools_read_it(module: Module, image: str, tmp_path: Path) -> None:
    attach(image, "application/spdx+json", b"{}")
    one, two = (copy(module, image, f"oci:{tmp_path}/stick:{name}", src_registry=PLAIN) for name in ("one", "two"))
    assert (len(one["copied"]), len(two["copied"])) == (3, 1)
    assert module("oci_image_copy", src=f"oci:{tmp_path}/stick", dest=f"dir:{tmp_path}/x")["error"] == "layout_invalid"
    copy(module, image, f"oci-archive:{tmp_path}/stick.tar:one", src_registry=PLAIN)
    for place in (f"oci:{tmp_path}/stick:two", f"oci-archive:{tmp_path}/stick.tar:one"):
        seen = subprocess.run(["skopeo", "inspect", "--raw", place], check=True, capture_output=True).stdout
        assert f"sha256:{hashlib.sha256(seen).hexdigest()}" == one["digest"]
    # Where there is one image, its attachments do not make it ambiguous.
    assert copy(module, f"oci-archive:{tmp_path}/stick.tar", f"oci:{tmp_path}/more:1")["digest"] == one["digest"]


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "dir", "docker-archive"])
def test_files_hold_what_the_registry_holds(module: Module, registry: LiveRegistry, image: str, tmp_path: Path, transport: str) -> None:
    name = ":os:1" if transport == "docker-archive" else ""
    there = copy(module, image, f"{transport}:{tmp_path}/files{name}", src_registry=PLAIN)
    assert there["changed"]
    back = f"{image.rpartition(':')[0]}-{transport}:1"
    returned = copy(module, f"{transport}:{tmp_path}/files", back, dest_registry=PLAIN)
    assert returned["digest"] == registry.digest(*back.partition("/")[2].split(":"))
    assert returned["diff"] == {"before": f"docker://{back}: not there\n", "after": f"docker://{back}: {returned['digest']}\n"}
    if transport != "docker-archive":
        assert (returned["digest"], returned["image_id"]) == (there["digest"], None)
    else:
        assert there["digest"] == there["image_id"] == returned["image_id"]
        put_image(back, architecture="arm64")
        other = registry.digest(*back.partition("/")[2].split(":"))
        assert copy(module, f"{transport}:{tmp_path}/files", back, dest_registry=PLAIN)["before_digest"] == other


def test_all_platforms_or_one(module: Module, image: str, tmp_path: Path) -> None:
    index = f"{image.rpartition(':')[0]}:index"
    for words in (
        ["manifest", "create", "both:1"],
        ["manifest", "add", "--arch=arm64", "both:1", f"docker://{image}"],
        ["manifest", "push", "--all", "both:1", f"docker://{index}"],
    ):
        access = ["--tls-verify=false"] if words[1] != "create" else []
        subprocess.run(["podman", *words[:2], *access, *words[2:]], check=True, capture_output=True)
    whole = copy(module, index, f"oci:{tmp_path}/whole:1", src_registry=PLAIN)
    one = copy(module, index, f"oci:{tmp_path}/one:1", src_registry=PLAIN, platform="linux/arm64")
    document = json.loads((tmp_path / "whole/index.json").read_text())
    names = {entry["digest"]: (entry.get("annotations") or {}).get("org.opencontainers.image.ref.name") for entry in document["manifests"]}
    assert [digest for digest, name in names.items() if name == "1"] == [whole["digest"]], document
    copy(module, index, f"oci:{tmp_path}/unnamed", src_registry=PLAIN)
    assert one["digest"] == module("oci_image_info", name=index, platform="linux/arm64", **PLAIN)["platforms"]["linux/arm64"]
    assert whole["digest"] != one["digest"]


@pytest.mark.parametrize(
    ("src", "dest", "error"),
    [
        ("127.0.0.1:1/os:1", "oci:{tmp}/x", "registry_unreachable"),
        ("oci:/nowhere:1", "{registry}/x:1", "image_missing"),
        ("dir:/etc", "{registry}/x:1", "image_missing"),
        ("oci-archive:/etc/passwd", "{registry}/x:1", "layout_invalid"),
        ("oci:", "{registry}/x:1", "option_invalid"),
        ("{registry}/nothing:1", "oci:{tmp}/x", "image_missing"),
        ("--all", "oci:{tmp}/x", "reference_invalid"),
        ("containers-storage:os:1", "{registry}/x:1", "option_invalid"),
        ("{registry}/nothing:1", "docker-daemon:os:1", "option_invalid"),
        ("{registry}/nothing:1", "oci:{tmp}/x:A Name", "option_invalid"),
        ("{registry}/nothing:1", "docker-archive:{tmp}/x:UPPER:1", "reference_invalid"),
    ],
)
def test_bad_input(module: Module, registry: LiveRegistry, tmp_path: Path, src: str, dest: str, error: str) -> None:
    where = {"registry": registry.address, "tmp": str(tmp_path)}
    options = {"src_registry": {**PLAIN, "retries": 0}, "dest_registry": PLAIN}
    result = module("oci_image_copy", src=src.format(**where), dest=dest.format(**where), **options)
    assert result.get("error") == error, result


def test_a_destination_of_another_digest_is_refused_before_anything_is_sent(module: Module, registry: LiveRegistry, image: str) -> None:
    other = f"{registry.address}/pinned@sha256:{'0' * 64}"
    for check_mode in (True, False):
        result = module("oci_image_copy", check_mode=check_mode, src=image, dest=other, src_registry=PLAIN, dest_registry=PLAIN)
        assert (result.get("error"), result["changed"]) == ("option_invalid", False), result


def test_a_destination_that_cannot_be_written_stays_as_it_was(module: Module, image: str, guarded_registry: LiveRegistry) -> None:
    result = module(
        "oci_image_copy",
        src=image,
        dest=f"{guarded_registry.address}/os:x",
        src_registry=PLAIN,
        dest_registry={"ca_path": f"{guarded_registry.base}/ca.crt"},
    )
    assert result["error"] == "registry_unauthorized", result


def test_a_medium_that_is_not_mounted_is_told_before_anything_is_written(module: Module, image: str, tmp_path: Path) -> None:
    refused = copy(module, image, f"oci:{tmp_path}/stick/os:1", src_registry=PLAIN)
    assert (refused["error"], refused["changed"]) == ("destination_missing", False)
    assert not (tmp_path / "stick").exists()


@pytest.mark.parametrize("place", ["oci:{tmp}/there", "oci:{tmp}/there:1", "dir:{tmp}/there"])
def test_a_directory_with_other_files_is_refused_before_anything_is_written(module: Module, image: str, tmp_path: Path, place: str) -> None:
    there = tmp_path / "there"
    (there / "photos").mkdir(parents=True)
    refused = copy(module, image, place.format(tmp=tmp_path), src_registry=PLAIN)
    assert (refused["error"], refused["changed"]) == ("destination_foreign", False), refused
    assert "photos" in refused["msg"]
    assert list(there.iterdir()) == [there / "photos"]
    (there / "photos").rmdir()
    copy(module, image, place.format(tmp=tmp_path), src_registry=PLAIN)  # an empty one will do
    put_image(image, architecture="arm64")
    again = copy(module, image, place.format(tmp=tmp_path), src_registry=PLAIN)  # and one with an image
    # but not a second one without a name, after which none could be read
    assert again.get("error") == ("layout_invalid" if place.endswith("oci:{tmp}/there") else None), again


def test_files_beside_an_image_are_kept(module: Module, image: str, tmp_path: Path) -> None:
    """The specification allows them in a layout; of a directory of files skopeo would remove them."""
    for transport in ("oci", "dir"):
        copy(module, image, f"{transport}:{tmp_path}/{transport}{':1' if transport == 'oci' else ''}", src_registry=PLAIN)
        (tmp_path / transport / "letter").write_text("canary")
    put_image(image, architecture="arm64")
    for transport, error in (("oci", None), ("dir", "destination_foreign")):
        again = copy(module, image, f"{transport}:{tmp_path}/{transport}{':1' if transport == 'oci' else ''}", src_registry=PLAIN)
        assert again.get("error") == error, again
        assert (tmp_path / transport / "letter").read_text() == "canary"
    (tmp_path / "website").mkdir()
    (tmp_path / "website" / "manifest.json").write_text("{}")
    assert copy(module, image, f"dir:{tmp_path}/website", src_registry=PLAIN)["error"] == "destination_foreign"


@pytest.mark.parametrize("source", ["{image}", "oci:{tmp}/o", "dir:{tmp}/d", "oci-archive:{tmp}/a.tar", "docker-archive:{tmp}/d.tar"])
def test_a_single_image_for_another_platform_is_not_taken_for_the_one_asked_for(
    module: Module, registry: LiveRegistry, image: str, tmp_path: Path, source: str
) -> None:
    source = source.format(image=image, tmp=tmp_path)
    if source != image:
        subprocess.run(["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{image}", source], check=True, capture_output=True)
    options = {"src_registry": PLAIN, "dest_registry": PLAIN, "attached": False}
    for dest in (f"{image}-dest", f"oci:{tmp_path}/dest:1", f"docker-archive:{tmp_path}/dest.tar:os:1"):
        refused = copy(module, source, dest, platform="linux/arm64", **options)
        assert (refused["error"], refused.get("platforms")) == ("platform_missing", ["linux/amd64"]), refused
        assert "linux/arm64" in refused["msg"]
    assert not (tmp_path / "dest").exists()
    assert copy(module, source, f"oci:{tmp_path}/dest:1", platform="x86_64", **options)["changed"]


def test_a_platform_that_an_index_lacks_is_told_with_those_it_has(module: Module, image: str, tmp_path: Path) -> None:
    index = f"{image.rpartition(':')[0]}:index"
    put_index(index, amd64=put_image(image))
    for dest in (f"oci:{tmp_path}/dest:1", f"docker-archive:{tmp_path}/dest.tar:os:1"):
        refused = copy(module, index, dest, src_registry=PLAIN, platform="s390x")
        assert (refused["error"], refused["platforms"]) == ("platform_missing", ["linux/amd64"]), refused


def test_info_of_a_single_image_says_whether_it_is_for_the_platform_asked_for(module: Module, image: str) -> None:
    refused = module("oci_image_info", name=image, platform="linux/arm64", **PLAIN)
    assert (refused["error"], refused["platforms"]) == ("platform_missing", ["linux/amd64"]), refused
    assert module("oci_image_info", name=image, platform="x86_64", **PLAIN)["exists"]
    put_image(image, architecture="arm64")
    unasked = module("oci_image_info", name=image, **PLAIN)
    assert list(unasked["platforms"]) == ["linux/arm64"], "without the question it is described as it is"
