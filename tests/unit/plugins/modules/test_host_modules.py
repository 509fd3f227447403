# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""bootc_info, bootc_facts and bootc_usr_overlay as Ansible runs them, on a fake host."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

NOT_ROOT = "error: Status: Preparing for write: Querying root privilege: This command must be executed as the root user"
STATUS = "bootc status --json --format-version=1"
NEW = "sha256:" + "7" * 64


def test_info_runs_nothing_that_was_not_asked_for(host: Any, documents: Any) -> None:
    host.set(documents("booted"))
    result = host.run("bootc_info")
    assert host.calls == [STATUS, "bootc --version"]
    assert result["kind"] == "image"
    assert not {"remote", "disks", "timer", "bound_images"} & set(result)


@pytest.mark.parametrize(("digest", "available"), [(NEW, True), (None, False)])
def test_info_asks_the_registry_for_an_update(host: Any, documents: Any, digest: str | None, available: bool) -> None:
    document = documents("booted")
    booted = json.loads(document)["status"]["booted"]["image"]
    name, newest = booted["image"]["image"], digest or booted["imageDigest"]
    host.set(document, registry={name: newest})
    result = host.run("bootc_info", gather=["update"])
    assert result["update_available"] is available
    assert result["remote"]["booted"] is not available
    assert result["remote"]["digest"] == newest
    assert result["remote"]["bytes_new"] is None  # the fake holds no manifest with that digest
    assert all(call.startswith(("skopeo inspect", "bootc status", "bootc --version")) for call in host.calls)
    host.set(registry={name: "connection refused"})
    assert host.run("bootc_info", gather=["update"])["error"] == "registry_unreachable"


def _manifest(**layers: int) -> tuple[str, str]:
    """A manifest and its digest."""
    blobs = [{"digest": f"sha256:{name * 64}", "size": size} for name, size in layers.items()]
    text = json.dumps({"schemaVersion": 2, "config": {}, "layers": blobs})
    return text, "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_info_counts_what_is_to_be_downloaded(host: Any, documents: Any) -> None:
    booted = json.loads(documents("booted"))["status"]["booted"]["image"]
    name = booted["image"]["image"]
    repository = name.rpartition(":")[0]
    (old, running), (new, newest) = _manifest(a=1000, b=20), _manifest(a=1000, b=20, c=3)
    there = {name: new, f"{repository}@{newest}": new, f"{repository}@{running}": old}
    host.set(documents("booted").replace(booted["imageDigest"], running), registry=there)
    remote = host.run("bootc_info", gather=["update"])["remote"]
    assert {key: remote[f"{key}_total"] for key in ("layers", "bytes")} == {"layers": 3, "bytes": 1023}
    assert {key: remote[f"{key}_new"] for key in ("layers", "bytes")} == {"layers": 1, "bytes": 3}
    del there[f"{repository}@{running}"]  # the registry has lost the running image
    host.set(registry=there)
    remote = host.run("bootc_info", gather=["update"])["remote"]
    assert (remote["bytes_total"], remote["bytes_new"]) == (1023, None)


def test_info_gathers_the_rest_on_any_machine(host: Any, documents: Any) -> None:
    host.set(documents("not-booted-or-container"))
    result = host.run("bootc_info", gather=["disk", "timer", "bound_images"])
    assert result["managed"] is False
    assert result["timer"]["active"] is False
    assert isinstance(result["disks"], list)
    assert result["bound_images"] == []


def test_info_of_a_host_without_bootc(host: Any) -> None:
    host.without("bootc")
    result = host.run("bootc_info", gather=["update"])
    assert (result["managed"], result["bootc_version"], result["remote"], result["update_available"]) == (False, None, None, False)
    assert host.run("bootc_info", required=True)["error"] == "bootc_missing"


@pytest.mark.parametrize("module", ["bootc_info", "bootc_usr_overlay", "bootc_kargs", "bootc_upgrade"])
def test_without_root_a_task_fails(host: Any, module: str) -> None:
    host.refuse_status(NOT_ROOT)
    result = host.run(module, **({"kargs": ["quiet"]} if module == "bootc_kargs" else {}))
    assert result["error"] == "not_root"
    assert "become" in result["hint"]
    assert result["changed"] is False


@pytest.mark.parametrize("module", ["bootc_info", "bootc_usr_overlay", "bootc_kargs"])
@pytest.mark.parametrize("text", ["", '{"apiVersion":"org.containers.bootc/v1","kind":"Boot', '{"apiVersion":"org.containers.bootc/v9"}'])
def test_a_status_that_cannot_be_read(host: Any, module: str, text: str) -> None:
    host.set(text)
    assert host.run(module, **({"kargs": ["quiet"]} if module == "bootc_kargs" else {}))["error"] == "bootc_status_invalid"


@pytest.mark.parametrize(("module", "options"), [("bootc_usr_overlay", {}), ("bootc_kargs", {"kargs": ["quiet"]})])
def test_a_host_that_is_not_managed(host: Any, documents: Any, module: str, options: dict[str, Any]) -> None:
    host.set(documents("not-booted-or-container"))
    result = host.run(module, environment={"container": "podman"}, **options)
    assert (result["error"], result["changed"]) == ("host_not_managed", False)
    host.without("bootc")
    assert host.run(module, **options)["error"] == "bootc_missing"


def test_a_version_that_is_none(host: Any, documents: Any) -> None:
    host.set(documents("booted"))
    (host.base / "version").write_text("something else")
    assert host.run("bootc_info")["error"] == "bootc_version_unknown"


def test_facts_hold_what_info_returns(host: Any, documents: Any) -> None:
    host.set("Waiting for sysroot lock...\n" + documents("booted"))
    facts = host.run("bootc_facts", environment={"container": "oci"})["ansible_facts"]
    info = host.run("bootc_info")
    assert {name: facts["ansible_bootc"][name] for name in ("managed", "kind", "digest", "host", "capabilities")} == {
        name: info[name] for name in ("managed", "kind", "digest", "host", "capabilities")
    }
    # The machine that runs this test has a package manager in /usr/bin or none.
    manager = facts["ansible_bootc"]["packages"]["manager"]
    assert facts.get("ansible_pkg_mgr") == facts.get("ansible_package_use") == manager
    assert "ansible_pkg_mgr" not in host.run("bootc_facts", pkg_mgr=False)["ansible_facts"]


def test_facts_leave_a_host_with_packages_alone(host: Any, documents: Any) -> None:
    host.set(documents("not-booted-or-container"))
    facts = host.run("bootc_facts")["ansible_facts"]
    assert list(facts) == ["ansible_bootc"]
    assert facts["ansible_bootc"]["packages"] is None


def test_facts_do_not_stop_a_play_without_root(host: Any) -> None:
    host.refuse_status(NOT_ROOT)
    result = host.run("bootc_facts")
    assert not result.get("failed")
    assert result["ansible_facts"]["ansible_bootc"]["managed"] is None
    assert result["ansible_facts"]["ansible_bootc"]["error"] == "not_root"
    assert "become" in str(result["warnings"])


def test_an_overlay_is_predicted_mounted_and_left(host: Any, documents: Any) -> None:
    host.set(documents("booted"), {"bootc usr-overlay": {"after": documents("usr-overlay")}})
    predicted, done, again = (host.run("bootc_usr_overlay", check_mode=check) for check in (True, False, False))
    assert (predicted["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert predicted["diff"] == done["diff"]
    assert host.calls.count("bootc usr-overlay") == 1
    gone = host.run("bootc_usr_overlay", state="absent")
    assert (gone["changed"], gone["reboot_required"]) == (False, True)
    assert gone["warnings"]
    assert host.run("bootc_usr_overlay", read_only=True)["error"] == "bootc_refused"


def test_a_hotfix_stays_over_reboots(host: Any, documents: Any) -> None:
    host.set(documents("usr-overlay").replace('"transient"', '"persistent"'))
    result = host.run("bootc_usr_overlay", state="absent")
    assert result["error"] == "bootc_refused"
    assert "hotfix" in result["msg"]


def test_a_read_only_overlay_needs_a_newer_bootc(host: Any, documents: Any) -> None:
    host.set(documents("booted"))
    (host.base / "version").write_text("bootc 1.14.2")
    result = host.run("bootc_usr_overlay", check_mode=True, read_only=True)
    assert (result["error"], result["bootc_version_needed"]) == ("bootc_unsupported", "1.15.0")


def test_an_overlay_that_does_not_come_is_not_believed(host: Any, documents: Any) -> None:
    host.set(documents("booted"), {"bootc usr-overlay": {"rc": 0}})
    result = host.run("bootc_usr_overlay")
    assert (result["error"], result["changed"]) == ("bootc_ignored", False)


@pytest.mark.parametrize("indexed", [False, True])
def test_composefs_before_1_16_4_is_known_by_its_configuration(host: Any, documents: Any, indexed: bool) -> None:
    """bootc reports the digest of the configuration as that of the image there (contract.md 2.2)."""
    document = json.loads(documents("composefs"))
    booted = document["status"]["booted"]["image"]
    name = booted["image"]["image"]
    manifest = json.dumps({"schemaVersion": 2, "config": {"digest": booted["imageDigest"]}, "layers": []})
    digest = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
    index = json.dumps({"manifests": [{"digest": digest, "platform": {"architecture": "amd64", "os": "linux"}}]})
    there = {name: index if indexed else manifest, f"{name.rpartition(':')[0]}@{digest}": manifest}
    host.set(json.dumps(document), registry=there, version="bootc 1.16.3")
    for options in ({}, {"digest": digest}):
        result = host.run("bootc_upgrade", **options)
        assert (result.get("changed"), result.get("commands")) == (False, []), result
    remote = host.run("bootc_info", gather=["update"])["remote"]
    assert (remote["booted"], remote["digest"]) == (True, digest)


@pytest.mark.parametrize(
    ("module", "command", "status"),
    [("bootc_rollback", "bootc rollback", "booted-rollback"), ("bootc_usr_overlay", "bootc usr-overlay", "booted")],
)
def test_what_was_done_is_not_denied_when_the_status_cannot_be_read_afterwards(
    host: Any, documents: Any, module: str, command: str, status: str
) -> None:
    host.set(documents(status), {command: {"after": '{"kind": '}})
    result = host.run(module)
    assert command in host.calls
    assert (result["error"], result["changed"]) == ("bootc_status_invalid", True)


def test_what_is_left_empty_in_a_list_is_not_in_it(host: Any, documents: Any) -> None:
    """As C(gather: ["{{ 'timer' if asked else '' }}"]) leaves it."""
    host.set(documents("booted"))
    assert host.run("bootc_info", gather=[""])["managed"]
    assert "timer" in host.run("bootc_info", gather=["", "timer"])


@pytest.mark.parametrize("nothing", ["", None])
def test_what_is_left_empty_is_unset(host: Any, documents: Any, nothing: str | None) -> None:
    """AWX surveys send "", and a variable that is left empty in YAML is null."""
    document = documents("booted")
    image = json.loads(document)["status"]["booted"]["image"]
    host.set(document, registry={image["image"]["image"]: image["imageDigest"]})
    assert not host.run("bootc_info", gather=nothing, timeout=nothing, required=nothing).get("failed")
    options = dict.fromkeys(("transport", "retain", "soft_reboot", "digest", "timeout", "lock_timeout"), nothing)
    switched = host.run("bootc_switch", image=image["image"]["image"], **options)
    assert not switched.get("failed"), switched
    assert not switched["changed"]


@pytest.mark.parametrize(
    ("image", "hint"),
    [
        ("oci:/media/os", "'transport: oci' with 'image: /media/os'"),
        ("containers-storage:localhost/os:1", "'transport: containers-storage' with 'image: localhost/os:1'"),
        ("registry.test/OS:1", "registry/repository:tag"),
    ],
)
def test_a_transport_before_an_image_is_told_where_it_goes(host: Any, documents: Any, image: str, hint: str) -> None:
    host.set(documents("booted"))
    refused = host.run("bootc_switch", image=image)
    assert refused["error"] == "reference_invalid"
    assert hint in refused["hint"]


def test_a_managed_host_is_not_taken_over(host: Any, documents: Any) -> None:
    host.set(documents("booted"))
    options = {"image": "registry.test/os:1", "keep_network": False, "keep_root_ssh_keys": False}
    result = host.run("bootc_install_existing_root", check_mode=True, **options)
    booted = json.loads(documents("booted"))["status"]["booted"]["image"]["image"]["image"]
    assert (result["error"], result["changed"]) == ("host_managed", False), result
    assert result["msg"] == f"This machine runs a bootable container image already: {booted}."
    assert "bootc_switch" in result["hint"]


def test_a_stage_that_is_gone_is_told_to_who_wants_to_apply_it(host: Any, documents: Any) -> None:
    host.set(documents("booted"))
    for check_mode in (True, False):
        result = host.run("bootc_upgrade", check_mode=check_mode, from_downloaded=True, digest=NEW)
        assert (result["error"], result["changed"]) == ("no_staged_deployment", False), result
        assert result["msg"] == f"Nothing is staged on this host, and it does not run {NEW}."
        assert "'download_only: true'" in result["hint"]
    assert not [call for call in host.calls if call.startswith("bootc upgrade")]
