# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SBOMs on images in real registries: those that list referrers, and those that do not."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from labkit import golang

from . import test_servers
from .conftest import PASSWORD, USER, LiveRegistry

Module = Callable[..., dict[str, Any]]
server = test_servers.server
PLAIN = {"plain_http": True}


@pytest.fixture
def image(module: Module, context: Path, server: tuple[str, str]) -> str:
    name = f"{server[1]}/sbom-{time.monotonic_ns()}:1"
    module("oci_image_build", name=name, context=str(context), **PLAIN)
    assert "digest" in module("oci_image_push", name=name, **PLAIN)
    return name


def test_a_document_is_attached_once_and_found(module: Module, image: str, tmp_path: Path) -> None:
    spdx, cyclonedx = tmp_path / "spdx.json", tmp_path / "cyclonedx.json"
    spdx.write_text(json.dumps({"spdxVersion": "SPDX-2.3", "name": "os"}))
    cyclonedx.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6"}))
    before = module("oci_image_info", name=image, attached=True, **PLAIN)
    assert before["attached"] == []
    expected = []
    for path, kind in ((spdx, "application/spdx+json"), (cyclonedx, "application/vnd.cyclonedx+json")):
        predicted = module("oci_image_sbom", check_mode=True, name=image, src=str(path), **PLAIN)
        done = module("oci_image_sbom", name=image, src=str(path), **PLAIN)
        same = ("changed", "digest", "artifact_digest", "artifact_type", "diff")
        assert [predicted[field] for field in same] == [done[field] for field in same]
        assert (done["changed"], done["artifact_type"], done["digest"]) == (True, kind, before["digest"])
        assert not module("oci_image_sbom", name=image, src=str(path), **PLAIN)["changed"]
        expected.append({"kind": "sbom", "digest": done["artifact_digest"], "artifact_type": kind, "subject": done["digest"], "tag": ""})
    found = module("oci_image_info", name=image, attached=True, **PLAIN)["attached"]
    assert sorted(found, key=str) == sorted(expected, key=str)
    spdx.write_text(json.dumps({"spdxVersion": "SPDX-2.3", "name": "another"}))
    assert module("oci_image_sbom", name=image, src=str(spdx), **PLAIN)["changed"]
    assert len(module("oci_image_info", name=image, attached=True, **PLAIN)["attached"]) == 3


@pytest.mark.parametrize("text", ["{}", "[]", "not json", None])
def test_what_is_no_document_is_refused(module: Module, registry: LiveRegistry, tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "x").write_text(text)
    result = module("oci_image_sbom", name=f"{registry.address}/os:1", src=str(tmp_path / "x"), **PLAIN)
    assert (result["error"], result["changed"]) == ("sbom_invalid", False)


@pytest.fixture
def syft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real syft, which writes down what it was called with."""
    try:
        program = golang.tool("syft")
    except golang.GoMissing as error:
        pytest.skip(str(error))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "syft").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nexec {program} "$@"\n')
    (programs / "syft").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path / "calls"


@pytest.fixture
def packages(context: Path) -> Path:
    """A context with packages of Debian's in it."""
    (context / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\nPRETTY_NAME=test\n')
    status = "Package: canary\nStatus: install ok installed\nArchitecture: all\nMaintainer: nobody\nVersion: 1.2.3\nDescription: x\n\n"
    (context / "status").write_text(status)
    (context / "Containerfile").write_text("FROM scratch\nCOPY etc /etc\nCOPY status /var/lib/dpkg/status\n")
    return context


@pytest.mark.parametrize(("form", "kind"), [("spdx-json", "application/spdx+json"), ("cyclonedx-json", "application/vnd.cyclonedx+json")])
def test_syft_makes_a_document_once(
    module: Module, packages: Path, guarded_registry: LiveRegistry, syft: Path, tmp_path: Path, form: str, kind: str
) -> None:
    """Behind TLS and a password, neither of which is told on a command line."""
    name = f"{guarded_registry.address}/made-{form}:1"
    access = {"ca_path": f"{guarded_registry.base}/ca.crt", "username": USER, "password": PASSWORD}
    module("oci_image_build", name=name, context=str(packages), **access)
    pushed = module("oci_image_push", name=name, engine="podman", **access)
    options = {"name": name, "generate": form, **access}
    predicted = module("oci_image_sbom", check_mode=True, **options)
    assert (predicted["changed"], predicted["artifact_digest"]) == (True, None), predicted
    assert not syft.exists()
    done = module("oci_image_sbom", **options)
    assert (done["changed"], done["digest"], done["artifact_type"]) == (True, pushed["digest"], kind), done
    assert PASSWORD not in syft.read_text()
    again = module("oci_image_sbom", **options)
    assert (again["changed"], again["artifact_digest"]) == (False, done["artifact_digest"])
    assert len(syft.read_text().splitlines()) == 1
    found = module("oci_image_info", name=name, attached=True, **access)["attached"]
    assert [one["digest"] for one in found] == [done["artifact_digest"]]
    layout = f"{tmp_path}/layout"
    words = [
        "skopeo",
        "copy",
        f"--src-cert-dir={guarded_registry.base}",
        f"--src-creds={USER}:{PASSWORD}",
        f"docker://{name.rpartition(':')[0]}@{done['artifact_digest']}",
        f"oci:{layout}:x",
    ]
    subprocess.run(words, check=True, capture_output=True)
    documents = [file.read_text() for file in Path(layout, "blobs/sha256").iterdir()]
    document = next(json.loads(text) for text in documents if "canary" in text)
    components = document.get("packages") or document.get("components")
    assert ("canary", "1.2.3") in {(one["name"], one.get("versionInfo") or one.get("version")) for one in components}


def test_syft_missing_is_told_with_what_to_do(module: Module, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for check_mode in (True, False):
        result = module("oci_image_sbom", check_mode=check_mode, name=image, generate="spdx-json", **PLAIN)
        assert (result["error"], result["program"], result["changed"]) == ("command_missing", "syft", False), result
        assert "Install syft" in result["hint"]


def test_an_index_needs_a_platform_for_what_is_made(module: Module, context: Path, registry: LiveRegistry, syft: Path) -> None:
    name = f"{registry.address}/sbom-of-two:1"
    platforms = ["linux/amd64", "linux/arm64"]
    module("oci_image_build", name=name, context=str(context), platforms=platforms, **PLAIN)
    pushed = module("oci_image_push", name=name, **PLAIN)
    refused = module("oci_image_sbom", name=name, generate="spdx-json", **PLAIN)
    assert (refused["error"], refused["changed"]) == ("option_invalid", False)
    assert "linux/arm64" in refused["hint"]
    done = module("oci_image_sbom", name=name, generate="spdx-json", platform="linux/arm64", **PLAIN)
    assert done["changed"], done
    assert done["digest"] != pushed["digest"]
    both = module("oci_image_sbom", name=name, generate="spdx-json", src="/x", **PLAIN)
    assert both["error"] == module("oci_image_sbom", name=name, **PLAIN)["error"] == "option_invalid"


def test_what_syft_cannot_look_at_is_told(module: Module, image: str, syft: Path) -> None:
    """The stand-in fails as syft does with a full disk."""
    (syft.parent / "programs/syft").write_text("#!/bin/sh\necho 'unable to write: no space left on device' >&2\nexit 1\n")
    result = module("oci_image_sbom", name=image, generate="spdx-json", **PLAIN)
    assert (result["error"], result["changed"]) == ("disk_full", False), result
