# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a disk from being written to."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk import guard
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.device import Surroundings, parse_lsblk

sys.path.insert(0, str(Path(__file__).parent))
from layouts import GIB, HAS_DATA, IN_USE, Layout, disk, node, part, signed


@pytest.mark.parametrize("layout", IN_USE.values(), ids=IN_USE)
def test_a_disk_in_use_is_refused_always(layout: Layout) -> None:
    with pytest.raises(guard.DiskInUse) as caught:
        guard.require_free(layout.device)
    assert layout.why in caught.value.message
    assert (caught.value.error, bool(caught.value.hint)) == ("disk_in_use", True)


def test_a_use_is_told_with_the_commands_that_end_it() -> None:
    """From the top to the bottom, as they can be run."""
    volumes = [node("my--vg-data", "lvm", number="254:7"), node("my--vg-more", "lvm", number="254:8")]
    layout = disk(part(1, node("secret", "crypt", children=volumes)), part(2, node("md0", "raid1")), part(3))
    around = Surroundings(mounts={"254:7": ("/srv",), "254:8": ("/srv/my files",)}, swaps=frozenset(["/dev/vdb3"]))
    with pytest.raises(guard.DiskInUse) as caught:
        guard.require_free(Layout(layout, "", around).device)
    assert caught.value.hint == (
        "If the disk is the right one, end that use first: umount '/srv/my files'; umount /srv; swapoff /dev/vdb3; "
        "mdadm --stop /dev/md0; vgchange -an my-vg; cryptsetup close secret."
    )


@pytest.mark.parametrize("where", ["/", "/boot", "/boot/efi", "/efi", "/sysroot", "/usr", "/var"])
def test_nobody_is_told_to_unmount_the_running_system(where: str) -> None:
    around = Surroundings(mounts={"254:1": (where, "/srv")}, swaps=frozenset(["/dev/vdb2"]))
    with pytest.raises(guard.DiskInUse) as caught:
        guard.require_free(Layout(disk(part(1, number="254:1"), part(2)), "", around).device)
    assert caught.value.details["uses"] == [
        f"/dev/vdb1 is mounted at {where}, a part of the running system",
        "/dev/vdb1 is mounted at /srv",
        "/dev/vdb2 is active swap",
    ]
    assert caught.value.hint is not None
    assert "live system" in caught.value.hint
    assert "umount" not in caught.value.hint


@pytest.mark.parametrize("kind", ["VMFS", "VMFS_volume_member", "gfs", "gfs2", "ocfs", "ocfs2", "gpfs", "mpool_member", "veritas_vxfs"])
def test_what_other_machines_may_have_mounted_is_a_use(kind: str) -> None:
    assert guard.uses(Layout(disk(part(1, fstype=kind))).device) == (
        f"/dev/vdb1 holds {kind}, a file system that other machines may have mounted",
    )


@pytest.mark.parametrize("kind", ["aa31e02a-400f-11db-9590-000c2911d1b8", "0xfb", "37affc90-ef7d-4e96-91c3-2d7ae055b174"])
def test_a_partition_for_such_a_file_system_is_a_use(kind: str) -> None:
    assert "other machines" in str(guard.uses(Layout(disk(part(1, parttype=kind))).device))


def test_a_use_is_told_once() -> None:
    """By what lsblk shows, and not again by the kernel's list of holders, or as one of which nothing is known."""
    around = Surroundings(holders={"vdb": ("md0",)}, claimed=frozenset(["vdb"]))
    layout = Layout(disk(node("md0", "raid1"), fstype="linux_raid_member"), "", around)
    assert guard.uses(layout.device) == ("/dev/vdb is held by /dev/md0 (raid1)",)


def test_a_use_that_nothing_tells_has_all_ways_to_end_one() -> None:
    with pytest.raises(guard.DiskInUse) as caught:
        guard.require_free(IN_USE["imported zfs pool"].device)
    assert "(umount, vgchange -an, mdadm --stop, cryptsetup close, zpool export)" in str(caught.value.hint)
    assert caught.value.details["disk"]["serial"] == "TARGET01"


@pytest.mark.parametrize("layout", HAS_DATA.values(), ids=HAS_DATA)
def test_what_is_on_a_free_disk_is_told(layout: Layout) -> None:
    guard.require_free(layout.device)
    assert layout.why in "; ".join(guard.contents(layout.device))


@pytest.mark.parametrize("kind", ["gpt", "dos", "PMBR", "sun", "bsd", "sgi", "mac", "atari"])
def test_a_partition_table_is_told_where_there_are_no_partitions(kind: str) -> None:
    around = signed("/dev/vdb", kind)
    assert guard.contents(Layout(disk(), "", around).device) == (f"/dev/vdb: partition table {kind}",)
    partitions = disk(part(1, fstype="ext4", label="data"), part(2, fstype="swap"))
    assert guard.contents(Layout(partitions, "", around).device) == ("/dev/vdb1: 4.0 GiB, ext4 'data'", "/dev/vdb2: 4.0 GiB, swap")


def test_only_partitions_are_told_of_what_is_below_a_disk() -> None:
    document = disk(node("mpatha", "mpath", children=[node("mpatha1", "part", fstype="xfs")]))
    assert guard.contents(Layout(document).device) == ("/dev/mpatha1: 12.0 GiB, xfs",)


def test_an_empty_disk_is_free_and_empty() -> None:
    device = Layout(disk()).device
    guard.require_free(device)
    assert guard.contents(device) == ()


def test_a_read_only_disk_is_refused() -> None:
    with pytest.raises(guard.DiskReadOnly, match="/dev/vdb") as caught:
        guard.require_free(Layout(disk(ro=True)).device)
    assert (caught.value.error, bool(caught.value.hint)) == ("disk_read_only", True)
    assert caught.value.details["disk"]["serial"] == "TARGET01"


def test_use_is_told_before_write_protection() -> None:
    with pytest.raises(guard.DiskInUse):
        guard.require_free(Layout(disk(fstype="swap", ro=True), "", Surroundings(swaps=frozenset(["/dev/vdb"]))).device)


def test_a_small_disk_is_refused_with_what_is_needed() -> None:
    with pytest.raises(guard.DiskTooSmall) as caught:
        guard.require_size(Layout(disk(size=2 * GIB)).device, 3 * GIB, "image")
    assert caught.value.details["needed"] == 3 * GIB
    assert caught.value.details["disk"]["serial"] == "TARGET01"
    guard.require_size(Layout(disk(size=3 * GIB)).device, 3 * GIB, "image")


def confirm(*documents: dict[str, object], around: Surroundings | None = None) -> str:
    devices = parse_lsblk({"blockdevices": list(documents)}, around or Surroundings())
    return guard.confirmation(devices[0], devices)


def test_a_disk_is_confirmed_by_its_serial() -> None:
    assert confirm(disk(wwn="0x5000"), disk(name="vdc", serial="OTHER")) == "TARGET01"


def test_a_serial_that_two_disks_share_confirms_neither() -> None:
    assert confirm(disk(wwn="0x5000"), disk(name="vdc", wwn="0x6000")) == "0x5000"


def test_a_wwn_that_two_disks_share_confirms_neither() -> None:
    twin = disk(name="vdc", wwn="0x5000")
    assert confirm(disk(wwn="0x5000"), twin) == f"vdb/{12 * GIB}"
    assert confirm(disk(wwn="0x5000"), {**twin, "size": 0}) == "TARGET01"  # a drive without a medium


def test_without_serial_and_wwn_the_path_and_size_confirm() -> None:
    links = Surroundings(links={"vdb": ("by-path/pci-0000:00:05.0",)})
    assert confirm(disk(serial=None), around=links) == f"pci-0000:00:05.0/{12 * GIB}"
    assert confirm(disk(serial="")) == f"vdb/{12 * GIB}"


def test_a_confirmation_of_another_disk_is_refused() -> None:
    device = Layout(disk()).device
    assert guard.confirmed(device, "TARGET01", "TARGET01")
    assert not guard.confirmed(device, "TARGET01", None)
    for wrong in ("OTHER", "target01", "TARGET0", "/dev/vdb", "yes", "*"):
        with pytest.raises(guard.WipeNotConfirmed) as caught:
            guard.confirmed(device, "TARGET01", wrong)
        assert caught.value.details["wipe_confirm_needed"] == "TARGET01"
        assert caught.value.details["disk"]["serial"] == "TARGET01"


@pytest.mark.parametrize("change", [{"serial": "OTHER"}, {"serial": None}, {"size": 1}, {"kname": "vdc"}, {"wwn": "0x1"}])
def test_another_disk_under_the_same_hints_is_noticed(change: dict[str, object]) -> None:
    before = Layout(disk()).device
    now = replace(before, **change)
    with pytest.raises(guard.DiskChanged) as caught:
        guard.require_same(before, now)
    assert caught.value.details["disk"] == now.facts()


@pytest.mark.parametrize("now", [Layout(disk(part(1))), Layout(disk(), "", signed("/dev/vdb", "ext4"))])
def test_contents_that_appeared_meanwhile_are_noticed(now: Layout) -> None:
    before = Layout(disk()).device
    guard.require_same(before, before)
    with pytest.raises(guard.DiskChanged) as caught:
        guard.require_same(before, now.device)
    assert caught.value.details["disk"] == now.device.facts()


def test_all_uses_are_listed_at_once() -> None:
    around = Surroundings(mounts={"254:1": ("/a",), "254:2": ("/b",)}, swaps=frozenset(["/dev/vdb3"]))
    document = disk(part(1, number="254:1"), part(2, number="254:2"), part(3, number="254:3"))
    assert len(guard.uses(Layout(document, "", around).device)) == 3


def test_a_partition_of_a_multipath_device_below_a_disk_is_seen() -> None:
    document = disk(node("mpatha", "mpath", children=[node("mpatha1", "part", number="253:1")]))
    found = guard.uses(Layout(document, "", Surroundings(mounts={"253:1": ("/",)})).device)
    assert any("mounted at /" in use for use in found)
