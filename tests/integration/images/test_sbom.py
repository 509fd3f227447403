# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SBOMs on images in real registries: those that list referrers, and those that do not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import test_servers
from .conftest import LiveRegistry

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
