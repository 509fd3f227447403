# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mirrors, blocks and short names, as containers-registries.conf(5) has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import (
    Access,
    RegistriesConf,
    RegistriesConfInvalid,
    Registry,
    RegistryForbidden,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._registry._registries_conf import places

from .scripted import INDEX, MANIFEST, Answer, ScriptedRegistry, Seen, digest, found, manifest

DIGEST = "sha256:" + "0" * 64


def conf(tmp_path: Path, text: str, *more: str) -> RegistriesConf:
    files = []
    for number, content in enumerate((text, *more)):
        files.append(tmp_path / f"{number}.conf")
        files[-1].write_text(content)
    return RegistriesConf.read(files)


def mirrored(tmp_path: Path, origin: ScriptedRegistry, mirror: ScriptedRegistry, more: str = "") -> RegistriesConf:
    return conf(tmp_path, f'[[registry]]\nlocation = "{origin.address}"\n[[registry.mirror]]\nlocation = "{mirror.address}"\n{more}')


MIRRORED = """
[[registry]]
prefix = "quay.test/team"
location = "inside.test:5000/quay"
[[registry.mirror]]
location = "near.test/team"
[[registry.mirror]]
location = "pins.test/team"
pull-from-mirror = "digest-only"
insecure = true
[[registry]]
location = "quay.test/team/secret"
blocked = true
[[registry]]
prefix = "*.corp.test"
insecure = true
[[registry]]
prefix = "*.cloud.test"
location = "inside.test/cloud"
[[registry.mirror]]
location = "near.test"
[[registry.mirror]]
location = "tags.test/all"
pull-from-mirror = "tag-only"
"""


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("quay.test/team/os:1", [("near.test/team/os:1", False), ("inside.test:5000/quay/os:1", False)]),
        (
            f"quay.test/team/os@{DIGEST}",
            [(f"near.test/team/os@{DIGEST}", False), (f"pins.test/team/os@{DIGEST}", True), (f"inside.test:5000/quay/os@{DIGEST}", False)],
        ),
        ("quay.test/teams/os:1", [("quay.test/teams/os:1", False)]),
        ("a.corp.test/os:1", [("a.corp.test/os:1", True)]),
        ("corp.test/os:1", [("corp.test/os:1", False)]),
        ("a.corp.test:5000/os:1", [("a.corp.test:5000/os:1", True)]),
        ("a.corp.tests/os:1", [("a.corp.tests/os:1", False)]),
        ("quay.test/a.corp.test/os:1", [("quay.test/a.corp.test/os:1", False)]),
        (
            "a.b.cloud.test/team/os:1",
            [("near.test/team/os:1", False), ("tags.test/all/team/os:1", False), ("inside.test/cloud/team/os:1", False)],
        ),
        (f"a.cloud.test/os@{DIGEST}", [(f"near.test/os@{DIGEST}", False), (f"inside.test/cloud/os@{DIGEST}", False)]),
    ],
)
def test_where_an_image_is_pulled_from(tmp_path: Path, text: str, sources: list[tuple[str, bool]]) -> None:
    there = conf(tmp_path, MIRRORED).sources(Reference.parse(text))
    assert [(str(source.reference), source.insecure) for source in there] == sources


@pytest.mark.parametrize("table", ['location = "quay.test/"', 'prefix = "quay.test/"\nlocation = "inside.test/"'])
def test_a_slash_at_the_end_says_nothing(tmp_path: Path, table: str) -> None:
    there = conf(tmp_path, f'[[registry]]\n{table}\n[[registry.mirror]]\nlocation = "near.test/quay/"\n')
    itself = "inside.test/os:1" if "inside" in table else "quay.test/os:1"
    assert [str(source.reference) for source in there.sources(Reference.parse("quay.test/os:1"))] == ["near.test/quay/os:1", itself]


def test_a_blocked_registry_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(RegistryForbidden, match=r"registries\.conf"):
        conf(tmp_path, MIRRORED).sources(Reference.parse("quay.test/team/secret/os:1"))


def test_a_later_file_replaces_a_prefix(tmp_path: Path) -> None:
    there = conf(tmp_path, MIRRORED, '[[registry]]\nlocation = "quay.test/team"\n')
    assert len(there.sources(Reference.parse("quay.test/team/os:1"))) == 1


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("debian:12", ["docker.io/library/debian:12"]),
        ("fedora:42", ["registry.fedora.test/fedora:42"]),
        (f"fedora@{DIGEST}", [f"registry.fedora.test/fedora@{DIGEST}"]),
        ("tool", ["one.test/tool:latest", "docker.io/library/tool:latest"]),
        ("team/tool:2", ["one.test/team/tool:2", "docker.io/team/tool:2"]),
    ],
)
def test_what_a_short_name_means(tmp_path: Path, short: str, long: list[str]) -> None:
    there = conf(
        tmp_path,
        'unqualified-search-registries = ["one.test", "docker.io"]\n',
        '[aliases]\nfedora = "registry.fedora.test/fedora"\ndebian = "docker.io/library/debian"\n',
    )
    assert [str(reference) for reference in there.long_names(short)] == long


def test_without_configuration_a_short_name_is_docker_hubs() -> None:
    assert str(RegistriesConf().long_names("debian:12")[0]) == "docker.io/library/debian:12"


@pytest.mark.parametrize("text", ["[[registry]]\nprefix = 7\n[x", "[[registry]]\ninsecure = true\n", "registry = 3\n[aliases]\n"])
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(RegistriesConfInvalid, match=r"0\.conf") as refused:
        conf(tmp_path, text)
    assert (refused.value.error, "containers-registries.conf(5)" in (refused.value.hint or "")) == ("registries_conf_invalid", True)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "0.conf"
    path.write_bytes(b"# f\xfcr alle\n[[registry]]\n")
    with pytest.raises(RegistriesConfInvalid, match=r"0\.conf"):
        RegistriesConf.read([path])


def test_the_users_file_stands_for_the_systems(tmp_path: Path) -> None:
    (tmp_path / "containers/registries.conf.d").mkdir(parents=True)
    for name in ("registries.conf", "registries.conf.d/a.conf"):
        (tmp_path / "containers" / name).write_text("")
    found_there = places({"XDG_CONFIG_HOME": str(tmp_path)})
    assert found_there[0] == tmp_path / "containers/registries.conf"
    assert found_there[-1] == tmp_path / "containers/registries.conf.d/a.conf"
    assert not [path for path in found_there if str(path).startswith("/etc")], "which containers/image does not read then"
    assert places({"CONTAINERS_REGISTRIES_CONF": str(found_there[0])}) == (found_there[0],)


def test_a_mirror_is_asked_first_and_the_registry_when_it_fails(tmp_path: Path) -> None:
    """And the one that had the answer keeps being asked."""
    body = manifest()
    mirror, origin = ScriptedRegistry(), ScriptedRegistry(lambda seen: found(body))
    there = mirrored(tmp_path, origin, mirror)
    image = Reference.parse(f"{origin.address}/os:1")
    try:
        registry = Registry(Access(plain_http=True, retries=0), lambda _reference: None, there)
        assert registry.digest(image) == digest(body)
        assert (len(mirror.seen), len(origin.seen)) == (1, 1)
        mirror.script = lambda seen: found(body) if seen.path == "/v2/os/manifests/1" else Answer(500)
        registry = Registry(Access(plain_http=True, retries=0), lambda _reference: None, there)
        registry.digest(image)
        registry.digest(image)
        assert (len(mirror.seen), len(origin.seen)) == (3, 1)
    finally:
        mirror.close()
        origin.close()


def test_a_mirror_that_has_one_image_need_not_have_the_next(tmp_path: Path) -> None:
    body = manifest()
    mirror = ScriptedRegistry(lambda seen: found(body) if seen.path.endswith("/1") else Answer(404))
    origin = ScriptedRegistry(lambda seen: found(body))
    there = mirrored(tmp_path, origin, mirror)
    try:
        registry = Registry(Access(plain_http=True, retries=0), lambda _reference: None, there)
        for tag, asked in (("1", 0), ("2", 1), ("1", 1)):
            assert registry.digest(Reference.parse(f"{origin.address}/os:{tag}")) == digest(body)
            assert len(origin.seen) == asked
    finally:
        mirror.close()
        origin.close()


def test_a_mirror_for_digests_is_not_asked_for_a_tag_after_it_had_a_digest(tmp_path: Path) -> None:
    old, new = manifest(layers=(b"old",)), manifest(layers=(b"new",))
    mirror, origin = ScriptedRegistry(lambda seen: found(old)), ScriptedRegistry(lambda seen: found(new))
    there = mirrored(tmp_path, origin, mirror, 'pull-from-mirror = "digest-only"\n')
    image = Reference.parse(f"{origin.address}/os:1")
    try:
        registry = Registry(Access(plain_http=True, retries=0), lambda _reference: None, there)
        assert registry.digest(image.with_digest(digest(old))) == digest(old)
        assert len(mirror.seen) == 1
        assert registry.digest(image) == digest(new)
    finally:
        mirror.close()
        origin.close()


def test_what_there_is_is_asked_of_the_registry_and_not_of_a_mirror_that_has_some_of_it(tmp_path: Path) -> None:
    """A cache lists the tags that were pulled through it, and no referrers."""
    body = manifest()

    def listing(*tags: str) -> Callable[[Seen], Answer]:
        def script(seen: Seen) -> Answer:
            if "/tags/" in seen.path:
                return Answer(200, json.dumps({"name": "os", "tags": tags}).encode())
            if "/referrers/" in seen.path:
                entries = [{"mediaType": MANIFEST, "digest": digest(body), "size": len(body), "artifactType": tag} for tag in tags[1:]]
                return found(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode(), INDEX)
            return found(body)

        return script

    mirror, origin = ScriptedRegistry(listing("1")), ScriptedRegistry(listing("1", "2"))
    there = mirrored(tmp_path, origin, mirror)
    image = Reference.parse(f"{origin.address}/os:1")
    try:
        registry = Registry(Access(plain_http=True, retries=0), lambda _reference: None, there)
        assert registry.digest(image) == digest(body)
        assert (len(mirror.seen), len(origin.seen)) == (1, 0)
        assert registry.tags(image) == ("1", "2")
        assert [one.artifact_type for one in registry.referrers(image, digest(body))] == ["2"]
        # At a site that has nothing but the mirror, that is what there is; the registry's own refusal is told where nobody answers.
        origin.script = lambda seen: Answer(403)
        alone = Registry(Access(plain_http=True, retries=0), lambda _reference: None, there)
        assert alone.tags(image) == ("1",)
        mirror.script = lambda seen: Answer(500)
        with pytest.raises(RegistryForbidden):
            Registry(Access(plain_http=True, retries=0), lambda _reference: None, there).tags(image)
    finally:
        mirror.close()
        origin.close()


def test_an_insecure_registry_of_the_machine_is_spoken_to_without_tls(tmp_path: Path) -> None:
    body = manifest()
    origin = ScriptedRegistry(lambda seen: found(body))
    there = conf(tmp_path, f'[[registry]]\nlocation = "{origin.address}"\ninsecure = true\n')
    try:
        registry = Registry(Access(retries=0), lambda _reference: None, there)
        assert registry.digest(Reference.parse(f"{origin.address}/os:1")) == digest(body)
    finally:
        origin.close()
