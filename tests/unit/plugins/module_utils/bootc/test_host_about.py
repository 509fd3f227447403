# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kinds of hosts, and what is looked up beside their status: package manager, timer, disks, bound images, overlay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.about import KINDS, NO_HOST, kind, package_manager, packages
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.bound import bound_images
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import BootcError
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.overlay import mounted_overlay, plan_overlay
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import Host, parse_status
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.timer import read_timer
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.device import Device
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.root import root_disks

DIGEST = "sha256:" + "4" * 64


def sample(name: str) -> Host:
    return parse_status((Path(__file__).parent / "status" / f"{name}.json").read_text())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("booted", "image"),
        ("composefs", "image"),
        ("pinned-other", "image"),
        ("layered-incompatible", "layered"),
        ("plain-ostree", "ostree"),
        ("live-iso-read-only", "live"),
        ("not-booted-or-container", "package"),
    ],
)
def test_the_kind_of_a_host(name: str, expected: str) -> None:
    assert kind(sample(name)) == expected
    assert expected in KINDS


def test_the_kind_of_a_host_whose_bootc_says_nothing() -> None:
    assert kind(NO_HOST, in_container=True) == "container"
    assert kind(NO_HOST, ostree_booted=True) == "ostree"
    assert kind(sample("booted"), in_container=True) == "image"


def test_pinned_deployments_and_other_stateroots_are_listed() -> None:
    host = sample("pinned-other")
    assert [(entry["pinned"], entry["stateroot"]) for entry in host.as_dict()["other"]]
    assert any(entry.pinned for entry in host.other)


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        (["usr/bin/dnf5", "usr/bin/dnf -> dnf5", "usr/bin/rpm-ostree"], "dnf5"),
        (["usr/bin/dnf-3", "usr/bin/dnf -> dnf-3"], "dnf"),
        (["usr/bin/apt-get"], "apt"),
        (["usr/bin/zypper"], "zypper"),
        (["usr/bin/rpm-ostree"], None),
    ],
)
def test_the_package_manager_is_the_one_in_the_image(tmp_path: Path, programs: list[str], expected: str | None) -> None:
    for program in programs:
        name, _arrow, target = program.partition(" -> ")
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target) if target else path.touch()
    assert package_manager(str(tmp_path)) == expected
    assert packages(str(tmp_path))["usr_writable"] is True  # it is, here


@pytest.mark.parametrize(
    ("shown", "listed", "expected"),
    [
        (
            "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n",
            '[{"next":1795554003578296,"left":1,"last":0,"passed":0,"unit":"bootc-fetch-apply-updates.timer","activates":"x"}]',
            {"exists": True, "masked": False, "enabled": True, "active": True, "next": 1795554003, "last": None},
        ),
        (
            "LoadState=masked\nActiveState=inactive\nUnitFileState=masked\n",
            '[{"next":null,"last":1795554003578296}]',
            {"exists": False, "masked": True, "enabled": False, "active": False, "next": None, "last": 1795554003},
        ),
        (
            "LoadState=not-found\nActiveState=inactive\nUnitFileState=\n",
            "[]",
            {"exists": False, "masked": False, "enabled": False, "active": False, "next": None, "last": None},
        ),
        ("", "0 timers listed.", {"exists": False, "masked": False, "enabled": False, "active": False, "next": None, "last": None}),
    ],
)
def test_the_update_timer(shown: str, listed: str, expected: dict[str, object]) -> None:
    timer = read_timer(shown, listed)
    assert timer.pop("name") == "bootc-fetch-apply-updates.timer"
    assert timer == expected


def _disk(name: str, *children: Device) -> Device:
    return Device(name, f"/dev/{name}", "disk", 10 << 30, serial=name.upper(), links=(f"by-id/virtio-{name.upper()}",), children=children)


def test_the_disk_of_the_root_is_found_by_sysroot() -> None:
    root = Device("vdb3", "/dev/vdb3", "part", 9 << 30, filesystem="ext4", mountpoints=("/sysroot", "/", "/usr"))
    found = root_disks([_disk("vda", Device("vda1", "/dev/vda1", "part", 1, mountpoints=("/",))), _disk("vdb", root)])
    assert [disk["serial"] for disk in found] == ["VDB"]
    assert found[0]["by_id"] == ["/dev/disk/by-id/virtio-VDB"]
    assert (found[0]["device"], found[0]["filesystem"]) == ("/dev/vdb3", "ext4")


def test_a_root_on_a_volume_group_is_on_several_disks() -> None:
    volume = Device("dm-0", "/dev/mapper/vg-root", "lvm", 9 << 30, mountpoints=("/",))
    parts = [_disk(name, Device(f"{name}1", f"/dev/{name}1", "part", 1, children=(volume,))) for name in ("sda", "sdb")]
    assert [disk["name"] for disk in root_disks(parts)] == ["/dev/sda", "/dev/sdb"]
    assert root_disks([_disk("sdc")]) == []


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The root of an image that binds two images, of which bootc has one."""
    quadlets, links = tmp_path / "usr/share/containers/systemd", tmp_path / "usr/lib/bootc/bound-images.d"
    for directory in (quadlets, links):
        directory.mkdir(parents=True)
    (quadlets / "app.container").write_text("# an app\n[Unit]\nImage=no\n[Container]\nImage = quay.io/app/app:1\nExec=a \\\nb\n")
    (quadlets / "tool.image").write_text("[Image]\nImage=tool\nAllTags=true\n")
    (links / "app.container").symlink_to("/usr/share/containers/systemd/app.container")
    (links / "tool.image").symlink_to("../../../share/containers/systemd/tool.image")
    index = tmp_path / "sysroot/ostree/bootc/storage/overlay-images/images.json"
    index.parent.mkdir(parents=True)
    index.write_text(json.dumps([{"id": "1", "names": ["docker.io/library/tool:latest"], "digest": DIGEST}, {"id": "2"}]))
    return tmp_path


def test_bound_images_and_whether_bootc_has_them(image: Path) -> None:
    assert bound_images(str(image)) == [
        {"name": "app.container", "image": "quay.io/app/app:1", "present": False, "digest": None},
        {"name": "tool.image", "image": "tool", "present": True, "digest": DIGEST},
    ]
    assert bound_images(str(image / "usr")) == []


@pytest.mark.parametrize("text", ["[Image]\n", "[Container]\nImage=quay.io/app:1\n", "[Image]\nImage=quay.io/%n:1\n"])
def test_a_bound_image_that_bootc_refuses(image: Path, text: str) -> None:
    (image / "usr/share/containers/systemd/tool.image").write_text(text)
    with pytest.raises(BootcError) as refusal:
        bound_images(str(image))
    assert refusal.value.error == "bound_image_invalid"


def test_a_bound_image_that_is_no_link(image: Path) -> None:
    (image / "usr/lib/bootc/bound-images.d/a.txt").write_text("")
    with pytest.raises(BootcError, match="not a link"):
        bound_images(str(image))


def test_an_overlay_is_mounted_once() -> None:
    plan = plan_overlay(sample("booted"), None, present=True)
    assert plan.steps == (("bootc", "usr-overlay"),)
    assert plan_overlay(sample("usr-overlay"), "readWrite", present=True).steps == ()
    assert plan_overlay(sample("booted"), None, present=True, read_only=True).steps == (("bootc", "usr-overlay", "--read-only"),)


def test_only_a_reboot_takes_an_overlay_away() -> None:
    plan = plan_overlay(sample("usr-overlay"), "readWrite", present=False)
    assert (plan.steps, plan.after, plan.reboot_required) == ((), "readWrite", True)
    assert not plan_overlay(sample("booted"), None, present=False).reboot_required


@pytest.mark.parametrize(
    ("name", "mounted", "code"),
    [
        ("not-booted-or-container", None, "host_not_managed"),
        ("plain-ostree", None, "host_not_managed"),
        ("usr-overlay", "readOnly", "bootc_refused"),
    ],
)
def test_an_overlay_that_cannot_be(name: str, mounted: str | None, code: str) -> None:
    with pytest.raises(BootcError) as refusal:
        plan_overlay(sample(name), mounted, present=True)
    assert refusal.value.error == code
    assert refusal.value.hint


def test_the_overlay_is_seen_where_bootc_does_not_tell() -> None:
    root = "24 1 0:22 / / ro - overlay composefs ro\n25 24 253:1 /usr /usr ro - ext4 /dev/vda3 rw\n"
    assert mounted_overlay(root) is None
    assert mounted_overlay(root + "99 25 0:50 / /usr rw,relatime - overlay overlay rw,lowerdir=usr\n") == "readWrite"
    assert mounted_overlay(root + "99 25 0:50 / /usr ro,relatime - overlay overlay rw,lowerdir=usr\n") == "readOnly"
