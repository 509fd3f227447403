# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image that the registry holds under another digest than the host, which bootc does not stage a second time."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

CONFIGURATION = "sha256:" + "c" * 64
VERBS = ("bootc upgrade", "bootc switch", "bootc rollback")
REBUILT = {"architecture": "amd64", "config": {"Labels": {"containers.bootc": "1"}}, "rootfs": {"diff_ids": ["sha256:1", "sha256:2"]}}


def manifest(configuration: str = CONFIGURATION, layer: str = "a") -> tuple[str, str]:
    """A manifest and its digest; another layer is the same one compressed in another way."""
    document = {"schemaVersion": 2, "config": {"digest": configuration}, "layers": [{"digest": f"sha256:{layer * 64}", "size": 10}]}
    text = json.dumps(document)
    return text, "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def on_ostree(host: Any, documents: Any, known: str = "", steps: Any = None) -> tuple[str, str]:
    """A host whose image was pushed again in another compression.

    :param known: the configuration that the commit of the booted deployment names; none if it names no manifest
    :returns: the digest that is booted, and that in the registry
    """
    document = json.loads(documents("booted"))
    booted = document["status"]["booted"]
    name = booted["image"]["image"]["image"]
    text, newest = manifest(layer="b")
    shown = repr(json.dumps({"config": {"digest": known}, "annotations": {"it's": 'a "text"\n'}})) + "\n"
    commit = booted["ostree"]["checksum"]
    show = {f"ostree show --repo=/sysroot/ostree/repo --print-metadata-key=ostree.manifest {commit}": {"stdout": shown}} if known else {}
    host.set(json.dumps(document), {**show, **(steps or {})}, {name: text, f"{name.rpartition(':')[0]}@{newest}": text})
    return booted["image"]["imageDigest"], newest


def on_composefs(host: Any, documents: Any, running: Any, newest: Any, steps: Any = None) -> tuple[str, str]:
    """A host whose image was built again.

    :param running: configuration of the booted image; C(None) if the registry has it no longer
    """
    document = json.loads(documents("composefs"))
    booted = document["status"]["booted"]["image"]
    name = booted["image"]["image"]
    repository, (text, digest) = name.rpartition(":")[0], manifest()
    there = {name: text, f"config {repository}@{digest}": json.dumps(newest)}
    there[f"config {repository}@{booted['imageDigest']}"] = "[]" if running is None else json.dumps(running)
    host.set(json.dumps(document), steps, there)
    return booted["imageDigest"], digest


@pytest.mark.parametrize("check_mode", [True, False])
def test_another_compression_is_no_update(host: Any, documents: Any, check_mode: bool) -> None:
    running, newest = on_ostree(host, documents, CONFIGURATION)
    result = host.run("bootc_upgrade", check_mode=check_mode)
    assert (result["changed"], result["commands"], result["digest"]) == (False, [], running), result
    assert "warnings" not in result
    pinned = host.run("bootc_upgrade", check_mode=check_mode, digest=newest)
    assert (pinned["changed"], pinned["commands"], pinned["digest"]) == (False, [], running)
    assert running in str(pinned["warnings"])
    assert newest in str(pinned["warnings"])
    info = host.run("bootc_info", gather=["update"])
    assert (info["update_available"], info["remote"]["booted"], info["remote"]["layers_new"]) == (False, True, 0)
    assert not any(call.startswith(VERBS) for call in host.calls)


def test_another_configuration_is_an_update(host: Any, documents: Any) -> None:
    on_ostree(host, documents, "sha256:" + "d" * 64)
    assert host.run("bootc_upgrade", check_mode=True)["commands"] == ["bootc upgrade"]
    assert host.run("bootc_info", gather=["update"])["update_available"] is True


def test_nothing_is_looked_up_where_the_digests_tell(host: Any, documents: Any) -> None:
    document = documents("booted")
    booted = json.loads(document)["status"]["booted"]["image"]
    host.set(document, registry={booted["image"]["image"]: booted["imageDigest"]})
    assert host.run("bootc_upgrade")["changed"] is False
    assert len([call for call in host.calls if not call.startswith("bootc status")]) == 1


def test_composefs_cannot_stage_what_is_pinned_under_another_digest(host: Any, documents: Any) -> None:
    document = json.loads(documents("composefs"))
    booted = document["status"]["booted"]
    name, kept = booted["image"]["image"]["image"], "sha256:" + "e" * 64
    document["status"]["otherDeployments"] = [{**booted, "pinned": True, "image": {**booted["image"], "imageDigest": kept}}]
    text, digest = manifest()
    here = {name: text}
    for known in (kept, digest):
        here[f"config {name.rpartition(':')[0]}@{known}"] = json.dumps(REBUILT)
    host.set(json.dumps(document), {}, here)
    result = host.run("bootc_upgrade", check_mode=True)
    assert (result["error"], result["changed"]) == ("bootc_unsupported", False), result
    assert digest in result["msg"]
    assert host.run("bootc_upgrade")["msg"] == result["msg"]


def test_an_upgrade_that_finds_nothing_new_is_no_error(host: Any, documents: Any) -> None:
    """Where the host cannot tell what it was made of, only bootc finds out."""
    running, newest = on_ostree(host, documents, steps={"bootc upgrade": {"rc": 0, "stdout": "No update available.\n"}})
    result = host.run("bootc_upgrade")
    assert (result["changed"], result["digest"], result["reason"]) == (
        False,
        running,
        "the host has this image already, under another digest",
    )
    assert newest in str(result["warnings"])
    assert host.run("bootc_upgrade", digest=newest)["error"] == "digest_mismatch"


def test_the_same_files_are_no_update_on_composefs(host: Any, documents: Any) -> None:
    running, newest = on_composefs(host, documents, {**REBUILT, "created": "2026-01-01"}, {**REBUILT, "created": "2026-01-02"})
    result = host.run("bootc_upgrade", digest=newest)
    assert (result["changed"], result["commands"], result["digest"]) == (False, [], running)
    assert newest in str(result["warnings"])
    assert host.run("bootc_info", gather=["update"])["update_available"] is False
    on_composefs(host, documents, {**REBUILT, "rootfs": {"diff_ids": ["sha256:1"]}}, REBUILT)
    assert host.run("bootc_upgrade", check_mode=True)["commands"] == ["bootc upgrade"]


@pytest.mark.parametrize(("existing", "error"), [("Booted", None), ("Rollback", "bootc_refused")])
def test_the_booted_files_in_other_layers(host: Any, documents: Any, existing: str, error: str | None) -> None:
    said = f"error: Upgrading composefs: Target image has the same fs-verity digest as the existing Some({existing}) deployment."
    running, newest = on_composefs(host, documents, None, REBUILT, {"bootc upgrade": {"rc": 1, "stderr": said}})
    result = host.run("bootc_upgrade", digest=newest)
    assert (result["changed"], result.get("error")) == (False, error)
    if not error:
        assert running in str(result["warnings"])
        assert newest in str(result["warnings"])


def test_skopeo_is_not_asked_for_a_tag_beside_a_digest(host: Any, documents: Any) -> None:
    """It refuses both: "Docker references with both a tag and digest are currently not supported"."""
    text, digest = manifest()
    host.set(documents("booted"), registry={f"registry.test/os@{digest}": text})
    result = host.run("bootc_switch", check_mode=True, image=f"registry.test/os:2@{digest}")
    assert result.get("commands") == [f"bootc switch -- registry.test/os@{digest}"], result
    assert all(f"registry.test/os@{digest}" in call for call in host.calls if call.startswith("skopeo"))


def test_what_was_pulled_before_is_staged_under_its_first_digest(host: Any, documents: Any) -> None:
    document = json.loads(documents("booted"))
    booted = document["status"]["booted"]
    image, (text, newest), first = "registry.test/os:next", manifest(layer="b"), manifest()[1]
    staged = json.loads(json.dumps(booted))
    staged["image"]["image"]["image"], staged["image"]["imageDigest"], staged["ostree"]["checksum"] = image, first, "e" * 64
    after = json.loads(json.dumps(document))
    after["status"]["staged"], after["spec"]["image"] = staged, staged["image"]["image"]
    show = "ostree show --repo=/sysroot/ostree/repo --print-metadata-key=ostree.manifest"
    steps = {
        f"{show} {'e' * 64}": {"stdout": repr(json.dumps({"config": {"digest": CONFIGURATION}}))},
        f"bootc switch {image}": {"after": json.dumps(after)},
    }
    host.set(json.dumps(document), steps, {image: text, f"registry.test/os@{newest}": text})
    result = host.run("bootc_switch", image=image, digest=newest)
    assert (result["changed"], result["digest"], result.get("error")) == (True, first, None), result
    assert newest in str(result["warnings"])
