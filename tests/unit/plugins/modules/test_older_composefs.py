# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The composefs backend before bootc 1.16.0, whose rollback is another."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import digest_of

NEW = "sha256:" + "7" * 64
BOOTED, OTHER = "quay.io/example/os:latest", "quay.io/example/os:other"
VERBS = ("bootc upgrade", "bootc switch", "bootc rollback")


def state(documents: Any, backend: str, *, staged: bool = False, locked: bool = False, queued: bool = False) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(documents("composefs" if backend == "composefs" else "booted-rollback"))
    status = document["status"]
    status["rollback"] = status["rollback"] or slot(status["booted"], "6")
    status["staged"] = {**slot(status["booted"], "7"), "downloadOnly": locked} if staged else None
    status["rollbackQueued"] = queued
    return document


def slot(booted: dict[str, Any], mark: str) -> dict[str, Any]:
    own = {"composefs": {**booted["composefs"], "verity": mark * 128}} if booted.get("composefs") else {}
    return {**booted, **own, "image": {**booted["image"], "imageDigest": f"sha256:{mark * 64}"}}


@pytest.mark.parametrize(
    ("situation", "module", "options", "since"),
    [
        ({"staged": True}, "bootc_rollback", {}, "1.16.0"),
        ({"staged": True, "queued": True}, "bootc_rollback", {}, "1.16.0"),
        ({"queued": True}, "bootc_rollback", {"state": "cancelled"}, "1.14.0"),
        ({}, "bootc_upgrade", {"download_only": True}, "1.13.0"),
        ({"staged": True, "locked": True}, "bootc_upgrade", {"from_downloaded": True}, "1.13.0"),
        # bootc 1.12.0 and 1.12.1 end with `systemctl soft-reboot`, or fail when they have staged.
        ({}, "bootc_upgrade", {"soft_reboot": "auto"}, "1.13.0"),
        ({}, "bootc_switch", {"image": OTHER, "soft_reboot": "required"}, "1.13.0"),
    ],
)
def test_what_came_later_is_refused_before_anything_is_run(
    host: Any, documents: Any, situation: dict[str, bool], module: str, options: dict[str, Any], since: str
) -> None:
    document = state(documents, "composefs", **situation)
    before = ".".join([*since.split(".")[:1], str(int(since.split(".")[1]) - 1), "9"])
    manifest = json.dumps({"schemaVersion": 2, "config": {"digest": NEW}, "layers": []})
    images = (document["spec"]["image"]["image"], OTHER)
    host.set(json.dumps(document), {}, dict.fromkeys(images, manifest), f"bootc {before}")
    for check_mode in (True, False):
        result = host.run(module, check_mode=check_mode, **options)
        assert (result["error"], result.get("bootc_version_needed"), result["changed"]) == ("bootc_unsupported", since, False), result
        assert result["hint"]
    assert not any(call.startswith(VERBS) for call in host.calls)
    (host.base / "version").write_text(f"bootc {since}")
    assert host.run(module, check_mode=True, **options)["changed"] is True


def test_dropping_the_stage_for_the_booted_image_is_one_of_them(host: Any, documents: Any) -> None:
    document = state(documents, "composefs", staged=True)
    host.set(json.dumps(document), version="bootc 1.15.2")
    digest = document["status"]["booted"]["image"]["imageDigest"]
    result = host.run("bootc_upgrade", digest=digest)
    assert (result["error"], result["bootc_version_needed"]) == ("bootc_unsupported", "1.16.0")
    assert "reboot" in result["hint"]


def test_a_stage_is_not_deleted_by_a_bootc_that_deletes_the_booted_kernel_with_it(host: Any, documents: Any) -> None:
    """1.11.0 to 1.13.0 remove kernel and initrd just where another deployment has the same (bootc_composefs/delete.rs)."""
    document = state(documents, "composefs", staged=True)
    document["status"]["rollback"] = None
    digest = document["status"]["booted"]["image"]["imageDigest"]
    host.set(json.dumps(document), version="bootc 1.13.0")
    result = host.run("bootc_upgrade", digest=digest)
    assert (result["error"], result["bootc_version_needed"], result["changed"]) == ("bootc_unsupported", "1.14.0", False)
    assert "reboot" in result["hint"]
    host.set(version="bootc 1.14.0")
    assert host.run("bootc_upgrade", digest=digest, check_mode=True)["commands"] == [f"bootc delete-deployment {'7' * 128}"]


def test_a_digest_that_bootc_asks_the_registry_for_does_not_tell_what_is_booted(host: Any, documents: Any) -> None:
    """Up to 1.11.0 the status has what the registry holds by now, for each deployment (bootc_composefs/status.rs)."""
    document = state(documents, "composefs", queued=True)  # so it says with systemd-boot, and none is
    for name in ("booted", "rollback"):
        del document["status"][name]["downloadOnly"]
        document["status"][name]["image"]["imageDigest"] = NEW
    manifest = json.dumps({"schemaVersion": 2, "config": {"digest": NEW}, "layers": []})
    host.set(json.dumps(document), {}, dict.fromkeys((document["spec"]["image"]["image"], OTHER), manifest), "bootc 1.11.0")
    for module, options in (("bootc_upgrade", {}), ("bootc_switch", {"image": OTHER}), ("bootc_info", {"gather": ["update"]})):
        result = host.run(module, **options)
        assert (result["error"], result["bootc_version_needed"], result["changed"]) == ("bootc_unsupported", "1.12.0", False), module
        assert "bootc upgrade" in result["hint"]
    info = host.run("bootc_info")
    assert (info["digest"], info["host"]["booted"]["digest"], info["host"]["rollback"]["digest"]) == (None, None, None)
    assert host.run("bootc_rollback", check_mode=True)["changed"] is True
    assert not any(call.startswith(VERBS) for call in host.calls)


@pytest.mark.parametrize(("module", "options"), [("bootc_switch", {"image": BOOTED}), ("bootc_upgrade", {"tag": "latest"})])
def test_beside_a_stage_of_another_name_an_older_bootc_looks_at_the_booted_one(
    host: Any, documents: Any, module: str, options: dict[str, str]
) -> None:
    document = state(documents, "composefs", staged=True)
    document["status"]["booted"]["image"]["image"]["image"] = document["spec"]["image"]["image"] = BOOTED
    document["status"]["staged"]["image"]["image"] = {"image": OTHER, "transport": "registry"}
    manifest = json.dumps({"schemaVersion": 2, "config": {"digest": "sha256:" + "8" * 64}, "layers": []})
    host.set(json.dumps(document), {}, dict.fromkeys((BOOTED, OTHER), manifest), "bootc 1.16.2")
    for check_mode in (True, False):
        result = host.run(module, check_mode=check_mode, **options)
        assert (result["error"], result.get("bootc_version_needed"), result["changed"]) == ("bootc_unsupported", "1.16.3", False), result
    assert not any(call.startswith(VERBS) for call in host.calls)
    (host.base / "version").write_text("bootc 1.16.3")
    assert host.run(module, check_mode=True, **options)["changed"] is True
    # Another name, or nothing staged, is as it was.
    (host.base / "version").write_text("bootc 1.16.2")
    document["status"]["staged"] = None
    (host.base / "status").write_text(json.dumps(document))
    assert host.run("bootc_upgrade", check_mode=True)["changed"] is True
    assert host.run("bootc_switch", check_mode=True, image=OTHER)["changed"] is True


@pytest.mark.parametrize(("version", "told"), [("1.16.9", False), ("1.16.10", True)])
def test_what_an_older_bootc_says_of_grub_does_not_make_an_upgrade_roll_back(host: Any, documents: Any, version: str, told: bool) -> None:
    document = state(documents, "composefs", queued=True)
    for deployment in ("booted", "rollback"):
        document["status"][deployment]["composefs"]["bootloader"] = "grub"
    manifest = json.dumps({"schemaVersion": 2, "config": {"digest": NEW}, "layers": []})
    document["status"]["booted"]["image"]["imageDigest"] = digest_of(manifest.encode())
    host.set(json.dumps(document), {}, {document["spec"]["image"]["image"]: manifest}, f"bootc {version}")
    assert host.run("bootc_info")["reboot_required"] is told
    result = host.run("bootc_upgrade", digest=digest_of(manifest.encode()), check_mode=True)
    assert result["commands"] == (["bootc rollback"] if told else [])
    assert host.run("bootc_rollback", check_mode=True)["changed"] is not told


def test_a_first_rollback_and_all_of_it_on_ostree_is_as_it_was(host: Any, documents: Any) -> None:
    host.set(json.dumps(state(documents, "composefs")), version="bootc 1.12.0")
    assert host.run("bootc_rollback", check_mode=True)["changed"] is True
    host.set(json.dumps(state(documents, "ostree", staged=True)), version="bootc 1.12.0")
    assert host.run("bootc_rollback", check_mode=True)["changed"] is True
