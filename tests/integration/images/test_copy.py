# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image and what is attached to it, carried between real registries, layouts and archives."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import PASSWORD, USER, LiveRegistry

Module = Callable[..., dict[str, Any]]
PLAIN = {"plain_http": True}


@pytest.fixture
def image(module: Module, context: Path, registry: LiveRegistry, tmp_path: Path) -> str:
    """With a signature as cosign's tag scheme has it: here any image under that tag will do."""
    name = f"{registry.address}/{tmp_path.name.replace('_', '-')}:1"
    built = module("oci_image_build", name=name, context=str(context), **PLAIN)
    pushed = module("oci_image_push", name=name, **PLAIN)
    assert "digest" in pushed, (built, pushed)
    digest = pushed["digest"]
    signature = f"{name.rpartition(':')[0]}:{digest.replace(':', '-')}.sig"
    module("oci_image_build", name="signature:1", context=str(context), labels={"of": digest})
    module("oci_image_push", name="signature:1", to=signature, **PLAIN)
    return name


def copy(module: Module, src: str, dest: str, **options: Any) -> dict[str, Any]:
    """Check mode, the run, and the run again, which agree."""
    predicted = module("oci_image_copy", check_mode=True, src=src, dest=dest, **options)
    done = module("oci_image_copy", src=src, dest=dest, **options)
    assert done.get("error") == predicted.get("error"), (predicted, done)
    if "error" not in done:
        assert [predicted[key] for key in ("changed", "digest", "copied")] == [done[key] for key in ("changed", "digest", "copied")]
        again = module("oci_image_copy", src=src, dest=dest, **options)
        assert (again["changed"], again["digest"]) == (False, done["digest"])
    return done


def test_to_a_disconnected_site_and_into_its_registry(
        module: Module, registry: LiveRegistry, guarded_registry: LiveRegistry, image: str, tmp_path: Path) -> None:
    stick, site = f"oci:{tmp_path}/stick:1", f"{guarded_registry.address}/os:1"
    carried = copy(module, image, stick, src_registry=PLAIN)
    repository = image.partition("/")[2].rpartition(":")[0]
    assert carried["digest"] == registry.digest(repository, "1")
    assert carried["attached"] == [f"{carried['digest'].replace(':', '-')}.sig"]
    assert len(carried["copied"]) == 2
    access = {"ca_path": f"{guarded_registry.base}/ca.crt", "username": USER, "password": PASSWORD}
    served = copy(module, stick, site, dest_registry=access)
    assert (served["digest"], served["attached"]) == (carried["digest"], carried["attached"])
    there = module("oci_image_info", name=site, **access)
    assert there["digest"] == carried["digest"]


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "dir", "docker-archive"])
def test_files_hold_what_the_registry_holds(module: Module, registry: LiveRegistry, image: str, tmp_path: Path, transport: str) -> None:
    name = ":os:1" if transport == "docker-archive" else ""
    there = copy(module, image, f"{transport}:{tmp_path}/files{name}", src_registry=PLAIN)
    assert there["changed"]
    back = f"{image.rpartition(':')[0]}-{transport}:1"
    returned = copy(module, f"{transport}:{tmp_path}/files", back, dest_registry=PLAIN)
    if transport != "docker-archive":
        assert returned["digest"] == there["digest"]


def test_all_platforms_or_one(module: Module, image: str, tmp_path: Path) -> None:
    index = f"{image.rpartition(':')[0]}:index"
    for words in (["manifest", "create", "both:1"],
                  ["manifest", "add", "--arch=arm64", "both:1", f"docker://{image}"],
                  ["manifest", "push", "--all", "both:1", f"docker://{index}"]):
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


@pytest.mark.parametrize(("src", "dest", "error"), [
    ("127.0.0.1:1/os:1", "oci:{tmp}/x", "registry_unreachable"),
    ("oci:/nowhere:1", "{registry}/x:1", "image_missing"),
    ("dir:/etc", "{registry}/x:1", "image_missing"),
    ("oci-archive:/etc/passwd", "{registry}/x:1", "layout_invalid"),
    ("oci:", "{registry}/x:1", "option_invalid"),
    ("{registry}/nothing:1", "oci:{tmp}/x", "image_missing"),
    ("--all", "oci:{tmp}/x", "reference_invalid"),
])
def test_bad_input(module: Module, registry: LiveRegistry, tmp_path: Path, src: str, dest: str, error: str) -> None:
    where = {"registry": registry.address, "tmp": str(tmp_path)}
    options = {"src_registry": {**PLAIN, "retries": 0}, "dest_registry": PLAIN}
    result = module("oci_image_copy", src=src.format(**where), dest=dest.format(**where), **options)
    assert result.get("error") == error, result


def test_a_destination_that_cannot_be_written_stays_as_it_was(module: Module, image: str, guarded_registry: LiveRegistry) -> None:
    result = module("oci_image_copy", src=image, dest=f"{guarded_registry.address}/os:x", src_registry=PLAIN,
                    dest_registry={"ca_path": f"{guarded_registry.base}/ca.crt"})
    assert result["error"] == "registry_unauthorized", result


def test_a_medium_that_is_not_mounted_is_told_before_anything_is_written(module: Module, image: str, tmp_path: Path) -> None:
    refused = copy(module, image, f"oci:{tmp_path}/stick/os:1", src_registry=PLAIN)
    assert (refused["error"], refused["changed"]) == ("destination_missing", False)
    assert not (tmp_path / "stick").exists()
