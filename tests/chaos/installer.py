# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installations on a machine of the lab, which runs a live system and may lose its power."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from host import Host
from interruptions import FAULTS, noted
from judge import State
from labkit import conformance, machine, namespace, registry
from prepare import environment
from verbs import Running, Verb, inventory

NAME, SERIAL = "chaos", "CHAOS-TARGET"
REPOSITORY = f"{registry.address(NAME)}/os"
LIMIT_SECONDS = 1800.0
# All that an installation has at work; the live system itself runs no Python, and no container.
MODULES = "[p]ython3"
WORKERS = f"{MODULES}|[p]odman|[c]onmon|[b]ootc |[c]run|[m]kfs|[s]fdisk|[o]stree "
# Of connections; the server itself stays.
SESSIONS = "sshd: root@|sshd-session: root@"
DISK = f"disk=$(lsblk --nodeps --noheadings --output PATH,SERIAL | awk '$2 == \"{SERIAL}\" {{ print $1 }}')"
# The stamp, too, is before the first partition.
WIPE = f"""{DISK}
wipefs --quiet --all --force $disk* && dd if=/dev/zero of=$disk bs=1M count=8 conv=fsync && blockdev --rereadpt $disk
udevadm settle"""
# Which image each deployment follows, and how many boot entries there are, on the largest partition.
LOOK = f"""{DISK}
part=$(lsblk --bytes --list --noheadings --output PATH,SIZE,TYPE $disk | awk '$3 == "part"' | sort -k2n | tail -n1 | cut -d' ' -f1)
[ -n "$part" ] || exit 0
mkdir -p /run/look && mount -o ro "$part" /run/look || exit 0
cat /run/look/ostree/deploy/*/deploy/*.origin | sed -n 's/.*:\\([0-9]*\\)$/\\1/p'
ls /run/look/boot/loader/entries | wc -l
umount /run/look"""


class LabHost(Host):
    """A machine of the lab, by its SSH server: each look at it takes most of a second."""

    name = NAME

    def at_work(self) -> bool:
        return bool(self._count(MODULES))

    def kill_modules(self) -> int:
        return self._kill(MODULES)

    def kill_workers(self) -> int:
        return self._kill(WORKERS)

    def kill_sessions(self) -> int:
        """The one that carries the command goes, too."""
        others = self._count(SESSIONS) - 1
        self._run(f"pkill -KILL -f '{SESSIONS}'")
        return others

    def settle(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._count(WORKERS):
            if time.monotonic() > deadline:
                return False
            time.sleep(1)
        return True

    def _kill(self, pattern: str) -> int:
        return int(self._run(f"pkill -KILL --count -f '{pattern}'") or 0)

    def _count(self, pattern: str) -> int:
        return int(self._run(f"pgrep --count -f '{pattern}'") or 0)

    def _run(self, command: str) -> str:
        return machine.ssh(NAME, command, timeout=120).stdout.strip()


class Installer:
    """The machine, its disk, and a registry with two images."""

    def __init__(self, base: Path, home: Path) -> None:
        self.base, self.host = base, LabHost()
        self.disk = machine.where(NAME) / f"disk-{SERIAL}.raw"
        base.mkdir()
        try:
            registry.up(NAME)
            conformance.push_images(REPOSITORY, "12")
            self.power_on()
        except BaseException:
            self.stop()
            raise

    def power_on(self) -> None:
        machine.up(NAME, live=True, disks=[f"{SERIAL}:10G:scsi"], memory=None, keys=[], firmware=None)
        machine.wait(NAME, timeout=600)
        inventory(self.base / "inventory.json", {"installers": {NAME: machine.inventory(NAME)}})

    def run(self, command: str) -> str:
        return machine.ssh(NAME, command, timeout=300).stdout.strip()

    def stop(self) -> None:
        machine.remove(NAME)
        registry.remove(NAME)


class Install(Verb):
    """Onto an empty disk. What an installation was begun on and not finished, by its stamp, is nothing: it is made anew."""

    name = "install"
    victims = ("module", "tree", "ssh", "controller", "registry", "power")
    slow = True

    def __init__(self, installer: Installer) -> None:
        self.installer, self.host = installer, installer.host
        self._options: dict[str, Any] = {}

    def prepare(self, number: int) -> State:
        self.installer.run(WIPE)
        tag = "12"[number % 2]
        key = machine.lab_key().with_suffix(".pub").read_text().strip()
        login = {"username": "", "password": ""}
        self._options = {"image": f"{REPOSITORY}:{tag}", "target_serial": SERIAL, "login": login, "key": key}
        return State(tag, tag)

    def start(self, log: Path) -> Running:
        base = self.installer.base
        words = ["ansible-playbook", "-i", str(base / "inventory.json"), FAULTS, "-e", json.dumps(self._options)]
        command, _variables = namespace.command(words)
        # A connection that outlives its play would be taken for one at work.
        options = environment(ANSIBLE_PIPELINING="1", ANSIBLE_HOST_KEY_CHECKING="0", ANSIBLE_SSH_ARGS="-o ControlMaster=no")
        return Running(command, options, base, log, LIMIT_SECONDS)

    def read(self) -> State:
        """What the stamp and the disk's own files say; they have to agree."""
        stamp = noted(self.installer.disk)
        if stamp.get("state") != "finished":
            return State(None, None)
        tag = stamp["image"].rpartition(":")[2]
        said = self.installer.run(LOOK).split()
        found = tag if said == [tag, "1"] else f"in pieces: said to be {tag}, and there is {said}"
        return State(found, found)

    def left(self) -> list[str]:
        containers = self.installer.run("podman ps --all --quiet").split()
        mounts = self.installer.run("findmnt --list --noheadings --output TARGET | grep imagemode").split()
        files = self.installer.run("ls -d /run/imagemode-*/* /tmp/imagemode-* /var/tmp/imagemode-* /tmp/ansible* 2>/dev/null").split()
        return [*(f"the container {name}" for name in containers), *(f"a mount: {name}" for name in mounts), *files]

    def stop_registry(self) -> None:
        registry.down(NAME)

    def start_registry(self) -> None:
        registry.up(NAME)

    def cut_power(self) -> None:
        machine.kill(NAME)
        self.installer.power_on()
