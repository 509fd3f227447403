# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role bare_metal tells a BMC, and what it makes of a BMC that is busy, forgets or lies.

The BMC is sushy-tools' emulator with its driver that has no machines, so what "boots" is a fake: this machine, with a `findmnt` that says
what its root would be. The stage `metal` does the same with machines that boot.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "reference"))

from labkit import bmc as lab

PASSWORD = "s3cret-canary"
SYSTEM = "b0b0b0b0-0000-4000-8000-000000000001"
# The first look sees the machine as it was before, every other one what it booted.
FAKE_FINDMNT = """#!/bin/sh
cat "{folder}/before" 2>/dev/null && rm "{folder}/before" && exit 0
cat "{folder}/root"
"""


@dataclass
class Played:
    failed: bool
    changed: int
    output: str

    def error(self) -> str:
        found = re.search(r"\(error: (\w+)\)", self.output)
        return found[1] if found else ""


@pytest.fixture(scope="module")
def bmc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Bmc]:
    system = {"uuid": SYSTEM, "name": "web1", "power_state": "Off", "external_notifier": False, "nics": []}
    config = {"SUSHY_EMULATOR_FAKE_DRIVER": True, "SUSHY_EMULATOR_FAKE_SYSTEMS": [system]}
    started = lab.Bmc(tmp_path_factory.mktemp("bmc"), PASSWORD, config)
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def fresh(bmc: lab.Bmc) -> None:
    bmc.faults.clear()
    bmc.requests.clear()
    bmc.words.clear()


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a file that a BMC can load."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "live.iso").write_bytes(b"\0" * 4096)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *words: Any) -> None:
            super().__init__(*words, directory=str(folder))

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/live.iso"
        server.shutdown()


@pytest.fixture
def play(bmc: lab.Bmc, medium: str, tmp_path: Path) -> Callable[..., Played]:
    """Runs one file of the role's tasks; `root` is what the fake machine has for a root."""
    (tmp_path / "findmnt").write_text(FAKE_FINDMNT.format(folder=tmp_path))
    (tmp_path / "findmnt").chmod(0o755)

    def run(
        tasks: str, *arguments: str, before: str | None = None, root: str = "overlay", connection: str = "local", **options: Any
    ) -> Played:
        hosts = {
            name: {"ansible_connection": way, "ansible_python_interpreter": sys.executable}
            for name, way in (("web1", connection), ("localhost", "local"))
        }
        (tmp_path / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        (tmp_path / "root").write_text(f"{root}\n")
        if before is not None:
            (tmp_path / "before").write_text(f"{before}\n")
        variables = {
            "bare_metal_image": "registry.example.com/os:1",
            "bare_metal_disk": {"serial": "X"},
            "bare_metal_media_url": medium,
            "bare_metal_bmc_host": bmc.host,
            "bare_metal_bmc_username": lab.USER,
            "bare_metal_bmc_password": PASSWORD,
            "bare_metal_bmc_ca_path": str(bmc.ca),
            "bare_metal_bmc_delay": 1,
            "bare_metal_bmc_retries": 3,
            "bare_metal_live_timeout": 5,
            **options,
        }
        looked = {
            "ansible.builtin.set_fact": {
                "__bare_metal_installed": False,
                "__bare_metal_live": False,
                "__bare_metal_root_type": "",
                "__bare_metal_inserted": False,
            }
        }
        include = {"ansible.builtin.include_role": {"name": "imagemode.bootc.bare_metal", "tasks_from": tasks}}
        whole = {
            "hosts": "web1",
            "gather_facts": False,
            "vars": variables,
            "tasks": [looked, include],
            "environment": {"PATH": f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"},
        }
        (tmp_path / "play.json").write_text(json.dumps([whole]))
        done = subprocess.run(
            ["ansible-playbook", "-v", "-i", str(tmp_path / "inventory.json"), str(tmp_path / "play.json"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ANSIBLE_PIPELINING": "1"},
        )
        assert PASSWORD not in done.stdout + done.stderr
        recap = done.stdout.rpartition("PLAY RECAP")[2]
        return Played(done.returncode != 0, sum(map(int, re.findall(r"changed=(\d+)", recap))), done.stdout + done.stderr)

    return run


def told(bmc: lab.Bmc) -> list[str]:
    """What a BMC was told, in short."""
    short = []
    for request in bmc.requests:
        if request.method == "PATCH":
            short.append(str(request.body["Boot"]["BootSourceOverrideTarget"]))
        elif request.method == "POST":
            short.append(str(request.body.get("ResetType") or request.path.rpartition(".")[2]))
    return short


# In this order: each test leaves the machine as the next one finds it.


def test_a_machine_that_is_off_boots_the_medium(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    played = play("live", before="")
    assert not played.failed, played.output
    assert told(bmc) == ["InsertMedia", "Cd", "On"]


def test_a_live_system_that_runs_is_left_alone(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    played = play("live")
    assert (played.failed, played.changed, bmc.requests) == (False, 0, [])


def test_a_run_that_was_cut_off_is_begun_again(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    """Its medium is in the drive: nobody needs to allow the reset. What comes up is no live system, each time."""
    played = play("live", root="ext4")
    assert played.error() == "boot_order_lost"
    assert told(bmc) == ["ForceOff", "Cd", "On"] * 2
    assert "root is on ext4, 2 times" in played.output


def test_a_live_system_goes_off_and_its_medium_out(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    played = play("bmc_off", __bare_metal_method="virtual_media")
    assert not played.failed, played.output
    assert told(bmc) == ["ForceOff"]
    bmc.requests.clear()
    assert not play("media_eject").failed
    assert told(bmc) == ["EjectMedia"]
    again = play("media_eject")
    assert (again.failed, again.changed) == (False, 0)


def test_a_machine_that_is_on_is_not_reset_unless_that_is_allowed(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    assert not play("bmc_power", __bare_metal_wanted="on").failed
    bmc.requests.clear()
    refused = play("live", root="ext4")
    assert (refused.error(), told(bmc)) == ("machine_is_on", [])
    allowed = play("live", root="ext4", bare_metal_bmc_reset=True, bare_metal_boot_attempts=1)
    assert (allowed.error(), told(bmc)) == ("boot_order_lost", ["ForceOff", "InsertMedia", "Cd", "On"])


@pytest.mark.parametrize("power", ['"PowerState": "PoweringOn"', '"PowerState": null', '"Nothing": ""'])
def test_a_machine_of_which_nobody_says_that_it_is_off_is_not_reset(bmc: lab.Bmc, play: Callable[..., Played], power: str) -> None:
    assert not play("bmc_power", __bare_metal_wanted="on").failed
    bmc.requests.clear()
    bmc.words.update({f'"PowerState": "{state}"': power for state in ("On", "Off")})
    refused = play("live", root="ext4", bare_metal_boot_method="pxe")
    assert (refused.error(), told(bmc)) == ("machine_is_on", []), refused.output


def test_a_machine_that_nobody_gets_into_is_told_with_its_last_answer(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    """Whatever comes up has no SSH server at the address that was given; with too little memory nothing comes up."""
    nowhere = {"bare_metal_live_host": "127.0.0.1", "bare_metal_live_port": 1}
    played = play("live", connection="ssh", bare_metal_bmc_reset=True, bare_metal_boot_attempts=1, **nowhere)
    assert played.error() == "live_system_missing", played.output
    assert "nothing let Ansible in at 127.0.0.1 within 5 s, 1 times" in played.output
    assert "Connection refused" in played.output
    assert "Look at its console" in played.output
    assert "that it has enough memory" in played.output


def test_finishing_ejects_what_was_left_and_then_tells_nothing(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    assert not play("finish").failed
    assert told(bmc)[0] == "EjectMedia"
    bmc.requests.clear()
    assert not play("bmc_boot", __bare_metal_device="Hdd").failed
    bmc.requests.clear()
    again = play("finish")
    assert (again.failed, again.changed, told(bmc)) == (False, 0, [])


def test_check_mode_tells_nothing_and_predicts(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    played = play("live", "--check", root="ext4")
    assert (played.failed, played.changed, bmc.requests) == (False, 1, [])


def test_a_busy_bmc_is_asked_again(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    bmc.faults.append(lab.busy(2))
    assert not play("bmc_ask").failed


def test_a_bmc_that_stays_busy_is_an_error_within_bounds(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    bmc.faults.append(lab.busy(1000))
    played = play("bmc_ask", bare_metal_bmc_retries=2)
    assert (played.failed, played.error()) == (True, "bmc_busy")
    assert len(bmc.requests) < 8


def test_a_boot_order_that_is_forgotten_once_is_told_again(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    bmc.faults.append(lab.forgets_boot_order(1))
    played = play("bmc_boot", __bare_metal_device="Cd")
    assert not played.failed, played.output
    assert told(bmc) == ["Cd", "Cd"]


def test_a_bmc_that_forgets_the_boot_order_is_an_error(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    bmc.faults.append(lab.forgets_boot_order(1000))
    played = play("bmc_boot", __bare_metal_device="Pxe")
    assert (played.error(), told(bmc)) == ("boot_order_lost", ["Pxe"] * 3)


def test_the_firmware_is_told_its_mode_only_if_it_is_in_the_other(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    for firmware, modes in (("", [None]), ("uefi", [None]), ("bios", [None, "Legacy"]), ("bios", [None]), ("uefi", [None, "UEFI"])):
        bmc.requests.clear()
        assert not play("bmc_boot", __bare_metal_device="Pxe", bare_metal_firmware=firmware).failed
        boots = [request.body["Boot"] for request in bmc.requests if request.method == "PATCH"]
        assert [boot.get("BootSourceOverrideMode") for boot in boots] == modes, firmware


def test_a_medium_that_cannot_be_loaded_is_an_error(play: Callable[..., Played], medium: str) -> None:
    played = play("media_insert", __bare_metal_media_category="Systems", bare_metal_media_url=medium.replace("live", "missing"))
    assert played.error() == "media_unreachable"


def test_a_medium_that_is_lost_is_an_error(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    bmc.faults.append(lab.loses_media)
    assert play("media_insert", __bare_metal_media_category="Systems").error() == "media_unreachable"


def test_a_wrong_password_is_tried_once(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    played = play("bmc_ask", bare_metal_bmc_password="wrong")
    assert played.error() == "bmc_unauthorized"
    assert len([request for request in bmc.requests if request.path.rstrip("/") != "/redfish/v1"]) == 1


def test_a_certificate_that_is_not_trusted_is_an_error(play: Callable[..., Played]) -> None:
    assert play("bmc_ask", bare_metal_bmc_ca_path="").error() == "bmc_certificate"


def test_a_bmc_that_does_not_answer_is_an_error(play: Callable[..., Played]) -> None:
    assert play("bmc_ask", bare_metal_bmc_host="127.0.0.1:1", bare_metal_bmc_retries=1).error() == "bmc_unreachable"


def test_a_machine_is_to_boot_by_http(bmc: lab.Bmc, play: Callable[..., Played]) -> None:
    """No medium is inserted. The emulator has no HTTP boot: it makes PXE of it, and that is noticed."""
    played = play("live", root="ext4", bare_metal_boot_method="http", bare_metal_bmc_reset=True, bare_metal_boot_attempts=1)
    assert [word for word in told(bmc) if word not in ("On", "ForceOff")] == ["UefiHttp"] * 3
    assert played.error() == "boot_order_lost"
    assert "it says Pxe" in " ".join(played.output.split())
