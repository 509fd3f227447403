# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""File systems that somebody mounted, of the kinds that are easily taken for one another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.scan import MountEntry
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._install import claim, note, on_tree
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import Abilities, Image, Request
from ansible_collections.imagemode.bootc.plugins.module_utils._install.installed import BootEntry, Installed
from ansible_collections.imagemode.bootc.plugins.module_utils._install.on_tree import Mount, TreeInstallation
from ansible_collections.imagemode.bootc.plugins.module_utils._install.plan import Plan

REQUEST = Request(target="registry.test:5000/os:1", bootloader="none")
IMAGE = Image("1", "sha256:1", frozenset(), "amd64", 1)


class Tree(TreeInstallation):
    """A directory as if each of its directories were a subvolume of one btrfs."""

    def _examined(self) -> tuple[Mount, ...]:
        inner = sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_dir())
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


INSTALLED = Installed(
    "ostree", REQUEST.target, "registry", IMAGE.digest, "default", entry=BootEntry("boot/loader/entries/1.conf", ""), device="/dev/vdb3"
)
DATA = ("/dev/vdc1", "/srv", "rw")


def mounted_at(root: Path, monkeypatch: pytest.MonkeyPatch, *more: tuple[str, str, str]) -> TreeInstallation:
    """An installation to a directory, on a machine with these mounts: device, place, options."""
    table = tuple(MountEntry("", path, options, source) for source, path, options in (("/dev/vda1", "/", "rw"), DATA, *more))
    monkeypatch.setattr(on_tree, "mount_table", lambda: table)
    runner = SimpleNamespace(run=lambda _argv, **_options: SimpleNamespace(rc=0, stdout="UUID\n"))
    monkeypatch.setattr(TreeInstallation, "_read", lambda _self: INSTALLED)
    return TreeInstallation(runner, str(root), REQUEST, may_write=True)  # type: ignore[arg-type]


def test_file_systems_below_a_directory_are_those_of_the_new_system(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = ("/dev/vdd1", f"{root}-beside", "ro")
    job = mounted_at(root, monkeypatch, ("/dev/vdb2", f"{root}/boot", "rw"), beside, ("/dev/vdb3", str(root), "rw,relatime"))
    assert job.facts() == {
        "root_path": str(root),
        "uuid": "UUID",
        "mounts": [{"path": str(root), "source": "/dev/vdb3"}, {"path": f"{root}/boot", "source": "/dev/vdb2"}],
    }
    assert (job.installed, job._var) == (INSTALLED, None)
    job._require_unchanged()
    again = mounted_at(root, monkeypatch, ("/dev/vdb3", str(root), "rw"), ("/dev/vdb4", f"{root}/var", "rw"))
    assert again._var == root / "var"
    again.installed = None
    again._look_again()
    assert again.installed == INSTALLED
    with pytest.raises(ImageModeError) as refused:
        job._require_unchanged()
    assert refused.value.error == "disk_changed"


@pytest.mark.parametrize(
    ("mounts", "error", "said"),
    [
        ([], "target_not_mounted", "is not a mount point"),
        ([("/dev/vdb2", "{root}/boot", "rw")], "target_not_mounted", "is not a mount point"),
        ([("/dev/vdb3", "{root}", "ro,relatime")], "disk_read_only", "is mounted read-only"),
        ([("/dev/vdb3", "{root}", "rw"), ("/dev/vdb2", "{root}/boot", "ro")], "disk_read_only", "/boot is mounted read-only"),
        ([("/dev/vda1", "{root}", "rw")], "disk_in_use", "(/dev/vda1) is a part of the running system"),
        ([("/dev/vdb3", "{root}", "rw"), ("/dev/vda1", "{root}/data", "rw")], "disk_in_use", "/data (/dev/vda1) is a part of"),
        ([("/dev/vdb3", "{root}", "rw"), ("/dev/vdb3", "/home", "rw")], "disk_in_use", "(/dev/vdb3) is a part of the running system"),
    ],
)
def test_where_nobody_mounted_a_new_system_none_is_made(
    root: Path, monkeypatch: pytest.MonkeyPatch, mounts: list[tuple[str, str, str]], error: str, said: str
) -> None:
    with pytest.raises(ImageModeError) as refused:
        mounted_at(root, monkeypatch, *((source, path.format(root=root), options) for source, path, options in mounts))
    assert refused.value.error == error
    assert said in refused.value.message


@pytest.mark.parametrize("place", ["/", "/usr", "/var", "/boot", "/boot/efi", "/efi", "/home", "/etc", "/run"])
def test_no_place_of_the_running_system_is_installed_to(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setattr(on_tree.os.path, "realpath", str)
    with pytest.raises(ImageModeError) as refused:
        mounted_at(Path(place), monkeypatch, ("tmpfs", place, "rw"))
    assert refused.value.error == "disk_in_use"


@pytest.mark.parametrize("option", [{"root_size": 1}, {"filesystem": "xfs"}, {"block_setup": "direct"}])
def test_what_only_a_disk_can_have_is_refused(root: Path, option: dict[str, Any]) -> None:
    with pytest.raises(ImageModeError, match=f"'{next(iter(option))}' has no meaning") as refused:
        Tree(SimpleNamespace(), str(root), replace(REQUEST, **option), may_write=True)  # type: ignore[arg-type]
    assert refused.value.error == "option_invalid"


@pytest.mark.parametrize(
    ("there", "installed", "confirm", "outcome"),
    [
        ((), None, None, ("install", False)),
        ((), None, "UUID", ("install", False)),
        ((), None, "OTHER", "wipe_confirm_mismatch"),
        (("data",), None, None, "disk_has_data"),
        (("data",), None, "OTHER", "wipe_confirm_mismatch"),
        (("data",), None, "UUID", ("install", True)),
        (("ostree",), INSTALLED, None, ("none", False)),
        (("ostree",), INSTALLED, "UUID", ("none", False)),
        (("ostree",), replace(INSTALLED, digest="sha256:2"), None, "disk_has_other_image"),
        (("ostree",), replace(INSTALLED, digest="sha256:2"), "UUID", ("install", True)),
        ((), replace(INSTALLED, digest="sha256:2"), None, "disk_has_other_image"),
    ],
)
def test_what_is_in_a_directory_is_replaced_only_when_confirmed(
    root: Path, there: tuple[str, ...], installed: Installed | None, confirm: str | None, outcome: Any
) -> None:
    job = tree(root)
    for name in there:
        (root / name).write_text("")
    (root / "lost+found").mkdir()
    job._mounts, job.installed = (Mount(".", root, "/dev/vdb3", "rw"),), installed
    if isinstance(outcome, tuple):
        made = job.plan(frozenset([IMAGE.digest]), confirm)
        assert (made.verb, made.wipe) == outcome
        return
    with pytest.raises(ImageModeError) as refused:
        job.plan(frozenset([IMAGE.digest]), confirm)
    assert (refused.value.error, refused.value.details["wipe_confirm_needed"]) == (outcome, "UUID")
    if outcome != "wipe_confirm_mismatch":
        what = "an installation that differs: digest sha256:2, not sha256:1" if installed else "data"
        assert refused.value.message == f"The file systems at {root} are not empty. They hold {what}."
        assert refused.value.details["contents"] == list(there)
        assert refused.value.details["installed"] == (installed and installed.facts())
        assert "'wipe_confirm: \"UUID\"'" in refused.value.hint


def test_what_is_emptied_is_in_the_file_systems_and_not_their_mount_points(root: Path) -> None:
    job = tree(root)
    for name in ("boot/efi/EFI", "boot/grub", "boot/lost+found", "var/log/journal", "data"):
        (root / name).mkdir(parents=True)
    job._mounts = tuple(Mount(name, root / name, "/dev/vdb3", "rw") for name in (".", "boot", "boot/efi", "var/log"))
    assert job._contents() == ["data", "boot/grub", "boot/efi/EFI", "var/log/journal"]
    job._empty()
    assert job._contents() == []
    assert all((root / name).is_dir() for name in ("boot/efi", "boot/lost+found", "var/log"))


def test_a_file_system_without_a_uuid_is_confirmed_by_its_device(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = mounted_at(root, monkeypatch, ("tmpfs", "/run", "rw"), ("tmpfs", str(root), "rw"))
    job._runner = SimpleNamespace(run=lambda _argv, **_options: SimpleNamespace(rc=1, stdout="\n"))  # type: ignore[assignment]
    assert job._identity() == "tmpfs"


@pytest.mark.parametrize("wipe", [True, False])
def test_what_came_into_a_directory_meanwhile_is_emptied_only_if_that_was_agreed(root: Path, wipe: bool) -> None:
    job = tree(root)
    (root / "data").write_text("")
    if wipe:
        job._begin(IMAGE, "os:1", Plan("install", "", wipe=True))
        assert list(root.iterdir()) == []
        return
    with pytest.raises(ImageModeError) as refused:
        job._begin(IMAGE, "os:1", Plan("install", ""))
    assert refused.value.error == "disk_changed"
    assert (root / "data").exists()


def test_an_image_that_does_not_fit_into_a_file_system_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, abilities = tree(root), Abilities((1, 16, 9), {})
    monkeypatch.setattr(on_tree.os, "statvfs", lambda _path: SimpleNamespace(f_blocks=110, f_frsize=10))
    job._require_room(replace(IMAGE, size=1000), abilities)
    with pytest.raises(ImageModeError) as refused:
        job._require_room(replace(IMAGE, size=1001), abilities)
    assert (refused.value.error, refused.value.details["needed"]) == ("disk_too_small", 1101)


def test_a_failed_installation_says_whether_it_had_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mutable: list[Path] = []
    monkeypatch.setattr(on_tree, "make_mutable", mutable.append)
    job = tree(root)
    assert job._undo() is False
    (root / "ostree").mkdir()
    (root / "ostree/link").symlink_to(root.parent)
    job._mounts = (Mount(".", root, "/dev/vdb3", "rw"),)
    assert job._undo() is True
    assert (list(root.iterdir()), mutable[-1]) == ([], root)
    assert root.parent.is_dir()


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
