# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What oci_image_build can be told, on each engine."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .artifacts import put_image
from .conftest import LiveRegistry, document
from .test_engines import programs

Module = Callable[..., dict[str, Any]]


def another_storage(tmp_path: Path, number: int) -> str:
    conf = tmp_path / f"storage-{number}.conf"
    conf.write_text(f'[storage]\ndriver = "vfs"\nrunroot = "{tmp_path}/run{number}"\ngraphroot = "{tmp_path}/graph{number}"\n')
    return str(conf)


def test_further_tags_are_set_without_a_build(module: Module, context: Path, engine: str) -> None:
    options = {"name": f"tagged-{engine}:1", "context": str(context), "engine": engine}
    built = module("oci_image_build", **options)
    assert built["tagged"] == []
    options["tags"] = [f"tagged-{engine}:stable"]
    predicted = module("oci_image_build", check_mode=True, **options)
    done = module("oci_image_build", **options)
    for result in (predicted, done):
        assert (result["changed"], result["reasons"], result["tagged"]) == (True, [], [f"localhost/tagged-{engine}:stable"]), result
        names = {f"localhost/tagged-{engine}:{tag}": built["image_id"] for tag in ("1", "stable")}
        assert result["diff"]["after"].pop("names") == names
        assert result["diff"]["before"].pop("names") == {f"localhost/tagged-{engine}:1": built["image_id"]}
        assert result["diff"]["before"] == result["diff"]["after"]
    assert not module("oci_image_build", **options)["changed"]


def test_what_was_named_before_a_further_name_failed_is_a_change(
    module: Module, context: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is the real one behind a script that does not give one of the names."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin/podman"
    script.write_text(f'#!/bin/sh\ncase "$*" in "tag "*:broken) exit 1 ;; esac\nexec {shutil.which("podman")} "$@"\n')
    script.chmod(0o755)
    options = {"name": "half-named:1", "context": str(context), "tags": ["half-named:fine", "half-named:broken"], "engine": "podman"}
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
        for changed in (True, False):
            failed = module("oci_image_build", **options)
            assert (failed["error"], failed["changed"]) == ("engine_failed", changed), failed
    done = module("oci_image_build", **options)
    assert (done["changed"], done["tagged"]) == (True, ["localhost/half-named:broken"]), done


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_two_builders_make_the_same_digest(
    module: Module, context: Path, registry: LiveRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: str
) -> None:
    """Two storages, two contexts with other times, one digest in the registry."""
    digests = []
    for number in (1, 2):
        monkeypatch.setenv("CONTAINERS_STORAGE_CONF", another_storage(tmp_path, number))
        (context / "etc/motd").write_text("hello\n")
        name = f"{registry.address}/same-{builder}-{number}:1"
        options = {"name": name, "engine": builder, "plain_http": True}
        result = module("oci_image_build", context=str(context), timestamp=1700000000, **options)
        assert result["changed"], result
        digests.append(module("oci_image_push", **options)["digest"])
    assert digests[0] == digests[1]


def test_the_date_may_come_from_the_environment(module: Module, context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"name": "dated-by-epoch:1", "context": str(context), "engine": "podman"}
    image_id = module("oci_image_build", timestamp=1700000000, **options)["image_id"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    same = module("oci_image_build", **options)
    assert (same["changed"], same["image_id"]) == (False, image_id), same
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    assert not module("oci_image_build", timestamp=1700000000, **options)["changed"], "the option wins"
    other = module("oci_image_build", **options)
    assert (other["changed"], other["reasons"]) == (True, ["option timestamp changed"]), other
    for text, error in (("soon", "option_invalid"), ("", None)):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
        assert module("oci_image_build", check_mode=True, **options).get("error") == error


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_a_forced_build_is_a_change_if_the_image_is_another_one(module: Module, context: Path, builder: str) -> None:
    options = {"name": f"forced-{builder}:1", "context": str(context), "engine": builder, "force": True}
    first = module("oci_image_build", timestamp=1700000000, **options)
    assert first["changed"], first
    assert module("oci_image_build", check_mode=True, timestamp=1700000000, **options)["changed"]
    same = module("oci_image_build", timestamp=1700000000, **options)
    assert (same["changed"], same["image_id"], same["reasons"]) == (False, first["image_id"], ["a build was forced"]), same
    assert same["diff"]["before"] == same["diff"]["after"]
    tags = [f"forced-{builder}:2"]
    tagged = module("oci_image_build", timestamp=1700000000, tags=tags, **options)
    assert (tagged["changed"], tagged["tagged"]) == (True, [f"localhost/{tags[0]}"]), tagged
    other = module("oci_image_build", tags=tags, **options)
    assert (other["changed"], other["tagged"]) == (True, [f"localhost/{tags[0]}"]), other
    names = {side: list(other["diff"][side]["names"].values()) for side in ("before", "after")}
    assert names == {"before": [first["image_id"]] * 2, "after": [other["image_id"]] * 2}


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_a_layer_of_another_time_does_not_change_the_digest(
    module: Module, context: Path, registry: LiveRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: str
) -> None:
    """In one of the storages the same was built before without a date: its layers are in the cache."""
    base = f"{registry.address}/dated-base-{builder}:1"
    put_image(base, platform.machine().replace("x86_64", "amd64").replace("aarch64", "arm64"))
    text = f"FROM {base} AS base\nCOPY etc /etc\nFROM base\nCOPY etc /more\n"
    options = {"context": str(context), "content": text, "engine": builder, "plain_http": True}
    ids = []
    for number in (1, 2):
        monkeypatch.setenv("CONTAINERS_STORAGE_CONF", another_storage(tmp_path, number))
        if number == 2:
            module("oci_image_build", name="before:1", **options)
        built = module("oci_image_build", name="dated:1", timestamp=1700000000, **options)
        assert built["changed"], built
        ids.append(built["image_id"])
        if number == 2:
            (context / "etc" / "motd").write_text("changed\n")
            log = module("oci_image_build", name="dated:1", timestamp=1700000000, log_path=str(tmp_path / "log"), **options)["log"]
            assert log
            assert (tmp_path / "log").read_text().count(" STEP 1/") == 2, "two stages, built once"
    assert ids[0] == ids[1]


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_layers_come_from_the_cache_in_a_registry(
    module: Module, context: Path, registry: LiveRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: str
) -> None:
    programs(context)
    cache = f"{registry.address}/cache-{builder}"
    options = {
        "name": "cached:1",
        "context": str(context),
        "engine": builder,
        "plain_http": True,
        "content": "FROM scratch\nCOPY root /\nRUN echo it ran > /ran\n",
    }
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", another_storage(tmp_path, 1))
    built = module("oci_image_build", cache_to=[cache], **options)
    assert built["changed"], built
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", another_storage(tmp_path, 2))
    again = module("oci_image_build", cache_from=[cache], **options)
    assert again["changed"], again
    assert any("pulled from remote" in line for line in again["log"]), again["log"]


def test_docker_takes_layers_from_an_image_that_tells_of_its_cache(
    module: Module, context: Path, registry: LiveRegistry, docker: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Podman and Buildah take a repository of layers, which C(cache_to) fills."""
    for name, value in docker.items():
        monkeypatch.setenv(name, value)
    programs(context)
    cache = f"{registry.address}/cache-docker:1"
    options = {"context": str(context), "engine": "docker", "plain_http": True, "network": "host"}
    options["content"] = "FROM scratch\nCOPY root /\nRUN echo it ran > /ran\n"
    built = module("oci_image_build", name=cache, build_args={"BUILDKIT_INLINE_CACHE": 1}, **options)
    assert built["changed"], built
    assert module("oci_image_push", name=cache, engine="docker", plain_http=True)["changed"]
    for words in (["image", "rm", "-f", cache], ["builder", "prune", "-af"]):
        subprocess.run(["docker", *words], check=True, capture_output=True)
    again = module("oci_image_build", name="cached-docker:1", cache_from=[cache], **options)
    assert again["changed"], again
    assert any("CACHED" in line for line in again["log"]), again["log"]


def test_a_run_instruction_sees_what_the_task_gives_it(
    module: Module, context: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """The build fails unless the agent answers, and the volume, where there are volumes, holds what it should."""
    programs(context)
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "word").write_text("given\n")
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        volumes = [] if engine == "docker" else [f"{tmp_path / 'volume'}:/given:ro"]
        check = "" if engine == "docker" else ' && read -r word < /given/word && [ "$word" = given ]'
        built = module(
            "oci_image_build",
            name=f"sees-{engine}:1",
            context=str(context),
            engine=engine,
            network="host",
            ssh=["default"],
            volumes=volumes,
            target="wanted",
            content="FROM scratch AS wanted\nCOPY root /\n"
            f'RUN --mount=type=ssh [ -S "$SSH_AUTH_SOCK" ]{check}\nFROM nowhere.test/unwanted:1\n',
        )
    assert built["changed"], built


@pytest.mark.parametrize("mount", ["source=etc,target=/seen", "type=bind,from=files,target=/seen"])
def test_a_run_instruction_sees_the_files_that_it_mounts_as_they_are_now(module: Module, context: Path, engine: str, mount: str) -> None:
    programs(context)
    text = (
        f'FROM scratch AS files\nCOPY etc /\nFROM scratch\nCOPY root /\nRUN --mount={mount} read -r word < /seen/motd; echo "it is $word"\n'
    )
    options = {"name": f"mounts-{engine}:1", "context": str(context), "engine": engine, "network": "host", "content": text}
    # Docker knows the same files again, whatever mounted them.
    for word in (f"first-{context.parent.name}", f"second-{context.parent.name}"):
        (context / "etc/motd").write_text(f"{word}\n")
        built = module("oci_image_build", **options)
        assert built["changed"], built
        assert any(f"it is {word}" in line for line in built["log"]), built["log"]
    assert not module("oci_image_build", **options)["changed"]


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_a_run_instruction_sees_another_volume_where_there_was_one(module: Module, context: Path, tmp_path: Path, builder: str) -> None:
    programs(context)
    text = 'FROM scratch\nCOPY root /\nRUN read -r word < /given/word; echo "it is $word"\n'
    options = {"name": f"volumes-{builder}:1", "context": str(context), "engine": builder, "content": text}
    for word in ("first", "second"):
        (tmp_path / word).mkdir()
        (tmp_path / word / "word").write_text(f"{word}\n")
        built = module("oci_image_build", volumes=[f"{tmp_path / word}:/given:ro"], **options)
        assert built["changed"], built
        assert any(f"it is {word}" in line for line in built["log"]), built["log"]


def test_a_run_instruction_sees_the_ssh_key_that_it_names(module: Module, context: Path, tmp_path: Path, engine: str) -> None:
    """Of a file with a key the engine makes an agent; the key itself is not in the container."""
    programs(context)
    key = tmp_path / "deploy key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", str(key)], check=True)
    options = {"name": f"keyed-{engine}:1", "context": str(context), "engine": engine, "network": "host"}
    text = 'FROM scratch\nCOPY root /\nRUN --mount=type=ssh,id={} [ -S "$SSH_AUTH_SOCK" ]\n'
    built = module("oci_image_build", ssh=[f"deploy={key}"], content=text.format("deploy"), **options)
    assert built["changed"], built
    other = module("oci_image_build", ssh=[f"deploy={key}"], content=text.format("other"), **options)
    assert other["error"] == "build_failed", other


def test_a_run_instruction_has_the_network_that_was_asked_for(module: Module, context: Path, engine: str) -> None:
    """With none, where containers run as they are, there is no other interface than the loopback."""
    programs(context)
    options = {
        "name": f"net-{engine}:1",
        "context": str(context),
        "engine": engine,
        "content": "FROM scratch\nCOPY root /\n"
        "RUN n=0; while read -r line; do case $line in *:*) n=$((n+1)) ;; esac; done < /proc/net/dev; [ $n = 1 ]\n",
    }
    cut_off = module("oci_image_build", network="none", **options)
    if engine == "docker":
        assert cut_off["changed"], cut_off
        if sum(":" in line for line in Path("/proc/net/dev").read_text().splitlines()) > 1:
            assert module("oci_image_build", network="host", **options)["error"] == "build_failed"
    else:
        assert "--network" in cut_off["msg"], "the tests' isolation, chroot, has the builder's network only, and the engine says so"


def test_no_output_shows_what_a_run_instruction_prints_of_a_secret(
    module: Module, context: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(context)
    secrets = {name: f"{name}-canary-one\n{name}-canary-two\n" for name in ("value", "env", "file")}
    (tmp_path / "key").write_text(secrets["file"])
    monkeypatch.setenv("BUILD_TOKEN", secrets["env"])
    mounts = " ".join(f"--mount=type=secret,id={name}" for name in secrets)
    shows = "; ".join(f'while read -r line; do echo "it is $line"; done < /run/secrets/{name}' for name in secrets)
    built = module(
        "oci_image_build",
        name="shows:1",
        context=str(context),
        network="host",
        log_path=str(tmp_path / "log"),
        content=f"FROM scratch\nCOPY root /\nRUN {mounts} {shows}\n",
        secrets=[
            {"id": "value", "value": secrets["value"]},
            {"id": "env", "env": "BUILD_TOKEN"},
            {"id": "file", "file": str(tmp_path / "key")},
        ],
    )
    assert built["changed"], built
    assert built["log"].count("it is ********") == 6, built["log"]
    assert "canary" not in (tmp_path / "log").read_text() + json.dumps({**built, "invocation": ""})


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_labels_and_annotations_are_in_the_registry(module: Module, context: Path, registry: LiveRegistry, builder: str) -> None:
    options = {"name": f"{registry.address}/named-{builder}:1", "engine": builder, "plain_http": True}
    module("oci_image_build", context=str(context), labels={"bootable": True, "tier": 1}, annotations={"org.test": "a word"}, **options)
    module("oci_image_push", **options)
    info = module("oci_image_info", name=options["name"], plain_http=True)
    assert (info["labels"]["bootable"], info["labels"]["tier"]) == ("true", "1")
    assert document(registry, f"named-{builder}", "1")["annotations"]["org.test"] == "a word"


def test_the_first_build_and_its_diff_say_what_changed(module: Module, context: Path) -> None:
    options = {"name": "why:1", "context": str(context)}
    assert module("oci_image_build", **options)["diff"]["before"] == {}
    changed = module("oci_image_build", check_mode=True, build_args={"RELEASE": "2"}, **options)
    assert changed["reasons"] == ["build argument RELEASE added"]
    before, after = changed["diff"]["before"], changed["diff"]["after"]
    assert {part for part in {*before, *after} if before.get(part) != after.get(part)} == {"args", "names"}
    assert module("oci_image_build", force=True, **options)["reasons"] == ["a build was forced"]


def test_a_label_may_have_blanks_in_its_name_where_the_engine_takes_it(module: Module, context: Path, engine: str) -> None:
    options = {
        "name": f"labelled-{engine}:1",
        "context": str(context),
        "engine": engine,
        "labels": {"this is a label": "this is the label's"},
    }
    for check_mode in (True, False):
        built = module("oci_image_build", check_mode=check_mode, **options)
        if engine == "docker":
            assert (built["error"], "LABEL" in built["hint"]) == ("engine_unsupported", True), built
        else:
            assert built["changed"], built
    if engine == "docker":
        del options["labels"]
        options["content"] = 'FROM scratch\nLABEL "this is a label"="x"\nCOPY etc /etc\n'
        assert module("oci_image_build", **options)["changed"]
    assert not module("oci_image_build", **options)["changed"]


def test_a_containerfile_as_text_needs_no_context(module: Module, context: Path, engine: str) -> None:
    base = f"without-context-base-{engine}:1"
    module("oci_image_build", name=base, context=str(context), engine=engine)
    options = {"name": f"without-context-{engine}:1", "content": f"FROM localhost/{base}\nLABEL child=1\n", "engine": engine}
    predicted = module("oci_image_build", check_mode=True, **options)
    built = module("oci_image_build", **options)
    assert (predicted["changed"], built["changed"]) == (True, True), built
    for check_mode in (True, False):
        again = module("oci_image_build", check_mode=check_mode, **options)
        assert (again["changed"], again["image_id"]) == (False, built["image_id"]), again
    files = {**options, "content": f"{options['content']}COPY etc /etc\n"}
    assert module("oci_image_build", **files)["error"] == "build_failed", "there is nothing to copy"
    assert module("oci_image_build", context=str(context), **files)["changed"]


@pytest.mark.parametrize("context", [None, ""])
def test_without_a_containerfile_as_text_there_is_a_context(module: Module, context: str | None) -> None:
    given = {} if context is None else {"context": context, "content": ""}
    refused = module("oci_image_build", name="x:1", **given)
    assert (refused["error"], "'content'" in refused["hint"]) == ("option_invalid", True), refused


def test_a_base_image_may_be_named_by_its_id(module: Module, context: Path, engine: str) -> None:
    image_id = module("oci_image_build", name=f"identified-{engine}:1", context=str(context), engine=engine)["image_id"]
    for number, text in enumerate((image_id, image_id.removeprefix("sha256:"))):
        child = {
            "name": f"of-an-id-{engine}:{number}",
            "context": str(context),
            "content": f"FROM {text}\nLABEL child=1\n",
            "engine": engine,
        }
        built = module("oci_image_build", **child)
        if engine == "docker":
            assert built["error"] == "engine_unsupported", built
            continue
        assert built["changed"], built
        assert built["base_images"] == {text: image_id}
        assert not module("oci_image_build", **child)["changed"]
    gone = module("oci_image_build", name="of-nothing:1", context=str(context), content=f"FROM {'0' * 64}\n")
    assert gone["error"] == "image_missing_local", gone


def test_a_checkout_whose_history_is_of_the_context_is_told(module: Module, context: Path) -> None:
    (context / ".git").mkdir()
    options = {"name": "history:1", "context": str(context), "check_mode": True}
    assert ".containerignore" in json.dumps(module("oci_image_build", **options)["warnings"])
    for pattern in (".git", ".git/**"):
        (context / ".containerignore").write_text(f"{pattern}\n")
        assert "warnings" not in module("oci_image_build", **options)


def test_a_context_may_be_an_archive(module: Module, context: Path, tmp_path: Path, engine: str) -> None:
    options = {"name": f"archived-{engine}:1", "engine": engine}
    module("oci_image_build", context=str(context), **options)
    archive = tmp_path / "context.tar.gz"
    subprocess.run(["tar", "czf", str(archive), "-C", str(context), "."], check=True)
    assert not module("oci_image_build", context=str(archive), **options)["changed"]
    archive.write_text("no archive")
    assert module("oci_image_build", context=str(archive), **options)["error"] == "option_invalid"


def test_a_base_is_taken_as_it_is_when_asked_to(module: Module, context: Path, registry: LiveRegistry) -> None:
    base = f"{registry.address}/policy:1"
    plain = {"plain_http": True}
    module("oci_image_build", name=base, context=str(context), **plain)
    module("oci_image_push", name=base, **plain)
    child = {"name": "policy-child:1", "context": str(context), "content": f"FROM {base}\n", **plain}
    before = len(registry.requests)
    assert module("oci_image_build", pull="never", **child)["changed"]
    assert len(registry.requests) == before
    missing = {**child, "content": f"FROM {registry.address}/nowhere:1\n", "pull": "never"}
    assert module("oci_image_build", **missing)["error"] == "image_missing_local"


def test_what_an_engine_lacks_is_an_error_with_those_that_have_it(
    module: Module, context: Path, docker: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in docker.items():
        monkeypatch.setenv(name, value)
    result = module("oci_image_build", name="x:1", context=str(context), engine="docker", volumes=["/tmp:/tmp"])
    assert (result["error"], result["engines"]) == ("engine_unsupported", ["podman", "buildah"]), result


def test_a_daemon_that_does_not_run_is_told(module: Module, context: Path, docker: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**docker, "DOCKER_HOST": "unix:///nowhere"}.items():
        monkeypatch.setenv(name, value)
    assert module("oci_image_build", name="x:1", context=str(context), engine="docker")["error"] == "engine_unreachable"


def test_the_output_can_be_followed(module: Module, context: Path, tmp_path: Path, engine: str) -> None:
    log = tmp_path / "log"
    module("oci_image_build", name=f"logged-{engine}:1", context=str(context), engine=engine, log_path=str(log), force=True)
    assert "COPY etc /etc" in log.read_text()


def test_a_log_is_no_reason_for_the_next_build(module: Module, context: Path) -> None:
    options = {"name": "log-inside:1", "context": str(context), "log_path": str(context / "build.log")}
    refused = module("oci_image_build", **options)
    assert (refused["error"], refused["changed"], (context / "build.log").exists()) == ("option_invalid", False, False), refused
    (context / ".containerignore").write_text("*.log\n")
    assert [module("oci_image_build", **options)["changed"] for _run in (1, 2)] == [True, False]
    nowhere = module("oci_image_build", **{**options, "log_path": str(context / "nowhere/build.log"), "force": True})
    assert (nowhere["error"], nowhere["changed"]) == ("option_invalid", False), nowhere


def test_a_stage_is_the_same_in_whatever_case_it_is_named_on_each_engine(module: Module, context: Path, engine: str) -> None:
    text = (
        "ARG BASE=ONE\nFROM scratch AS One\nCOPY etc /etc\nFROM one AS two\nFROM $BASE AS Three\n"
        "FROM TWO\nARG FROM=THREE\nCOPY --from=${FROM} etc/motd /motd\nCOPY --from=ONE etc/motd /again\n"
    )
    options = {"name": f"cases-{engine}:1", "context": str(context), "engine": engine}
    (context / "Containerfile").write_text(text)
    predicted, built = module("oci_image_build", check_mode=True, **options), module("oci_image_build", **options)
    assert (predicted.get("error"), built.get("error")) == (None, None), built
    assert predicted["fingerprint"] == built["fingerprint"]
    assert (built["changed"], built["base_images"]) == (True, {})
    assert not module("oci_image_build", **options)["changed"]
    assert (context / "Containerfile").read_text() == text, "the user's file stays as it is"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": {"a=b": "1"}}, "'a=b' in 'labels'"),
        ({"build_args": {"": "1"}}, "'' in 'build_args'"),
        ({"volumes": ["data"]}, "The volume 'data'"),
        ({"volumes": ["/nowhere:/data"]}, "no '/nowhere'"),
        ({"ssh": ["key=/nowhere"]}, "'/nowhere' for 'key'"),
        ({"cache_from": ["UPPER CASE"]}, "UPPER CASE"),
        ({"log_path": "/tmp"}, "it is a directory"),
        ({"log_path": "/nowhere/log"}, "a directory that is not there"),
        ({"containerfile": "etc"}, "no file etc"),
    ],
)
def test_what_cannot_be_built_is_refused_in_check_mode_with_the_same_words(
    module: Module, context: Path, options: dict[str, Any], words: str
) -> None:
    predicted, done = (
        module("oci_image_build", check_mode=check_mode, name="refused:1", context=str(context), engine="podman", **options)
        for check_mode in (True, False)
    )
    assert predicted["error"] in ("option_invalid", "reference_invalid"), predicted
    assert words in predicted["msg"]
    assert [predicted[key] for key in ("error", "msg", "changed")] == [done[key] for key in ("error", "msg", "changed")]


@pytest.mark.parametrize("unreadable", ["Containerfile", ".containerignore"])
def test_a_file_that_cannot_be_read_is_told(module: Module, context: Path, unreadable: str) -> None:
    (context / unreadable).unlink(missing_ok=True)
    (context / unreadable).symlink_to("/proc/self/mem")  # which not even root can read
    refused = module("oci_image_build", name="unreadable:1", context=str(context), engine="podman")
    assert (refused["error"], refused["changed"]) == ("context_invalid", False), refused
    assert unreadable in refused["msg"]


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_a_context_may_have_any_name(module: Module, context: Path, tmp_path: Path, builder: str) -> None:
    odd = tmp_path / "a, b 'c' $d"
    context.rename(odd)
    (tmp_path / "link").symlink_to(odd)
    for number, place in enumerate((odd, tmp_path / "link")):
        options = {"name": f"odd-{builder}:{number}", "context": str(place), "engine": builder}
        assert [module("oci_image_build", **options)["changed"] for _run in (1, 2)] == [True, False]


@pytest.mark.parametrize("name", ["web, 'one' $d.Dockerfile", "../beside, it"])
def test_a_containerfile_may_have_any_name(module: Module, context: Path, engine: str, name: str) -> None:
    (context / name).write_text("FROM scratch\nCOPY etc /etc\n")
    options = {"name": f"any-name-{engine}:1", "context": str(context), "containerfile": name, "engine": engine}
    assert module("oci_image_build", **options)["changed"]
    assert not module("oci_image_build", **options)["changed"]


def test_a_target_means_the_same_stage_on_each_engine(module: Module, context: Path, engine: str) -> None:
    options = {
        "name": f"stage-{engine}:1",
        "context": str(context),
        "engine": engine,
        "content": "FROM scratch AS Small\nCOPY etc/motd /motd\nFROM scratch\nCOPY nowhere /\n",
    }
    for target in ("Small", "small", "0"):
        assert module("oci_image_build", target=target, **options)["changed"]


def test_a_here_document_is_built_or_refused_before_anything_is_done(module: Module, context: Path, engine: str) -> None:
    """Versions that do not know them take their lines for instructions."""
    options = {
        "name": f"document-{engine}:1",
        "context": str(context),
        "engine": engine,
        "content": "FROM scratch\nCOPY <<EOF /os-release\nCOPY nowhere /\nEOF\n",
    }
    predicted, done = module("oci_image_build", check_mode=True, **options), module("oci_image_build", **options)
    assert (predicted["changed"], predicted.get("error")) == (done["changed"], done.get("error"))
    assert done.get("error") in (None, "engine_unsupported"), done


def test_what_is_not_utf_8_is_built(module: Module, context: Path, engine: str) -> None:
    (context / "Containerfile").write_bytes(b"FROM scratch\n# caf\xe9\nCOPY . /\n")
    (context / ".dockerignore").write_bytes(b"# caf\xe9\nnothing\n")
    (context / "etc").joinpath(os.fsdecode(b"caf\xe9")).write_text("1")
    options = {"name": f"bytes-{engine}:1", "context": str(context), "engine": engine}
    assert module("oci_image_build", **options)["changed"]
    assert not module("oci_image_build", **options)["changed"]
    (context / "etc").joinpath(os.fsdecode(b"caf\xe9")).write_text("2")
    assert module("oci_image_build", check_mode=True, **options)["changed"]


def test_other_ends_of_lines_are_another_containerfile(module: Module, context: Path, engine: str) -> None:
    """It is a file of the context, too, and so of the image."""
    options = {"name": f"lines-{engine}:1", "context": str(context), "engine": engine}
    text = b"# escape=`\nFROM scratch AS One\nCOPY `\n . /\nFROM one\nARG FROM=ONE\nCOPY --from=${FROM} etc/motd /motd\n"
    image_ids = []
    for content in (text, text.replace(b"\n", b"\r\n")):
        (context / "Containerfile").write_bytes(content)
        built = module("oci_image_build", **options)
        assert built["changed"], built
        assert not module("oci_image_build", **options)["changed"]
        image_ids.append(built["image_id"])
    assert image_ids[0] != image_ids[1]


def test_the_output_is_shown_as_it_comes(context: Path, tmp_path: Path) -> None:
    """The build waits for a file that is made only when its first word was seen."""
    programs(context)
    (tmp_path / "shared").mkdir()
    play = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [
                {
                    "imagemode.bootc.oci_image_build": {
                        "name": "shown:1",
                        "context": str(context),
                        "engine": "podman",
                        "volumes": [f"{tmp_path / 'shared'}:/shared"],
                        "content": "FROM scratch\nCOPY root /\n"
                        "RUN echo first-word-of-the-build; until [ -e /shared/seen ]; do :; done; echo last-word\n",
                    }
                }
            ],
        }
    ]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-v", "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml")]
    variables = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": os.environ["PYTHONPATH"], "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables) as process:
        assert process.stdout
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "first-word-of-the-build" in line and "RUN" not in line:
                (tmp_path / "shared" / "seen").touch()
    assert process.returncode == 0, seen
    assert any("last-word" in line and "RUN" not in line for line in seen)
