# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of media are made once, again when something else goes into them, and never over somebody else's."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._media.shelf import SIDECAR, ForeignFile, Part, Shelf


def part(text: str = "one", name: str = "boot/medium.iso") -> Part:
    return Part(name, {"text": text}, lambda path: (path.write_text(text), None)[1])


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    Shelf(tmp_path).put(part())
    return tmp_path


def lacking(directory: Path, *parts: Part) -> list[str]:
    return [one.name for one in Shelf(directory).lacking(parts)]


def test_what_was_made_is_there_and_is_told(directory: Path) -> None:
    file = directory / "boot/medium.iso"
    assert lacking(directory, part(), part(name="other.iso")) == ["other.iso"]
    assert Shelf(directory).facts("boot/medium.iso") == {"path": str(file), "size": 3, "sha256": hashlib.sha256(b"one").hexdigest()}
    assert (file.stat().st_mode & 0o777, os.listdir(file.parent)) == (0o644, ["medium.iso"])


def test_what_goes_into_it_decides_and_so_does_what_came_out(directory: Path) -> None:
    file = directory / "boot/medium.iso"
    assert lacking(directory, part("two")) == ["boot/medium.iso"]
    os.utime(file, (0, 0))
    assert lacking(directory, part()) == [], "which is touched only"
    file.write_text("two")
    assert lacking(directory, part()) == ["boot/medium.iso"], "though it is as long"
    file.unlink()
    assert lacking(directory, part()) == ["boot/medium.iso"]


def test_a_file_of_somebody_else_is_refused(directory: Path) -> None:
    (directory / "other.iso").touch()
    with pytest.raises(ForeignFile, match=r"other\.iso.* was not made by this module") as refused:
        lacking(directory, part(name="other.iso"))
    assert refused.value.error == "file_foreign"
    (directory / SIDECAR).write_text("{")
    with pytest.raises(ForeignFile):
        lacking(directory, part())


def test_what_fails_leaves_the_file_as_it_was(directory: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        Shelf(directory).put(Part("boot/medium.iso", {"text": "two"}, fail))
    assert (lacking(directory, part()), os.listdir(directory / "boot")) == ([], ["medium.iso"])


def test_a_run_that_ends_before_the_file_is_in_its_place_has_it_made_again(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def end(source: Path, target: Path) -> None:
        if Path(target).name == "medium.iso":
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", end)
        with pytest.raises(KeyboardInterrupt):
            Shelf(directory).put(part("two"))
    assert (directory / "boot/medium.iso").read_text() == "one"
    assert lacking(directory, part("two")) == ["boot/medium.iso"]


def test_what_is_wanted_no_more_is_known_and_removed(directory: Path) -> None:
    shelf = Shelf(directory)
    assert shelf.forget(["other.iso"]) == ("boot/medium.iso",)
    assert shelf.forget(["boot/medium.iso"]) == ()
    shelf.remove("boot/medium.iso")
    assert not (directory / "boot/medium.iso").exists()
    assert Shelf(directory).forget([]) == ()
