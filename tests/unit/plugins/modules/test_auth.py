# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""bootc_auth as Ansible runs it, where it may not write."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._auth import AuthFileUnwritable, Credentials, need_writable, update_auth_file

NOBODY = 65534


@contextmanager
def as_somebody() -> Iterator[None]:
    """Not as root, who may write everywhere."""
    if os.getuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_place_that_cannot_be_written_is_an_error_before_anything_else(host: Any, check_mode: bool) -> None:
    (host.base / "file").write_text("")
    path = str(host.base / "file/auth.json")
    options = {"registry": "registry.test", "username": "user", "password": "canary", "path": path}
    result = host.run("bootc_auth", check_mode=check_mode, **options)
    assert (result["error"], result["changed"]) == ("auth_file_unwritable", False), result
    assert "become" in result["hint"]
    assert host.calls == []
    assert not host.run("bootc_auth", registry="registry.test", path=path, state="absent")["changed"]


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("bootc_auth", {"registry": "registry.test", "username": "user:canary", "password": "another", "verify": False}),
        ("oci_image_info", {"name": "registry.test/os:1", "username": "user:canary", "password": "another"}),
    ],
)
def test_a_user_name_has_no_colon(host: Any, module: str, options: dict[str, Any]) -> None:
    """RFC 7617: what is after it would be the password."""
    if module == "bootc_auth":
        options = {**options, "path": str(host.base / "auth.json")}
    result = host.run(module, **options)
    assert (result["error"], result["changed"]) == ("option_invalid", False), result
    assert "user name" in result["msg"]
    assert "canary" not in f"{result['msg']}{result['hint']}"
    assert not (host.base / "auth.json").exists()


def test_the_diff_says_that_a_password_is_another_and_nothing_of_it(host: Any) -> None:
    path = str(host.base / "auth.json")
    for check_mode, password, after in (
        (False, "canary-one", "registry.test: user\n"),
        (True, "canary-two", "registry.test: user with another password\n"),
        (False, "canary-two", "registry.test: user with another password\n"),
        (False, "canary-two", "registry.test: user\n"),
    ):
        options = {"registry": "registry.test", "username": "user", "password": password, "path": path, "verify": False}
        result = host.run("bootc_auth", check_mode=check_mode, **options)
        assert result["diff"]["after"] == after, result
        assert result["changed"] == (result["diff"]["before"] != after)


def test_a_helper_that_would_be_asked_instead_is_taken_out(host: Any) -> None:
    path = host.base / "auth.json"
    options = {"registry": "registry.test", "username": "user", "password": "canary", "path": str(path), "verify": False}
    host.run("bootc_auth", **options)
    path.write_text(json.dumps({**json.loads(path.read_text()), "credHelpers": {"registry.test": "ecr-login"}}))
    predicted, done = (host.run("bootc_auth", check_mode=check_mode, **options) for check_mode in (True, False))
    assert predicted["changed"]
    assert done["changed"]
    assert "ecr-login" in done["diff"]["before"]
    assert "ecr-login" not in done["diff"]["after"]
    assert not host.run("bootc_auth", **options)["changed"]


@pytest.mark.parametrize("damaged", [{"auth": "no base64"}, "a text", {"username": "user", "password": "canary"}])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_damaged_entry_is_replaced_or_removed(host: Any, state: str, damaged: Any) -> None:
    path = host.base / "auth.json"
    path.write_text(json.dumps({"auths": {"registry.test": damaged, "other.test": {"auth": "dTpw"}}}))
    path.chmod(0o600)
    user = {"username": "user", "password": "canary", "verify": False} if state == "present" else {}
    options = {"registry": "registry.test", "path": str(path), "state": state, **user}
    predicted = host.run("bootc_auth", check_mode=True, **options)
    done = host.run("bootc_auth", **options)
    for result in (predicted, done):
        assert (result.get("changed"), result["diff"]["before"]) == (True, "registry.test: damaged\n"), result
    assert done["registries"] == predicted["registries"] == ["other.test", "registry.test"][: 2 if state == "present" else 1]
    assert not host.run("bootc_auth", **options)["changed"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """C(/dev/null) stands for "no credentials" in REGISTRY_AUTH_FILE, and root can replace it."""
    place, link = tmp_path / "place", tmp_path / "link"
    os.mkfifo(place)
    link.symlink_to(place)
    for path in (place, link):
        with pytest.raises(AuthFileUnwritable):
            need_writable(path)


def test_another_users_directory_is_told_from_a_missing_one(tmp_path: Path) -> None:
    need_writable(tmp_path / "not/there/yet/auth.json")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with as_somebody():
        for path in (closed / "auth.json", closed / "below/auth.json"):
            with pytest.raises(AuthFileUnwritable):
                need_writable(path)
            with pytest.raises(AuthFileUnwritable):
                update_auth_file(path, "registry.test", Credentials("user", "canary"))
    assert list(closed.iterdir()) == []
