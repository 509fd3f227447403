# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that are nothing, as "" of a survey or as null."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.tests import specs
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import NOTHING, evaluated, play

# What is measured there: null has no length, and as a text it has one of four.
MEASURED = re.compile(r"((?<!\w)\([^(){}\[\],|=:\"]+\)|(?<![\w.)])[a-z]\w*) *(?:\| *string *)?\| *length")
MAY_BE_NOTHING = {"rollback_away_from", "rollback_digest", "rollback_force"}


def measured(text: str, options: set[str]) -> set[str]:
    """:returns: the options whose own length a role's file asks for"""
    return {name for expression in MEASURED.findall(text) for name in re.findall(r"(?<![\w.])[a-z]\w+", expression) if name in options}


@pytest.mark.parametrize("role", sorted(specs.roles()))
def test_no_role_asks_for_the_length_of_an_option_that_may_be_null(role: str) -> None:
    files = [path for part in ("tasks", "vars", "handlers", "templates") for path in (specs.ROOT / "roles" / role / part).rglob("*.*")]
    assert {path.name: found for path in files if (found := measured(path.read_text(), set(specs.roles()[role])))} == {}


def test_the_length_of_an_option_is_found_and_that_of_what_it_becomes_is_not() -> None:
    options = {"a_digest", "a_image"}
    for text in ("when: a_digest | length > 0", "- (a_image or a_digest)|length == 0", "{{ (a_image | string | length > 0) or b }}"):
        assert measured(text, options), text
    for text in ("when: __a_digest | length > 0", "(a_image or []) | length", "a_image | default([], true) | length", "b.a_image | length"):
        assert not measured(text, options), text


@pytest.mark.parametrize("nothing", NOTHING)
def test_a_rollback_to_nothing_says_what_to_set(tmp_path: Path, nothing: Any) -> None:
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.rollback"]}]
    rc, output = play(tmp_path, plays, {"web": {}}, **dict.fromkeys(MAY_BE_NOTHING, nothing))
    assert rc != 0
    assert "Set rollback_away_from (the digest to leave)" in output


@pytest.mark.parametrize("nothing", NOTHING)
def test_a_machine_has_the_usual_disk_and_network_if_nobody_says_other(tmp_path: Path, nothing: Any) -> None:
    given = dict.fromkeys(("vm_disks", "vm_networks", "vm_connection", "vm_image", "vm_keys"), nothing)
    options = {**given, "vm_driver": "qemu", "vm_firmware": "bios", "vm_directory": str(tmp_path), "vm_disk_image": "/none.qcow2"}
    seen = {"ansible.builtin.debug": {"msg": "to be done is to {{ vm_result.verb }} it"}}
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.vm"], "post_tasks": [seen]}]
    rc, output = play(tmp_path, plays, {"web": {}}, "--check", **options)
    assert rc == 0, output
    assert "to be done is to create it" in output


def test_disks_without_a_name_are_refused(tmp_path: Path) -> None:
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.vm"]}]
    rc, output = play(tmp_path, plays, {"web": {}}, "--check", vm_driver="qemu", vm_disks=[{"size": "10GiB"}])
    assert rc != 0
    assert "each disk has a name" in output


def test_an_api_that_nobody_says_how_to_reach_is_refused_with_what_is_to_be_set(tmp_path: Path) -> None:
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.vm"]}]
    rc, output = play(tmp_path, plays, {"web": {}}, "--check", vm_driver="proxmox", vm_connection={"api_host": "pve.test", "api_user": ""})
    assert rc != 0
    assert "proxmox needs vm_connection.api_user, and nothing is said there." in output


@pytest.mark.parametrize("options", [{"vm_name": ".."}, {"vm_disks": [{"name": "../other/system"}]}, {"vm_name": "a\\b"}])
def test_names_that_lead_elsewhere_are_refused_before_anything_is_removed(tmp_path: Path, options: dict[str, Any]) -> None:
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.vm"]}]
    directory = tmp_path / "vms"
    directory.mkdir()
    usual = {"vm_driver": "qemu", "vm_directory": str(directory), "vm_state": "absent", "vm_remove_disks": True}
    rc, output = play(tmp_path, plays, {"web": {}}, **usual, **options)
    assert rc != 0
    assert "cannot be the name of a machine or a disk" in output
    assert directory.is_dir()


def test_an_address_that_is_null_moves_no_machine(tmp_path: Path) -> None:
    hosts = {"null": {"bare_metal_boot_host": None, "bare_metal_boot_port": None}, "moves": {"bare_metal_boot_port": 2222}}
    assert evaluated(tmp_path, "bare_metal", "__bare_metal_moves", hosts) == {"null": False, "moves": True}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"bare_metal_bmc_type": "ipmi", "bare_metal_boot_method": "http"},
            "ipmi knows no such way. Set bare_metal_boot_method to one of cd",
        ),
        ({"bare_metal_boot_method": "virtual_media"}, "bare_metal_media_url does not say of what. Set bare_metal_media_url."),
    ],
)
def test_a_way_to_boot_that_the_bmc_has_not_is_refused_before_anything_is_switched_off(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    image = {"bare_metal_image": "registry.test/os:1", "bare_metal_disk": {"serial": "1"}, "bare_metal_bmc_host": "192.0.2.1"}
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.bare_metal"]}]
    rc, output = play(tmp_path, plays, {"web": {}}, "--tags", "live", **image, **options)
    assert rc != 0
    assert words in output, output
    assert "(error: bmc_unsupported)" in output
