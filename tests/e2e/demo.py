# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole road, from a Containerfile to a machine that is installed, updated and rolled back: `make demo`.

Everything is done by the collection's own playbooks. What they claim is then proven by other means: the registry's
answers and its log, `bootc status` over SSH, the bytes of the other disk.
BASE_IMAGE names a bootable image to use instead of the reference host's; DEMO_FIRMWARE is bios or uefi. DEMO_MACHINES=1 makes two
more machines beside all that, a virtual one from a disk image and one that is booted by its BMC, as the stages `vm` and `metal` do.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "reference")]

import metal
from labkit import accel, base, hypervisor, installer, machine, packages, registry
from labkit.say import LabError
from play import Player, PlayFailed
from prepare import LOGS, ROOT, VENV, prepare
from proof import Failed, Registry, check, human, status
from vm import Vms

MACHINE = "metal"
SYSTEM, DATA = "DEMO-SYSTEM", "DEMO-DATA"
DATA_SIZE = 64 << 20
FIRMWARE = os.environ.get("DEMO_FIRMWARE") or "bios"
MACHINES = os.environ.get("DEMO_MACHINES") == "1"
NAME = f"{registry.address('main')}/os"
RELEASE = "/usr/share/example/release"
# /etc and /var are the machine's own: an update must not touch them.
KEPT = {"/etc/demo-kept": "mine", "/var/lib/demo-kept": "mine, too"}


@dataclass
class Step:
    number: int
    title: str
    seconds: float
    said: str


@dataclass
class Demo:
    """One run; the steps are its methods, in the order of `ROAD`."""

    player: Player
    base_image: str = ""
    digests: dict[int, str] = field(default_factory=dict)
    data: str = ""
    steps: list[Step] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    # Before there is a machine

    def tools(self) -> str:
        packages.packages(install=True)
        if MACHINES:
            packages.packages(True, hypervisor.PACKAGES)
            metal.tools()
        machine.remove(MACHINE)
        registry.remove("main")
        base.forget(f"{NAME}:")
        return "everything that is needed is here"

    def base_and_installer(self) -> str:
        self.base_image = base.base()
        accel.arguments(installer.installer() / "vmlinuz")
        return self.base_image

    def registry(self) -> str:
        return str(registry.up("main")["address"])

    def build_first(self) -> str:
        check(self.build(1) > 0, "building os:1 changed nothing")
        return self.digests[1]

    def build_again(self) -> str:
        before = self.digests[1]
        check(self.build(1) == 0, "building os:1 a second time changed something")
        check(self.digests[1] == before, "the digest of os:1 moved without a change")
        return "changed=0"

    # The machine

    def power_on(self) -> str:
        disk = machine.where(MACHINE) / f"disk-{DATA}.raw"
        disk.write_bytes(os.urandom(DATA_SIZE))
        self.data = _sum(disk)
        machine.up(MACHINE, live=True, disks=[f"{SYSTEM}:10G", f"{DATA}:64M"], memory=None, keys=[], firmware=FIRMWARE)
        machine.wait(MACHINE, timeout=600)
        self.player.inventory(localhost=["builder"], **{MACHINE: ["installers", "bootc_hosts"]})
        return f"live installer under {FIRMWARE.upper()} firmware; disks {SYSTEM} (10 GiB, empty) and {DATA} (64 MiB of data)"

    def install(self) -> str:
        changed = self.player.play("imagemode.bootc.install", self.install_options())
        check(changed > 0, "installing changed nothing")
        self.runs(1)
        root = machine.ssh(MACHINE, "lsblk -nso SERIAL $(findmnt -nvo SOURCE /sysroot)").stdout.split()
        firmware = machine.ssh(MACHINE, "test -d /sys/firmware/efi && echo uefi || echo bios").stdout.strip()
        check(firmware == FIRMWARE, f"the machine was started by {firmware} firmware, not by {FIRMWARE}")
        check(SYSTEM in root, f"the root file system is on {root}, not on {SYSTEM}")
        self.data_untouched()
        return f"runs {self.digests[1]} from {SYSTEM}; {DATA} is as it was"

    def install_again(self) -> str:
        check(self.player.play("imagemode.bootc.install", self.install_options()) == 0, "installing a second time changed something")
        return "changed=0"

    # Day 2

    def build_second(self) -> str:
        self.build(2)
        check(self.digests[2] != self.digests[1], "one file changed, but the digest did not")
        return self.digests[2]

    def update(self) -> str:
        for path, text in KEPT.items():
            machine.ssh(MACHINE, f"echo '{text}' > {path}")
        registered = Registry("main")
        check(self.player.play("imagemode.bootc.update", self.update_options()) > 0, "updating changed nothing")
        self.runs(2)
        for path, text in KEPT.items():
            check(machine.ssh(MACHINE, f"cat {path}").stdout.strip() == text, f"{path} did not survive the update")
        pulled, layers = registered.blobs_pulled("os"), registered.layers("os", "2")
        new = {digest: size for digest, size in layers.items() if digest not in registered.layers("os", "1")}
        old = sorted(set(pulled) & set(layers) - set(new))
        check(not old, f"layers that the machine had were pulled again: {old}")
        check(set(new) <= set(pulled), f"the registry's log does not show that {sorted(set(new) - set(pulled))} were pulled")
        size, whole = human(sum(new.values())), human(sum(layers.values()))
        return f"runs {self.digests[2]}; pulled {len(new)} of {len(layers)} layers, {size} of {whole}"

    def update_again(self) -> str:
        check(self.player.play("imagemode.bootc.update", self.update_options()) == 0, "updating a second time changed something")
        return "changed=0"

    def roll_back(self) -> str:
        check(self.player.play("imagemode.bootc.rollback", {"rollback_away_from": self.digests[2]}) > 0, "rolling back changed nothing")
        self.runs(1)
        self.data_untouched()
        return f"runs {self.digests[1]}"

    def roll_back_again(self) -> str:
        changed = self.player.play("imagemode.bootc.rollback", {"rollback_away_from": self.digests[2]})
        check(changed == 0, "rolling back a second time changed something")
        return "changed=0"

    def power_off(self) -> str:
        machine.down(MACHINE)
        return "orderly"

    # Machines that did not exist

    def virtual_machine(self) -> str:
        """A qcow2 made in a throw-away machine, a copy of it that QEMU runs, and the same playbook again."""
        vms = Vms(Player(self.player.folder / "vm", VENV, label="vm: "))
        vms.clean()
        # A registry of its own: the other one's log shows what the update pulls.
        vms.take(f"{NAME}:1")
        vms.inventory("first")
        said = vms.first()
        vms.again()
        vms.clean()
        return f"{said}; changed=0"

    def bare_metal(self) -> str:
        """A machine that is off, with a BMC that is busy at first and forgets the boot order, and the same playbook again."""
        site = metal.Site(Player(self.player.folder / "metal", VENV, label="bmc: "))
        try:
            site.up()
            metal.first(site)
            metal.again(site, metal.FIRST)
        finally:
            site.end()
        site.clean()
        return f"runs {site.digest} from {next(iter(metal.FIRST.disks))}; changed=0"

    # Shared

    def build(self, version: int) -> int:
        context = self.player.folder / f"os-{version}"
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(ROOT / "examples/os", context, symlinks=True)
        (context / f"files{RELEASE}").write_text(f"{version}\n")
        changed = self.player.play(
            "imagemode.bootc.build",
            {
                "image_name": f"{NAME}:{version}",
                "image_context": str(context),
                "image_build_args": {"BASE_IMAGE": self.base_image, "VERSION": str(version)},
                "image_registry_options": {"plain_http": True},
                "image_tests": [
                    {"name": "the release file", "command": f"cat {RELEASE}", "stdout": f"^{version}$"},
                    {"name": "one kernel", "command": "ls /usr/lib/modules/*/vmlinuz | wc -l", "stdout": "^1$"},
                    {"name": "a failing command fails", "command": "exit 7", "rc": 7},
                ],
            },
        )
        self.digests[version] = Registry("main").digest("os", str(version))
        return changed

    def install_options(self) -> dict[str, object]:
        return {
            "bare_metal_image": f"{NAME}:1",
            "bare_metal_disk": {"serial": SYSTEM},
            "bare_metal_filesystem": "ext4",
            "bare_metal_root_ssh_authorized_keys": [machine.lab_key().with_suffix(".pub").read_text().strip()],
            "bare_metal_kernel_arguments": ["console=ttyS0,115200"],
        }

    def update_options(self) -> dict[str, object]:
        return {"update_image": f"{NAME}:2", "update_registry_options": {"plain_http": True}}

    def runs(self, version: int) -> None:
        booted = status(MACHINE)["status"]["booted"]["image"]
        check(
            booted["imageDigest"] == self.digests[version],
            f"the machine runs {booted['imageDigest']}; os:{version} is {self.digests[version]}",
        )
        release = machine.ssh(MACHINE, f"cat {RELEASE}").stdout.strip()
        check(release == str(version), f"{RELEASE} says {release}, not {version}")

    def data_untouched(self) -> None:
        check(_sum(machine.where(MACHINE) / f"disk-{DATA}.raw") == self.data, f"the disk {DATA} was written to")


Steps = list[tuple[str, Callable[[Demo], str]]]
IMAGES: Steps = [
    ("Look for the tools", Demo.tools),
    ("Make the base image and the live installer", Demo.base_and_installer),
    ("Start a registry", Demo.registry),
    ("Build, test and push os:1", Demo.build_first),
    ("Build it again", Demo.build_again),
]
ROAD: Steps = [
    ("Power a machine on", Demo.power_on),
    ("Install os:1 and boot it", Demo.install),
    ("Install again", Demo.install_again),
    ("Change one file; build, test and push os:2", Demo.build_second),
    ("Update the machine to os:2", Demo.update),
    ("Update again", Demo.update_again),
    ("Roll back to os:1", Demo.roll_back),
    ("Roll back again", Demo.roll_back_again),
    ("Power the machine off", Demo.power_off),
]
MORE: Steps = [
    ("Make a virtual machine from a disk image", Demo.virtual_machine),
    ("Make a machine of bare metal by its BMC", Demo.bare_metal),
]


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> int:
    if os.geteuid() != 0:
        print("The demo needs root: it builds images and runs containers and virtual machines.", file=sys.stderr)
        return 2
    if FIRMWARE not in ("bios", "uefi"):
        print(f"DEMO_FIRMWARE is {FIRMWARE!r}; it can be bios or uefi.", file=sys.stderr)
        return 2
    prepare()
    demo = Demo(Player(LOGS / "demo", VENV))
    started = time.monotonic()
    # One machine keeps one core busy, and these have nothing to do with each other.
    for lanes in ([IMAGES], [ROAD, *([MORE] if MACHINES else [])]):
        with ThreadPoolExecutor(len(lanes)) as pool:
            list(pool.map(lambda lane: walk(demo, lane), lanes))
        if demo.failures:
            print(
                "\n" + "\n".join(demo.failures) + f"\nLogs are in {demo.player.folder}; the machine's console is "
                f"{machine.where(MACHINE) / 'console.log'}. `make demo-clean` stops and removes everything.",
                flush=True,
            )
            print(f"{len(demo.steps)} passed, {len(demo.failures)} failed")
            return 1
    print()
    for step in sorted(demo.steps, key=lambda step: step.number):
        print(f"{step.title:44} {step.seconds:5.0f} s  {step.said}")
    print(f"{'All of it':44} {time.monotonic() - started:5.0f} s")
    print(f"{len(demo.steps)} passed, 0 failed")
    return 0


def walk(demo: Demo, lane: Steps) -> None:
    """Do one step after the other, until one fails, in this lane or in another."""
    titles = [title for title, _do in (*IMAGES, *ROAD, *(MORE if MACHINES else ()))]
    for title, do in lane:
        if demo.failures:
            return
        number = titles.index(title) + 1
        print(f"\n━━ {number}/{len(titles)} {title}", flush=True)
        begun = time.monotonic()
        try:
            said = do(demo)
        except (LabError, PlayFailed, Failed, subprocess.SubprocessError) as error:
            demo.failures.append(f"FAILED at step {number}, {title}: {error}")
            print(f"   ✗ {demo.failures[-1]}", flush=True)
            return
        print(f"   ✓ {said}", flush=True)
        demo.steps.append(Step(number, title, time.monotonic() - begun, said))


if __name__ == "__main__":
    sys.exit(main())
