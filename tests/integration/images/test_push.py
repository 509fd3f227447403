# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pushing on good days and on bad ones: what is sent, what the tag means afterwards, what a rerun does."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import USER, LiveRegistry, document, holders
from .faults import BadDay, Fault

Module = Callable[..., dict[str, Any]]
SENDS = ("PUT", "POST", "PATCH")


def test_unchanged_build_and_push_of_three_tags_cost_four_requests(
    module: Module, context: Path, registry: LiveRegistry, engine: str
) -> None:
    plain = {"plain_http": True, "engine": engine}
    base = f"{registry.address}/tags-base-{engine}:1"
    module("oci_image_build", name=base, context=str(context), **plain)
    module("oci_image_push", name=base, **plain)
    name = f"{registry.address}/tags-by-{engine}:1"
    build = {"name": name, "context": str(context), "content": f"FROM {base}\nLABEL child=1\n", **plain}
    push = {"name": name, "to": [name, name + ".4", name + ".4.2"], **plain}
    module("oci_image_build", **build)
    planned = module("oci_image_push", check_mode=True, **push)
    first = module("oci_image_push", **push)
    assert [tag["changed"] for tag in planned["pushed"]] == [tag["changed"] for tag in first["pushed"]] == [True] * 3
    assert {tag["digest"] for tag in first["pushed"]} == {registry.digest(f"tags-by-{engine}", "1")}

    before = len(registry.requests)
    assert not module("oci_image_build", **build)["changed"]
    again = module("oci_image_push", **push)
    assert not again["changed"]
    assert {tag["digest"] for tag in again["pushed"]} == {first["digest"]}
    assert len(registry.requests) - before <= 4, registry.requests[before:]

    before = len(registry.requests)
    push["to"] = [*push["to"], name + ".5"]
    planned = module("oci_image_push", check_mode=True, **push)
    more = module("oci_image_push", **push)
    assert [tag["changed"] for tag in more["pushed"]] == [False, False, False, True]
    assert [tag["digest"] for tag in planned["pushed"]] == [tag["digest"] for tag in more["pushed"]] == [first["digest"]] * 4
    sent = [line for line in registry.requests[before:] if line.startswith(SENDS)]
    assert len(sent) == 1, "the new tag is one manifest; no layer is sent again"


def test_an_image_is_pushed_by_its_id_and_a_tag_that_is_named_twice_is_pushed_once(
    module: Module, context: Path, registry: LiveRegistry, engine: str
) -> None:
    plain = {"plain_http": True, "engine": engine}
    image = module("oci_image_build", name=f"by-id-{engine}:1", context=str(context), engine=engine)["image_id"]
    bare = image.partition(":")[2]
    for text in (image, bare):
        nowhere = module("oci_image_push", name=text, **plain)
        assert (nowhere["error"], nowhere["changed"]) == ("option_invalid", False), nowhere
    to = [f"{registry.address}/by-id-{engine}:1"] * 2
    pushed = module("oci_image_push", name=image, to=to, **plain)
    assert ([tag["changed"] for tag in pushed["pushed"]], pushed["image_id"]) == ([True], image), pushed
    assert registry.digest(f"by-id-{engine}", "1") == pushed["digest"]
    assert not module("oci_image_push", name=bare, to=to, **plain)["changed"], "as podman_image returns it"
    for options in ({"name": image}, {"name": bare}, {"name": "x:1", "tags": [image]}):
        named = module("oci_image_build", context=str(context), engine=engine, **options)
        assert (named.get("error"), named["changed"]) == ("reference_invalid", False), named


def test_check_mode_sees_the_push_of_what_is_not_built_yet(module: Module, context: Path, registry: LiveRegistry, engine: str) -> None:
    plain = {"plain_http": True, "engine": engine}
    name = f"{registry.address}/ahead-{engine}:1"
    for release in ("1", "2"):
        build = {"name": name, "context": str(context), "build_args": {"RELEASE": release}, **plain}
        planned = module("oci_image_build", check_mode=True, **build)
        there = registry.digest(f"ahead-{engine}", "1")
        ahead = module("oci_image_push", check_mode=True, name=name, built=planned["changed"], **plain)
        by_id = module("oci_image_push", check_mode=True, name=planned["image_id"], to=[name], built=planned["changed"], **plain)
        for predicted in (ahead, by_id):
            assert (predicted["changed"], predicted["digest"], predicted["image_id"]) == (True, None, None), predicted
            assert (predicted["before_digest"], predicted["reason"]) == (there, "the image is built first")
        if there is None:
            missing = module("oci_image_push", check_mode=True, name=name, **plain)
            assert (missing["error"], "'built'" in missing["hint"]) == ("image_missing_local", True), missing
        built = module("oci_image_build", **build)
        assert module("oci_image_push", name=name, built=built["changed"], **plain)["changed"]
    again = module(
        "oci_image_push", check_mode=True, name=name, built=module("oci_image_build", check_mode=True, **build)["changed"], **plain
    )
    assert (again["changed"], again["digest"]) == (False, registry.digest(f"ahead-{engine}", "1")), again


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_layers_are_compressed_as_asked_although_the_registry_has_them_otherwise(
    module: Module, context: Path, registry: LiveRegistry, builder: str
) -> None:
    (context / "etc" / "data").write_bytes(os.urandom(100_000) * 20)
    name = f"{registry.address}/compressed-by-{builder}:1"
    options = {"name": name, "engine": builder, "plain_http": True}
    module("oci_image_build", context=str(context), **options)
    first = module("oci_image_push", **options)
    assert "warnings" not in first

    def layers() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = document(registry, f"compressed-by-{builder}", "1")["layers"]
        return found

    assert {layer["mediaType"] for layer in layers()} == {"application/vnd.oci.image.layer.v1.tar+gzip"}, "the default"
    assert not module("oci_image_push", compression="gzip", **options)["changed"], "gzip is what is there"

    for compression, chunked in (("zstd:chunked", True), ("zstd", False)):
        predicted = module("oci_image_push", check_mode=True, compression=compression, **options)
        done = module("oci_image_push", compression=compression, **options)
        assert predicted["changed"]
        assert done["changed"], done
        assert done["image_id"] == first["image_id"]
        assert done["digest"] == registry.digest(f"compressed-by-{builder}", "1") != first["digest"]
        assert "composefs" in json.dumps(done["warnings"]), done
        assert {layer["mediaType"] for layer in layers()} == {"application/vnd.oci.image.layer.v1.tar+zstd"}
        assert all(("zstd-chunked" in json.dumps(layer)) == chunked for layer in layers())
        again = module("oci_image_push", compression=compression, **options)
        assert (again["changed"], again["digest"]) == (False, done["digest"])
    assert not module("oci_image_push", **options)["changed"], "without a wish, what is there will do"


def test_a_push_waits_as_long_as_the_registry_asks(module: Module, context: Path, registry: LiveRegistry, engine: str) -> None:
    """A busy registry and a broken one; the engine's uploads and the module's own questions."""
    day = BadDay(
        registry.address,
        Fault("GET", "/manifests/", 429, {"Retry-After": "2"}),
        Fault("POST", "/blobs/uploads/", 503, times=2),
    )
    with day.standing() as address:
        name = f"{address}/busy-{engine}:1"
        options = {"name": name, "engine": engine, "plain_http": True}
        module("oci_image_build", context=str(context), reuse=False, **options)
        pushed = module("oci_image_push", **options)
        assert pushed["changed"], pushed
        assert pushed["digest"] == registry.digest(f"busy-{engine}", "1")
        first, second = [moment for method, path, moment in day.requests if method == "GET" and "/manifests/" in path][:2]
        assert second - first >= 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_repository_that_the_first_push_makes_is_hidden_until_then(
    module: Module, context: Path, registry: LiveRegistry, engine: str, status: int
) -> None:
    """As Quay, GHCR and Docker Hub do it."""
    day = BadDay(registry.address, Fault("GET", "/manifests/", status, times=2))
    with day.standing() as address:
        options = {"name": f"{address}/hidden-{engine}-{status}:1", "engine": engine, "plain_http": True}
        built = module("oci_image_build", context=str(context), **options)
        assert (built["changed"], built["reused"]) == (True, False), built
        assert str(status) in json.dumps(built["warnings"])
        pushed = module("oci_image_push", **options)
        assert (pushed["changed"], pushed["before_digest"]) == (True, None), pushed
        assert not module("oci_image_push", **options)["changed"]


def test_a_wrong_password_is_an_error_in_check_mode_too(module: Module, context: Path, guarded_registry: LiveRegistry) -> None:
    """A registry that does not say who may not look is told from one that does not let this user in."""
    options = {"name": f"{guarded_registry.address}/wrong:1", "ca_path": f"{guarded_registry.base}/ca.crt", "engine": "podman"}
    module("oci_image_build", context=str(context), reuse=False, **options)
    for check_mode in (True, False):
        wrong = module("oci_image_push", check_mode=check_mode, username=USER, password="wrong-canary", **options)
        assert (wrong["error"], wrong["changed"]) == ("registry_unauthorized", False), wrong
        assert "password" in wrong["hint"]
    assert "does not let" in module("oci_image_push", check_mode=True, **options)["reason"], "nobody gave credentials"


@pytest.mark.parametrize("target", ["dir:/tmp/x", "oci:x:1", "oci-archive:x.tar", "docker-archive:/x.tar", "docker-daemon:os:1", "/tmp/x"])
def test_a_push_goes_to_registries_and_where_else_is_told(module: Module, target: str) -> None:
    refused = module("oci_image_push", name="os:1", to=[target])
    assert (refused["error"], refused["changed"]) == ("option_invalid", False), refused
    assert target in refused["msg"]
    assert "oci_image_copy" in refused["hint"]


def test_a_registry_may_be_called_as_a_transport_is(module: Module) -> None:
    assert module("oci_image_push", name="never-built:1", to=["dir:5000/os:1"])["error"] == "image_missing_local"


def test_a_build_does_not_wait_for_its_registry_to_be_there(module: Module, context: Path) -> None:
    built = module("oci_image_build", name="127.0.0.1:1/nobody:1", context=str(context), retries=0)
    assert built["changed"], built
    assert "127.0.0.1:1" in json.dumps(built["warnings"])


def test_a_push_is_repeated_only_as_often_as_asked(module: Module, context: Path, registry: LiveRegistry) -> None:
    day = BadDay(registry.address, Fault("PATCH", "/blobs/uploads/", 503, times=1000))
    with day.standing() as address:
        options = {"name": f"{address}/never:1", "engine": "podman", "plain_http": True}
        module("oci_image_build", context=str(context), reuse=False, **options)
        failed = module("oci_image_push", retries=0, **options)
    assert (failed["error"], failed["changed"]) == ("registry_unavailable", False), failed
    assert registry.digest("never", "1") is None


@pytest.mark.parametrize("pusher", ["podman", "buildah"])
def test_a_connection_that_is_cut_leaves_the_tag_and_a_rerun_repairs(
    module: Module, context: Path, registry: LiveRegistry, pusher: str
) -> None:
    path = f"cut-{pusher}"
    plain = {"engine": pusher, "plain_http": True, "retries": 0}
    name = f"{registry.address}/{path}:1"
    module("oci_image_build", name=name, context=str(context), **plain)
    before = module("oci_image_push", name=name, **plain)["digest"]
    (context / "etc" / "more").write_bytes(os.urandom(3_000_000))
    module("oci_image_build", name=name, context=str(context), **plain)
    cut = BadDay(registry.address, Fault("PATCH", "/blobs/uploads/", times=1000))
    with cut.standing() as address:
        failed = module("oci_image_push", name=name, to=f"{address}/{path}:1", **plain)
    assert failed["error"] == "registry_answer_incomplete", failed
    assert failed["hint"]
    assert failed["changed"] is False
    assert registry.digest(path, "1") == before
    repaired = module("oci_image_push", name=name, **plain)
    assert repaired["changed"]
    assert repaired["digest"] == registry.digest(path, "1") != before
    assert not module("oci_image_push", name=name, **plain)["changed"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_killed_push_leaves_the_tag_no_process_and_no_file_and_a_rerun_repairs(
    module: Module, context: Path, registry: LiveRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    path = f"killed-{number.name.lower()}"
    plain = {"engine": "podman", "plain_http": True}
    name = f"{registry.address}/{path}:1"
    module("oci_image_build", name=name, context=str(context), **plain)
    before = module("oci_image_push", name=name, **plain)["digest"]
    (context / "etc" / "more").write_bytes(os.urandom(3_000_000))
    module("oci_image_build", name=name, context=str(context), **plain)
    fault = Fault("PATCH", "/blobs/uploads/", hold=threading.Event(), times=1000)
    with BadDay(registry.address, fault).standing() as address:
        options = {"name": name, "to": [f"{address}/{path}:1"], "username": "somebody", "password": "canary-of-a-push", **plain}
        process = subprocess.Popen(
            [sys.executable, "-m", "ansible_collections.imagemode.bootc.plugins.modules.oci_image_push"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
        process.stdin.close()
        assert fault.met.wait(30)
        secret = base64.b64encode(b"somebody:canary-of-a-push").decode()
        assert holders(secret), "while it works"
        process.send_signal(number)
        process.wait(20)
        time.sleep(0.5)
        running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert address not in running, "the engine ends with the module"
        assert fault.hold
        fault.hold.set()
    assert not list(tmp_path.glob("imagemode-*"))
    assert holders(secret) == []
    assert registry.digest(path, "1") == before
    assert module("oci_image_push", name=name, **plain)["changed"]
    assert registry.digest(path, "1") != before
