# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies beside a disk image decides whether it is made, believed, or left alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image import sidecar
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.recipe import Recipe
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.sidecar import DiskImageFile, DiskImageForeign, DiskImageModified
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._install.files import PlacedFile
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import Request

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
REQUEST = Request(
    "registry.example.com/os:1",
    root_keys=("ssh-ed25519 AAAA a", "ssh-ed25519 BBBB b"),
    kernel_arguments=("quiet",),
    files=(PlacedFile("etc/motd", b"hello"),),
)
TOOLS = {"qemu-img": "7.2"}


def recipe(request: Request = REQUEST, digest: str = ONE, tools: dict[str, str] | None = None, **file: object) -> Recipe:
    return Recipe.of(request, digest, tools or TOOLS, **{"format": "qcow2", "size": "10GiB", **file})


def kept(left: Path) -> None:
    pytest.fail(f"{left} is released")


def made(tmp_path: Path, content: bytes = b"a disk") -> DiskImageFile:
    file = DiskImageFile(str(tmp_path / "os.qcow2"))
    with file.scratch() as folder:
        (folder / "disk").write_bytes(content)
        file.put(folder / "disk", recipe(), 4096)
    return file


def test_what_was_made_is_believed_and_is_the_same_recipe(tmp_path: Path) -> None:
    found = made(tmp_path).made()
    assert found is not None
    assert recipe().differences(found.recipe, frozenset([ONE])) == []
    assert found.file.sha256 == hashlib.sha256(b"a disk").hexdigest()
    assert sorted(os.listdir(tmp_path)) == ["os.qcow2", "os.qcow2.imagemode.json"]
    assert (tmp_path / "os.qcow2.imagemode.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (recipe(replace(REQUEST, target="registry.example.com/os:2")), "target"),
        (recipe(replace(REQUEST, transport="oci")), "transport"),
        (recipe(replace(REQUEST, filesystem="xfs")), "filesystem"),
        (recipe(replace(REQUEST, root_size=1 << 30)), "root_size"),
        (recipe(replace(REQUEST, bootloader="systemd")), "bootloader"),
        (recipe(replace(REQUEST, kernel_arguments=("quiet", "nosmt"))), "kernel_arguments"),
        (recipe(replace(REQUEST, root_keys=("ssh-ed25519 AAAA a",))), "root_keys"),
        (recipe(replace(REQUEST, root_keys=None)), "root_keys"),
        (recipe(replace(REQUEST, stateroot="other")), "stateroot"),
        (recipe(replace(REQUEST, composefs=True)), "composefs"),
        (recipe(replace(REQUEST, bound_images="skip")), "bound_images"),
        (recipe(replace(REQUEST, files=(PlacedFile("etc/motd", b"hello!"),))), "files"),
        (recipe(replace(REQUEST, files=(PlacedFile("etc/motd", b"hello", 0o600),))), "files"),
        (recipe(tools={"qemu-img": "8.0"}), "tools"),
        (recipe(format="vmdk"), "format"),
        (recipe(size="11GiB"), "size"),
        (recipe(builder="machine"), "builder"),
    ],
)
def test_everything_that_goes_in_makes_another_image(other: Recipe, what: str) -> None:
    differences = other.differences(recipe(), frozenset([ONE]))
    assert len(differences) == 1
    assert differences[0].startswith(what)


def test_another_digest_is_another_image_and_an_index_is_not() -> None:
    assert recipe().differences(recipe(digest=ONE), frozenset([TWO, ONE])) == []
    assert "digest" in recipe().differences(recipe(digest=ONE), frozenset([TWO]))[0]


def test_the_order_of_keys_does_not_matter() -> None:
    keys = tuple(reversed(REQUEST.root_keys or ()))
    assert recipe(replace(REQUEST, root_keys=keys)).differences(recipe(), frozenset([ONE])) == []


def test_a_secret_is_not_in_the_sidecar(tmp_path: Path) -> None:
    file = DiskImageFile(str(tmp_path / "os.raw"))
    with file.scratch() as folder:
        (folder / "disk").write_bytes(b"x")
        secret = replace(REQUEST, files=(PlacedFile("etc/ostree/auth.json", b"hunter2", 0o600),))
        file.put(folder / "disk", recipe(secret), 1)
    assert "hunter2" not in file.sidecar.read_text()


def test_a_file_without_a_sidecar_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "os.qcow2").write_bytes(b"precious")
    with pytest.raises(DiskImageForeign):
        DiskImageFile(str(tmp_path / "os.qcow2")).made()
    (tmp_path / "os.qcow2.imagemode.json").write_text("{}")
    with pytest.raises(DiskImageForeign):
        DiskImageFile(str(tmp_path / "os.qcow2")).made()
    assert (tmp_path / "os.qcow2").read_bytes() == b"precious"


def test_a_link_is_somebody_elses(tmp_path: Path) -> None:
    file = made(tmp_path)
    file.path.rename(tmp_path / "elsewhere")
    file.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DiskImageForeign):
        file.made()


def test_a_file_that_somebody_wrote_to_is_left_alone(tmp_path: Path) -> None:
    file = made(tmp_path)
    file.path.write_bytes(b"A disk")
    with pytest.raises(DiskImageModified) as refused:
        file.made()
    assert refused.value.message.startswith(f"{file.path} is not the file any more")
    assert (refused.value.error, "move it away" in (refused.value.hint or "")) == ("disk_image_modified", True)


def test_a_copy_is_known_by_its_checksum_and_from_then_on_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = made(tmp_path)
    shutil.copy(file.path, tmp_path / "copy")
    os.replace(tmp_path / "copy", file.path)
    found = file.made()
    assert found is not None
    file.moved(found)
    monkeypatch.setattr(sidecar, "sha256", lambda path: pytest.fail("it was read again"))
    assert file.made() is not None


def test_a_killed_run_leaves_the_sidecar_of_the_file_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = made(tmp_path)

    def killed(source: object, target: object) -> None:
        if str(target) == str(file.path):
            raise KeyboardInterrupt
        real(source, target)  # type: ignore[arg-type]

    real = os.replace
    monkeypatch.setattr(os, "replace", killed)
    (tmp_path / "disk").write_bytes(b"another disk")
    with pytest.raises(KeyboardInterrupt):
        file.put(tmp_path / "disk", recipe(digest=TWO), 4096)
    monkeypatch.undo()
    found = file.made()
    assert found is not None
    assert found.recipe.digest == ONE


def test_nothing_is_told_that_a_power_cut_could_take_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = made(tmp_path)
    done: list[str] = []
    sync, replaced = os.fsync, os.replace

    def noted_sync(descriptor: int) -> None:
        done.append("sync " + re.sub(r"\..*", "", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
        sync(descriptor)

    def noted_replace(source: Path, target: Path) -> None:
        done.append(f"replace {target.name}")
        replaced(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    (tmp_path / "scratch").write_bytes(b"another disk")
    file.put(tmp_path / "scratch", recipe(digest=TWO), 4096)
    sidecar_written = ["sync ", "replace os.qcow2.imagemode.json", f"sync {tmp_path.name}"]
    assert done == ["sync scratch", *sidecar_written, "replace os.qcow2", f"sync {tmp_path.name}", *sidecar_written]


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    file = made(tmp_path)
    (tmp_path / ".os.qcow2.abcdefg_.imagemode/deep").mkdir(parents=True)
    (tmp_path / ".os.qcow2.abcdefg_.imagemode/deep/disk.raw").write_bytes(b"half")
    released = []
    with file.locked(1, lambda left: released.append((left / "deep/disk.raw").read_bytes())):
        pass
    assert released == [b"half"]
    assert sorted(os.listdir(tmp_path)) == ["os.qcow2", "os.qcow2.imagemode.json"]


@pytest.mark.parametrize(("name", "other"), [("os", "os.qcow2"), ("o[s]*", "os")])
def test_what_is_at_work_on_another_disk_image_is_left_alone(tmp_path: Path, name: str, other: str) -> None:
    with DiskImageFile(str(tmp_path / other)).scratch() as folder:
        with DiskImageFile(str(tmp_path / name)).locked(1, kept):
            pass
        assert folder.is_dir()


def test_of_two_that_make_the_same_file_one_waits(tmp_path: Path) -> None:
    file, order = made(tmp_path), []

    def other() -> None:
        with DiskImageFile(str(file.path)).locked(20, kept):
            order.append("second")

    thread = threading.Thread(target=other)
    with file.locked(1, kept):
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    with file.locked(1, kept), pytest.raises(ImageModeError) as caught, DiskImageFile(str(file.path)).locked(0, kept):
        pass
    assert caught.value.error == "install_running"


def test_holes_count_as_the_zeros_that_they_are(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(9 << 20)
        stream.seek(5 << 20)
        stream.write(b"data")
    assert sidecar.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "empty").write_bytes(b"")
    assert sidecar.sha256(tmp_path / "empty") == hashlib.sha256(b"").hexdigest()


def test_the_sidecar_is_json_that_others_can_read(tmp_path: Path) -> None:
    document = json.loads(made(tmp_path).sidecar.read_text())
    assert document["made"][0]["recipe"]["inputs"]["kernel_arguments"] == ["quiet"]
