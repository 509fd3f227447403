# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Credentials in auth files: merged, private, tried at a real registry."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
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
    return {
        "registry": guarded_registry.address,
        "username": USER,
        "password": PASSWORD,
        "path": str(tmp_path / "ostree/auth.json"),
        "ca_path": str(certificates),
    }


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


def test_check_mode_asks_nobody(module: Module, options: dict[str, Any], guarded_registry: LiveRegistry) -> None:
    before = len(guarded_registry.requests)
    predicted = module("bootc_auth", check_mode=True, **{**options, "password": "wrong-canary"})
    assert (predicted["changed"], len(guarded_registry.requests)) == (True, before)
    assert "canary" not in str(predicted)
    assert not Path(options["path"]).parent.exists()


def test_a_link_stays_a_link(module: Module, tmp_path: Path) -> None:
    """As /etc/ostree/auth.json is to Podman's file on many hosts."""
    target, link = tmp_path / "podman/auth.json", tmp_path / "ostree/auth.json"
    for path in (target, link):
        path.parent.mkdir()
    link.symlink_to(target)
    done = module("bootc_auth", registry="a.test", username="u", password=PASSWORD, path=str(link), verify=False)
    assert done["changed"]
    assert (link.is_symlink(), list(json.loads(target.read_text())["auths"])) == (True, ["a.test"])


def test_tasks_that_write_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """As tasks for many hosts do that are delegated to one builder."""
    path = tmp_path / "auth.json"
    names = [f"r{number}.test" for number in range(8)]
    running = [start(path, name) for name in names]
    assert [process.wait(120) for process in running] == [0] * len(names)
    assert sorted(json.loads(path.read_text())["auths"]) == names


def test_a_killed_run_leaves_the_old_file_or_the_new_one(module: Module, tmp_path: Path) -> None:
    """Killed as it writes, which is made to take long; what it leaves is private, and gone after the next run."""
    path = tmp_path / "auth.json"
    path.write_text('{"auths": {"old.test": {"auth": "dTpw"}}}')
    path.chmod(0o600)
    hang = "import os, time; os.fsync = lambda _file: time.sleep(600)"
    process = start(path, "new.test", hang)
    deadline = time.monotonic() + 60
    while not (left := list(tmp_path.glob(".auth.json.*"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert (list(json.loads(path.read_text())["auths"]), stat.S_IMODE(left[0].stat().st_mode)) == (["old.test"], 0o600)
    done = module("bootc_auth", registry="new.test", username="u", password=PASSWORD, path=str(path), verify=False)
    assert done["registries"] == ["new.test", "old.test"]
    assert [file.name for file in tmp_path.iterdir()] == ["auth.json"]


def start(path: Path, registry: str, before: str = "") -> subprocess.Popen[bytes]:
    """The module in a process of its own."""
    arguments = {"registry": registry, "username": "u", "password": PASSWORD, "path": str(path), "verify": False}
    module = "ansible_collections.imagemode.bootc.plugins.modules.bootc_auth"
    code = f"import runpy\n{before}\nrunpy.run_module({module!r}, run_name='__main__')"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    process.stdin.close()
    return process


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


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"registry": "not a registry"}, "reference_invalid"),
        ({"registry": "--help"}, "reference_invalid"),
        ({"username": ""}, "option_invalid"),
        ({"password": None}, "option_invalid"),
        ({"registry": "127.0.0.1:1"}, "registry_unreachable"),
    ],
)
def test_bad_input(module: Module, options: dict[str, Any], given: dict[str, Any], error: str) -> None:
    result = module("bootc_auth", **{**options, **given})
    assert result.get("error") == error, result
    assert not Path(options["path"]).exists()


def test_a_file_that_is_none_is_left_alone(module: Module, options: dict[str, Any]) -> None:
    path = Path(options["path"])
    path.parent.mkdir()
    path.write_text("{")
    broken = module("bootc_auth", **options)
    assert (broken["error"], "'path'" in broken["hint"]) == ("auth_file_invalid", True), broken
    assert path.read_text() == "{"


def test_a_namespace_of_docker_hub_has_one_name(module: Module, tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": "dTpw"}}}))
    path.chmod(0o600)
    options = {"registry": "docker.io", "username": "u", "password": "p", "path": str(path), "verify": False}
    assert not module("bootc_auth", **options)["changed"]
