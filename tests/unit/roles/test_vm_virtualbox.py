# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role vm from its look to its last command, with a VBoxManage that keeps the state of one machine in a file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="no qemu-img")

PROGRAM = """#!{python}
import pathlib, sys
there = pathlib.Path("{folder}")
info, words = there / "info", sys.argv[1:]
with (there / "told").open("a") as told:
    told.write(" ".join(words) + "\\n")
if words[0] == "showvminfo":
    if not info.exists():
        sys.exit("VBoxManage: error: Details: code VBOX_E_OBJECT_NOT_FOUND (0x80bb0001)")
    print(info.read_text())
def state(*before, now):
    said = info.read_text()
    if not any('VMState="' + one + '"' in said for one in before):
        sys.exit("VBoxManage: error: Invalid machine state")
    for one in before:
        said = said.replace('VMState="' + one + '"', 'VMState="' + now + '"')
    info.write_text(said)
if words[0] == "controlvm":
    {{"resume": lambda: state("paused", now="running"), "acpipowerbutton": lambda: state("running", now="poweroff")}}[words[2]]()
if words[0] == "startvm":
    state("poweroff", "saved", now="running")
if words[0] == "unregistervm":
    info.unlink()
"""


class Hypervisor:
    """This machine, with one of VirtualBox's that is as it is wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.vms = folder, folder / "vms"
        (self.vms / "web").mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "bin/VBoxManage").write_text(PROGRAM.format(python=sys.executable, folder=folder))
        (folder / "bin/VBoxManage").chmod(0o755)
        self.disk, self.settings = self.vms / "web/system.vdi", self.vms / "web/web.vbox"
        subprocess.run(["qemu-img", "create", "-q", "-f", "vdi", str(self.disk), "1M"], check=True)
        self.settings.write_text("")

    def has(self, state: str) -> None:
        (self.folder / "info").write_text(
            f'name="web"\nCfgFile="{self.settings}"\nmemory=2048\nfirmware="EFI"\ncpus=2\nVMState="{state}"\n'
            f'storagecontrollername0="SATA"\n"SATA-0-0"="{self.disk}"\nnic1="nat"\nmacaddress1="080027000001"\n'
        )

    def play(self, *arguments: str, **options: Any) -> str:
        (self.folder / "told").write_text("")
        networks = [{"type": "user", "mac": "08:00:27:00:00:01"}]
        usual = {"vm_driver": "virtualbox", "vm_directory": str(self.vms), "vm_disks": [{"name": "system"}], "vm_networks": networks}
        plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.vm"]}]
        rc, said = play(self.folder, plays, {"web": {**usual, "vm_verify": False, **options}}, *arguments)
        assert rc == 0, said
        return said

    @property
    def told(self) -> list[str]:
        return [line for line in (self.folder / "told").read_text().splitlines() if not line.startswith("showvminfo")]


@pytest.fixture
def hypervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hypervisor:
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    return Hypervisor(tmp_path)


def test_a_machine_that_is_paused_goes_on_and_does_not_start(hypervisor: Hypervisor) -> None:
    hypervisor.has("paused")
    assert "changed=1" in hypervisor.play("--check")
    assert hypervisor.told == []
    hypervisor.play()
    assert hypervisor.told == ["controlvm web resume"]
    assert "changed=0" in hypervisor.play()


def test_a_machine_that_is_paused_goes_on_to_notice_its_power_button(hypervisor: Hypervisor) -> None:
    hypervisor.has("paused")
    hypervisor.play(vm_state="stopped")
    assert hypervisor.told == ["controlvm web resume", "controlvm web acpipowerbutton"]
    assert "changed=0" in hypervisor.play(vm_state="stopped")


def test_a_machine_whose_state_was_saved_goes_on_and_is_shut_down(hypervisor: Hypervisor) -> None:
    hypervisor.has("saved")
    hypervisor.play()
    assert hypervisor.told == ["startvm web --type headless"]
    hypervisor.has("saved")
    hypervisor.play(vm_state="stopped")
    assert hypervisor.told == ["startvm web --type headless", "controlvm web acpipowerbutton"]


def test_a_change_that_needs_the_machine_off_is_refused_in_check_mode_as_it_is_without(hypervisor: Hypervisor) -> None:
    hypervisor.has("running")
    for arguments in (["--check"], []):
        with pytest.raises(AssertionError, match=r"web runs, and has to be off for a change: memory 2048, not 4096"):
            hypervisor.play(*arguments, vm_memory=4096)
    assert hypervisor.told == []


def test_a_removal_is_foretold_and_leaves_the_disk_and_no_settings(hypervisor: Hypervisor) -> None:
    hypervisor.has("running")
    assert "changed=1" in hypervisor.play("--check", vm_state="absent")
    assert hypervisor.told == []
    hypervisor.play(vm_state="absent")
    assert hypervisor.told == ["controlvm web acpipowerbutton", "unregistervm web"]
    assert (hypervisor.disk.exists(), hypervisor.settings.exists()) == (True, False)
    assert "changed=0" in hypervisor.play(vm_state="absent")
