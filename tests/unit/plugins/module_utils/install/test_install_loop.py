# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real loop devices of files, and what becomes of them when a run is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._install import claim, loop
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import Request
from ansible_collections.imagemode.bootc.plugins.module_utils._install.on_disk import FileInstallation
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

needs_loop_devices = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/loop-control"), reason="needs root and loop devices")


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "disk.raw"
    with path.open("wb") as stream:
        stream.truncate(1 << 20)
    return str(path)


@needs_loop_devices
def test_a_loop_device_ends_with_the_run_also_if_that_is_killed(file: str) -> None:
    script = f"""
import time
from {loop.__name__} import attached
from {Runner.__module__} import Runner
with attached(Runner(), {file!r}):
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script]) as run:
        until(lambda: loop.devices(Runner(), file) != [])
        time.sleep(1)
        assert loop.devices(Runner(), file) != []
        run.kill()
    until(lambda: loop.devices(Runner(), file) == [])


@needs_loop_devices
def test_a_loop_device_that_somebody_made_is_used_and_kept(file: str) -> None:
    device = Runner().run(["losetup", "--find", "--show", file]).stdout.strip()
    try:
        with loop.attached(Runner(), file) as used:
            assert used == device
        assert loop.devices(Runner(), file) == [device]
    finally:
        Runner().run(["losetup", "--detach", device])


@pytest.mark.parametrize("may_write", [True, False])
def test_a_file_that_cannot_be_made_is_told(tmp_path: Path, may_write: bool) -> None:
    with pytest.raises(ImageModeError) as caught:
        FileInstallation(Runner(), str(tmp_path / "no/disk.raw"), 1 << 20, Request("os:1"), may_write=may_write)
    assert caught.value.error == "destination_missing"


def test_a_lock_needs_no_directory_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "_LOCKS", tmp_path / "run/lock")
    claim.Claim(Runner(), "bootc-install-vdb").take()
    assert (tmp_path / "run/lock/bootc-install-vdb.lock").exists()


@needs_loop_devices
def test_what_a_killed_run_left_at_work_in_a_directory_is_ended(file: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/podman").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/ended\n')
    (tmp_path / "bin/podman").chmod(0o755)
    runner = Runner({"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"})
    device = runner.run(["losetup", "--find", "--show", file]).stdout.strip()
    try:
        loop.release(runner, tmp_path / "another")
        assert loop.devices(runner, file) == [device]
        loop.release(runner, tmp_path)
        assert loop.devices(runner, file) == []
        assert (tmp_path / "ended").read_text().splitlines()[0].split()[-1] == f"bootc-install-{os.path.basename(device)}"
    finally:
        runner.run(["losetup", "--detach", device], check=False)
