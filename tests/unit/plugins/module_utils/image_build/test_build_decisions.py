# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an image is built, and what it is called afterwards; how real engines build it is tried elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._builds import Builds
from ansible_collections.imagemode.bootc.plugins.module_utils._engine import BuildFailed, BuildRequest, LocalImage
from ansible_collections.imagemode.bootc.plugins.module_utils._engine._build import BuildResult
from ansible_collections.imagemode.bootc.plugins.module_utils._engine._local import Step
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import (
    ImageMissing,
    Platform,
    PlatformMissing,
    RegistryError,
    RegistryOptions,
)

HERE = str(Platform.here())
DEFAULTS: Mapping[str, Any] = {
    "name": "os:1",
    "containerfile": None,
    "content": "FROM scratch\n",
    "target": None,
    "build_args": {},
    "secrets": [],
    "platform": None,
    "platforms": [],
    "labels": {},
    "annotations": {},
    "network": None,
    "volumes": [],
    "tags": [],
    "pull": "newer",
    "timestamp": None,
    "ssh": [],
    "cache_from": [],
    "cache_to": [],
    "log_path": None,
    "reuse": True,
    "force": False,
}


class Engine:
    """Stands in for one: its storage, and what it was asked to build.

    :ivar lies: what the image has instead, as often as it is built, of what was asked for
    """

    program, takes_ids, short_is_local, caches_by_mounts = "podman", True, True, False

    def __init__(self) -> None:
        self.images: dict[str, LocalImage] = {}
        self.asked: list[BuildRequest] = []
        self.texts: list[str] = []
        self.lies: list[dict[str, Any]] = []

    def find(self, name: str) -> LocalImage | None:
        return self.images.get(name)

    def need(self, name: str) -> LocalImage:
        return self.images[name]

    def tag(self, image_id: str, name: str) -> None:
        self.images[name] = self.images[image_id]

    def build(self, request: BuildRequest, _on_line: Any) -> BuildResult:
        self.asked.append(request)
        self.texts.append(request.containerfile.read_text())
        image_id = f"sha256:{hashlib.sha256(repr(sorted(request.labels.items())).encode()).hexdigest()}"
        lie = self.lies.pop(0) if self.lies else {}
        image = {"platform": request.platform or HERE, "labels": request.labels, **lie}
        self.images[image_id] = LocalImage(image_id, "", **image)
        return BuildResult(image_id, (), 1.0)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "context").mkdir()
    (tmp_path / "context/motd").write_text("hello")
    return Engine()


def run(engine: Any, tmp_path: Path, **more: Any) -> dict[str, Any]:
    """What the module does, and what it would have said before."""
    builds = Builds({**DEFAULTS, **more}, tmp_path / "context")
    options = RegistryOptions.of({}, None)
    changed = builds.decide(engine, options)
    result = {"changed": changed, "predicted": builds.result(), **builds.result()}
    for really, done in builds.carry_out(engine, options) if changed else ():
        result.update(done, changed=really)
    return result


def test_an_image_is_built_once_and_again_when_something_changed(engine: Engine, tmp_path: Path) -> None:
    first = run(engine, tmp_path)
    assert (first["changed"], first["reasons"]) == (True, ["there is no such image yet"])
    assert engine.images["localhost/os:1"].id == first["image_id"]
    assert (first["diff"]["before"], first["seconds"], first["log"]) == ({}, 1.0, [])
    again = run(engine, tmp_path)
    assert (again["changed"], again["reasons"], again["image_id"]) == (False, [], first["image_id"])
    assert again["diff"]["before"] == again["diff"]["after"]
    (tmp_path / "context/motd").write_text("bye")
    third = run(engine, tmp_path)
    assert (third["changed"], third["reasons"]) == (True, ["context file motd changed"])
    assert third["predicted"]["diff"]["after"]["names"] == {"localhost/os:1": "an image that is yet to be made"}
    assert third["diff"]["before"]["names"] == {"localhost/os:1": first["image_id"]}
    assert third["diff"]["after"]["names"] == {"localhost/os:1": third["image_id"]}
    assert len(engine.asked) == 2


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"content": "FROM scratch\nLABEL a=1\n"}, "the Containerfile changed"),
        ({"content": "FROM scratch AS one\n", "target": "one"}, "option target added"),
        ({"platform": "linux/s390x"}, "option platform changed"),
        ({"network": "none"}, "option network added"),
        ({"volumes": ["/:/host:ro"]}, "option volumes added"),
        ({"timestamp": 0}, "option timestamp added"),
        ({"build_args": {"A": True}}, "build argument A added"),
        ({"labels": {"a": None}}, "label a added"),
        ({"annotations": {"a": 1}}, "annotation a added"),
        ({"secrets": [{"id": "token", "file": None, "env": None, "value": "canary"}]}, "secret id token added"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_option_that_shapes_an_image_is_a_reason_to_build(engine: Engine, tmp_path: Path, option: dict[str, Any], reason: str) -> None:
    run(engine, tmp_path)
    changed = run(engine, tmp_path, **option)
    assert changed["changed"]
    assert reason in changed["reasons"]
    assert not run(engine, tmp_path, **option)["changed"]


def test_an_option_that_shapes_nothing_is_none(engine: Engine, tmp_path: Path) -> None:
    run(engine, tmp_path)
    others = {"cache_from": ["r.test/cache"], "reuse": False, "log_path": str(tmp_path / "log"), "pull": "never"}
    assert not run(engine, tmp_path, **others)["changed"]


def test_a_value_of_yaml_is_what_was_written(engine: Engine, tmp_path: Path) -> None:
    run(engine, tmp_path, build_args={"A": True, "B": None, "C": "1.10", "D": 7})
    assert engine.asked[0].build_args == {"A": "true", "B": "", "C": "1.10", "D": "7"}


def test_somebody_elses_image_is_replaced(engine: Engine, tmp_path: Path) -> None:
    engine.images["localhost/os:1"] = LocalImage(f"sha256:{'0' * 64}", "", HERE, {})
    assert run(engine, tmp_path)["reasons"] == ["the image that is there was not built by this module"]


def test_a_forced_build_that_gives_the_same_image_is_no_change(engine: Engine, tmp_path: Path) -> None:
    first = run(engine, tmp_path)
    forced = run(engine, tmp_path, force=True)
    assert (forced["changed"], forced["reasons"], forced["image_id"]) == (False, ["a build was forced"], first["image_id"])
    assert [request.no_cache for request in engine.asked] == [False, True]


def test_further_names_need_no_build(engine: Engine, tmp_path: Path) -> None:
    first = run(engine, tmp_path)
    named = run(engine, tmp_path, tags=["os:stable", "r.test/os:1"])
    assert (named["changed"], named["reasons"], len(engine.asked)) == (True, [], 1)
    assert named["tagged"] == named["predicted"]["tagged"] == ["localhost/os:stable", "r.test/os:1"]
    assert engine.images["r.test/os:1"].id == first["image_id"]
    assert not run(engine, tmp_path, tags=["os:stable", "r.test/os:1"])["changed"]
    assert run(engine, tmp_path, tags=["os:stable", "os:more"])["tagged"] == ["localhost/os:more"]


@pytest.mark.parametrize("lie", [{"labels": {}}, {"platform": "linux/s390x"}], ids=["labels", "platform"])
def test_what_the_cache_gave_of_another_build_is_built_without_it(engine: Engine, tmp_path: Path, lie: dict[str, Any]) -> None:
    engine.lies = [lie]
    assert run(engine, tmp_path)["changed"]
    assert [request.no_cache for request in engine.asked] == [False, True]
    assert not run(engine, tmp_path)["changed"]


def test_an_image_for_another_platform_gets_no_name(engine: Engine, tmp_path: Path) -> None:
    engine.lies = [{"platform": "linux/s390x"}] * 2
    with pytest.raises(BuildFailed, match="podman built one for linux/s390x"):
        run(engine, tmp_path)
    assert "localhost/os:1" not in engine.images


def test_a_layer_of_another_time_is_built_again(engine: Engine, tmp_path: Path) -> None:
    at, earlier = (Step("COPY . /", date) for date in ("1970-01-01T00:00:01Z", "1970-01-01T00:00:00Z"))
    engine.lies = [{"history": (at, earlier)}, {"history": (at, at)}]
    run(engine, tmp_path, timestamp=1)
    assert [request.no_cache for request in engine.asked] == [False, True]
    engine.lies = [{"history": (at, at)}]
    run(engine, tmp_path, timestamp=1, labels={"a": 1})
    assert len(engine.asked) == 3


def test_a_base_in_local_storage_that_is_another_one_is_a_reason(engine: Engine, tmp_path: Path) -> None:
    options = {"content": "FROM localhost/base:1\n"}
    for digit, reasons in (("1", ["there is no such image yet"]), ("2", ["base image localhost/base:1 changed"])):
        base = f"sha256:{digit * 64}"
        engine.images["localhost/base:1"] = LocalImage(base, "", HERE, {})
        done = run(engine, tmp_path, **options)
        assert (done["reasons"], done["base_images"]) == (reasons, {"localhost/base:1": base})
        assert not run(engine, tmp_path, **options)["changed"]
    engine.images["localhost/base:1"] = LocalImage(base, "", "linux/s390x", {})
    with pytest.raises(PlatformMissing, match="is for linux/s390x"):
        run(engine, tmp_path, **options)


def test_the_engine_gets_what_was_written_and_what_it_does_not_know(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "context/Containerfile").write_text("FROM scratch\n")
    run(engine, tmp_path, content=None)
    assert engine.asked[0].containerfile == tmp_path / "context/Containerfile"
    assert (engine.asked[0].target, engine.asked[0].platform, engine.asked[0].build_args) == (None, None, {})
    text = "ARG BUILDPLATFORM BUILDOS BUILDARCH\nFROM scratch AS One\nFROM scratch\n"
    run(engine, tmp_path, content=text, target="one", platform="arm64", build_args={"BUILDARCH": "mine"})
    assert engine.texts[1] == text.replace("One", "one")
    assert (engine.asked[1].target, engine.asked[1].platform) == ("one", "linux/arm64")
    assert engine.asked[1].build_args == {"BUILDPLATFORM": HERE, "BUILDOS": "linux", "BUILDARCH": "mine"}


class Puller:
    """Stands in for a registry: the configuration of its image, or what it says instead."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, 0

    def puller(self) -> Puller:
        return self

    def image(self, _reference: Any, _platform: Any) -> tuple[None, None]:
        self.asked += 1
        if isinstance(self.answer, ImageModeError):
            raise self.answer
        return None, None

    def config(self, _reference: Any, _image: None) -> Any:
        return self.answer


def decided(engine: Any, tmp_path: Path, registry: Any, **more: Any) -> tuple[bool, bool, tuple[str, ...]]:
    """:returns: whether there is something to do, whether the registry has it already, and warnings"""
    builds = Builds({**DEFAULTS, "name": "r.test/os:1", **more}, tmp_path / "context")
    return builds.decide(engine, registry), builds.result()["reused"], builds.warnings


def test_an_image_of_the_same_inputs_in_the_registry_is_taken(engine: Engine, tmp_path: Path) -> None:
    run(engine, tmp_path, name="r.test/os:1", reuse=False)
    labels = dict(engine.images.pop("r.test/os:1").labels)
    (text,) = (value for name, value in labels.items() if name.endswith(".fingerprint"))
    upon = {"config": {"Labels": labels}, "history": [{"created_by": f"LABEL {text}"}, {"created_by": "COPY . /"}]}
    secrets = [{"id": "token", "file": "/none", "env": None, "value": None}]
    for config, reused in (({"config": {"Labels": labels}}, True), (upon, False), ({"config": {}}, False), ({}, False)):
        assert decided(engine, tmp_path, Puller(config)) == (True, reused, ())
    assert decided(engine, tmp_path, Puller({"config": {"Labels": labels}}), labels={"a": 1}) == (True, False, ())
    with pytest.raises(ImageModeError, match="of the secret 'token' cannot be read"):
        decided(engine, tmp_path, Puller({"config": {"Labels": labels}}), secrets=secrets)


@pytest.mark.parametrize("option", [{"reuse": False}, {"name": "os:1"}])
def test_no_registry_is_asked_where_that_was_not_asked_for(engine: Engine, tmp_path: Path, option: dict[str, Any]) -> None:
    registry = Puller(ImageMissing("none"))
    assert decided(engine, tmp_path, registry, **option) == (True, False, ())
    assert registry.asked == 0
    run(engine, tmp_path, name="r.test/os:1", reuse=False)
    assert decided(engine, tmp_path, registry, force=True) == (True, False, ())
    assert registry.asked == 0


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ImageMissing("There is none."), ()),
        (PlatformMissing("There is another."), ()),
        (RegistryError("Nobody answers."), ("Nobody answers. Whether it has the image is not known, so it is built.",)),
    ],
)
def test_a_registry_that_cannot_tell_is_no_reason_not_to_build(
    engine: Engine, tmp_path: Path, answer: ImageModeError, told: tuple[str, ...]
) -> None:
    assert decided(engine, tmp_path, Puller(answer)) == (True, False, told)


def test_a_checkout_is_told_to_differ_each_time(tmp_path: Path) -> None:
    (tmp_path / "context/.git").mkdir(parents=True)
    builds = Builds({**DEFAULTS, "cache_from": ["r.test/a"], "cache_to": ["r.test/b"]}, tmp_path / "context")
    assert [str(cache) for cache in builds.caches] == ["r.test/a:latest", "r.test/b:latest"]
    assert ["has a '.git' in it" in warning for warning in builds.warnings] == [True]
    (tmp_path / "context/.containerignore").write_text(".git\n")
    assert builds.warnings == ()


def test_each_platform_has_its_image_and_one_has_the_name_for_all(engine: Engine, tmp_path: Path) -> None:
    other = "linux/s390x"
    done = run(engine, tmp_path, platforms=[other, HERE, other], tags=["os:stable"])
    assert [request.platform for request in engine.asked] == [other, HERE]
    names = {f"localhost/os:{tag}{suffix}" for tag in ("1", "stable") for suffix in ("", f"-{HERE.replace('/', '-')}", "-linux-s390x")}
    assert {name for name in engine.images if name.startswith("localhost")} == names
    assert {engine.images[f"localhost/os:{tag}"].platform for tag in ("1", "stable")} == {HERE}
    assert (done["changed"], list(done["platforms"]), done["name"], done["reused"]) == (True, [other, HERE], "localhost/os:1", False)
    assert done["image_id"] == engine.images["localhost/os:1"].id
    assert done["reasons"] == [f"{other}: there is no such image yet", f"{HERE}: there is no such image yet"]
    assert list(done["diff"]["after"]) == [other, HERE]
    assert engine.images["localhost/os:1"].platforms == (other, HERE)
    parts = [done["platforms"][platform] for platform in (other, HERE)]
    assert done["tagged"] == [name for part in parts for name in part["tagged"]]
    assert done["fingerprint"] not in [part["fingerprint"] for part in parts]
    assert not run(engine, tmp_path, platforms=[other, HERE], tags=["os:stable"])["changed"]
    del engine.images["localhost/os:1-linux-s390x"]
    lost = run(engine, tmp_path, platforms=[other, HERE], tags=["os:stable"])
    assert (lost["changed"], lost["reasons"]) == (True, [f"{other}: there is no such image yet"]), "though the last one was there"
    assert lost["fingerprint"] == done["fingerprint"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"containerfile": "Containerfile"}, "'containerfile' and 'content' are both set"),
        ({"platform": "linux/arm64", "platforms": ["linux/arm64"]}, "'platform' and 'platforms' are both set"),
        ({"content": None}, "There is no file Containerfile or Dockerfile"),
        ({"content": "RUN true\n"}, "no FROM"),
        ({"secrets": [{"id": "a", "file": "/x", "value": "y"}]}, "needs one of 'file', 'env' and 'value'"),
        ({"secrets": [{"id": "a"}]}, "needs one of 'file', 'env' and 'value'"),
        ({"secrets": [{"id": "a,b", "value": "y"}]}, "is no id of a secret"),
        ({"secrets": [{"id": "a", "value": "x"}, {"id": "a", "value": "y"}]}, "Two secrets have one id"),
        ({"build_args": {"A=B": 1}}, "'A=B' in 'build_args' is no name"),
        ({"labels": {"": 1}}, "'' in 'labels' is no name"),
        ({"annotations": {"=": 1}}, "'=' in 'annotations' is no name"),
        ({"cache_to": ["No Image"]}, "is not an image reference"),
        ({"name": f"os@sha256:{'0' * 64}"}, "has a digest"),
        ({"tags": [f"os@sha256:{'0' * 64}"]}, "has a digest"),
        ({"volumes": ["/none:/x"]}, "There is no '/none'"),
        ({"volumes": ["data:/x"]}, "is none"),
        ({"secrets": [{"id": "a", "file": "/none", "env": None, "value": None}]}, "cannot be read"),
        ({"ssh": ["default=/none"]}, "There is no socket or key"),
        ({"log_path": "/none/log"}, "cannot be written"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_built(
    engine: Engine, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ImageModeError, match=words):
        run(engine, tmp_path, **options)
    assert (engine.asked, engine.images) == ([], {})
