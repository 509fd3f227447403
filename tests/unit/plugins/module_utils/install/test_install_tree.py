# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""File systems that somebody mounted, of the kinds that are easily taken for one another."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._install import claim, note
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import Abilities, Image, Request
from ansible_collections.imagemode.bootc.plugins.module_utils._install.on_tree import Mount, TreeInstallation

REQUEST = Request(target="registry.test:5000/os:1", bootloader="none")
IMAGE = Image("1", "sha256:1", frozenset(), "amd64", 1)


class Tree(TreeInstallation):
    """A directory as if each of its directories were a subvolume of one btrfs."""

    def _examined(self) -> tuple[Mount, ...]:
        inner = sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))
        return tuple(Mount(name, self.root / name, "/dev/vdb3", "rw") for name in (".", *inner))

    def _identity(self) -> str:
        return "UUID"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(claim, "_LOCKS", tmp_path)
    monkeypatch.setattr(note, "DIRECTORY", tmp_path / "notes")
    (tmp_path / "new").mkdir()
    return tmp_path / "new"


def tree(root: Path, *names: str) -> Any:
    for name in names:
        (root / name).mkdir(parents=True)
    return Tree(SimpleNamespace(), str(root), REQUEST, may_write=True)  # type: ignore[arg-type]


def test_subvolumes_of_one_device_are_told_apart(root: Path) -> None:
    job = tree(root, "boot", "var")
    assert job._mounted(dict) == {"/dev/vdb3": root, str(root / "boot"): root / "boot", str(root / "var"): root / "var"}


@pytest.mark.parametrize(
    ("names", "version", "fits"),
    [
        (["boot", "boot/efi"], (1, 1, 6), True),
        (["boot", "boot/efi", "var"], (1, 11, 0), False),
        (["efi"], (1, 11, 0), False),
        (["boot", "boot/efi", "var", "var/log"], (1, 12, 0), True),
    ],
)
def test_a_var_of_its_own_needs_a_bootc_that_lets_it_be_there(root: Path, names: list[str], version: Any, fits: bool) -> None:
    job, abilities = tree(root, *names), Abilities(version, {})
    if fits:
        return job._require_room(IMAGE, abilities)
    with pytest.raises(ImageModeError) as caught:
        job._require_room(IMAGE, abilities)
    assert (caught.value.error, caught.value.details["bootc_version_needed"]) == ("bootc_unsupported", "1.12.0")
