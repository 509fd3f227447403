# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image that binds others is not staged without them, and a second run does not find it so."""

from __future__ import annotations

import base64
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


OLD, NEW, THERE = ("sha256:" + digit * 64 for digit in "472")
APP, FIXED = "registry.test/app:1", f"registry.test/fixed@{THERE}"
INDEX = "sysroot/ostree/bootc/storage/overlay-images/images.json"


def index(**images: str) -> bytes:
    names = {"app": APP, "fixed": FIXED}
    return json.dumps([{"names": [names[name]], "digest": digest} for name, digest in images.items()]).encode()


@pytest.fixture
def bound(host: Any, documents: Any) -> Any:
    """The booted image binds a tag and a digest, and bootc has the former as it was once."""
    directory = host.root / "usr/lib/bootc/bound-images.d"
    directory.mkdir(parents=True)
    (host.root / INDEX).parent.mkdir(parents=True)
    (host.root / INDEX).write_bytes(index(app=OLD))
    pulls = {APP: index(app=NEW, fixed=THERE), FIXED: index(app=OLD, fixed=THERE)}
    for name, image in (("app", APP), ("fixed", FIXED), ("short", "short")):
        (host.root / f"usr/{name}.image").write_text(f"[Image]\nImage={image}\n")
        (directory / f"{name}.image").symlink_to(f"/usr/{name}.image")
    steps = {f"bootc image cmd pull {image}": {"files": {INDEX: base64.b64encode(text).decode()}} for image, text in pulls.items()}
    host.set(documents("booted"), steps, {APP: NEW})
    return host


def test_what_is_missing_is_pulled_and_a_tag_that_moved_if_asked(bound: Any) -> None:
    for state, image in (("present", FIXED), ("latest", APP)):
        predicted = bound.run("bootc_bound_images", check_mode=True, state=state)
        assert f"bootc image cmd pull {image}" not in bound.calls
        done, again = (bound.run("bootc_bound_images", state=state) for _run in range(2))
        assert [result["changed"] for result in (predicted, done, again)] == [True, True, False], (state, predicted, done, again)
        assert predicted["commands"] == done["commands"] == [f"bootc image cmd pull {image}"]
        assert again["commands"] == []
        assert "'short' is bound without its registry" in str(done["warnings"])
    assert {one["image"]: one["digest"] for one in again["bound_images"]} == {APP: NEW, FIXED: THERE, "short": None}


def test_a_bound_image_that_cannot_be_pulled_or_does_not_come_is_an_error(bound: Any, documents: Any) -> None:
    pull = f"bootc image cmd pull {FIXED}"
    bound.set(steps={pull: {"rc": 1, "stderr": "error: initializing source docker://x: manifest unknown"}})
    assert bound.run("bootc_bound_images")["error"] == "image_missing"
    bound.set(steps={pull: {}})
    assert bound.run("bootc_bound_images")["error"] == "bootc_ignored"
    bound.set(status=documents("not-booted-or-container"))
    assert bound.run("bootc_bound_images")["error"] == "host_not_managed"


def test_bound_images_are_pulled_with_the_credentials_of_bootc(bound: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 1.12.0 bootc leaves it to Podman, which looks elsewhere."""
    theirs, ours = "/somewhere/auth.json", bound.base / "etc/auth.json"
    monkeypatch.setenv("REGISTRY_AUTH_FILE", theirs)
    bound.run("bootc_bound_images")
    assert (bound.base / "auth_file").read_text() == theirs
    ours.parent.mkdir()
    ours.write_text("{}")
    bound.run("bootc_bound_images", state="latest")
    assert (bound.base / "auth_file").read_text() == str(ours)
