# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Credentials from every place where Podman and Docker look, helpers included."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._auth import (
    CredentialHelperFailed,
    Credentials,
    CredentialsInvalid,
    auth_file_places,
    find_credentials,
    merged,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._go_access import go_environment
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import RegistriesConfInvalid, RegistryOptions
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import CommandMissing

IMAGE = Reference.parse("registry.test/team/os:1")


def entry(user: str, password: str = "p") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def auth_file(path: Path, **document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def user(*paths: Path, image: Reference = IMAGE) -> str | None:
    found = find_credentials(image, paths)
    return found and (found.username or f"token {found.identity_token}")


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a program docker-credential-NAME on PATH, which answers one registry and writes down who was asked for."""

    def install(name: str, registry: str, answer: str, rc: int = 0) -> Path:
        program = tmp_path / "bin" / f"docker-credential-{name}"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"""#!/bin/sh
read -r asked
echo "$1 $asked" >> {tmp_path}/asked
[ "$asked" = {registry} ] || {{ echo "credentials not found in native keychain"; exit 1; }}
echo '{answer}'
exit {rc}
""")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return tmp_path / "asked"

    return install


def test_the_places_and_their_order(tmp_path: Path) -> None:
    variables = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": "/run/user/7"}
    assert [str(path) for path in auth_file_places(variables, uid=7)] == [
        "/run/user/7/containers/auth.json",
        f"{tmp_path}/.config/containers/auth.json",
        f"{tmp_path}/.docker/config.json",
        f"{tmp_path}/.dockercfg",
    ]
    assert str(auth_file_places({"HOME": "/root"}, uid=0)[0]) == "/run/containers/0/auth.json"
    moved = auth_file_places({"HOME": "/root", "XDG_CONFIG_HOME": "/etc/x", "DOCKER_CONFIG": "/etc/d"}, uid=0)
    assert [str(path) for path in moved[1:3]] == ["/etc/x/containers/auth.json", "/etc/d/config.json"]
    assert auth_file_places({**variables, "REGISTRY_AUTH_FILE": "/x.json"}) == (Path("/x.json"),)


@pytest.mark.parametrize("holder", range(4))
def test_each_place_is_read_and_an_earlier_one_wins(tmp_path: Path, holder: int) -> None:
    places = auth_file_places({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}, uid=7)
    for number, path in enumerate(places[holder:], holder):
        entries = {"registry.test": entry(f"user{number}")}
        auth_file(path, **(entries if path.name == ".dockercfg" else {"auths": entries}))
    assert user(*places) == f"user{holder}"


@pytest.mark.parametrize(
    ("auths", "found"),
    [
        ({"registry.test": entry("all"), "registry.test/team": entry("team"), "registry.test/team/os": entry("os")}, "os"),
        ({"registry.test": entry("all"), "registry.test/tea": entry("tea")}, "all"),
        ({"https://registry.test/v2/": entry("address")}, "address"),
        ({"registry.test:443": entry("port"), "other.test": entry("other")}, None),
        ({"registry.test": {}}, None),
        ({"registry.test": {"username": "plain", "password": "p"}}, "plain"),
        ({"registry.test": {**entry("00000000-0000", ""), "identitytoken": "t"}}, "00000000-0000"),
        ({"registry.test": {"identitytoken": "t"}}, "token t"),
    ],
)
def test_the_entry_of_the_longest_namespace(tmp_path: Path, auths: dict[str, Any], found: str | None) -> None:
    assert user(auth_file(tmp_path / "auth.json", auths=auths)) == found


@pytest.mark.parametrize(
    ("name", "older"),
    [("docker.io", "https://index.docker.io/v1/"), ("registry.test", "https://registry.test"), ("registry.test", "registry.test/v2/")],
)
def test_a_name_wins_over_an_older_way_to_write_it(tmp_path: Path, name: str, older: str) -> None:
    """As Podman writes the one and Docker the other."""
    for number, keys in enumerate(((name, older), (older, name))):
        path = auth_file(tmp_path / f"{number}.json", auths={key: entry("podman" if key == name else "docker") for key in keys})
        found = find_credentials(Reference.parse(f"{name}/team/os:1"), [path])
        assert found
        assert found.username == "podman"


@pytest.mark.parametrize("key", ["docker.io", "https://index.docker.io/v1/", "index.docker.io"])
def test_docker_hub_has_many_names(tmp_path: Path, key: str) -> None:
    assert user(auth_file(tmp_path / "auth.json", auths={key: entry("hub")}), image=Reference.parse("debian:12")) == "hub"


def test_a_password_may_hold_anything(tmp_path: Path) -> None:
    """As the key of a service account of Google's registry does."""
    password = '{"type": "service_account",\n "private_key": "-----BEGIN: ä"}'
    found = find_credentials(IMAGE, [auth_file(tmp_path / "auth.json", auths={"registry.test": entry("_json_key", password)})])
    assert found == Credentials("_json_key", password)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"auths": 7}', '{"auths": {"registry.test": 7}}', '{"auths": {"registry.test": {"auth": "%"}}}']
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "auth.json").write_text(content)
    with pytest.raises(CredentialsInvalid, match=r"auth\.json"):
        user(tmp_path / "auth.json")


def test_a_registrys_own_helper_goes_before_entries(tmp_path: Path, helper: Any) -> None:
    """As Amazon's, Google's and Azure's are set up."""
    asked = helper("cloud", "registry.test", '{"ServerURL": "registry.test", "Username": "AWS", "Secret": "canary"}')
    path = auth_file(tmp_path / "auth.json", credHelpers={"registry.test": "cloud"}, auths={"registry.test": entry("stale")})
    assert user(path) == "AWS"
    assert user(path, image=Reference.parse("other.test/os:1")) is None
    assert asked.read_text() == "get registry.test\n"


def test_a_store_is_asked_last_and_may_give_an_identity_token(tmp_path: Path, helper: Any) -> None:
    asked = helper("safe", "https://index.docker.io/v1/", '{"Username": "<token>", "Secret": "refresh"}')
    path = auth_file(tmp_path / "config.json", credsStore="safe", auths={"registry.test": entry("here"), "docker.io": {}})
    assert user(path) == "here"
    assert user(path, image=Reference.parse("debian:12")) == "token refresh"
    assert user(path, image=Reference.parse("unknown.test/os:1")) is None
    assert asked.read_text().splitlines() == ["get https://index.docker.io/v1/", "get unknown.test"]


def test_a_helper_that_fails_is_an_error_and_one_that_is_gone_too(tmp_path: Path, helper: Any) -> None:
    helper("broken", "registry.test", "the keyring is locked", rc=2)
    helper("odd", "registry.test", '{"token": "canary"}')
    with pytest.raises(CredentialHelperFailed, match="keyring is locked") as raised:
        user(auth_file(tmp_path / "auth.json", credHelpers={"registry.test": "broken"}))
    assert (raised.value.error, "echo registry.test | docker-credential-broken get" in (raised.value.hint or "")) == (
        "credential_helper_failed",
        True,
    )
    with pytest.raises(CredentialHelperFailed, match="docker-credential-odd") as raised:
        user(auth_file(tmp_path / "auth.json", credHelpers={"registry.test": "odd"}))
    assert "canary" not in raised.value.message
    assert raised.value.hint
    with pytest.raises(CredentialHelperFailed, match="not the name"):
        user(auth_file(tmp_path / "auth.json", credHelpers={"registry.test": "../../bin/sh"}))
    with pytest.raises(CommandMissing):
        user(auth_file(tmp_path / "auth.json", credHelpers={"registry.test": "gone"}))
    assert user(auth_file(tmp_path / "auth.json", credsStore="gone")) is None


def test_an_engine_gets_what_it_would_not_find(tmp_path: Path, helper: Any) -> None:
    """Podman knows no credsStore; the file for it has its answer, and nothing that would be asked instead."""
    helper("safe", "registry.test", '{"Username": "kept", "Secret": "s"}')
    path = auth_file(tmp_path / "config.json", credsStore="safe", credHelpers={"x.test": "x"}, auths={"y.test": entry("y")})
    options = RegistryOptions.of({"auth_file": str(path)}, IMAGE)
    with options.engine_auth_file("registry.test", options.credentials(IMAGE)) as given:
        assert given
        document = json.loads(given.read_text())
        assert given.stat().st_mode & 0o77 == 0
    assert document == {"auths": {"registry.test": entry("kept", "s"), "y.test": entry("y")}, "credHelpers": {"x.test": "x"}}
    assert not given.exists()
    with options.engine_auth_file("y.test", options.credentials(Reference.parse("y.test/os:1"))) as given:
        assert given == path


def test_credentials_of_the_task_are_above_every_entry_and_helper(tmp_path: Path) -> None:
    path = auth_file(
        tmp_path / "auth.json",
        credHelpers={"registry.test": "h", "https://index.docker.io/v1/": "h", "other.test": "h"},
        credsStore="s",
        auths={"registry.test/team": entry("team"), "registry.test": entry("all"), "other.test": entry("other")},
    )
    document = merged([path], {"registry.test": Credentials("mine", "p"), "docker.io": Credentials("hub", "p")})
    assert document == {
        "credHelpers": {"other.test": "h"},
        "auths": {
            "registry.test": entry("mine"),
            "other.test": entry("other"),
            "docker.io": entry("hub"),
            "https://index.docker.io/v1/": entry("hub"),
        },
    }


def test_a_file_may_say_that_it_has_none(tmp_path: Path) -> None:
    path = auth_file(tmp_path / "auth.json", auths=None, credHelpers=None, credsStore=None)
    assert find_credentials(IMAGE, [path]) is None
    assert merged([path], {"registry.test": Credentials("mine", "p")})["auths"] == {"registry.test": entry("mine")}


@pytest.mark.parametrize("image", ["registry.test/os:1", "docker.io/team/os:1"])
def test_cosign_and_syft_ask_no_helper_that_was_asked_already(tmp_path: Path, image: str) -> None:
    """As a desktop's setting that came along with a home directory: they end with an error where it is not installed."""
    path = auth_file(tmp_path / "auth.json", credsStore="desktop", credHelpers={"gcr.test": "g"}, auths={"other.test": entry("other")})
    for given, found in (({}, {}), ({"username": "mine", "password": "p"}, entry("mine"))):
        reference = Reference.parse(image)
        with go_environment(RegistryOptions.of({"auth_file": str(path), **given}, reference), reference) as environment:
            document = json.loads((Path(environment["DOCKER_CONFIG"]) / "config.json").read_text())
        key = "https://index.docker.io/v1/" if reference.registry == "docker.io" else reference.registry
        assert document["auths"].get(key, {}) == found
        assert (document.get("credsStore"), document["credHelpers"]) == (None, {"gcr.test": "g"})


def test_the_helpers_of_registries_conf_are_asked_in_their_order(tmp_path: Path, helper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = '{"Username": "of-the-helper", "Secret": "s"}'
    asked = helper("vault", IMAGE.registry, answer)
    file = auth_file(tmp_path / "auth.json", auths={IMAGE.registry: entry("of-the-file")})
    configuration = tmp_path / "registries.conf"
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(configuration))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(file))

    def found(text: str, image: Reference = IMAGE) -> str | None:
        configuration.write_text(text)
        credentials = RegistryOptions.of({}, image).credentials(image)
        return credentials and credentials.username

    assert found("") == found('credential-helpers = ["containers-auth.json", "vault"]\n') == "of-the-file"
    assert not asked.exists()
    assert found('credential-helpers = ["vault", "containers-auth.json"]\n') == found('credential-helpers = ["vault"]\n') == "of-the-helper"
    assert "registry.test/team" not in asked.read_text(), "a helper knows registries, not namespaces"
    other = Reference.parse("other.test/os:1")
    assert found('credential-helpers = ["vault"]\n', other) is None
    # One that is not installed counts only where nobody else has anything.
    assert found('credential-helpers = ["nowhere", "containers-auth.json"]\n') == "of-the-file"
    with pytest.raises(CommandMissing):
        found('credential-helpers = ["nowhere"]\n', other)
    with pytest.raises(RegistriesConfInvalid):
        found("credential-helpers = 1\n")


def test_engines_are_given_what_a_helper_of_registries_conf_answered(tmp_path: Path, helper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker does not read registries.conf."""
    helper("vault", IMAGE.registry, '{"Username": "of-the-helper", "Secret": "s"}')
    (tmp_path / "registries.conf").write_text('credential-helpers = ["vault"]\n')
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(auth_file(tmp_path / "auth.json")))
    options = RegistryOptions.of({}, IMAGE)
    with options.engine_auth_file(IMAGE.registry, options.credentials(IMAGE)) as path:
        assert path
        assert json.loads(path.read_text())["auths"][IMAGE.registry] == entry("of-the-helper", "s")
    assert not path.exists()
