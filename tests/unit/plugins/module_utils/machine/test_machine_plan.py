# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A machine that is there is compared: what is changed, what is refused, and that the second time nothing is left to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.imagemode.bootc.plugins.filter.vm_plan import vm_plan

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB user"
SYSTEM = {"name": "system", "size": "20GiB", "path": "/vms/web/system.qcow2"}
DATA = {"name": "data", "size": "5GiB", "path": "/vms/web/data.qcow2"}
BRIDGE = {"type": "bridge", "name": "br0"}
WEB: dict[str, Any] = {
    "name": "web",
    "cpus": 2,
    "memory": 2048,
    "firmware": "uefi",
    "keys": [KEY],
    "disks": [SYSTEM, DATA],
    "networks": [{"type": "user", "forwards": [{"host": 2222, "guest": 22}]}, BRIDGE],
}
SIZES = {"/vms/web/system.qcow2": 20 << 30, "/vms/web/data.qcow2": 5 << 30}
HOST = {"architecture": "x86_64", "accelerator": "kvm", "directory": "/vms/web", "firmware_code": "/fw/code.fd"}


def kept() -> Any:
    """What the QEMU driver keeps of a machine and reads back."""
    return json.loads(json.dumps(vm_plan(WEB, "qemu", host=HOST)["described"]))


def domain() -> str:
    document = vm_plan(WEB, "libvirt", host=HOST)["document"]
    # libvirt gives it an identity and writes memory in its own unit.
    document = document.replace("<name>", "<uuid>11111111-2222-3333-4444-555555555555</uuid><name>", 1)
    return str(document.replace('<memory unit="MiB">2048</memory>', "<memory unit='KiB'>2097152</memory>"))


BOTH = pytest.mark.parametrize(("driver", "found"), [("qemu", kept()), ("libvirt", domain())])


@BOTH
def test_what_is_there_is_left_alone(driver: str, found: Any) -> None:
    told = vm_plan(WEB, driver, found, SIZES, HOST)
    assert (told["verb"], told["changes"], told["rebuild"], told["restart"]) == ("none", [], [], False)


@BOTH
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cpus": 4}, "cpus 2, not 4"),
        ({"memory": 4096}, "memory 2048, not 4096"),
        ({"networks": [{"type": "bridge", "name": "br1"}]}, "networks"),
        ({"networks": [{"type": "user", "forwards": [{"host": 2223, "guest": 22}]}, BRIDGE]}, "networks"),
        ({"keys": []}, "keys"),
        ({"disks": [SYSTEM, DATA, {"name": "more", "size": "1GiB", "path": "/vms/web/more.qcow2"}]}, "disk more is missing"),
    ],
)
def test_what_can_be_changed_is_changed(driver: str, found: Any, change: dict[str, Any], words: str) -> None:
    told = vm_plan({**WEB, **change}, driver, found, SIZES, HOST)
    assert (told["verb"], told["changes"], told["rebuild"], told["restart"]) == ("change", [words], [], True)


@BOTH
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"firmware": "bios"}, "firmware uefi, not bios"),
        ({"disks": [SYSTEM]}, "disk data is one more than asked for"),
        ({"disks": [{**SYSTEM, "size": "10GiB"}, DATA]}, "disk system has 20.0 GiB, not 10.0 GiB: disks do not shrink"),
        ({"disks": [{**SYSTEM, "path": "/other.qcow2"}, DATA]}, "disk system is /vms/web/system.qcow2, not /other.qcow2"),
    ],
)
def test_what_needs_another_machine_is_said(driver: str, found: Any, change: dict[str, Any], words: str) -> None:
    told = vm_plan({**WEB, **change}, driver, found, SIZES, HOST)
    assert told["verb"] == "none"
    assert len(told["rebuild"]) == 1
    assert told["rebuild"][0].startswith(words)


def test_a_larger_disk_grows() -> None:
    told = vm_plan({**WEB, "disks": [{**SYSTEM, "size": "30GiB"}, DATA]}, "qemu", kept(), SIZES, HOST)
    assert told["grow"] == [{"name": "system", "path": "/vms/web/system.qcow2", "size": 30 << 30}]
    assert told["changes"] == ["disk system has 20.0 GiB, not 30.0 GiB"]


def test_a_domain_that_is_changed_stays_the_same_domain() -> None:
    told = vm_plan({**WEB, "cpus": 4}, "libvirt", domain(), SIZES, HOST)
    assert "<uuid>11111111-2222-3333-4444-555555555555</uuid>" in told["document"]


def test_a_machine_has_the_same_addresses_whenever_it_is_asked_for() -> None:
    first, again = (vm_plan(WEB, "qemu", host=HOST)["macs"] for _time in range(2))
    assert first == again
    assert len(set(first)) == 2
    assert vm_plan({**WEB, "name": "web2"}, "qemu", host=HOST)["macs"] != first


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"disks": []}, "at least one disk"),
        ({"disks": [SYSTEM, SYSTEM]}, "each name once"),
        ({"networks": [{"type": "bridge"}]}, "is no network"),
        ({"networks": [{"type": "user", "name": "x"}]}, "is no network"),
        ({"networks": [{"type": "network", "name": "default"}]}, "knows no network"),
        ({"networks": [{**BRIDGE, "forwards": [{"host": 1, "guest": 2}]}]}, "need a network of type user"),
        ({"disks": [{**SYSTEM, "size": "much"}]}, "not a size"),
        ({"cpus": "many"}, "'vm_cpus' of web is 'many'"),
    ],
)
def test_what_is_no_machine_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        vm_plan({**WEB, **change}, "qemu", host=HOST)


def test_an_unknown_driver_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="no driver 'xen'"):
        vm_plan(WEB, "xen")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"memory": "4GiB"}, "'vm_memory' of web is '4GiB'. Write a whole number; that of the memory is MiB"),
        ({"cpus": 0}, "'vm_cpus' of web is '0'"),
        ({"networks": [{"mac": 187723572702975}]}, "'187723572702975' in 'vm_networks' of web is no address of a network card"),
        ({"networks": [{"mac": "53:54:00:12:34:56"}]}, "is no address of a network card"),
        ({"disks": [{**SYSTEM, "size": 20480}]}, "'20480' is not a size for 'vm_disks'"),
        ({"disks": [SYSTEM, {"name": "log", "path": "/vms/web/log.qcow2"}]}, "Disk 'log' of web is new, and nothing says its size"),
        ({"networks": [{"forwards": "2222:22"}]}, "vm_plan cannot read what it was given"),
        (
            {"networks": [{"forwards": [{"address": "::1", "host": 2222, "guest": 22}]}]},
            "'::1' in 'vm_networks' of web is no address of IPv4",
        ),
        ({"networks": [{"forwards": [{"address": "kvm1", "host": 2222, "guest": 22}]}]}, "'kvm1' in 'vm_networks' of web is no address"),
        ({"networks": [{"forwards": [{"host": "ssh", "guest": 22}]}]}, "'ssh' in 'vm_networks' of web is no port"),
        ({"networks": [{"forwards": [{"host": 2222}]}]}, "'None' in 'vm_networks' of web is no port"),
    ],
)
def test_what_no_machine_can_be_is_refused_with_its_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError) as refused:
        vm_plan({**WEB, **change}, "qemu", host=HOST)
    assert words in str(refused.value)


@pytest.mark.parametrize("mac", ["52-54-00-AB-CD-EF", "5254.00ab.cdef", "525400abcdef"])
def test_an_address_is_the_same_however_it_is_written(mac: str) -> None:
    assert vm_plan({**WEB, "networks": [{"mac": mac, "forwards": {"host": 2222, "guest": 22}}]}, "qemu", host=HOST)["macs"] == [
        "52:54:00:ab:cd:ef"
    ]


@pytest.mark.parametrize("driver", ["qemu", "libvirt"])
def test_a_name_may_be_what_yaml_takes_for_a_number(driver: str) -> None:
    disks, networks = [{**SYSTEM, "name": 1}], [{"type": "bridge", "name": 100}]
    asked = {**WEB, "name": 7, "disks": disks, "networks": networks}
    host = {**HOST, "directory": "/vms/7"}
    made = vm_plan(asked, driver, host=host)
    found = json.loads(json.dumps(made["described"])) if driver == "qemu" else made["document"]
    told = vm_plan(asked, driver, found, SIZES, host)
    assert (told["verb"], told["changes"], told["rebuild"]) == ("none", [], [])
    written = {**asked, "name": "7", "disks": [{**SYSTEM, "name": "1"}], "networks": [{"type": "bridge", "name": "100"}]}
    assert vm_plan(written, driver, host=host) == made
    with pytest.raises(AnsibleFilterError, match="each name once"):
        vm_plan({**asked, "disks": [*disks, {**DATA, "name": "1"}]}, driver, host=host)


def test_a_domain_with_a_forward_that_qemu_does_not_take_can_be_mended() -> None:
    """libvirt does not look at it, and the machine did not start; what is asked for now is right."""
    told = vm_plan(WEB, "libvirt", domain().replace("tcp:127.0.0.1:2222-:22", "tcp:::1:2222-:22"), SIZES, HOST)
    assert (told["verb"], told["changes"]) == ("change", ["networks"])


def test_a_comma_ends_nothing_that_qemu_is_told() -> None:
    disks = [{**SYSTEM, "path": "/vms/a,b/system.qcow2"}, {**DATA, "name": "log,data"}]
    said = vm_plan({**WEB, "disks": disks}, "qemu", host=HOST)["command"]
    assert any(word.endswith("file=/vms/a,,b/system.qcow2") for word in said)
    assert any("serial=log,,data,bootindex=1" in word for word in said)


def test_a_machine_of_qemu_has_a_name_that_systemd_takes() -> None:
    with pytest.raises(AnsibleFilterError, match="'my web' cannot name a machine of QEMU"):
        vm_plan({**WEB, "name": "my web"}, "qemu", host=HOST)
    assert vm_plan({**WEB, "name": "my web"}, "libvirt", host=HOST)["verb"] == "create"
