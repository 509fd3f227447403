# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scratch directories end with their run, however it ends; a directory of anybody else is never touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils import _scratch
from ansible_collections.imagemode.bootc.plugins.module_utils._scratch import private_directory, scratch_directory
from ansible_collections.imagemode.bootc.plugins.module_utils._session import own_session

HOLD = """
import sys, time
from ansible_collections.imagemode.bootc.plugins.module_utils._scratch import scratch_directory
with scratch_directory("tried", sys.argv[1]) as directory:
    (directory / "secret").write_text("canary")
    print(directory, flush=True)
    time.sleep(60)
"""


def holding(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """A run that has a directory and is at work."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(place)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_asked_to_end_removes_its_directory(tmp_path: Path, number: signal.Signals) -> None:
    process, directory = holding(tmp_path)
    assert (directory / "secret").read_text() == "canary"
    process.send_signal(number)
    assert process.wait(10) == 128 + number
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o700, 0o2775], ids=["own", "a group's"])
def test_what_a_killed_run_left_is_removed_and_what_a_living_one_has_is_not(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    killed, left = holding(tmp_path)
    living, kept = holding(tmp_path)
    try:
        killed.kill()
        killed.wait(10)
        assert left.is_dir()
        with scratch_directory("another", str(tmp_path)):
            assert left.is_dir()
        with scratch_directory("tried", str(tmp_path)) as own:
            assert set(tmp_path.iterdir()) == {kept, own}
            assert own.stat().st_mode & 0o777 == 0o700
        assert (kept / "secret").read_text() == "canary"
    finally:
        living.kill()
        living.wait(10)


def test_what_is_mounted_in_a_directory_that_was_left_is_not_removed(tmp_path: Path) -> None:
    """An engine that was killed may leave a user's context mounted there."""
    own, place = tmp_path / "own", tmp_path / "place with space"
    own.mkdir()
    place.mkdir()
    (own / "file").write_text("canary")
    killed, left = holding(place)
    mounted = left / "mnt"
    mounted.mkdir()
    if subprocess.run(["mount", "--bind", str(own), str(mounted)], capture_output=True, check=False).returncode != 0:
        killed.kill()
        pytest.skip("nothing can be mounted here")
    try:
        killed.kill()
        killed.wait(10)
        with scratch_directory("tried", str(place)) as directory:
            assert list(place.iterdir()) == [directory]
        assert (own / "file").read_text() == "canary"
    finally:
        subprocess.run(["umount", str(mounted)], capture_output=True, check=False)


def test_a_directory_that_may_not_be_read_is_removed_and_what_a_link_leads_to_is_not_touched(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o750)
    with scratch_directory("tried", str(tmp_path)) as directory:
        (directory / "link").symlink_to(own)
        (directory / "closed" / "inside").mkdir(parents=True)
        (directory / "closed" / "inside").chmod(0)
        (directory / "closed").chmod(0o100)
    assert list(tmp_path.iterdir()) == [own]
    assert own.stat().st_mode & 0o777 == 0o750


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    (tmp_path / "imagemode-tried-link").symlink_to(target)
    (tmp_path / "imagemode-tried-file").write_text("x")
    (tmp_path / "imagemode-tried-open").mkdir(mode=0o755)
    others = tmp_path / "imagemode-tried-others"
    others.mkdir(mode=0o700)
    if os.getuid() == 0:
        os.chown(others, 12345, 12345)
    else:
        others.rmdir()
    before = set(tmp_path.iterdir())
    with scratch_directory("tried", str(tmp_path)):
        pass
    assert set(tmp_path.iterdir()) == before


def test_secrets_are_kept_in_memory_where_there_is_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_scratch, "_SHARED_MEMORY", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # on the disk
    kinds = {line.split()[1]: line.split()[2] for line in Path("/proc/self/mounts").read_text().splitlines()}
    with private_directory() as directory:
        assert directory.parent == Path(tempfile.gettempdir()) or kinds.get(str(directory.parent)) == "tmpfs"
    monkeypatch.undo()
    if kinds.get("/dev/shm") == "tmpfs":
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        with private_directory() as directory:
            assert any(kinds.get(str(parent)) == "tmpfs" for parent in directory.parents)


def test_another_users_session_is_not_followed(tmp_path: Path) -> None:
    mine = {"XDG_RUNTIME_DIR": str(tmp_path), "DBUS_SESSION_BUS_ADDRESS": "unix:path=/bus"}
    own_session(mine, tmp_path.stat().st_uid)
    assert mine == {"XDG_RUNTIME_DIR": str(tmp_path), "DBUS_SESSION_BUS_ADDRESS": "unix:path=/bus"}
    own_session(mine, 987654)
    assert mine == {}
    gone = {"XDG_RUNTIME_DIR": str(tmp_path / "gone")}
    own_session(gone, 987654)
    assert gone == {}
