# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build, push and info against a real registry with real Podman and Buildah."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import PASSWORD, USER, LiveRegistry
from .faults import BadDay

DIGEST = f"sha256:{'0' * 64}"
Module = Callable[..., dict[str, Any]]


def _changed(module: Module, which: str, **options: Any) -> bool:
    """Run a module in check mode and for real; they agree."""
    predicted = module(which, check_mode=True, **options)
    done = module(which, **options)
    assert not done.get("failed"), done
    assert predicted["changed"] == done["changed"], (predicted, done)
    return bool(done["changed"])


def test_a_build_happens_when_an_input_changed_and_only_then(module: Module, context: Path, engine: str) -> None:
    options = {"name": f"built-by-{engine}:1", "context": str(context), "engine": engine}
    assert _changed(module, "oci_image_build", **options)
    assert not _changed(module, "oci_image_build", **options)

    def expect(reason: str, **more: Any) -> None:
        options.update(more)
        predicted = module("oci_image_build", check_mode=True, **options)
        assert predicted["changed"], reason
        assert any(reason in why for why in predicted["reasons"]), predicted["reasons"]
        done = module("oci_image_build", **options)
        assert done["reasons"] == predicted["reasons"]
        assert not module("oci_image_build", **options)["changed"]

    (context / "etc" / "motd").write_text("changed\n")
    expect("context file etc/motd changed")
    (context / "etc" / "motd").chmod(0o755)
    expect("context file etc/motd changed")
    (context / "etc" / "link").symlink_to("motd")
    expect("context file etc/link added")
    (context / "etc" / "link").unlink()
    (context / "etc" / "link").symlink_to("issue")
    expect("context file etc/link changed")
    expect("build argument RELEASE", build_args={"RELEASE": "2"})
    expect("label tier", labels={"tier": "web"})
    expect("secret id token", secrets=[{"id": "token", "value": "first"}])
    containerfile = context / "Containerfile"
    containerfile.write_text(containerfile.read_text() + "LABEL more=1\n")
    expect("the Containerfile changed")

    # What does not go in does not count: an ignored file, a touched one, another value of the same secret.
    (context / ".containerignore").write_text("*.log\n.containerignore\n")
    module("oci_image_build", **options)
    (context / "build.log").write_text("noise\n")
    os.utime(context / "etc" / "motd")
    options["secrets"] = [{"id": "token", "value": "second"}]
    assert not _changed(module, "oci_image_build", **options)


def test_a_push_changes_what_the_registry_has_and_only_then(module: Module, context: Path, registry: LiveRegistry, engine: str) -> None:
    name = f"{registry.address}/pushed-by-{engine}:1"
    plain = {"plain_http": True, "engine": engine}
    module("oci_image_build", name=name, context=str(context), **plain)
    first = module("oci_image_push", name=name, **plain)
    assert first["changed"], first
    assert first["digest"] == registry.digest(f"pushed-by-{engine}", "1")

    before = len(registry.requests)
    again = module("oci_image_push", name=name, **plain)
    assert not again["changed"]
    assert again["digest"] == first["digest"]
    sent = registry.requests[before:]
    assert len(sent) <= 2, sent
    assert not [line for line in sent if line.startswith(("PUT", "POST", "PATCH"))], sent

    other = name.replace(":1", ":stable")
    assert _changed(module, "oci_image_push", name=name, to=other, **plain), "a new tag is a change"
    assert not _changed(module, "oci_image_push", name=name, to=other, **plain)
    assert registry.digest(f"pushed-by-{engine}", "stable") == first["digest"]


def test_another_builder_finds_the_image_in_the_registry(module: Module, context: Path, registry: LiveRegistry) -> None:
    name = f"{registry.address}/shared:1"
    options = {"name": name, "context": str(context), "plain_http": True}
    module("oci_image_build", **options)
    module("oci_image_push", name=name, plain_http=True)
    subprocess.run(["podman", "rmi", name], check=True, capture_output=True)
    found = module("oci_image_build", **options)
    assert found["changed"], found
    assert found["reused"], found
    assert not module("oci_image_build", **options)["changed"]
    assert not module("oci_image_push", name=name, plain_http=True)["changed"]


@pytest.mark.parametrize("builder", ["podman", "buildah"])
@pytest.mark.parametrize("text", ["COPY etc /more", "LABEL more=1"])
def test_an_image_upon_the_image_is_another_one(
    module: Module, context: Path, registry: LiveRegistry, tmp_path: Path, builder: str, text: str
) -> None:
    """It has the labels of its base, the fingerprint too."""
    name = f"{registry.address}/improved-{builder}-{text[0].lower()}:1"
    options = {"name": name, "context": str(context), "engine": builder, "plain_http": True}
    module("oci_image_build", **options)
    (tmp_path / "other").write_text(f"FROM {name}\n{text}\n")
    subprocess.run([builder, "build", "-f", str(tmp_path / "other"), "-t", name, str(context)], check=True, capture_output=True)
    module("oci_image_push", name=name, engine=builder, plain_http=True)
    predicted = module("oci_image_build", check_mode=True, **options)
    assert predicted["reasons"] == ["the image that is there was not built by this module"]
    subprocess.run([builder, "rmi", "-f", name], check=True, capture_output=True)
    built = module("oci_image_build", **options)
    assert (built["changed"], built["reused"]) == (True, False), built
    assert _changed(module, "oci_image_push", name=name, engine=builder, plain_http=True)
    subprocess.run([builder, "rmi", "-f", name], check=True, capture_output=True)
    assert module("oci_image_build", **options)["reused"]
    assert not _changed(module, "oci_image_build", **options)


def test_a_new_digest_of_the_base_image_is_a_change(module: Module, context: Path, registry: LiveRegistry) -> None:
    base = f"{registry.address}/base:1"
    plain = {"plain_http": True}
    module("oci_image_build", name=base, context=str(context), **plain)
    module("oci_image_push", name=base, **plain)
    child = {"name": "child:1", "context": str(context), "content": f"FROM {base}\nLABEL child=1\n", **plain}
    assert _changed(module, "oci_image_build", **child)
    assert not _changed(module, "oci_image_build", **child)
    (context / "etc" / "motd").write_text("a newer base\n")
    module("oci_image_build", name=base, context=str(context), **plain)
    assert module("oci_image_push", name=base, **plain)["changed"]
    (context / "etc" / "motd").write_text("hello\n")
    predicted = module("oci_image_build", check_mode=True, **child)
    assert predicted["reasons"] == [f"base image {base} changed"]
    assert module("oci_image_build", **child)["changed"]


def test_a_base_without_a_registry_means_what_the_engine_means(
    module: Module, context: Path, registry: LiveRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    if engine == "docker":
        pytest.skip("Docker has no search registries: a name without a registry is Docker Hub's")
    conf = tmp_path / "registries.conf"
    conf.write_text(
        f'unqualified-search-registries = ["{registry.address}"]\n[[registry]]\nlocation = "{registry.address}"\n'
        f'insecure = true\n[aliases]\nfoundation = "{registry.address}/base"\n'
    )
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
    base = f"{registry.address}/base:2"
    module("oci_image_build", name=base, context=str(context))
    module("oci_image_push", name=base, plain_http=True)
    for short in ("foundation:2", "base:2"):
        child = {"name": f"{short.replace(':', '-')}-{engine}:1", "context": str(context), "content": f"FROM {short}\nLABEL child=1\n"}
        built = module("oci_image_build", engine=engine, **child)
        assert built["changed"], built
        assert not _changed(module, "oci_image_build", engine=engine, **child)
        assert built["base_images"][short] == registry.digest("base", "2")


def test_a_base_without_a_registry_is_docker_hubs_for_docker(
    module: Module, context: Path, docker: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in docker.items():
        monkeypatch.setenv(name, value)
    base = module("oci_image_build", name="hubs:1", context=str(context), engine="docker")
    child = {"name": "hubs-child:1", "context": str(context), "content": "FROM hubs:1\nLABEL child=1\n", "engine": "docker"}
    missed = module("oci_image_build", pull="never", **child)
    assert missed["error"] == "image_missing_local", missed
    assert "docker.io/library/hubs:1" in missed["msg"]
    subprocess.run(["docker", "tag", "localhost/hubs:1", "hubs:1"], check=True)
    for pull in ("never", "missing"):
        built = module("oci_image_build", pull=pull, force=True, **child)
        # The second time Docker makes the same image again.
        assert (built["changed"], built["base_images"]) == (pull == "never", {"hubs:1": base["image_id"]}), built
        assert not module("oci_image_build", pull=pull, **child)["changed"]


def test_info_says_what_the_registry_has(module: Module, context: Path, registry: LiveRegistry) -> None:
    name = f"{registry.address}/info:1"
    module("oci_image_build", name=name, context=str(context), labels={"containers.bootc": "1"}, plain_http=True)
    pushed = module("oci_image_push", name=name, plain_http=True)
    info = module("oci_image_info", name=name, plain_http=True, query='labels."containers.bootc"')
    assert info["exists"]
    assert info["bootc"]
    assert info["digest"] == pushed["digest"]
    assert info["image_id"] == pushed["image_id"]
    assert info["answer"] == "1"
    missing = module("oci_image_info", name=f"{registry.address}/nope:1", plain_http=True)
    assert missing["exists"] is False
    assert module("oci_image_info", name=f"{registry.address}/nope:1", plain_http=True, required=True)["error"] == "image_missing"


def test_info_says_what_an_update_transfers(module: Module, context: Path, registry: LiveRegistry) -> None:
    plain = {"plain_http": True}
    one, two = (f"{registry.address}/since:{number}" for number in (1, 2))
    module("oci_image_build", name=one, context=str(context), **plain)
    module("oci_image_push", name=one, **plain)
    module("oci_image_build", name=two, context=str(context), content=f"FROM {one}\nCOPY etc/motd /etc/issue\n", **plain)
    module("oci_image_push", name=two, **plain)
    info = module("oci_image_info", name=two, since=one, tags=True, attached=True, **plain)
    assert info["download"]["layers"] == 1
    assert info["download"]["digests"] == [info["layers"][-1]["digest"]]
    assert info["download"]["size"] == info["layers"][-1]["size"] < info["size"]
    assert (sorted(info["tags"]), info["attached"]) == (["1", "2"], [])
    with BadDay(registry.address).standing() as elsewhere:
        moved = module("oci_image_info", name=two, since=f"{elsewhere}/since:1", **plain)
        assert moved["download"] == info["download"]
    nothing = module("oci_image_info", name=two, since=two, **plain)
    assert nothing["download"] == {"digests": [], "layers": 0, "size": 0}
    assert module("oci_image_info", name=two, since=f"{registry.address}/since:3", **plain)["error"] == "image_missing"
    assert module("oci_image_info", name=f"{registry.address}/nope:1", tags=True, **plain)["tags"] == []


def test_a_wrong_password_is_one_code_whoever_pushes(
    module: Module, context: Path, engine: str, guarded_registry: LiveRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = f"{guarded_registry.address}/wrong:1"
    options = {"name": name, "engine": engine, "validate_certs": False}
    module("oci_image_build", context=str(context), **options)
    for login in ({}, {"username": USER, "password": "wrong"}):
        refused = module("oci_image_push", **options, **login)
        assert (refused["error"], refused["changed"]) == ("registry_unauthorized", False), refused


def test_a_private_registry_with_a_ca_of_its_own(module: Module, context: Path, guarded_registry: LiveRegistry) -> None:
    name = f"{guarded_registry.address}/private:1"
    ca = str(guarded_registry.base / "ca.crt")
    module("oci_image_build", name=name, context=str(context), reuse=False)
    assert module("oci_image_push", name=name)["error"] == "registry_tls"
    assert module("oci_image_push", name=name, ca_path=ca)["error"] == "registry_unauthorized"
    assert module("oci_image_push", name=name, ca_path=ca, username=USER, password="wrong")["error"] == "registry_unauthorized"
    login = {"ca_path": ca, "username": USER, "password": PASSWORD}
    assert module("oci_image_push", name=name, **login)["changed"]
    assert not module("oci_image_push", name=name, **login)["changed"]
    assert module("oci_image_info", name=name, **login)["exists"]


@pytest.mark.parametrize("address", ["https://git.example.com/os.git", "git@git.example.com:os.git"])
def test_a_context_that_is_elsewhere_is_told_how_to_be_fetched(module: Module, address: str) -> None:
    refused = module("oci_image_build", name="x:1", context=address)
    assert (refused["error"], address in refused["msg"], "ansible.builtin.git" in refused["hint"]) == ("option_invalid", True, True), (
        refused
    )


def test_a_list_where_one_image_is_asked_for_is_told(module: Module) -> None:
    refused = module("oci_image_info", name=["registry.test/os:1", "registry.test/os:2"])
    assert (refused["error"], "a list" in refused["msg"], "'loop'" in refused["hint"]) == ("reference_invalid", True, True), refused


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        ("oci_image_push", {"name": "127.0.0.1:1/nothing:1"}, "image_missing_local"),
        ("oci_image_info", {"name": "127.0.0.1:1/nothing:1", "retries": 0}, "registry_unreachable"),
        ("oci_image_info", {"name": "Not A Name"}, "reference_invalid"),
        ("oci_image_info", {"name": ""}, "option_invalid"),
        ("oci_image_build", {"name": "x:1", "context": "/does/not/exist"}, "option_invalid"),
        ("oci_image_build", {"name": f"x:1@{DIGEST}", "context": "/", "content": "FROM scratch"}, "option_invalid"),
        ("oci_image_build", {"name": "x:1", "tags": [f"x@{DIGEST}"], "context": "/", "content": "FROM scratch"}, "option_invalid"),
    ],
)
def test_bad_input_has_a_code_and_a_next_step(module: Module, name: str, options: dict[str, Any], code: str) -> None:
    result = module(name, **options)
    assert result["error"] == code, result
    assert result["hint"]
    assert result["changed"] is False


def test_empty_is_unset_whatever_the_type(module: Module, context: Path, registry: LiveRegistry) -> None:
    """AWX surveys send "" for numbers, choices, booleans and dictionaries, too."""
    name = f"{registry.address}/empty:1"
    of_registry = ("engine", "retries", "timeout", "validate_certs", "username", "password", "auth_file", "ca_path", "client_key")
    plain = {"plain_http": True, **dict.fromkeys(of_registry, "")}
    of_build = (
        "build_args",
        "labels",
        "annotations",
        "secrets",
        "tags",
        "platforms",
        "volumes",
        "ssh",
        "cache_from",
        "cache_to",
        "pull",
        "timestamp",
        "reuse",
        "force",
        "containerfile",
        "content",
        "target",
        "platform",
        "network",
        "log_path",
    )
    options = {**plain, **dict.fromkeys(of_build, "")}
    assert _changed(module, "oci_image_build", name=name, context=str(context), **options)
    assert not _changed(module, "oci_image_build", name=name, context=str(context), plain_http=True)
    secret = {"id": "a", "value": "x", "file": "", "env": ""}
    assert _changed(module, "oci_image_build", name=name, context=str(context), **{**options, "secrets": [secret]})
    assert _changed(module, "oci_image_push", name=name, to="", compression="", **plain)
    empty = dict.fromkeys(("attached", "tags", "required", "platform", "since", "query"), "")
    assert module("oci_image_info", name=name, **empty, plain_http=True, retries="", password="")["exists"]


def test_a_failed_build_names_its_step_and_leaves_the_image(module: Module, context: Path, engine: str) -> None:
    options = {"name": f"fails-{engine}:1", "context": str(context), "engine": engine}
    good = module("oci_image_build", **options)
    (context / "Containerfile").write_text("FROM scratch\nCOPY etc /etc\nCOPY missing /missing\n")
    bad = module("oci_image_build", **options)
    assert bad["error"] == "build_failed"
    assert "COPY missing" in bad["step"]
    assert bad["changed"] is False
    (context / "Containerfile").write_text("FROM scratch\nARG RELEASE=0\nLABEL release=$RELEASE\nCOPY etc /etc\n")
    assert module("oci_image_build", **options)["image_id"] == good["image_id"]
