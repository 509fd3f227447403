# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One entry of an auth file is set or removed, and the others stay."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._auth import Credentials, CredentialsInvalid, update_auth_file
from ansible_collections.imagemode.bootc.plugins.module_utils._auth._credentials import normalised_key
from ansible_collections.imagemode.bootc.plugins.module_utils._auth._entries import entry

GIVEN = Credentials("me", "canary")
OTHERS = {"auths": {"other.test": {"auth": "eDp5"}}, "credsStore": "desktop"}


@pytest.mark.parametrize("written", ["registry.test", "https://registry.test/v1/", "registry.test/v2"])
def test_an_entry_is_set_and_removed_however_it_was_written(tmp_path: Path, written: str) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({**OTHERS, "auths": {**OTHERS["auths"], written: {"auth": "b2xkOm9sZA=="}}}))
    assert entry(json.loads(path.read_text()), "registry.test", path) == Credentials("old", "old")
    document = update_auth_file(path, "registry.test", GIVEN)
    assert document == {**OTHERS, "auths": {**OTHERS["auths"], "registry.test": GIVEN.as_entry()}}
    assert (json.loads(path.read_text()), path.stat().st_mode & 0o777) == (document, 0o600)
    assert entry(document, "registry.test", path) == GIVEN
    assert update_auth_file(path, "registry.test", None) == OTHERS == json.loads(path.read_text())
    assert entry(OTHERS, "registry.test", path) is None


def test_of_two_ways_to_write_a_registry_the_entry_is_the_one_that_counts(tmp_path: Path) -> None:
    for keys in (("registry.test", "https://registry.test"), ("https://registry.test", "registry.test")):
        document = {"auths": {key: Credentials("named" if key == "registry.test" else "older", "p").as_entry() for key in keys}}
        assert entry(document, "registry.test", tmp_path) == Credentials("named", "p")


def test_a_helper_for_the_registry_goes_and_those_for_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({**OTHERS, "credHelpers": {"https://registry.test": "ecr-login", "other.test": "pass"}}))
    assert update_auth_file(path, "registry.test/team", None)["credHelpers"] == {"https://registry.test": "ecr-login", "other.test": "pass"}
    assert update_auth_file(path, "registry.test/team", GIVEN)["credHelpers"] == {"other.test": "pass"}


def test_lines_of_the_command_base64_are_one_entry(tmp_path: Path) -> None:
    """As Podman and skopeo take them."""
    given = Credentials("me", "a token of more than one line " * 5)
    wrapped = "\r\n".join(re.findall(".{1,76}", given.basic)) + "\n"
    assert wrapped.count("\n") > 2
    assert entry({"auths": {"registry.test": {"auth": wrapped}}}, "registry.test", tmp_path) == given


@pytest.mark.parametrize("written", ["no base64", "bWU6Y2FuYXJ5ü", ["bWU6Y2FuYXJ5"], "/w=="])
def test_what_is_no_base64_is_no_entry(tmp_path: Path, written: object) -> None:
    with pytest.raises(CredentialsInvalid):
        entry({"auths": {"registry.test": {"auth": written}}}, "registry.test", tmp_path)


@pytest.mark.parametrize("content", [None, "", "{}", '{"auths": null}'])
def test_a_file_without_entries_gets_its_first(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "containers/auth.json"
    if content is not None:
        path.parent.mkdir()
        path.write_text(content)
    assert update_auth_file(path, "registry.test", GIVEN) == {"auths": {"registry.test": GIVEN.as_entry()}}
    assert path.parent.stat().st_mode & 0o777 == (0o700 if content is None else 0o755)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("http://registry.test/v1/", "registry.test"),
        ("registry.test/team/v1", "registry.test/team/v1"),
    ],
)
def test_the_version_of_an_api_is_no_namespace_and_a_namespace_is_no_version(key: str, meant: str) -> None:
    assert normalised_key(key) == meant
