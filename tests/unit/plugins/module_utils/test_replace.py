# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file is replaced, or nothing is there that was not there before."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.sidecar import DiskImageFile
from ansible_collections.imagemode.bootc.plugins.module_utils._install import note
from ansible_collections.imagemode.bootc.plugins.module_utils._replace import replace_file
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.plan import Batch, Candidate
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.state import Rollout, RolloutInvalid, save


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_file_has_the_mode_that_was_asked_for(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        for mode in (0o644, 0o600):
            replace_file(tmp_path / "file", "täxt", mode)
            assert (tmp_path / "file").read_bytes() == "täxt".encode()
            assert (tmp_path / "file").stat().st_mode & 0o777 == mode
    finally:
        os.umask(before)
    assert os.listdir(tmp_path) == ["file"]


def of_a_rollout(folder: Path) -> None:
    with pytest.raises(RolloutInvalid):
        save(folder / "taken", Rollout("r.test/os:1", f"sha256:{'0' * 64}", "", (Batch("all", ("a",)),), (Candidate("a"),)))


def of_a_note(folder: Path) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - which one is the file system's business
        note.Note("taken").write({"state": "begun"})


@pytest.mark.parametrize("write", [of_a_rollout, of_a_note])
def test_nothing_is_left_of_a_file_that_cannot_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(note, "DIRECTORY", tmp_path)
    (tmp_path / "taken").mkdir()
    write(tmp_path)
    assert os.listdir(tmp_path) == ["taken"]


def test_what_a_killed_run_left_of_a_sidecar_goes(tmp_path: Path) -> None:
    file = DiskImageFile(str(tmp_path / "disk.raw"))
    left = tmp_path / f".{file.sidecar.name}.abcd_123.imagemode"
    left.write_text("half of it")
    with file.locked(1, lambda _left: None):
        assert not left.exists()
