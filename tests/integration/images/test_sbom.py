# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SBOMs on images in real registries: one that lists referrers, if Go can build it here, and one that does not."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import LiveRegistry

Module = Callable[..., dict[str, Any]]
PLAIN = {"plain_http": True}
REFERRERS = "github.com/google/go-containerregistry/cmd/registry@v0.22.1"


@pytest.fixture(scope="module")
def referrers_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not shutil.which("go"):
        pytest.skip("there is no Go here to build a registry with that lists referrers")
    base = tmp_path_factory.mktemp("referrers")
    environment = {**os.environ, "GOBIN": str(base)}
    built = subprocess.run(["go", "install", REFERRERS], env=environment, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"the registry that lists referrers cannot be built here: {built.stderr[-300:]}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = subprocess.Popen([base / "registry", f"-port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield f"127.0.0.1:{port}"
    child.terminate()
    child.wait(10)


@pytest.fixture(params=["fallback tag", "referrers"])
def image(request: pytest.FixtureRequest, module: Module, context: Path, registry: LiveRegistry) -> str:
    address = registry.address if request.param == "fallback tag" else request.getfixturevalue("referrers_registry")
    name = f"{address}/sbom-{time.monotonic_ns()}:1"
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
        expected.append({"kind": "sbom", "digest": done["artifact_digest"], "artifact_type": kind})
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
