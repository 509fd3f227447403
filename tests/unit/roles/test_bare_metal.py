# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role bare_metal makes of its options, as Ansible evaluates its variables."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.imagemode.bootc.tests.unit.roles.playing import evaluated


def test_a_serial_number_is_a_text_also_if_it_has_digits_only(tmp_path: Path) -> None:
    """The machine that is there already is verified by what was asked for, in which YAML has made a number of it."""
    hosts = {
        "asked": {"bare_metal_disk": {"serial": 20240117}},
        "chosen": {"bare_metal_disk": {"serial": "x"}, "bare_metal_install": {"disk": {"serial": "X"}}},
        "without": {"bare_metal_disk": {"serial": None}, "bare_metal_install": {"disk": {"serial": None}}},
    }
    expression = "[__bare_metal_serial, __bare_metal_serial | length]"
    assert evaluated(tmp_path, "bare_metal", expression, hosts) == {"asked": ["20240117", 8], "chosen": ["X", 1], "without": ["", 0]}


def test_a_medium_that_a_bmc_shows_as_a_drive_at_usb_is_booted_from_there(tmp_path: Path) -> None:
    """Supermicro's X11 and X12 name both, and boot a virtual medium as UsbCd only."""
    allowed = {"supermicro": ["None", "Pxe", "Cd", "UsbCd", "Hdd"], "other": ["Pxe", "Cd", "Hdd"]}
    hosts = {
        name: {"__bare_metal_override": {"BootSourceOverrideTarget@Redfish.AllowableValues": values}} for name, values in allowed.items()
    }
    expression = "[__bare_metal_devices.redfish.virtual_media, __bare_metal_devices.redfish.cd]"
    found = evaluated(tmp_path, "bare_metal", expression, {**hosts, "silent": {}})
    assert found == {"supermicro": ["UsbCd", "Cd"], "other": ["Cd", "Cd"], "silent": ["Cd", "Cd"]}
