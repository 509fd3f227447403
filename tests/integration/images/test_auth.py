# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Credentials in auth files: merged, private, tried at a real registry."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import PASSWORD, USER, LiveRegistry

Module = Callable[..., dict[str, Any]]


@pytest.fixture
def options(guarded_registry: LiveRegistry, tmp_path: Path) -> dict[str, Any]:
    certificates = tmp_path / "certs"
    certificates.mkdir()
    (certificates / "ca.crt").write_bytes((guarded_registry.base / "ca.crt").read_bytes())
    return {"registry": guarded_registry.address, "username": USER, "password": PASSWORD, "path": str(tmp_path / "ostree/auth.json"),
            "ca_path": str(certificates)}


def test_credentials_are_tried_written_and_taken_away(module: Module, options: dict[str, Any]) -> None:
    path = Path(options["path"])
    predicted = module("bootc_auth", check_mode=True, **options)
    assert (predicted["changed"], predicted["verified"], path.exists()) == (True, False, False)
    done = module("bootc_auth", **options)
    assert (done["changed"], done["verified"], done["diff"]) == (True, True, predicted["diff"]), done
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not module("bootc_auth", **options)["changed"]
    gone = {key: options[key] for key in ("registry", "path")}
    assert module("bootc_auth", state="absent", **gone)["changed"]
    assert json.loads(path.read_text())["auths"] == {}
    assert not module("bootc_auth", state="absent", **gone)["changed"]


def test_a_wrong_password_is_an_error_now(module: Module, options: dict[str, Any]) -> None:
    module("bootc_auth", **options)
    before = Path(options["path"]).read_text()
    wrong = module("bootc_auth", **{**options, "password": "wrong-canary"})
    assert wrong["error"] == "registry_unauthorized", wrong
    assert not wrong["changed"]
    assert Path(options["path"]).read_text() == before


def test_what_else_the_file_says_stays(module: Module, options: dict[str, Any]) -> None:
    path = Path(options["path"])
    path.parent.mkdir()
    path.write_text(json.dumps({"credHelpers": {"x.test": "helper"}, "auths": {"other.test/team": {"auth": "dTpw"}}}))
    path.chmod(0o644)
    done = module("bootc_auth", **options)
    document = json.loads(path.read_text())
    assert (document["credHelpers"], document["auths"]["other.test/team"]) == ({"x.test": "helper"}, {"auth": "dTpw"})
    assert done["registries"] == sorted([options["registry"], "other.test/team"])
    path.chmod(0o644)
    again = module("bootc_auth", check_mode=True, **options)
    assert (again["changed"], "others can read" in again["diff"]["before"]) == (True, True)


@pytest.mark.parametrize(("given", "error"), [
    ({"registry": "not a registry"}, "reference_invalid"),
    ({"registry": "--help"}, "reference_invalid"),
    ({"username": ""}, "option_invalid"),
    ({"password": None}, "option_invalid"),
    ({"registry": "127.0.0.1:1"}, "registry_unreachable"),
])
def test_bad_input(module: Module, options: dict[str, Any], given: dict[str, Any], error: str) -> None:
    result = module("bootc_auth", **{**options, **given})
    assert result.get("error") == error, result
    assert not Path(options["path"]).exists()


def test_a_file_that_is_none_is_left_alone(module: Module, options: dict[str, Any]) -> None:
    path = Path(options["path"])
    path.parent.mkdir()
    path.write_text("{")
    assert module("bootc_auth", **options)["error"] == "auth_file_invalid"
    assert path.read_text() == "{"


def test_a_namespace_of_docker_hub_has_one_name(module: Module, tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": "dTpw"}}}))
    path.chmod(0o600)
    options = {"registry": "docker.io", "username": "u", "password": "p", "path": str(path), "verify": False}
    assert not module("bootc_auth", **options)["changed"]
