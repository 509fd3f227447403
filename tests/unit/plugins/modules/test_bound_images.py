# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image that binds others is not staged without them, and a second run does not find it so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import parse_status

UNDEPLOY = "ostree admin undeploy 0"
BOUND = "error: Upgrading: Staging: Pulling bound images: initializing source docker://registry.test/app:1: manifest unknown"


@pytest.fixture
def half(host: Any, documents: Any) -> str:
    """An upgrade that stages and then fails."""
    before, after = documents("booted"), documents("booted-staged")
    staged = parse_status(after).staged
    assert staged
    assert staged.source
    document = json.loads(before)
    document["status"]["booted"]["image"]["image"] = {"image": staged.source.image, "transport": "registry"}
    document["spec"]["image"] = document["status"]["booted"]["image"]["image"]
    before = json.dumps(document)
    steps = {"bootc upgrade": {"rc": 1, "stderr": BOUND, "after": after}, UNDEPLOY: {"after": before}}
    host.set(before, steps, {staged.source.image: staged.digest})
    return before


def test_a_stage_without_what_it_binds_is_dropped(host: Any, half: str) -> None:
    for _run in range(2):
        result = host.run("bootc_upgrade")
        assert (result["error"], result["changed"]) == ("image_missing", False)
        assert "dropped" in result["msg"]
        assert result["after"]["staged"] is None
        assert host.calls.count("bootc upgrade") == host.calls.count(UNDEPLOY)
    assert host.calls.count(UNDEPLOY) == 2


def test_a_stage_that_cannot_be_dropped_is_told_of(host: Any, half: str, documents: Any) -> None:
    steps = json.loads((host.base / "steps.json").read_text())
    steps[UNDEPLOY] = {"rc": 1, "stderr": "error: busy"}
    host.set(steps=steps)
    result = host.run("bootc_upgrade")
    assert (result["error"], result["changed"]) == ("image_missing", True)
    assert "could not be dropped" in result["msg"]


def test_a_stage_that_was_there_before_stays(host: Any, half: str, documents: Any) -> None:
    steps = json.loads((host.base / "steps.json").read_text())
    steps["bootc upgrade"]["after"] = None
    host.set(documents("booted-staged"), steps, {json.loads(half)["spec"]["image"]["image"]: "sha256:" + "7" * 64})
    result = host.run("bootc_upgrade")
    assert (result["error"], result["changed"]) == ("image_missing", False)
    assert UNDEPLOY not in host.calls


@pytest.mark.parametrize(("image", "warned"), [("registry.test/app:1", True), ("registry.test/there:1", False), ("app", False)])
def test_what_a_stage_lacks_is_told_of(host: Any, documents: Any, image: str, warned: bool) -> None:
    document = documents("booted-staged")
    staged, spec = parse_status(document).staged, parse_status(document).spec
    assert staged
    assert spec
    tree = host.root / f"sysroot/ostree/deploy/{staged.stateroot}/deploy/{staged.identity}"
    (tree / "usr/lib/bootc/bound-images.d").mkdir(parents=True)
    (tree / "usr/share").mkdir()
    (tree / "usr/share/app.image").write_text(f"[Image]\nImage={image}\n")
    (tree / "usr/lib/bootc/bound-images.d/app.image").symlink_to("/usr/share/app.image")
    storage = host.root / "sysroot/ostree/bootc/storage/overlay-images"
    storage.mkdir(parents=True)
    (storage / "images.json").write_text(json.dumps([{"names": ["registry.test/there:1"], "digest": "sha256:" + "1" * 64}]))
    host.set(document)
    warnings = str(host.run("bootc_switch", image=spec.image).get("warnings", ""))
    assert ("registry.test/app:1" in warnings) is warned
