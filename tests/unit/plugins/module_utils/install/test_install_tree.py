# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""File systems that somebody mounted, of the kinds that are easily taken for one another."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._install import claim, note, on_tree
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


GPT = {"path": "/dev/vdb", "type": "disk", "pttype": "gpt"}
LINUX, ESP, BIOS = "0fc63daf-8483-4772-8e79-3d69d8477de4", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "21686148-6449-6e6f-744e-656564454649"


@pytest.mark.parametrize(
    ("firmware", "below", "types", "missing"),
    [
        ("uefi", [GPT], [LINUX, ESP], ""),
        ("bios", [GPT], [LINUX, BIOS], ""),
        ("bios", [{**GPT, "pttype": "dos"}], ["0x83"], ""),
        ("uefi", [{**GPT, "pttype": "dos"}], ["0x83"], "(/dev/vdb) has an EFI system partition"),
        ("uefi", [GPT], [LINUX, BIOS], "(/dev/vdb) has an EFI system partition"),
        ("bios", [GPT], [LINUX, ESP], "(/dev/vdb) has a BIOS boot partition"),
        ("uefi", [], [], "(none) has an EFI system partition"),
    ],
)
def test_a_boot_loader_needs_a_partition_of_its_own(
    root: Path, monkeypatch: pytest.MonkeyPatch, firmware: str, below: list[Any], types: list[str], missing: str
) -> None:
    """A fake lsblk: disks with partitions of these types."""

    def lsblk(argv: list[str], **_options: Any) -> Any:
        found = below if "--inverse" in argv else [{"parttype": None}, *({"parttype": kind} for kind in types)]
        return SimpleNamespace(stdout=json.dumps({"blockdevices": found}))

    monkeypatch.setattr(on_tree, "firmware", lambda: firmware)
    job, abilities = tree(root), Abilities((1, 16, 9), {})
    job._runner = SimpleNamespace(run=lsblk)
    job._require_boot_partition(abilities)  # REQUEST wants no boot loader
    job._request = Request(target="registry.test:5000/os:1")
    job._require_boot_partition(Abilities((1, 16, 9), {"bootloader": "none"}))
    if not missing:
        return job._require_boot_partition(abilities)
    with pytest.raises(ImageModeError) as caught:
        job._require_boot_partition(abilities)
    assert caught.value.message == f"No disk below {root} {missing}, where the boot loader goes."
    assert (caught.value.error, "'bootloader: none'" in (caught.value.hint or "")) == ("esp_missing", True)
