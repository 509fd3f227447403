# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images for several platforms, and for another one than the builder's."""

from __future__ import annotations

import io
import json
import platform
import struct
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .artifacts import put_image, put_index
from .conftest import LiveRegistry, document

Module = Callable[..., dict[str, Any]]
PLATFORMS = ["linux/amd64", "linux/arm64"]


def test_two_platforms_are_built_once_and_pushed_as_one_index(module: Module, context: Path, registry: LiveRegistry, engine: str) -> None:
    repository = f"multi-{engine}"
    name = f"{registry.address}/{repository}:1"
    plain = {"engine": engine, "plain_http": True}
    build = {"name": name, "context": str(context), "platforms": PLATFORMS, **plain}
    predicted, built = module("oci_image_build", check_mode=True, **build), module("oci_image_build", **build)
    assert predicted["changed"]
    assert built["changed"], built
    assert predicted["reasons"] == built["reasons"] == [f"{platform}: there is no such image yet" for platform in PLATFORMS]
    assert predicted["fingerprint"] == built["fingerprint"]
    again = module("oci_image_build", **build)
    assert (again["changed"], again["fingerprint"]) == (False, built["fingerprint"])

    planned, pushed = module("oci_image_push", check_mode=True, name=name, **plain), module("oci_image_push", name=name, **plain)
    assert planned["changed"]
    assert pushed["changed"], pushed
    index = document(registry, repository, "1")
    assert pushed["digest"] == registry.digest(repository, "1")
    assert [f"{entry['platform']['os']}/{entry['platform']['architecture']}" for entry in index["manifests"]] == PLATFORMS
    for entry, wanted in zip(index["manifests"], PLATFORMS):
        image = document(registry, repository, entry["digest"])
        assert image["config"]["digest"] == built["platforms"][wanted]["image_id"]
    info = module("oci_image_info", name=name, platform="arm64", plain_http=True)
    assert (info["index_digest"], info["image_id"]) == (pushed["digest"], built["platforms"]["linux/arm64"]["image_id"])

    before = len(registry.requests)
    for check_mode in (True, False):
        same = module("oci_image_push", name=name, check_mode=check_mode, **plain)
        assert (same["changed"], same["digest"]) == (False, pushed["digest"])
    assert len(registry.requests) - before == 2 * (1 + len(PLATFORMS))

    tags = [name, name.replace(":1", ":stable")]
    tagged = module("oci_image_push", name=name, to=tags, check_mode=True, **plain)
    assert [tag["digest"] for tag in tagged["pushed"]] == [pushed["digest"]] * 2
    assert [tag["changed"] for tag in module("oci_image_push", name=name, to=tags, **plain)["pushed"]] == [False, True]
    assert registry.digest(repository, "stable") == pushed["digest"]

    (context / "etc" / "motd").write_text("changed\n")
    assert {why.partition(": ")[2] for why in module("oci_image_build", **build)["reasons"]} == {"context file etc/motd changed"}
    changed = module("oci_image_push", name=name, **plain)
    assert changed["changed"]
    assert registry.digest(repository, "1") == changed["digest"] != pushed["digest"] == registry.digest(repository, "stable")


def test_an_image_upon_one_of_several_platforms_is_pushed_alone(module: Module, context: Path, registry: LiveRegistry, engine: str) -> None:
    """It has the label of its base; other images have the names that the label leads to, or none has."""
    plain = {"engine": engine, "plain_http": True}
    base, child = (f"{registry.address}/{what}-of-several-{engine}:1" for what in ("base", "child"))
    build = {"context": str(context), **plain}
    module("oci_image_build", name=base, platforms=PLATFORMS, **build)
    module("oci_image_push", name=base, **plain)
    upon = {**build, "name": child, "content": f"FROM {base}\nLABEL release=old\n"}
    module("oci_image_build", platforms=PLATFORMS, **upon)
    module("oci_image_push", name=child, **plain)
    built = module("oci_image_build", **{**upon, "content": f"FROM {base}\nLABEL release=new\n"})
    pushed = module("oci_image_push", name=child, **plain)
    assert (pushed["changed"], pushed["platforms"]) == (True, {}), pushed
    assert document(registry, f"child-of-several-{engine}", "1")["config"]["digest"] == built["image_id"]
    assert not module("oci_image_push", name=child, **plain)["changed"]

    single = module("oci_image_push", name=f"{base}-{PLATFORMS[0].replace('/', '-')}", to=f"{registry.address}/one-{engine}:1", **plain)
    assert (single["changed"], single["platforms"]) == (True, {}), single
    subprocess.run([engine, "tag", base, f"{registry.address}/renamed-{engine}:1"], check=True, capture_output=True)
    assert module("oci_image_push", name=f"{registry.address}/renamed-{engine}:1", **plain)["platforms"] == {}


def test_another_builder_finds_all_platforms_in_the_registry(module: Module, context: Path, registry: LiveRegistry) -> None:
    name = f"{registry.address}/multi-shared:1"
    options = {"name": name, "context": str(context), "platforms": PLATFORMS, "plain_http": True}
    built = module("oci_image_build", **options)
    module("oci_image_push", name=name, plain_http=True)
    names = [name, *(f"{name}-{platform.replace('/', '-')}" for platform in PLATFORMS)]
    subprocess.run(["podman", "rmi", "-f", *names], check=True, capture_output=True)
    found = module("oci_image_build", **options)
    assert found["reused"], found
    assert {key: value["image_id"] for key, value in found["platforms"].items()} == {
        key: value["image_id"] for key, value in built["platforms"].items()
    }
    assert not module("oci_image_push", name=name, plain_http=True)["changed"]


def test_x86_64_is_amd64(module: Module, context: Path, engine: str) -> None:
    options = {"name": f"spelled-{engine}:1", "context": str(context), "engine": engine}
    module("oci_image_build", platform="x86_64", **options)
    assert not module("oci_image_build", platform="linux/amd64", **options)["changed"]


def test_a_base_that_was_missing_is_the_same_one_when_it_is_there(
    module: Module, context: Path, registry: LiveRegistry, engine: str
) -> None:
    """The base is an index. Some engines remember its digest, others that of the platform's image, and all the image's id."""
    base = f"{registry.address}/missing-{engine}:1"
    put_index(base, **{architecture: put_image(base, architecture) for architecture in ("amd64", "arm64")})
    child = {"name": f"of-missing-{engine}:1", "context": str(context), "content": f"FROM {base}\nLABEL child=1\n"}
    options = {"engine": engine, "plain_http": True, "pull": "missing", **child}
    built = module("oci_image_build", **options)
    assert built["changed"], built
    again = module("oci_image_build", **options)
    assert (again["changed"], again["reasons"], again["base_images"]) == (False, [], built["base_images"])


@pytest.mark.parametrize("kind", ["index", "single"])
def test_a_base_is_the_same_one_whether_its_registry_is_asked_or_not(
    module: Module, context: Path, registry: LiveRegistry, engine: str, kind: str
) -> None:
    """The value of `pull` is no input, and an image that was built with one is unchanged with the others."""
    own = platform.machine().replace("x86_64", "amd64").replace("aarch64", "arm64")
    base = f"{registry.address}/asked-{engine}-{kind}:1"

    def put(text: str) -> str:
        digest = put_image(base, own, text=text)
        return put_index(base, **{own: digest, "s390x": put_image(base, "s390x")}) if kind == "index" else digest

    put("first")
    options = {"context": str(context), "content": f"FROM {base}\nLABEL child=1\n", "engine": engine, "plain_http": True}
    for number, (first, others) in enumerate((("missing", ("newer", "never")), ("newer", ("missing", "never", "newer")))):
        name = f"asked-{engine}-{kind}-{number}:1"
        built = module("oci_image_build", name=name, pull=first, **options)
        assert built["changed"], built
        for other in others:
            again = module("oci_image_build", name=name, pull=other, **options)
            assert (again["changed"], again["reasons"], again["fingerprint"]) == (False, [], built["fingerprint"]), other
    put("second")
    assert not module("oci_image_build", name=name, pull="missing", **options)["changed"]
    for other in range(number + 1):
        name = f"asked-{engine}-{kind}-{other}:1"
        assert module("oci_image_build", name=name, **options)["reasons"] == [f"base image {base} changed"]
        assert not module("oci_image_build", name=name, pull="missing", **options)["changed"]
    labelled = module("oci_image_build", name=name, pull="missing", labels={"tier": "web"}, **options)
    assert labelled["reasons"] == ["label tier added"]


def test_each_platform_builds_upon_its_own_base(module: Module, context: Path, registry: LiveRegistry, engine: str) -> None:
    """The base is an index; a stage that makes something for the target stays on the builder's platform."""
    plain = {"engine": engine, "plain_http": True}
    base = f"{registry.address}/multi-base-{engine}:1"
    module("oci_image_build", name=base, context=str(context), platforms=PLATFORMS, **plain)
    module("oci_image_push", name=base, **plain)
    text = (
        f"FROM --platform=$BUILDPLATFORM {base} AS make\n"
        f"FROM --platform=$TARGETPLATFORM {base}-linux-arm64\nCOPY --from=make /etc/motd /etc/issue\n"
    )
    cross = {"name": f"cross-{engine}:1", "context": str(context), "content": text, **plain}
    built = module("oci_image_build", platform="linux/arm64", **cross)
    assert built["changed"], built
    assert not module("oci_image_build", platform="arm64", **cross)["changed"]
    children = {
        "name": f"children-{engine}:1",
        "context": str(context),
        "content": f"FROM {base}\nLABEL child=1\n",
        "platforms": PLATFORMS,
        **plain,
    }
    built = module("oci_image_build", **children)
    assert built["changed"], built
    index = document(registry, f"multi-base-{engine}", "1")
    digests = [entry["digest"] for entry in index["manifests"]]
    assert [built["platforms"][platform]["base_images"][base] for platform in PLATFORMS] == digests
    assert not module("oci_image_build", **children)["changed"]
    missing = module("oci_image_build", **{**children, "name": "missing:1", "platforms": ["linux/amd64", "linux/s390x"]})
    assert (missing["error"], missing["changed"]) == ("platform_missing", False)


def _files(image: str, paths: list[str], engine: str, tmp_path: Path) -> dict[str, str]:
    """The contents of files of an image in local storage."""
    archive = tmp_path / "image.tar"
    archive.unlink(missing_ok=True)
    saved = {"docker": ["docker", "save", "-o", str(archive), image]}
    subprocess.run(saved.get(engine, [engine, "push", "-q", image, f"docker-archive:{archive}"]), check=True, capture_output=True)
    found = {}
    with tarfile.open(archive) as outer:
        for layer in json.loads(outer.extractfile("manifest.json").read())[0]["Layers"]:  # type: ignore[union-attr]
            with tarfile.open(fileobj=io.BytesIO(outer.extractfile(layer).read())) as inner:  # type: ignore[union-attr]
                found.update({name: inner.extractfile(name).read().decode() for name in inner.getnames() if name in paths})  # type: ignore[union-attr]
    return found


@pytest.mark.parametrize("pull", ["newer", "missing"])
def test_one_name_is_the_base_of_each_platform_that_needs_it(
    module: Module, context: Path, registry: LiveRegistry, engine: str, pull: str, tmp_path: Path
) -> None:
    """The usual cross build: the builder's own platform makes something for the target. Both images are called the same."""
    base = f"{registry.address}/both-{engine}-{pull}:1"
    digests = {architecture: put_image(base, architecture, arch=architecture) for architecture in ("amd64", "arm64")}
    put_index(base, **digests)
    text = (
        f"FROM --platform=linux/amd64 {base} AS tools\nFROM {base}\nCOPY --from=tools /etc/arch /etc/tools\n"
        f"COPY --from={base} /etc/arch /etc/copied\n"
    )
    options = {"name": f"of-both-{engine}-{pull}:1", "context": str(context), "content": text, "platforms": PLATFORMS}
    options.update({"engine": engine, "pull": pull, "plain_http": True})
    built = module("oci_image_build", **options)
    assert built["changed"], built
    arm64 = f"localhost/of-both-{engine}-{pull}:1-linux-arm64"
    expected = {"etc/arch": "arm64", "etc/tools": "amd64", "etc/copied": "arm64"}
    assert _files(arm64, list(expected), engine, tmp_path) == expected
    assert not module("oci_image_build", **options)["changed"]
    if pull == "missing":
        return
    assert built["platforms"]["linux/amd64"]["base_images"] == {base: digests["amd64"]}
    of_both = {f"{base} (linux/{architecture})": digest for architecture, digest in digests.items()}
    assert built["platforms"]["linux/arm64"]["base_images"] == of_both

    put_index(base, **{**digests, "arm64": put_image(base, "arm64", arch="arm64, newer")})
    changed = module("oci_image_build", **options)
    assert changed["reasons"] == [f"linux/arm64: base image {base} (linux/arm64) changed"]
    assert _files(arm64, list(expected), engine, tmp_path)["etc/arch"] == "arm64, newer"


@pytest.mark.parametrize("pull", ["newer", "missing"])
def test_a_base_for_another_platform_alone_is_refused_in_check_mode_too(
    module: Module, context: Path, registry: LiveRegistry, engine: str, pull: str
) -> None:
    base = f"{registry.address}/for-one-{engine}-{pull}"
    own, other = (f"{base}:{wanted.partition('/')[2]}" for wanted in PLATFORMS)
    digest = [put_image(name, name.rpartition(":")[2]) for name in (own, other)][1]
    options = {"context": str(context), "engine": engine, "pull": pull, "plain_http": True}
    for content, more in (
        (f"FROM {own}\nLABEL child=1\n", {"platform": PLATFORMS[1]}),
        (f"FROM {other}\nLABEL child=1\n", {"platform": PLATFORMS[0]}),
        (f"FROM {base}@{digest}\nLABEL child=1\n", {"platform": PLATFORMS[0]}),
        (f"FROM --platform={PLATFORMS[0]} {other} AS x\nFROM scratch\nCOPY --from=x /etc/release /x\n", {"platform": PLATFORMS[1]}),
    ):
        for check_mode in (True, False):
            name = f"of-another-platform-{engine}-{pull}:1"
            refused = module("oci_image_build", check_mode=check_mode, name=name, content=content, **more, **options)
            assert (refused.get("error"), refused["changed"]) == ("platform_missing", False), refused
            assert base in refused["msg"]


def test_an_unchanged_build_costs_one_request_a_base(module: Module, context: Path, registry: LiveRegistry, engine: str) -> None:
    bases = [f"{registry.address}/one-request-{engine}:{number}" for number in (1, 2)]
    own = platform.machine().replace("x86_64", "amd64").replace("aarch64", "arm64")
    put_image(bases[0], own)
    put_index(bases[1], **{own: put_image(bases[1], own, more="")})
    content = f"FROM {bases[0]} AS x\nFROM {bases[1]}\nCOPY --from=x /etc/release /x\n"
    options = {"name": f"one-request-{engine}:1", "context": str(context), "content": content, "engine": engine, "plain_http": True}
    assert module("oci_image_build", **options)["changed"]
    before = len(registry.requests)
    assert not module("oci_image_build", **options)["changed"]
    assert len(registry.requests) - before == 2


def test_a_base_by_its_digest_that_is_there_is_not_asked_for(
    module: Module, context: Path, registry: LiveRegistry, engine: str, tmp_path: Path
) -> None:
    """So that a build without a network can be upon it, in a cross build, too."""
    digests = []
    for number in (1, 2):
        base = f"{registry.address}/by-digest-{engine}:{number}"
        images = {architecture: put_image(base, architecture, arch=f"{architecture} {number}") for architecture in ("amd64", "arm64")}
        digests.append(base.replace(f":{number}", f"@{put_index(base, **images)}"))
    text = f"FROM --platform=linux/amd64 {digests[0]} AS x\nFROM {digests[1]}\nCOPY --from=x /etc/arch /etc/tools\n"
    options = {"name": f"by-digest-{engine}:1", "context": str(context), "content": text, "platform": "linux/arm64"}
    for base, wanted in zip(digests, PLATFORMS):
        tls = [] if engine == "docker" else ["--tls-verify=false"]
        subprocess.run([engine, "pull", *tls, f"--platform={wanted}", base], check=True, capture_output=True)
    before = len(registry.requests)
    built = module("oci_image_build", engine=engine, plain_http=True, **options)
    assert built["changed"], built
    assert _files(f"localhost/by-digest-{engine}:1", ["etc/arch", "etc/tools"], engine, tmp_path) == {
        "etc/arch": "arm64 2",
        "etc/tools": "amd64 1",
    }
    assert registry.requests[before:] == []


def test_a_base_without_a_platform_is_the_targets_whatever_was_before_it(
    module: Module, context: Path, registry: LiveRegistry, engine: str, tmp_path: Path
) -> None:
    single, base = (f"{registry.address}/{what}-{engine}:1" for what in ("tools-of-amd64", "of-two"))
    put_image(single, "amd64", arch="amd64")
    put_index(base, **{architecture: put_image(base, architecture, arch=architecture) for architecture in ("amd64", "arm64")})
    text = f"FROM --platform=linux/amd64 {single} AS x\nFROM {base}\nCOPY --from=x /etc/arch /etc/tools\n"
    options = {"name": f"after-another-{engine}:1", "context": str(context), "content": text, "platform": "linux/arm64"}
    built = module("oci_image_build", engine=engine, plain_http=True, **options)
    assert built["changed"], built
    files = _files(f"localhost/after-another-{engine}:1", ["etc/arch", "etc/tools"], engine, tmp_path)
    assert files == {"etc/arch": "arm64", "etc/tools": "amd64"}
    assert list(built["base_images"]) == [base, single]


@pytest.mark.skipif(
    platform.machine() != "x86_64" or Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists(), reason="this machine runs programs for arm64"
)
def test_a_run_instruction_that_cannot_run_here_has_a_code(module: Module, context: Path, engine: str) -> None:
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0)
    (context / "etc" / "program").write_bytes(header + bytes(64))
    (context / "etc" / "program").chmod(0o755)
    result = module(
        "oci_image_build",
        name=f"run-{engine}:1",
        context=str(context),
        engine=engine,
        network="host",
        platforms=["linux/arm64"],
        content='FROM scratch\nCOPY etc /etc\nRUN ["/etc/program"]\n',
    )
    assert result["error"] == "emulation_missing", result
    assert "qemu-user-static" in result["hint"]
    assert "RUN" in result["step"]


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_layers_of_another_platform_are_not_taken(module: Module, context: Path, builder: str) -> None:
    """Upon scratch these engines' caches know no platform."""
    text = f"FROM scratch\nCOPY etc /{builder}\n"
    for number, wanted in enumerate(("linux/arm64", "linux/amd64", "linux/arm64")):
        options = {"name": f"scratch-{builder}-{number}:1", "context": str(context), "content": text, "engine": builder}
        built = module("oci_image_build", platform=wanted, **options)
        assert built["changed"], built
        shown = subprocess.run(
            ["podman", "image", "inspect", "--format={{.Os}}/{{.Architecture}}", options["name"]],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        assert shown == wanted
