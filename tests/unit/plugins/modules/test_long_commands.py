# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pull outlives the task that started it, and the next task goes on from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import parse_status

NEW = "sha256:" + "1" * 64
HOLD = """
import fcntl, os, struct, sys, time
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def pull(host: Any, documents: Callable[[str], str]) -> Callable[..., None]:
    """Prepare an upgrade that takes so many seconds."""

    def prepare(seconds: float, **step: Any) -> None:
        before = documents("booted")
        document = json.loads(before)
        staged = json.loads(json.dumps(document["status"]["booted"]))
        staged["image"]["imageDigest"] = NEW
        document["status"]["staged"] = staged
        image = parse_status(before).spec.image  # type: ignore[union-attr]
        host.set(before, {"bootc upgrade": {"after": json.dumps(document), "seconds": seconds, **step}}, {image: NEW})

    return prepare


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pulling(host: Any) -> int:
    """The process of the fake bootc."""
    found: list[str] = []

    def look() -> bool:
        pgrep = ["pgrep", "-f", f"{host.base}/bin/bootc upgrade"]
        found[:] = subprocess.run(pgrep, capture_output=True, text=True, check=False).stdout.split()
        return bool(found)

    until(look)
    return int(found[0])


def upgrades(host: Any) -> int:
    return int(host.calls.count("bootc upgrade"))


def test_a_watched_pull_says_how_far_it_is_and_then_how_it_ended(host: Any, pull: Callable[..., None]) -> None:
    pull(8)
    running = host.run("bootc_upgrade", watch="start")["running"]
    until(lambda: '"bytes":1000' in host.run("bootc_upgrade", watch=running["id"])["running"]["progress"])
    assert running["command"] == "bootc upgrade"
    assert {path.stat().st_mode & 0o777 for path in host.job.iterdir()} == {0o600}
    assert not (host.job / "run").exists(), "the task's environment is left in a file"
    until((host.job / "rc").exists)
    result = host.run("bootc_upgrade", watch=running["id"])
    assert result["changed"] is True
    assert result["digest"] == NEW
    assert result["commands"] == ["bootc upgrade"]
    assert upgrades(host) == 1
    assert not host.job.exists()


def test_a_killed_task_does_not_end_the_pull_and_the_next_one_waits_for_it(host: Any, pull: Callable[..., None]) -> None:
    pull(8)
    module = host.start("bootc_upgrade")
    until((host.job / "pid").exists)
    module.kill()
    result = host.run("bootc_upgrade")
    assert result["changed"] is True
    assert result["digest"] == NEW
    assert upgrades(host) == 1
    assert host.run("bootc_upgrade")["changed"] is False
    assert not host.job.exists()


def test_what_was_asked_meanwhile_is_done_after_the_pull(host: Any, pull: Callable[..., None]) -> None:
    pull(2)
    host.start("bootc_upgrade")
    until((host.job / "pid").exists)
    result = host.run("bootc_upgrade", digest=NEW)
    assert result["changed"] is False
    assert result["reason"] == "this image is staged already"
    assert upgrades(host) == 1


def test_two_tasks_that_wait_for_the_same_pull_do_not_start_another(host: Any, pull: Callable[..., None]) -> None:
    pull(2)
    other = host.start("bootc_upgrade")
    until((host.job / "pid").exists)
    result = host.run("bootc_upgrade")
    theirs = json.loads(other.communicate()[0].splitlines()[-1])
    assert sorted([result["changed"], theirs["changed"]]) == [False, True]
    assert result["digest"] == theirs["digest"] == NEW
    assert upgrades(host) == 1


def test_check_mode_waits_and_changes_nothing(host: Any, pull: Callable[..., None]) -> None:
    pull(2)
    host.start("bootc_upgrade")
    until((host.job / "pid").exists)
    result = host.run("bootc_upgrade", check_mode=True)
    assert result["changed"] is False
    assert result["digest"] == NEW


def test_a_pull_that_takes_too_long_is_ended(host: Any, pull: Callable[..., None]) -> None:
    pull(60)
    started = time.monotonic()
    result = host.run("bootc_upgrade", timeout=1)
    assert (result["error"], result["changed"], "stderr" in result) == ("command_timeout", False, True)
    assert "'timeout'" in result["hint"]
    assert time.monotonic() - started < 30
    assert not host.job.exists()


def test_a_pull_that_was_killed_is_an_error_and_the_next_run_repairs_it(host: Any, pull: Callable[..., None]) -> None:
    pull(60)
    running = host.run("bootc_upgrade", watch="start")["running"]
    os.kill(pulling(host), signal.SIGKILL)
    until((host.job / "rc").exists)
    result = host.run("bootc_upgrade", watch=running["id"])
    assert result["error"] == "bootc_failed"
    assert "ended from outside" in result["msg"]
    pull(0)
    assert host.run("bootc_upgrade")["changed"] is True


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("dial tcp: connect: connection refused", "registry_unreachable"),
        ("read tcp 10.0.2.15:41234->10.0.2.2:5000: read: connection reset by peer", "registry_unreachable"),
        ("Importing: Unencapsulating base: Writing content object: fallocate: No space left on device", "disk_full"),
    ],
)
def test_a_pull_that_fails_in_the_middle_is_classified(host: Any, pull: Callable[..., None], said: str, code: str) -> None:
    pull(1, after=None, rc=1, stderr=f"error: Upgrading: {said}")
    result = host.run("bootc_upgrade")
    assert (result["error"], result["changed"], result["cmd"]) == (code, False, "bootc upgrade")
    assert result["hint"]
    assert result["after"] == result["before"]


def test_the_commands_environment_is_the_tasks(host: Any, pull: Callable[..., None]) -> None:
    pull(2)
    host.start("bootc_upgrade", environment={"https_proxy": "http://it's:8080/"})
    variables = Path(f"/proc/{pulling(host)}/environ").read_bytes().split(b"\0")
    assert b"https_proxy=http://it's:8080/" in variables
    host.run("bootc_upgrade")


@pytest.mark.parametrize("module", ["bootc_upgrade", "bootc_rollback"])
def test_who_holds_the_lock_is_named(host: Any, documents: Callable[[str], str], module: str) -> None:
    host.set(documents("booted"))
    lock = host.base / "ostree/lock"
    lock.parent.mkdir()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with lock.open():  # one that waits has it open, too
            result = host.run(module, lock_timeout=1)
            holder.kill()
    assert result["error"] == "bootc_locked"
    assert result["holder"]["pid"] == holder.pid
    assert "time.sleep(60)" in result["holder"]["command"]
    assert host.calls == []
    host.run(module, lock_timeout=1)
    assert host.calls != [], "nobody holds it now"
