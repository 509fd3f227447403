# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installations to file systems, and to the running system, after a run that was killed."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._install import claim, note, on_root
from ansible_collections.imagemode.bootc.plugins.module_utils._install.container import InstallContainer
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import Image, Request
from ansible_collections.imagemode.bootc.plugins.module_utils._install.on_tree import Mount, TreeInstallation
from ansible_collections.imagemode.bootc.plugins.module_utils._install.plan import Plan

REQUEST = Request(target="registry.test:5000/os:1", root_keys=("KEY",))
IMAGE: Any = SimpleNamespace(digest="sha256:1")


class Programs:
    """A Podman that has a container until it is removed; nothing else answers."""

    def __init__(self) -> None:
        self.container = True

    def find(self, _program: str) -> None:
        return None

    def run(self, argv: list[str], **_options: Any) -> SimpleNamespace:
        if argv[:2] == ["podman", "rm"]:
            self.container = False
        there = argv[:3] == ["podman", "container", "exists"] and self.container
        return SimpleNamespace(rc=0 if there else 1, stdout="")


class Tree(TreeInstallation):
    """A directory as if file systems were mounted there."""

    def _examined(self) -> tuple[Mount, ...]:
        return (Mount(".", self.root, "/dev/vdb1", "rw"),)

    def _identity(self) -> str:
        return "UUID"


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """:returns: a directory that stands for mounted file systems"""
    monkeypatch.setattr(claim, "_LOCKS", tmp_path)
    monkeypatch.setattr(note, "DIRECTORY", tmp_path / "notes")
    (tmp_path / "new").mkdir()
    return tmp_path / "new"


def tree(root: Path, programs: Programs | None = None, *, may_write: bool = True) -> Tree:
    return Tree(programs or Programs(), str(root), REQUEST, may_write=may_write)  # type: ignore[arg-type]


def killed(root: Path, *left: str) -> None:
    """An installation begins, and ends without another word."""
    job = tree(root)
    job._begin(IMAGE, "os:1", job.plan(frozenset(), None))
    for name in left:
        (root / name).mkdir()


def test_what_a_killed_run_left_in_file_systems_is_made_anew_unasked(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(places, "ostree", "boot")
    programs = Programs()
    monkeypatch.setattr(Tree, "_read", lambda _self: "half an installation")
    job = tree(places, programs)
    assert job.installed is None
    made = job.plan(frozenset(), None)
    assert (made.verb, made.wipe, programs.container) == ("install", True, False)
    assert "interrupted" in made.reason
    job._begin(IMAGE, "os:1", made)
    assert list(places.iterdir()) == []


@pytest.mark.parametrize("fails", [False, True])
def test_an_image_without_a_name_has_one_as_long_as_it_is_installed(fails: bool) -> None:
    names: dict[str, str] = {}

    def run(argv: list[str], **_options: Any) -> SimpleNamespace:
        if argv[:2] == ["podman", "tag"]:
            names[argv[3]] = argv[2]
        elif argv[:2] == ["podman", "untag"]:
            assert len(argv) == 4  # else the image loses all of its names
            names.pop(argv[3], None)
        return SimpleNamespace(rc=0, stdout="")

    held = claim.Claim(SimpleNamespace(run=run), f"bootc-install-{'.' * 99}{'x' * 126}")  # type: ignore[arg-type]
    with suppress(KeyError), held.named("c0ffee") as name:
        assert names == {name: "c0ffee"}
        assert re.fullmatch(r"localhost/imagemode-install:\w[\w.-]{0,127}", name)
        if fails:
            raise KeyError
    assert names == {}
    names[name] = "left by a run that was killed"
    held.end_container()
    assert names == {}


@pytest.mark.parametrize(("name", "run_by"), [("os:1", "os:1"), (None, "localhost/imagemode-install:bootc-install")])
def test_an_image_is_run_by_a_name(name: str | None, run_by: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InstallContainer, "run", lambda work, *_arguments: work)
    image = Image("c0ffee", "sha256:1", frozenset(), "amd64", 1, {"containers.bootc": "1"})
    work, _abilities = tree(places).install(image, name, Plan("install", ""), "x86_64", 60)
    assert any(word.startswith(run_by) for word in work.argv)
    assert "c0ffee" not in work.argv


def test_one_run_at_a_time_writes_to_a_place() -> None:
    """The lock is of the open file: another process has another one."""
    programs: Any = Programs()
    first, second, elsewhere = (claim.Claim(programs, name) for name in ("bootc-install-vdb", "bootc-install-vdb", "bootc-install-vdc"))
    for held in (first, first, elsewhere):
        held.take()
    for ask in (second.take, lambda: second.end_interrupted(may_write=True)):
        with pytest.raises(ImageModeError) as caught:
            ask()
        assert caught.value.error == "install_running"
    assert programs.container, "it works for the run that holds the lock"
    assert first.end_interrupted(may_write=True) is True
    assert first.end_interrupted(may_write=True) is False


def test_what_still_writes_is_not_ended_in_check_mode(places: Path) -> None:
    killed(places, "ostree")
    programs = Programs()
    with pytest.raises(ImageModeError) as caught:
        tree(places, programs, may_write=False)
    assert (caught.value.error, programs.container) == ("install_running", True)


@pytest.mark.parametrize("other", ["customer-data", "notes of another file system", "a note of the day before yesterday"])
def test_data_that_came_after_a_killed_run_is_not_lost(places: Path, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(places, "ostree")
    if other == "customer-data":
        (places / other).mkdir()
    elif other.startswith("a note"):
        for path in note.DIRECTORY.iterdir():
            os.utime(path, (0, time.time() - 2 * note.DAY_SECONDS))
    else:
        monkeypatch.setattr(Tree, "_identity", lambda _self: "ANOTHER")
    with pytest.raises(ImageModeError) as caught:
        tree(places).plan(frozenset(), None)
    assert caught.value.error == "disk_has_data"


def test_an_installation_that_was_undone_or_finished_leaves_no_note(places: Path) -> None:
    for end in (Tree._undo, Tree._finish):
        job = tree(places)
        job._begin(IMAGE, "os:1", Plan("install", ""))
        assert len(list(note.DIRECTORY.iterdir())) == 1
        end(job)
        assert list(note.DIRECTORY.iterdir()) == []


def test_a_takeover_that_was_killed_is_ended_before_the_next() -> None:
    note.Note("takeover.json").write({"state": "begun"})
    programs: Any = Programs()
    with pytest.raises(ImageModeError) as caught:
        on_root.RootInstallation(programs, REQUEST, may_write=False)
    assert (caught.value.error, programs.container) == ("install_running", True)


def test_a_takeover_goes_on_after_a_kill() -> None:
    note.Note("takeover.json").write({"state": "begun"})
    programs: Any = Programs()
    assert on_root.RootInstallation(programs, REQUEST, may_write=True).installed is None
    assert not programs.container
