# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server with packages is taken over, unattended; what it was known by is kept, and the rest is gone."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "reference")]

from labkit import conformance, machine, packages, registry, server
from labkit.say import LabError
from play import Player, PlayFailed
from prepare import LOGS, VENV, prepare
from proof import Failed, Registry, check, status

MACHINE, SERIAL = "takeover", "TAKEOVER"
REPOSITORY = f"{registry.address(MACHINE)}/os"
HOST_KEYS = "cat /etc/ssh/ssh_host_*.pub"
OPTIONS: dict[str, object] = {
    "target": "servers",
    "takeover_image": f"{REPOSITORY}:1",
    "takeover_keep": ["/etc/backup"],
    "takeover_network_renderer": "systemd-networkd",
}


def said(command: str) -> str:
    return machine.ssh(MACHINE, command, timeout=120).stdout.strip()


def rehearse(player: Player) -> None:
    """In check mode, with and without the confirmation; and a confirmation of another machine."""
    before = said("find /boot /ostree /etc -xdev | sort | sha256sum; cat /proc/sys/kernel/random/boot_id")
    for confirm, code in (("", "disk_has_data"), ("cloud2", "wipe_confirm_mismatch")):
        try:
            player.play("imagemode.bootc.takeover", {**OPTIONS, "takeover_wipe_confirm": confirm}, "--check")
        except PlayFailed:
            log = max(player.folder.glob("*-takeover.log"), key=lambda path: path.stat().st_mtime)
            check(f'"{code}"' in log.read_text() or f"error: {code}" in log.read_text(), f"the role did not say {code}; log: {log}")
        else:
            raise Failed(f"the role would take over a machine with the confirmation '{confirm}'")
    changed = player.play("imagemode.bootc.takeover", {**OPTIONS, "takeover_wipe_confirm": "cloud1"}, "--check")
    check(changed == 1, f"the rehearsal predicts {changed} changes")
    check(said("find /boot /ostree /etc -xdev | sort | sha256sum; cat /proc/sys/kernel/random/boot_id") == before, "the rehearsal wrote")


def take_over(player: Player) -> None:
    keys = said(HOST_KEYS)
    check(player.play("imagemode.bootc.takeover", {**OPTIONS, "takeover_wipe_confirm": "cloud1"}) > 0, "taking over changed nothing")
    booted = status(MACHINE)["status"]["booted"]["image"]
    check(booted["imageDigest"] == Registry(MACHINE).digest("os", "1"), f"the machine runs {booted}")
    check(said(HOST_KEYS) == keys, "the host keys are others")
    check(said("cat /proc/sys/kernel/hostname") == "cloud1", "the host name is another")
    check(said("cat /etc/backup/secret.key") == "a secret of this server", "a file that was to be kept is not there")
    check("DHCP=yes" in said("cat /etc/systemd/network/05-*.network"), "the network is not written down")
    left = said("ls -A /sysroot").split()
    check(set(left) <= {"ostree", "boot", "efi", "lost+found", ".bootc-aleph.json"}, f"left of the old system: {left}")


def run(player: Player) -> None:
    registry.remove(MACHINE)
    registry.up(MACHINE)
    conformance.push_images(REPOSITORY, "1")
    server.up(MACHINE, SERIAL)
    machine.wait(MACHINE, timeout=600)
    player.inventory(**{MACHINE: ["servers"]})
    rehearse(player)
    take_over(player)
    check(player.play("imagemode.bootc.takeover", OPTIONS) == 0, "taking over a second time changed something")


def main() -> int:
    prepare()
    packages.packages(install=True)
    machine.remove(MACHINE)
    try:
        run(Player(LOGS / "takeover", VENV, ANSIBLE_PIPELINING="1"))
    except (LabError, PlayFailed, Failed) as error:
        print(f"{error}\n0 passed, 1 failed; machine {MACHINE} is left for you to look at, `tests/reference/lab clean` removes it")
        return 1
    machine.remove(MACHINE)
    registry.remove(MACHINE)
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
