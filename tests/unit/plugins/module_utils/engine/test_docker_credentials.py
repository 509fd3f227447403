# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker gets what the collection found, wherever that was and whatever it is called there."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._auth import Credentials
from ansible_collections.imagemode.bootc.plugins.module_utils._engine._docker import Docker, _configuration
from ansible_collections.imagemode.bootc.plugins.module_utils._engine_access import engine_access
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import RegistryOptions
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

# It keeps what its --config holds, and does what it is asked for by saying so.
FAKE_DOCKER = f"""#!{sys.executable}
import json, os, sys
words = sys.argv[1:]
if words[0] == "--config":
    seen = {{"document": json.load(open(words[1] + "/config.json")), "files": sorted(os.listdir(words[1]))}}
    json.dump(seen, open(os.environ["SEEN"], "w"))
print('[{{"Id": "sha256:1"}}]')
"""


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the fake docker keeps what it saw; the user has a context of Docker's and a helper there."""
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(FAKE_DOCKER)
    program.chmod(0o755)
    (tmp_path / "docker/contexts").mkdir(parents=True)
    own = {"auths": {"other.test": entry("other")}, "credsStore": "desktop", "currentContext": "far", "credHelpers": {"far.test": "gcr"}}
    (tmp_path / "docker/config.json").write_text(json.dumps(own))
    (tmp_path / "registries.conf").write_text("")
    for name, value in {
        "PATH": f"{program.parent}:/usr/bin:/bin",
        "SEEN": str(tmp_path / "seen"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"),
        "CONTAINERS_REGISTRIES_CONF": str(tmp_path / "registries.conf"),
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "seen"


def entry(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:p".encode()).decode()}


def pulled(seen: Path, name: str, auths: dict[str, Any]) -> dict[str, Any]:
    """:returns: what Docker saw in its configuration, with these entries in Podman's auth file"""
    (seen.parent / "auth.json").write_text(json.dumps({"auths": auths}))
    reference = Reference.parse(name)
    with engine_access(RegistryOptions.of({}, reference), reference) as access:
        Docker(Runner()).pull(reference, access)
    found: dict[str, Any] = json.loads(seen.read_text())
    return found


@pytest.mark.parametrize(
    ("name", "key", "dockers"),
    [
        ("registry.test/team/os:1", "registry.test", ["registry.test"]),
        ("registry.test/team/os:1", "registry.test/team", ["registry.test"]),
        ("docker.io/team/os:1", "docker.io", ["docker.io", "https://index.docker.io/v1/"]),
        ("docker.io/team/os:1", "docker.io/team", ["docker.io", "https://index.docker.io/v1/"]),
    ],
)
def test_docker_finds_what_podman_would(seen: Path, name: str, key: str, dockers: list[str]) -> None:
    assert pulled(seen, name, {key: entry("user")})["document"]["auths"] == dict.fromkeys(dockers, entry("user"))


def test_a_build_keeps_dockers_own_credentials_beside_those_for_its_caches(seen: Path) -> None:
    (seen.parent / "auth.json").write_text(json.dumps({"auths": {"registry.test": entry("user")}}))
    reference = Reference.parse("registry.test/cache:1")
    with engine_access(RegistryOptions.of({}, reference), reference) as access, _configuration(access, alone=False) as directory:
        document = json.loads((directory / "config.json").read_text())
    assert document["auths"] == {"other.test": entry("other"), "registry.test": entry("user")}
    assert (document["credsStore"], document["credHelpers"]) == ("desktop", {"far.test": "gcr", "registry.test": ""})


def test_a_token_has_a_user_because_docker_wants_one() -> None:
    made = Credentials("", "", "token").as_entry()
    assert (base64.b64decode(made["auth"]), made["identitytoken"]) == (b"<token>:", "token")


def test_dockers_own_settings_stay_and_its_helper_is_not_asked_again(seen: Path) -> None:
    found = pulled(seen, "registry.test/os:1", {"registry.test": entry("user")})
    assert found["files"] == ["config.json", "contexts"]
    assert found["document"] == {"auths": {"registry.test": entry("user")}, "currentContext": "far"}
    assert pulled(seen, "registry.test/os:1", {})["document"] == {"auths": {}, "currentContext": "far"}
