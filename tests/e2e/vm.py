# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an image to virtual machines: a qcow2 made in a throw-away machine, a machine of QEMU and one of libvirt, both asked what they run.

Everything is done by the playbook provision_vm with an inventory whose hosts' variables say all of it. `tests/e2e/vm.py second both_again`
does those steps only, with what a failed run left, and `tests/e2e/vm.py clean` removes that.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "reference")]

from labkit import accel, conformance, hypervisor, installer, machine, namespace, packages, registry, store
from labkit.say import LabError
from play import Player, PlayFailed
from prepare import LOGS, TREE, VENV, prepare
from proof import Failed, Registry, check
from recorded import STATUS

NAME = "vm"
PLAYBOOK = "imagemode.bootc.provision_vm"
DISK_IMAGE = str(Path(__file__).with_name("disk_image.yml"))
# Ports of this machine that lead to the machines' SSH servers.
PORTS = {"first": 2301, "second": 2302}
PYTHON = "/usr/bin/python3"  # Debian's binding of libvirt is for Debian's Python


class Vms:
    """The steps, in the order of `ROAD`."""

    def __init__(self, player: Player) -> None:
        self.player, self.image = player, f"{registry.address(NAME)}/os:1"
        self.folder = store.directory("vm")
        self.uri = hypervisor.uri_of(store.CACHE / "libvirt")

    @property
    def disk_image(self) -> Path:
        return self.folder / "images/os.qcow2"

    def prepare(self) -> str:
        packages.packages(install=True)
        packages.packages(True, hypervisor.PACKAGES)
        self.clean()
        hypervisor.up()
        registry.up(NAME)
        conformance.push_images(self.image.rpartition(":")[0], "1")
        return self.image

    def take(self, image: str) -> None:
        """Instead of `prepare`: have an image of another of the lab's registries in this one."""
        registry.up(NAME)
        plain = {"plain_http": True}
        module("oci_image_copy", {"src": image, "dest": self.image, "src_registry": plain, "dest_registry": plain})

    def clean(self) -> str:
        hypervisor.clean(self.folder)
        registry.remove(NAME)
        return "nothing is left"

    def rehearse(self) -> str:
        self.inventory("first")
        check(self.player.play(PLAYBOOK, {}, "--check") == 1, "the rehearsal predicts something else than a machine")
        check(not (self.folder / "first").exists() and not self.disk_image.exists(), "the rehearsal wrote")
        return "a machine would be made"

    def first(self) -> str:
        check(self.player.play(PLAYBOOK, {}) > 0, "making a machine changed nothing")
        return self.runs("first")

    def again(self) -> str:
        check(self.changed(PLAYBOOK) == {"first": 0}, "a second run changed something")
        return "changed=0"

    def disk_image_again(self) -> str:
        before = self.disk_image.stat()
        result, seconds, processor = module("bootc_disk_image", self.module_options(self.disk_image)["disk_image"])
        check(result.get("changed") is False, f"the same disk image was made again: {result}")
        check(self.disk_image.stat().st_mtime_ns == before.st_mtime_ns, "the disk image was written to")
        # A test machine may have other things to do at the same time.
        check(processor < 2, f"to find it made took {processor:.1f} s of a processor")
        return f"unchanged after {seconds:.1f} s, {processor:.1f} s of a processor"

    def second(self) -> str:
        self.inventory("first", "second")
        changed = self.changed(PLAYBOOK)
        check(changed["first"] == 0, "adding a host changed the one that was there")
        check(changed["second"] > 0, "the host that was added was not made")
        return self.runs("second")

    def both_again(self) -> str:
        check(self.changed(PLAYBOOK) == {"first": 0, "second": 0}, "a further run changed something")
        return "changed=0"

    def refusals(self) -> str:
        said = self.player.refused(PLAYBOOK, {"vm_firmware": "uefi", "vm_verify": False}, "--limit", "second")
        check("firmware bios, not uefi" in said, "another firmware is not refused")
        smaller = [{"name": "system", "size": "5GiB"}]
        said = self.player.refused(PLAYBOOK, {"vm_disks": smaller, "vm_verify": False}, "--limit", "first")
        check("disks do not shrink" in said, "a smaller disk is not refused")
        foreign = self.folder / "foreign.qcow2"
        foreign.write_bytes(b"precious")
        said = self.player.refused(DISK_IMAGE, self.module_options(foreign))
        check("disk_image_foreign" in said and foreign.read_bytes() == b"precious", "a foreign file is not refused")
        return "another firmware, a smaller disk, a foreign file"

    def change(self) -> str:
        options: dict[str, object] = {"vm_memory": 1536, "vm_restart": True}
        check(self.player.play(PLAYBOOK, options, "--limit", "first") > 0, "changing the memory changed nothing")
        memory = int(re.findall(r"MemTotal:\s+(\d+)", ssh("first", "cat /proc/meminfo"))[0])
        check(1300 << 10 < memory < 1536 << 10, f"the machine has {memory} KiB of memory")
        return f"{memory >> 10} MiB of memory after a restart"

    def remove(self) -> str:
        options: dict[str, object] = {"vm_state": "absent", "vm_remove_disks": True}
        check(self.player.play(PLAYBOOK, options) > 0, "removing the machines changed nothing")
        left = [path.name for path in self.folder.iterdir() if path.name in PORTS]
        check(not left, f"left of the machines: {left}")
        check(self.player.play(PLAYBOOK, options) == 0, "removing them a second time changed something")
        return "nothing is left of them"

    # Shared

    def inventory(self, *names: str) -> None:
        """What a user writes into host_vars."""
        self.disk_image.parent.mkdir(parents=True, exist_ok=True)
        own = {
            "first": {"vm_driver": "qemu", "vm_firmware": "uefi"},
            "second": {"vm_driver": "libvirt", "vm_firmware": "bios", "vm_connection": {"uri": self.uri}},
        }
        forwarded = {name: [{"type": "user", "forwards": [{"host": PORTS[name], "guest": 22}]}] for name in names}
        hosts = {name: {**own[name], "ansible_port": PORTS[name], "vm_networks": forwarded[name]} for name in names}
        shared = {
            "ansible_host": "127.0.0.1",
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(machine.lab_key()),
            "ansible_ssh_common_args": " ".join(machine.SSH_OPTIONS),
            "ansible_python_interpreter": PYTHON,
            "vm_image": self.image,
            "vm_filesystem": "ext4",
            "vm_directory": str(self.folder),
            "vm_disk_image": str(self.disk_image),
            "vm_cpus": 1,
            "vm_keys": [machine.lab_key().with_suffix(".pub").read_text().strip()],
            "vm_disks": [{"name": "system", "size": "6GiB"}],
            "vm_accelerator": self.accelerator(),
            "vm_image_builder": "machine",
            "vm_image_live": self.live(),
        }
        local = {"ansible_connection": "local", "ansible_python_interpreter": PYTHON}
        document = {"all": {"hosts": {"localhost": local}, "children": {"vms": {"hosts": hosts, "vars": shared}}}}
        (self.player.folder / "inventory.json").write_text(json.dumps(document, indent=1))

    def accelerator(self) -> str:
        return "kvm" if "kvm" in accel.arguments(installer.installer() / "vmlinuz") else "tcg"

    def live(self) -> dict[str, Any]:
        return {"directory": str(installer.installer()), "memory": 3072, "accelerator": self.accelerator()}

    def module_options(self, dest: Path) -> dict[str, object]:
        """As the role asks for the disk image."""
        asked = {"image": self.image, "dest": str(dest), "size": "6GiB", "filesystem": "ext4", "builder": "machine", "live": self.live()}
        return {"disk_image": asked}

    def changed(self, playbook: str) -> dict[str, int]:
        """Host → how many tasks changed something."""
        self.player.play(playbook, {})
        recap = self.log().rpartition("PLAY RECAP")[2]
        return {name: int(number) for name, number in re.findall(r"^(\w+) .*changed=(\d+)", recap, re.M)}

    def log(self) -> str:
        """Of the last play."""
        return max(self.player.folder.glob("*.log"), key=lambda path: path.stat().st_mtime).read_text()

    def runs(self, name: str) -> str:
        digest = json.loads(ssh(name, STATUS))["status"]["booted"]["image"]["imageDigest"]
        check(digest == Registry(NAME).digest("os", "1"), f"{name} runs {digest}")
        return f"{name} runs {digest}"


def module(name: str, options: object) -> tuple[dict[str, Any], float, float]:
    """Run a module here, without Ansible's own work: its result, seconds, and seconds of a processor."""
    words, variables = namespace.command([str(VENV / "bin/python"), "-m", f"ansible_collections.imagemode.bootc.plugins.modules.{name}"])
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        words,
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options}),
        capture_output=True,
        text=True,
        check=False,
        env={**variables, "PYTHONPATH": str(TREE)},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    check(done.returncode == 0, f"{name} failed: {done.stdout} {done.stderr}")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.splitlines()[-1]), time.monotonic() - started, processor


def ssh(name: str, command: str) -> str:
    words = machine.ssh_command({"key": str(machine.lab_key()), "port": PORTS[name]}, command)
    return subprocess.run(words, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=180, check=True).stdout


ROAD: list[tuple[str, Callable[[Vms], str]]] = [
    ("Have an image, a live system and a hypervisor", Vms.prepare),
    ("Rehearse", Vms.rehearse),
    ("Make a disk image and a machine of QEMU", Vms.first),
    ("Run again", Vms.again),
    ("Ask for the same disk image", Vms.disk_image_again),
    ("Add a machine of libvirt to the inventory", Vms.second),
    ("Run again", Vms.both_again),
    ("What is refused", Vms.refusals),
    ("Change a machine that runs", Vms.change),
    ("Remove the machines", Vms.remove),
    ("Clean up", Vms.clean),
]


def main(chosen: list[str]) -> int:
    prepare()
    vms = Vms(Player(LOGS / "vm", VENV, ANSIBLE_PIPELINING="1"))
    road = [(title, do) for title, do in ROAD if not chosen or do.__name__ in chosen]
    for number, (title, do) in enumerate(road):
        started = time.monotonic()
        try:
            said = do(vms)
        except (LabError, PlayFailed, Failed, subprocess.SubprocessError) as error:
            print(f"FAILED at '{title}': {error}\n{number} passed, 1 failed; the machines and {vms.folder} are left for you to look at")
            return 1
        print(f"{title:48} {time.monotonic() - started:5.0f} s  {said}", flush=True)
    print(f"{len(road)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
