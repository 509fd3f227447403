# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told when syft makes no bill of materials. A stand-in for it fails: the real one looks at a registry."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import RegistryOptions
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner
from ansible_collections.imagemode.bootc.plugins.module_utils._sbom import generate

IMAGE = Reference.parse("own.test/os@sha256:" + "1" * 64)


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("echo 'cataloging: no known files' >&2; exit 1", "sbom_failed", "cataloging: no known files"),
        ("exit 2", "sbom_failed", "return code 2"),
        ("exit 0", "sbom_failed", "it made no document"),
        ("echo 'unable to write: no space left on device' >&2; exit 1", "disk_full", "unable to write: no space left on device"),
    ],
)
def test_a_tool_that_fails_is_told_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, code: str, said: str
) -> None:
    (tmp_path / "auth.json").write_text("{}")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    (tmp_path / "syft").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "syft").chmod(0o755)
    options = RegistryOptions.of({"plain_http": True}, IMAGE)
    with pytest.raises(ImageModeError) as caught:
        generate(Runner({"PATH": f"{tmp_path}:/usr/bin:/bin"}), options, IMAGE, "spdx-json")
    assert caught.value.message == f"syft could not look at {IMAGE}: {said}"
    assert (caught.value.error, "'stderr'" in (caught.value.hint or "")) == (code, True)
