# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role bare_metal tells a BMC that knows IPMI only. The BMC is pyghmi's own sample of one, with a journal."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyghmi")

USER, PASSWORD = "operator", "s3cret-canary"
# Writes down what it is told. The sample takes SHA-256 for agreed, and goes on with SHA-1: real ones refuse what they have not.
BMC = """
import sys
from pyghmi.cmd.fakebmc import FakeBmc
from pyghmi.ipmi.private.serversession import ServerSession

agree = ServerSession.create_open_session_response
def answer(self, request):
    return agree(self, request) if request[12] == 1 else bytearray([request[0], 0x11, 0, 0]) + request[4:8]
ServerSession.create_open_session_response = answer

class Bmc(FakeBmc):
    def say(self, word):
        with open(sys.argv[2], "a") as told:
            told.write(f"{word}\\n")

    def set_boot_device(self, device):
        self.say(device)
        super().set_boot_device(device)

    def power_on(self):
        self.say("on")
        super().power_on()

    def power_off(self):
        self.say("off")
        super().power_off()

Bmc({sys.argv[3]: sys.argv[4]}, port=int(sys.argv[1])).listen()
"""
FINDMNT = '#!/bin/sh\n[ -s "{told}" ] && echo overlay\n'


class Bmc:
    def __init__(self, folder: Path) -> None:
        self.folder, self._journal = folder, folder / "told"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process = subprocess.Popen([sys.executable, "-c", BMC, str(self.port), str(self._journal), USER, PASSWORD])

    def told(self) -> list[str]:
        return self._journal.read_text().split() if self._journal.exists() else []

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture
def bmc(tmp_path: Path) -> Iterator[Bmc]:
    started = Bmc(tmp_path)
    time.sleep(2)
    yield started
    started.stop()


@pytest.fixture
def play(bmc: Bmc) -> Callable[..., tuple[int, str]]:
    """Runs files of the role's tasks; the live system is this machine, once its BMC was told something."""
    folder = bmc.folder
    (folder / "findmnt").write_text(FINDMNT.format(told=folder / "told"))
    (folder / "findmnt").chmod(0o755)
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": {"web1": local, "localhost": local}}}))

    def run(*tasks: str, **options: Any) -> tuple[int, str]:
        variables = {
            "bare_metal_image": "registry.example.com/os:1",
            "bare_metal_disk": {"serial": "X"},
            "bare_metal_bmc_type": "ipmi",
            "bare_metal_bmc_host": "127.0.0.1",
            "bare_metal_bmc_port": bmc.port,
            "bare_metal_bmc_username": USER,
            "bare_metal_bmc_password": PASSWORD,
            "bare_metal_bmc_delay": 1,
            "bare_metal_bmc_retries": 1,
            "bare_metal_live_timeout": 5,
            **options,
        }
        includes = [{"ansible.builtin.include_role": {"name": "imagemode.bootc.bare_metal", "tasks_from": name}} for name in tasks]
        path = {"PATH": f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin"}
        plays = [{"hosts": "web1", "gather_facts": False, "vars": variables, "environment": path, "tasks": includes}]
        (folder / "play.json").write_text(json.dumps(plays))
        done = subprocess.run(
            ["ansible-playbook", "-v", "-i", str(folder / "inventory.json"), str(folder / "play.json")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={**os.environ, "ANSIBLE_PIPELINING": "1"},
        )
        assert PASSWORD not in done.stdout
        return done.returncode, done.stdout

    return run


def test_a_machine_that_is_off_boots_from_the_network_and_then_from_its_disk(bmc: Bmc, play: Callable[..., tuple[int, str]]) -> None:
    rc, output = play("live")
    assert rc == 0, output
    assert bmc.told() == ["network", "on"]
    rc, output = play("live")
    assert (rc, bmc.told()) == (0, ["network", "on"]), output
    rc, output = play("bmc_off", "bmc_boot", "bmc_power", __bare_metal_wanted="on", __bare_metal_device="hd")
    assert rc == 0, output
    assert bmc.told() == ["network", "on", "off", "hd", "on"]


def test_a_machine_that_is_on_is_left_alone(bmc: Bmc, play: Callable[..., tuple[int, str]]) -> None:
    assert play("bmc_power", __bare_metal_wanted="on")[0] == 0
    (bmc.folder / "findmnt").write_text("#!/bin/sh\necho ext4\n")
    _rc, output = play("live")
    assert re.search(r"\(error: (\w+)\)", output)[1] == "machine_is_on", output  # type: ignore[index]
    assert bmc.told() == ["on"]


def test_a_wrong_password_is_an_error(play: Callable[..., tuple[int, str]]) -> None:
    _rc, output = play("bmc_ask", bare_metal_bmc_password="wrong")
    assert "(error: bmc_unauthorized)" in output, output
