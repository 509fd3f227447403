# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choosing one disk by hints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.device import Device, Surroundings, parse_lsblk
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.hints import DiskAmbiguous, DiskNotFound, Hints, choose, disks
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.size import SizeRule, exact, human, parse_size
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError

sys.path.insert(0, str(Path(__file__).parent))
from layouts import GIB, disk, node

MACHINE = parse_lsblk(
    {
        "blockdevices": [
            node("zram0", "disk", GIB),
            node("ram0", "disk", GIB),
            node("fd0", "disk", 1474560),
            node("sr0", "rom", GIB, model="DVD", tran="sata"),
            node("loop0", "loop", GIB),
            node("sdc", "disk", 0, serial="CARDREADER", tran="usb"),
            disk(name="vda", size=2 * GIB, serial="LIVE", children=[node("vda1", "part", GIB)]),
            disk(name="vdb", serial="TARGET01"),
            disk(
                name="sda",
                size=480103981056,
                serial="S4EVNX0R1",
                wwn="0x5002538e40a1b2c3",
                model="Samsung SSD 860",
                vendor="ATA     ",
                tran="sata",
                hctl="2:0:0:0",
            ),
            disk(
                name="sdb",
                size=4000787030016,
                serial="WD-1",
                wwn="0x50014ee2b1",
                model="WDC WD40EFRX",
                vendor="ATA",
                tran="sata",
                hctl="3:0:0:0",
                rota=True,
            ),
            disk(name="nvme0n1", size=1000204886016, serial="S5GX", wwn="eui.0025385b01", model="Samsung SSD 980", tran="nvme"),
        ]
    },
    Surroundings(
        links={"sda": ("by-id/ata-Samsung_SSD_860_S4EVNX0R1", "by-path/pci-0000:00:17.0-ata-1"), "sdb": ("by-path/pci-0000:00:17.0-ata-2",)}
    ),
)


def chosen(**hints: Any) -> str:
    return choose(MACHINE, Hints.from_options(hints)).kname


@pytest.mark.parametrize(
    ("hints", "kname"),
    [
        ({"serial": "TARGET01"}, "vdb"),
        ({"serial": "s4evnx0r1"}, "sda"),
        ({"wwn": "0x5002538E40A1B2C3"}, "sda"),
        ({"wwn": "5002538e40a1b2c3"}, "sda"),
        ({"wwn": "naa.5002538e40a1b2c3"}, "sda"),
        ({"wwn": "0025385b01"}, "nvme0n1"),
        ({"model": "wdc*"}, "sdb"),
        ({"model": "Samsung*", "transport": "nvme"}, "nvme0n1"),
        ({"vendor": "ATA", "rotational": True}, "sdb"),
        ({"size": ">= 2TB"}, "sdb"),
        ({"size": "480GB"}, "sda"),
        ({"size": ">= 10GiB, < 100GiB"}, "vdb"),
        ({"size": ">= 10GiB, <= 12GiB"}, "vdb"),
        ({"size": "= 4TB"}, "sdb"),
        ({"size": "== 12GiB"}, "vdb"),
        ({"rotational": True}, "sdb"),
        ({"transport": "virtio", "size": "> 4GiB"}, "vdb"),
        ({"by_path": "pci-0000:00:17.0-ata-2"}, "sdb"),
        ({"by_path": "/dev/disk/by-path/pci-0000:00:17.0-ata-1"}, "sda"),
        ({"by_id": "ata-Samsung*"}, "sda"),
        ({"hctl": "3:*"}, "sdb"),
        ({"name": "/dev/nvme0n1"}, "nvme0n1"),
        ({"name": "sda"}, "sda"),
        ({"name": "/dev/disk/by-path/pci-0000:00:17.0-ata-2"}, "sdb"),
        ({"serial": "TARGET01", "model": ""}, "vdb"),
    ],
)
def test_exactly_one_disk_matches(hints: dict[str, Any], kname: str) -> None:
    assert chosen(**hints) == kname


@pytest.mark.parametrize(
    "hints",
    [
        {"serial": "TARGET0"},
        {"serial": "TARGET*"},
        {"name": "/dev/vda1"},
        {"name": "/dev/sr0"},
        {"name": "loop0"},
        {"name": "zram0"},
        {"serial": "CARDREADER"},
        {"size": "> 100TB"},
        {"serial": "TARGET01", "rotational": True},
        {"by_path": "pci-0000"},
        {"hctl": "9:*"},
        {"vendor": "QEMU"},
        {"wwn": "naa.", "transport": "virtio", "size": "12GiB"},
    ],
)
def test_nothing_matches(hints: dict[str, Any]) -> None:
    with pytest.raises(DiskNotFound, match=r"^No disk matches ") as caught:
        chosen(**hints)
    assert (caught.value.error, "'candidates'" in (caught.value.hint or "")) == ("disk_not_found", True)


@pytest.mark.parametrize(
    "hints",
    [{"model": "Samsung*"}, {"rotational": False}, {"size": ">= 1GiB"}, {"transport": "sata"}, {"vendor": "*"}],
)
def test_several_match(hints: dict[str, Any]) -> None:
    with pytest.raises(DiskAmbiguous, match=" disks match ") as caught:
        chosen(**hints)
    assert (caught.value.error, "serial" in (caught.value.hint or "")) == ("disk_ambiguous", True)


def test_two_disks_with_one_serial_are_ambiguous_until_told_apart() -> None:
    twins = parse_lsblk(
        {"blockdevices": [disk(name="sda", serial="0123456789"), disk(name="sdb", serial="0123456789")]},
        Surroundings(links={"sda": ("by-path/usb-1",), "sdb": ("by-path/usb-2",)}),
    )
    with pytest.raises(DiskAmbiguous):
        choose(twins, Hints(serial="0123456789"))
    assert choose(twins, Hints(serial="0123456789", by_path="usb-2")).kname == "sdb"


def test_candidates_say_why_each_is_not_the_one() -> None:
    with pytest.raises(DiskNotFound) as caught:
        chosen(serial="NOPE", size=">= 1TB")
    assert caught.value.message.startswith("No disk matches serial='NOPE', size='>= 1TB'. /dev/vda: ")
    candidates = {one["name"]: one["why_not"] for one in caught.value.details["candidates"]}
    assert set(candidates) == {"/dev/vda", "/dev/vdb", "/dev/sda", "/dev/sdb", "/dev/nvme0n1"}
    assert candidates["/dev/sdb"] == ["serial is 'WD-1', not 'NOPE'"]
    assert len(candidates["/dev/vdb"]) == 2
    assert "12.0 GiB" in caught.value.message


def test_what_a_disk_does_not_tell_is_no_match() -> None:
    """A virtio disk without a serial number, for one."""
    silent = parse_lsblk({"blockdevices": [disk(serial=None)]}, Surroundings())
    for hint in ("serial", "wwn", "model", "vendor", "hctl", "by_id", "by_path", "transport"):
        wanted = {"transport": "sata"}.get(hint, "WANTED")
        there = "'virtio'" if hint == "transport" else "not known"
        with pytest.raises(DiskNotFound) as caught:
            choose(silent, Hints.from_options({hint: wanted}))
        assert caught.value.details["candidates"][0]["why_not"] == [f"{hint} is {there}, not {wanted!r}"]


def test_a_machine_without_a_disk_is_told_of() -> None:
    with pytest.raises(DiskNotFound, match=r"This machine has no disk at all\.$"):
        choose((), Hints(serial="TARGET01"))


def test_disks_that_match_are_told_with_what_tells_them_apart() -> None:
    twins = [disk(name="sda", serial=None, wwn="0x5001"), disk(name="sdb", serial=None), disk(name="sdc")]
    with pytest.raises(DiskAmbiguous) as caught:
        choose(parse_lsblk({"blockdevices": twins}, Surroundings()), Hints(rotational=False))
    assert "/dev/sda (wwn 0x5001, 12.0 GiB); /dev/sdb (no serial, 12.0 GiB); /dev/sdc (serial TARGET01, 12.0 GiB)" in caught.value.message
    assert [one["why_not"] for one in caught.value.details["candidates"]] == [[], [], []]


@pytest.mark.parametrize("options", [{}, {"serial": ""}, {"serial": None, "size": ""}])
def test_without_a_hint_no_disk_is_guessed(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Hints.from_options(options)


def test_a_hint_of_false_is_a_hint() -> None:
    assert Hints.from_options({"rotational": False}).rotational is False


def test_what_cannot_hold_a_system_is_no_disk() -> None:
    assert [device.kname for device in disks(MACHINE)] == ["vda", "vdb", "sda", "sdb", "nvme0n1"]


def test_the_boot_areas_of_a_flash_memory_are_no_disks() -> None:
    """lsblk lists them beside the memory, as disks of some MiB."""
    sizes = {"mmcblk0": 32 * GIB, "mmcblk0boot0": 4 << 20, "mmcblk0boot1": 4 << 20, "mmcblk0rpmb": 4 << 20}
    found = tuple(Device(kname, f"/dev/{kname}", "disk", size) for kname, size in sizes.items())
    assert choose(found, Hints.from_options({"rotational": False})).kname == "mmcblk0"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1KiB", 1024),
        ("1K", 1024),
        ("1KB", 1000),
        ("12GiB", 12 * GIB),
        ("12 GiB", 12 * GIB),
        ("1.5G", 3 * GIB // 2),
        ("2tb", 2 * 10**12),
        ("3TiB", 3 * 1024**4),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "100", "GiB", "-1GiB", "1 parsec", "1,5GiB", ">= 1GiB"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        parse_size(text)


@pytest.mark.parametrize("text", ["", ">=", ">= 100", "about 3GiB", ">= 1GiB,", "=> 1GiB"])
def test_what_is_not_a_condition_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        SizeRule.parse(text)


def test_an_unequal_size_is_the_opposite_of_an_equal_one() -> None:
    assert SizeRule.parse("!= 480GB").met_by(500 * 10**9)
    assert not SizeRule.parse("!= 480GB").met_by(480103981056)


def test_an_equal_size_is_equal_to_a_percent() -> None:
    rule = SizeRule.parse("100GB")
    assert [rule.met_by(size * 10**9) for size in (98, 99, 101, 102)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("size", "about", "exactly"),
    [
        (512, "512 B", "512B"),
        (1024, "1.0 KiB", "1KiB"),
        (1536 * 1024, "1.5 MiB", "1536KiB"),
        (20 * GIB, "20.0 GiB", "20GiB"),
        (2 * 1024**4 + 1, "2.0 TiB", "2199023255553B"),
        (3 * 1024**5, "3.0 PiB", "3PiB"),
    ],
)
def test_a_size_is_told_for_people_and_to_be_read_back(size: int, about: str, exactly: str) -> None:
    assert (human(size), exact(size), parse_size(exactly)) == (about, exactly, size)
