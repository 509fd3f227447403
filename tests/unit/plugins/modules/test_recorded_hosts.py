# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The day-2 modules on hosts that answer as the recorded ones did: check mode says what the real run then does."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.plan import footprint
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import parse_status
from ansible_collections.imagemode.bootc.tests.unit.plugins.module_utils.bootc import test_plan_recordings as recorded

NEW = "sha256:" + "7" * 64
VERBS = ("bootc upgrade", "bootc switch", "bootc rollback")


def _asked(name: str, words: list[str]) -> tuple[str, dict[str, Any]]:
    if words[1] == "switch":
        return "bootc_switch", {"image": words[-1]}
    if words[1] == "rollback":
        return "bootc_rollback", {"state": "cancelled" if name.endswith(("-again", "-undo")) else "queued"}
    flags = {"download_only": "--download-only", "from_downloaded": "--from-downloaded"}
    return "bootc_upgrade", {option: True for option, flag in flags.items() if flag in words}


def _usable(parameters: Any) -> bool:
    backend, step, _stable = parameters.values
    key = (backend, step["name"])
    return (
        step["cmd"].startswith(VERBS)
        and step["rc"] == 0
        and not any(word in step["cmd"] for word in ("--check", "--tag", "|", ";", "--soft-reboot"))
        and key not in recorded.BETTER
        and key not in recorded.REFUSED
    )


@pytest.mark.parametrize(("backend", "step", "stable"), [parameters for parameters in recorded.STEPS if _usable(parameters)])
def test_check_mode_predicts_what_the_run_does(host: Any, backend: str, step: dict[str, Any], stable: str) -> None:
    before, after = json.dumps(step["before"]), json.dumps(step["after"])
    words = [word for word in shlex.split(step["cmd"]) if word != "--quiet"]
    command = recorded.OTHER_COMMAND.get((backend, step["name"]), " ".join(words))
    images = {
        source.image: recorded._remote(backend, source, stable).digest
        for document in (before, after)
        for source in [parse_status(document).spec]
        if source
    }
    host.set(before, {command: {"after": after, "stdout": step["stdout"]}}, images)
    module, options = _asked(step["name"], words)
    changes = footprint(parse_status(before)) != footprint(parse_status(after))

    predicted = host.run(module, check_mode=True, **options)
    assert not any(call.startswith(VERBS) for call in host.calls), "check mode ran a verb"
    done = host.run(module, **options)

    assert done["changed"] is predicted["changed"] is changes
    assert predicted["commands"] == done["commands"]
    for fact in ("digest", "reboot_required"):
        assert predicted[fact] == done[fact], fact
    for slot in ("booted", "staged", "rollback"):
        for fact in ("image", "digest", "download_only"):
            assert (predicted["after"][slot] or {}).get(fact) == (done["after"][slot] or {}).get(fact)
    assert predicted["diff"] == done["diff"]

    if changes and module != "bootc_rollback":
        again = host.run(module, **options)
        assert again["changed"] is False, again["reason"]


@pytest.mark.parametrize(("document", "slot"), [("booted", "booted"), ("booted-staged", "staged"), ("composefs", "booted")])
@pytest.mark.parametrize("module", ["bootc_upgrade", "bootc_switch"])
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_digest_that_is_there_needs_status_alone(
    host: Any, documents: Any, document: str, slot: str, module: str, check_mode: bool
) -> None:
    host.set(documents(document))
    status = parse_status(documents(document))
    deployment = getattr(status, slot)
    options = {"image": deployment.image.source.image} if module == "bootc_switch" else {}
    result = host.run(module, check_mode=check_mode, digest=deployment.digest, **options)
    assert result["changed"] is False, result
    assert host.calls == ["bootc status --json --format-version=1"]


def test_a_variable_named_container_does_not_hide_the_host(host: Any, documents: Any) -> None:
    host.set(documents("booted"))
    assert host.run("bootc_info", environment={"container": "oci"})["managed"] is True


def test_empty_strings_count_as_unset(host: Any, documents: Any) -> None:
    document = documents("booted")
    image = parse_status(document).spec.image  # type: ignore[union-attr]
    host.set(document)
    assert host.run("bootc_switch", image=image, digest="")["changed"] is False
    assert host.run("bootc_switch", image="")["error"] == "option_invalid"


@pytest.mark.parametrize(
    ("module", "options"),
    [("bootc_upgrade", {}), ("bootc_switch", {"image": "registry.test/os:1"}), ("bootc_rollback", {}), ("bootc_info", {"required": True})],
)
def test_a_host_that_bootc_does_not_manage(host: Any, documents: Any, module: str, options: dict[str, Any]) -> None:
    host.set(documents("not-booted-or-container"))
    result = host.run(module, **options)
    assert result["failed"]
    assert result["error"] == "host_not_managed"
    assert result["hint"]
    host.without("bootc")
    result = host.run(module, **options)
    assert result["error"] == "bootc_missing"
    assert result["changed"] is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no document",
        '{"apiVersion":"org.containers.bootc/v1","kind":"Boot',
        '{"apiVersion":"org.containers.bootc/v9","kind":"BootcHost"}',
        '{"apiVersion":"org.containers.bootc/v1","kind":"BootcHost","status":{"booted":{"image":{"image":{}}}}}',
        "[]",
    ],
)
def test_a_status_document_that_cannot_be_read(host: Any, text: str) -> None:
    host.set(text)
    result = host.run("bootc_upgrade")
    assert result["error"] == "bootc_status_invalid"
    assert result["changed"] is False


def test_text_before_the_status_document_is_skipped(host: Any, documents: Any) -> None:
    host.set("Waiting for sysroot lock...\n" + documents("booted"))
    assert host.run("bootc_info")["managed"] is True


def test_a_moved_tag_is_an_error_before_anything_is_staged(host: Any, documents: Any) -> None:
    document = documents("booted")
    host.set(document, registry={parse_status(document).spec.image: "sha256:" + "1" * 64})  # type: ignore[union-attr]
    result = host.run("bootc_upgrade", digest="sha256:" + "2" * 64)
    assert (result["error"], result["changed"]) == ("digest_mismatch", False)
    assert result["msg"] == f"'quay.io/example/os:latest' is sha256:{'1' * 64} in the registry, not sha256:{'2' * 64}."
    assert f"bootc_switch with 'image: quay.io/example/os@sha256:{'2' * 64}'" in result["hint"]
    assert not any(call.startswith(VERBS) for call in host.calls)


def test_a_verb_that_changes_nothing_is_not_believed(host: Any, documents: Any) -> None:
    image = "registry.test/other:1"
    host.set(documents("booted"), {f"bootc switch {image}": {"rc": 0}}, {image: "sha256:" + "1" * 64})
    result = host.run("bootc_switch", image=image)
    assert result["error"] == "bootc_ignored"
    assert result["changed"] is False


def test_a_verb_that_leads_elsewhere_is_told_of(host: Any, documents: Any) -> None:
    """Something else was staged at the same time, or bootc knows the image by another digest."""
    image, other = "registry.test/other:1", "sha256:" + "8" * 64
    document = json.loads(documents("booted"))
    booted = document["status"]["booted"]
    staged = {**booted, "image": {**booted["image"], "imageDigest": other}, "softRebootCapable": True}
    after = {**document, "status": {**document["status"], "staged": staged}}
    steps, registry = {f"bootc switch {image}": {"after": json.dumps(after)}}, {image: NEW}
    host.set(json.dumps(document), steps, registry)
    result = host.run("bootc_switch", image=image)
    assert (result["changed"], result["digest"], result["reboot_required"], result["soft_reboot_capable"]) == (True, other, True, True)
    assert "left the host in another state than planned" in str(result["warnings"])
    name = booted["image"]["image"]["image"]
    assert result["diff"] == {
        "before": f"booted: {name} {booted['image']['imageDigest']}\nstaged: -\nrollback: -\nrollback queued: no\n",
        "after": f"booted: {name} {booted['image']['imageDigest']}\nstaged: {name} {other}\nrollback: -\nrollback queued: no\n",
    }
    host.set(json.dumps(document), steps, registry)
    refused = host.run("bootc_switch", image=image, digest=NEW)
    assert (refused["error"], refused["changed"]) == ("digest_mismatch", True)
    assert refused["msg"] == f"The host was to get {NEW} and got {other} by 'bootc switch -- {image}'."
    assert [refused[state]["staged"] and refused[state]["staged"]["digest"] for state in ("before", "after", "planned")] == [
        None,
        other,
        NEW,
    ]


def test_an_old_bootc_is_told_before_anything_runs(host: Any, documents: Any) -> None:
    document = documents("booted")
    host.set(document, registry={parse_status(document).spec.image: "sha256:" + "1" * 64})  # type: ignore[union-attr]
    (host.base / "version").write_text("bootc 1.1.6")
    result = host.run("bootc_upgrade", download_only=True)
    assert result["error"] == "bootc_unsupported"
    assert result["bootc_version_needed"] == "1.12.0"
    assert not any(call.startswith(VERBS) for call in host.calls)


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        ("reading manifest 1 in registry.test/nope: manifest unknown", "image_missing"),
        ("Requesting bearer token: invalid status code from registry 403 (Forbidden)", "registry_unauthorized"),
        ("pinging container registry: dial tcp: connect: connection refused", "registry_unreachable"),
        ("x509: certificate signed by unknown authority", "registry_tls"),
    ],
)
def test_a_registry_that_does_not_deliver(host: Any, documents: Any, stderr: str, code: str) -> None:
    host.set(documents("booted"), registry={"registry.test/nope:1": stderr})
    for check_mode in (True, False):
        result = host.run("bootc_switch", check_mode=check_mode, image="registry.test/nope:1")
        assert result["error"] == code
        assert result["hint"]
        assert result["changed"] is False


def test_what_was_prepared_for_a_soft_reboot_goes_with_what_was_staged(host: Any, documents: Any) -> None:
    """composefs: the user space of the former stage would boot."""
    document = json.loads(documents("composefs"))
    booted = document["status"]["booted"]
    staged = {**booted, "composefs": {**booted["composefs"], "verity": "7" * 128}}
    staged["image"] = {**booted["image"], "image": {"image": "registry.test/b:1", "transport": "registry"}, "imageDigest": NEW}
    after = {**document, "status": {**document["status"], "staged": staged}}
    forget = "umount --recursive --lazy /run/nextroot"
    steps = {forget: {}, "bootc switch registry.test/b:1": {"after": json.dumps(after)}}
    host.set(json.dumps(document), steps, {"registry.test/b:1": NEW})
    (host.base / "nextroot").write_text("")
    foreseen, done = (host.run("bootc_switch", image="registry.test/b:1", check_mode=check) for check in (True, False))
    assert done["changed"]
    assert foreseen["commands"] == done["commands"] == [forget, "bootc switch -- registry.test/b:1"]
    assert [call for call in host.calls if call in steps] == list(steps)


def test_a_stage_that_is_there_is_prepared_for_a_soft_reboot_and_not_changed(host: Any, documents: Any) -> None:
    document = documents("booted-staged")
    spec = parse_status(document).spec
    assert spec
    prepare = "ostree admin prepare-soft-reboot 0"
    host.set(document, {prepare: {}})
    result = host.run("bootc_switch", image=spec.image, soft_reboot="required")
    assert (result["changed"], result["commands"]) == (False, [prepare])
    (host.base / "nextroot").write_text("")
    assert host.run("bootc_switch", image=spec.image, soft_reboot="required")["commands"] == []


def test_a_rollback_that_is_not_needed_has_nothing_to_do_with_what_is_staged(host: Any, documents: Any) -> None:
    host.set(documents("booted-staged"))
    result = host.run("bootc_rollback", away_from=NEW, soft_reboot="auto")
    assert (result["changed"], result["commands"]) == (False, [])
