# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk before and after bootc writes to it: what is refused, put back, taken away and left."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.device import Device, Signature
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.hints import Hints
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._install import on_disk
from ansible_collections.imagemode.bootc.plugins.module_utils._install.errors import DiskGone
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import Image, Request
from ansible_collections.imagemode.bootc.plugins.module_utils._install.installed import Installed
from ansible_collections.imagemode.bootc.plugins.module_utils._install.on_disk import DiskInstallation, FileInstallation
from ansible_collections.imagemode.bootc.plugins.module_utils._install.plan import Plan
from ansible_collections.imagemode.bootc.plugins.module_utils._install.stamp import (
    BLOCK,
    OFFSET,
    Stamp,
    decode,
    encode,
    identity,
    read_block,
    write_block,
)

MIB = 1024**2
REQUEST = Request(target="registry.test:5000/os:1")
IMAGE = Image("1", "sha256:1", frozenset(), "amd64", 1)


class Machine:
    """A machine with one disk, which is a file.

    :ivar ran: commands
    :ivar there: the disk as it is looked at; C(None) if it is gone
    """

    def __init__(self, directory: Path) -> None:
        self.file = directory / "disk"
        self.file.write_bytes(b"\1" * 2 * MIB)
        self.disk = Device("vdb", str(self.file), "disk", 2 * MIB, serial="TARGET01")
        self.there: Device | None = self.disk
        self.ran: list[str] = []
        self.rereads = 0

    # What a runner and a scanner have.

    def find(self, program: str) -> str:
        return program

    def run(self, argv: list[str], **_options: Any) -> SimpleNamespace:
        self.ran.append(" ".join(argv))
        return SimpleNamespace(rc=int(argv[0] == "blockdev" and self.ran.count(self.ran[-1]) <= self.rereads), stdout="")

    def devices(self) -> tuple[Device, ...]:
        return (self.there,) if self.there else ()

    def examine(self, disk: Device) -> Device:
        return disk

    def settle(self) -> None:
        self.ran.append("settle")

    @property
    def block(self) -> bytes:
        return read_block(self.disk)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(on_disk, "Scanner", lambda _runner: made)
    monkeypatch.setattr(on_disk.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(DiskInstallation, "_read", lambda _self: "installed")
    return made


def installation(machine: Any, *, may_write: bool = True) -> Any:
    return DiskInstallation(machine, Hints(serial="TARGET01"), REQUEST, may_write=may_write)


def begun(machine: Machine) -> Any:
    job = installation(machine)
    job._begin(IMAGE, "os:1", Plan("install", "", wipe=True))
    return job


def written(machine: Machine) -> Device:
    """The disk with what bootc makes of it."""
    partitions = tuple(Device(f"vdb{number}", f"/dev/vdb{number}", "part", MIB) for number in (1, 2))
    return replace(machine.disk, children=partitions)


def test_a_disk_that_is_begun_is_stamped_for_the_next_run(machine: Machine) -> None:
    begun(machine)
    stamp = decode(machine.block)
    assert stamp
    assert (stamp.state, stamp.disk, stamp.image, stamp.digest) == ("begun", identity(machine.disk), "os:1", IMAGE.digest)
    assert stamp.target == REQUEST.target
    assert machine.ran == ["settle"], "udev looks at it, and keeps the partitioning program from it"


@pytest.mark.parametrize("change", [{"serial": "OTHER"}, {"signatures": (Signature("/dev/vdb", "ext4"),)}, {"mountpoints": ("/mnt",)}])
def test_a_disk_that_is_another_one_meanwhile_is_not_begun(machine: Machine, change: dict[str, Any]) -> None:
    job = installation(machine)
    job._hints = Hints(name=machine.disk.path)
    machine.there = replace(machine.disk, **change)
    with pytest.raises(ImageModeError) as refused:
        job._begin(IMAGE, "os:1", Plan("install", "", wipe=True))
    assert refused.value.error == ("disk_in_use" if "mountpoints" in change else "disk_changed")
    assert machine.file.read_bytes() == b"\1" * 2 * MIB


def test_a_failure_that_wrote_nothing_leaves_the_disk_as_it_was(machine: Machine) -> None:
    assert begun(machine)._undo() is False
    assert machine.file.read_bytes() == b"\1" * 2 * MIB
    assert not [command for command in machine.ran if command.startswith("wipefs")]


def test_a_failure_before_the_first_write_leaves_the_disk_as_it_was(machine: Machine) -> None:
    assert installation(machine)._undo() is False
    assert machine.file.read_bytes() == b"\1" * 2 * MIB


def test_a_failure_that_wrote_leaves_nothing_bootable(machine: Machine) -> None:
    job = begun(machine)
    machine.there, machine.rereads = written(machine), 2
    machine.ran.clear()
    assert job._undo() is True
    reread = f"blockdev --rereadpt {machine.disk.path}"
    assert machine.ran == [
        "wipefs --all --force /dev/vdb1",
        "wipefs --all --force /dev/vdb2",
        f"wipefs --all --force {machine.disk.path}",
        *("settle", reread) * 3,
    ]
    assert machine.file.read_bytes() == bytes(MIB) + b"\1" * MIB, "boot code is not left either"


def test_what_the_installer_left_open_is_closed_before_the_disk_is_cleared(machine: Machine) -> None:
    job = begun(machine)
    crypt = Device("dm-0", "/dev/mapper/root", "crypt", MIB)
    made = written(machine)
    job.disk = machine.there = replace(made, children=(made.children[0], replace(made.children[1], children=(crypt,))))
    machine.ran.clear()
    with pytest.raises(ImageModeError) as refused:
        job._clear()  # it stays open here
    assert refused.value.error == "disk_in_use"
    assert machine.ran == ["cryptsetup close root"]


def test_a_disk_that_is_held_for_good_is_not_waited_for_longer(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    job, clock = begun(machine), iter(range(1000, 2000))
    monkeypatch.setattr(on_disk, "is_claimed", lambda _path: True)
    monkeypatch.setattr(on_disk.time, "monotonic", lambda: next(clock))
    job._release()
    assert next(clock) == 1016


def test_what_was_installed_is_read_again(machine: Machine) -> None:
    job = begun(machine)
    job.installed, machine.there = None, written(machine)
    job._look_again()
    assert (job.installed, len(job.disk.partitions)) == ("installed", 2)


@pytest.mark.parametrize("gone", [True, False])
def test_a_disk_that_disappears_is_told_as_that(machine: Machine, gone: bool) -> None:
    job = begun(machine)
    machine.there = None if gone else replace(machine.disk, size=MIB)
    for look in (job._undo, job._look_again):
        with pytest.raises(ImageModeError) as caught:
            look()
        assert caught.value.error == "disk_gone"


def test_only_what_was_verified_is_vouched_for(machine: Machine) -> None:
    job = begun(machine)
    job._finish()
    stamp = decode(machine.block)
    assert stamp
    assert stamp.holds(machine.disk, REQUEST.target, frozenset([IMAGE.digest]))
    job._leave()
    assert machine.block == bytes(BLOCK)
    assert machine.file.read_bytes()[:OFFSET] == b"\1" * OFFSET


def test_a_stamp_that_was_not_made_now_is_not_finished(machine: Machine) -> None:
    installation(machine)._finish()
    assert decode(machine.block) is None


@pytest.mark.parametrize(
    ("disk", "nothing"),
    [
        ({}, True),
        ({"children": (Device("vdb1", "/dev/vdb1", "part", MIB),)}, True),
        ({"children": (Device("vdb1", "/dev/vdb1", "part", MIB, filesystem="ext4"),)}, False),
        ({"children": (Device("vdb1", "/dev/vdb1", "part", MIB, filesystem="crypto_LUKS"),)}, False),
    ],
)
def test_that_nothing_is_installed_is_certain_without_file_systems_and_encryption(
    machine: Machine, disk: dict[str, Any], nothing: bool
) -> None:
    machine.there = replace(machine.disk, **disk)
    job = installation(machine)
    assert job._holds_nothing() is nothing
    assert job.sealed is ("crypto_LUKS" in str(disk))


def stamp_disk(machine: Machine, state: str = "begun", disk: str = "") -> None:
    write_block(machine.disk, encode(Stamp(state, disk or identity(machine.disk), "os:1", REQUEST.target, IMAGE.digest, "")))


@pytest.mark.parametrize(
    ("state", "disk", "asked", "installed"),
    [
        ("begun", "", True, None),
        ("begun", "COPY/1", True, "installed"),
        ("finished", "", False, "installed"),
        (None, "", False, "installed"),
    ],
)
def test_what_an_interrupted_run_left_is_ended_and_not_taken_for_an_installation(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, state: str | None, disk: str, asked: bool, installed: str | None
) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(on_disk.Claim, "end_interrupted", lambda _self, *, may_write: ended.append(may_write) or may_write)
    if state:
        stamp_disk(machine, state, disk)
    for may_write in (True, False):
        assert installation(machine, may_write=may_write).installed == installed
    assert ended == ([True, False] if asked else [])


def test_the_disk_is_looked_at_again_when_what_wrote_to_it_has_ended(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_claim: Any, *, may_write: bool) -> bool:
        machine.there = written(machine)
        return may_write

    monkeypatch.setattr(on_disk.Claim, "end_interrupted", end)
    stamp_disk(machine)
    job = installation(machine)
    assert len(job.disk.partitions) == 2
    assert job.shown(None) == {"disk": machine.disk.path, "serial": "TARGET01", "installed": None}


def test_a_disk_in_use_is_refused_before_anything_of_it_is_read(machine: Machine) -> None:
    machine.there = replace(machine.disk, mountpoints=("/mnt",))
    with pytest.raises(ImageModeError) as refused:
        installation(machine)
    assert refused.value.error == "disk_in_use"


@pytest.mark.parametrize(("setup", "there", "fits"), [("tpm2-luks", False, False), ("tpm2-luks", True, True), (None, False, True)])
def test_encryption_by_a_tpm_needs_one(monkeypatch: pytest.MonkeyPatch, setup: str | None, there: bool, fits: bool) -> None:
    monkeypatch.setattr(on_disk.os.path, "exists", lambda path: there and path == "/dev/tpmrm0")
    if fits:
        return on_disk.require_tpm(setup)
    with pytest.raises(ImageModeError) as refused:
        on_disk.require_tpm(setup)
    assert refused.value.error == "tpm_missing"


def test_a_disk_that_a_tpm_is_to_bind_is_not_looked_at_without_one(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk.os.path, "exists", lambda _path: False)
    with pytest.raises(ImageModeError) as refused:
        DiskInstallation(machine, Hints(serial="TARGET01"), replace(REQUEST, block_setup="tpm2-luks"), may_write=True)
    assert refused.value.error == "tpm_missing"


@pytest.mark.parametrize("may_write", [True, False])
def test_a_file_that_is_made_for_a_prediction_goes_again(
    machine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, may_write: bool
) -> None:
    monkeypatch.setattr(on_disk, "attached", lambda _runner, _file: nullcontext(machine.disk.path))
    file = tmp_path / "disk.raw"
    job = FileInstallation(machine, str(file), 5 * MIB, REQUEST, may_write=may_write)
    assert (file.stat().st_size, file.stat().st_mode & 0o777) == (5 * MIB, 0o600)
    assert (job.facts()["name"], job.place, job._confirmation()) == (str(file), str(file), str(file))
    job.close()
    assert file.exists() is may_write


@pytest.mark.parametrize("content", [b"QFI\xfb\0\0\0\3", b"\x1f\x8b\x08", b"a backup"])
def test_a_file_that_is_something_else_is_written_over_when_that_is_confirmed(
    machine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    """Of a disk image in another format, and of an archive, libblkid knows nothing."""
    monkeypatch.setattr(on_disk, "attached", lambda _runner, _file: nullcontext(machine.disk.path))
    monkeypatch.setattr(DiskInstallation, "_read", lambda _self: None)
    file = tmp_path / "disk.raw"
    file.write_bytes(content.ljust(5 * MIB, b"\0"))
    job = FileInstallation(machine, str(file), None, REQUEST, may_write=True)
    with pytest.raises(ImageModeError) as refused:
        job.plan(frozenset(), None)
    assert (refused.value.error, refused.value.details["wipe_confirm_needed"]) == ("disk_has_data", str(file))
    assert job.plan(frozenset(), str(file)).wipe
    file.write_bytes(bytes(5 * MIB))
    assert job.plan(frozenset(), None) == Plan("install", f"{machine.disk.path} is empty")


@pytest.mark.parametrize(("name", "said"), [("missing.raw", "There is no file"), ("directory", "is not a file")])
def test_what_is_no_file_is_not_used_as_one(machine: Any, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(ImageModeError) as refused:
        FileInstallation(machine, str(tmp_path / name), None, REQUEST, may_write=True)
    assert (refused.value.error, said in refused.value.message) == ("disk_not_found", True)
    assert not (tmp_path / "missing.raw").exists()


@pytest.mark.parametrize(
    ("started", "undone", "changed", "hint"),
    [
        (False, AssertionError(), False, "Try again."),
        (True, False, False, "Try again."),
        (True, True, True, "Try again."),
        (True, ImageModeError("It is held."), True, "Try again. What was written could not be cleared: It is held."),
    ],
)
def test_an_installation_that_failed_says_what_it_changed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, started: bool, undone: Any, changed: bool, hint: str
) -> None:
    job, ended = installation(machine), list[str]()
    monkeypatch.setattr(on_disk.Claim, "end_container", lambda _self: ended.append("container"))
    monkeypatch.setattr(job, "_undo", lambda: give(undone))
    error = ImageModeError("It failed.", hint="Try again.")
    job._give_up(error, started)
    assert (error.details["changed"], error.hint, ended) == (changed, hint, ["container"])


def give(what: Any) -> Any:
    if isinstance(what, Exception):
        raise what
    return what


def test_a_failure_of_clearing_is_told_where_nothing_else_tells_of_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    job = installation(machine)
    monkeypatch.setattr(on_disk.Claim, "end_container", lambda _self: None)
    for undone, error in ((DiskGone("It is gone."), ImageModeError("It failed.")), (ImageModeError("It is held."), KeyboardInterrupt())):
        monkeypatch.setattr(job, "_undo", lambda undone=undone: give(undone))
        with pytest.raises(ImageModeError) as caught:
            job._give_up(error, started=True)
        assert caught.value is undone
        assert caught.value.details.get("changed") is (True if isinstance(undone, DiskGone) else None)


THERE = Installed("ostree", REQUEST.target, "registry", "sha256:1", "default", ("rw",), ("KEY",), "/dev/vdb3")


@pytest.mark.parametrize(
    ("there", "what", "digests", "differs"),
    [
        (THERE, Plan("none", ""), ["sha256:1"], {}),
        (THERE, Plan("repair", "", missing_arguments=("quiet",)), ["sha256:1"], {"kernel_arguments": ["rw", "quiet"]}),
        (THERE, Plan("repair", "", keys=True), ["sha256:1"], {"root_ssh_keys": 2}),
        (
            None,
            Plan("install", ""),
            ["sha256:2"],
            {"backend": None, "digest": "sha256:2", "kernel_arguments": ["a"], "root_ssh_keys": 2, "device": None},
        ),
        (
            THERE,
            Plan("install", "", wipe=True),
            ["sha256:2", "sha256:3"],
            {"backend": None, "digest": None, "kernel_arguments": ["a"], "root_ssh_keys": 2, "device": None},
        ),
    ],
)
def test_check_mode_tells_what_the_disk_will_hold(
    machine: Machine, there: Installed | None, what: Plan, digests: list[str], differs: dict[str, Any]
) -> None:
    job = installation(machine)
    job.installed, job._request = there, replace(REQUEST, kernel_arguments=("a",), root_keys=("KEY", "MORE"))
    assert job.expected(what, frozenset(digests)) == {**THERE.facts(), **differs}


def test_nothing_is_foretold_of_a_disk_that_cannot_be_read(machine: Machine) -> None:
    job = installation(machine)
    job.installed = None
    assert job.expected(Plan("none", "by its stamp"), frozenset(["sha256:1"])) is None
