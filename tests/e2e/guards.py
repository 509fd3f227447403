# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What bootc_install refuses, does and repairs, on real disks of a machine of the lab, and what power cuts leave of it.

With `layouts` as its argument: dangerous disks. With `faults`: installers that are killed, images that are refused, file systems
made by the user, and what boots in the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "reference")]

import interruptions
from labkit import base, conformance, machine, packages, registry
from labkit.say import LabError, progress
from play import Player, PlayFailed
from prepare import LOGS, ROOT, VENV, prepare
from proof import Failed, check

MACHINE, TARGET, OTHER = "guards", "GUARDS-TARGET", "GUARDS-OTHER"
LAYOUTS = json.loads((ROOT / "tests/e2e/layouts.json").read_text())
VOLUMES = "GUARDS-VOLUMES"
REPOSITORY, CLOSED = f"{registry.address(MACHINE)}/os", f"{registry.address('guarded')}/os"
LOGIN = {"username": "guards", "password": "a-password-to-be-found"}
# What install_guards.yml has on the disk before it installs.
LEFT = "/dev/sda: LVM2_member"
# Its bootc tells what the real one tells, and instead of installing looks for the password in all that a privileged container sees.
SPY = """RUN mv /usr/bin/bootc /usr/bin/bootc.real && printf '%s\\n' '#!/bin/sh' \
 'case "$1 $2" in "install to-disk") ;; *) exec bootc.real "$@" ;; esac' \
 'cd /proc/1/root' \
 'found=$(for place in $PWD/run $PWD/tmp $PWD/var/tmp $PWD/root $PWD/home $PWD/etc /run /tmp /etc; do grep -rls {pattern} $place; done' \
 'grep -ls {pattern} /proc/[0-9]*/environ /proc/[0-9]*/cmdline)' \
 'echo "error: the spy found $(echo $found);" >&2; exit 1' > /usr/bin/bootc && chmod 0755 /usr/bin/bootc
"""
BOUND = """RUN mkdir -p /usr/lib/bootc/bound-images.d \\
 && printf '[Image]\\nImage=registry.test/not-there:1\\n' > /usr/lib/bootc/bound-images.d/a.image
"""


def key() -> str:
    """The lab's own: the keys of an installation count more than those that the machine's firmware brings."""
    return machine.lab_key().with_suffix(".pub").read_text().strip()


def run_the_role_registry(player: Player) -> None:
    """On this machine as a process, on the live system as a service of systemd; nothing changes the second time."""
    player.inventory(localhost=["registry"], **{MACHINE: ["registry"]})
    program = "$(realpath -m /usr/local/bin)/docker-registry"
    copy = machine.ssh_command(machine.state(MACHINE), f"install -D -m 0755 /dev/stdin {program}")
    with open("/usr/bin/docker-registry", "rb") as file:
        subprocess.run(copy, stdin=file, check=True)
    for where, address, directory, *arguments in (
        ("localhost", "127.0.0.1:5010", str(player.folder / "registry")),
        (MACHINE, "127.0.0.1:5000", "/var/lib/registry", "--skip-tags=install"),
    ):
        options = {"target": where, "registry_address": address, "registry_directory": directory}
        for state in ("present", "absent"):
            changes = [player.play("imagemode.bootc.registry", {**options, "registry_state": state}, *arguments) > 0 for _time in (1, 2)]
            check(changes == [True, False], f"role registry, {state} on {where}: changed {changes}")


def layout_disks() -> list[str]:
    """One disk for each layout and what else it is made of, and a second one with the same serial number."""
    sizes = {serial: row.get("size", "48M") for row in LAYOUTS for serial in (row["name"], row.get("more")) if serial}
    return [f"{serial}:{size}:scsi" for serial, size in sizes.items()] + ["SAME-SERIAL:48M:scsi:SAME-SERIAL-AGAIN"]


def refuse_layouts(player: Player) -> None:
    machine.plug(MACHINE, layout_disks())
    player.play(
        str(ROOT / "tests/e2e/layouts.yml"),
        {
            "image": f"{REPOSITORY}:1",
            "layouts": LAYOUTS,
            "live_serial": "LIVE",
            "disk_files": " ".join(str(machine.where(MACHINE) / f"disk-{machine.parse_disk(disk)['file']}.raw") for disk in layout_disks()),
        },
    )


def refuse_images(player: Player) -> None:
    """Build them on the base image, push them to the registry that asks for a password, and have them refused."""
    begin = f"FROM {base.base()}\n"
    push = [f"--creds={LOGIN['username']}:{LOGIN['password']}"]
    conformance.push_image(f"{CLOSED}:spy", begin + SPY.format(pattern=f"[{LOGIN['password'][0]}]{LOGIN['password'][1:]}"), *push)
    conformance.push_image(f"{CLOSED}:uefi", begin + "RUN rm /usr/lib/bootupd/updates/BIOS.json\n", *push)
    conformance.push_image(f"{CLOSED}:bound", begin + BOUND, *push)
    images = {f"{name}_image": f"{CLOSED}:{name}" for name in ("spy", "uefi", "bound")}
    player.play(str(ROOT / "tests/e2e/secrets.yml"), {"target_serial": TARGET, "login": LOGIN, **images})


def interrupt(player: Player) -> None:
    """Kills, and a disk that is pulled out; then the machine boots what came of it."""
    options: dict[str, object] = {"target_serial": TARGET, "login": LOGIN, "key": key()}
    check(player.play(interruptions.FAULTS, {**options, "image": f"{REPOSITORY}:1"}) > 0, "installing changed nothing")
    refuse_images(player)
    conformance.push_image(f"{CLOSED}:1", f"FROM {base.base()}\n", f"--creds={LOGIN['username']}:{LOGIN['password']}")
    interruptions.interrupt(player, MACHINE, TARGET, {**options, "image": f"{CLOSED}:1"}, interruptions.seeded())


def boot(player: Player, serial: str, commands: dict[str, str]) -> None:
    """Power the machine on with one disk only; each command must say what it is said to."""
    machine.down(MACHINE)
    machine.up(MACHINE, live=False, disks=[f"{serial}:8G:scsi"], memory=None, keys=[], firmware=None)
    machine.wait(MACHINE, timeout=600)
    player.inventory(**{MACHINE: ["bootc_hosts"]})
    for command, expected in commands.items():
        done = machine.ssh(MACHINE, command, timeout=120)
        said = done.stdout.strip()
        check(done.returncode == 0 and expected in said, f"booted from {serial}, '{command}' says: {said} {done.stderr.strip()}")


def the_wrong_disk_is_noticed(player: Player) -> None:
    options = {"bare_metal_image": f"{CLOSED}:1", "bare_metal_disk": {"serial": VOLUMES}}
    try:
        player.play(str(ROOT / "tests/e2e/verify.yml"), options)
    except PlayFailed:
        log = max(player.folder.glob("*-verify.log"), key=lambda path: path.stat().st_mtime)
        check("correct the firmware's boot order" in " ".join(log.read_text().split()), f"the role did not say what is wrong; log: {log}")
    else:
        raise Failed("the role took a machine that booted from another disk for the right one")


def live(player: Player) -> None:
    registry.remove(MACHINE)
    registry.remove("guarded")
    registry.up(MACHINE)
    registry.up("guarded", user=LOGIN["username"], password=LOGIN["password"])
    conformance.push_images(REPOSITORY, "12")
    disks = [f"{TARGET}:10G:scsi", f"{OTHER}:64M", f"{VOLUMES}:6G:scsi"]
    with progress("starting a live installer"):
        machine.up(MACHINE, live=True, disks=disks, memory=None, keys=[], firmware=None)
        machine.wait(MACHINE, timeout=600)
    player.inventory(**{MACHINE: ["installers"]})


def install_guards(player: Player) -> None:
    """Meanwhile the power fails ten times, and each disk that this leaves is looked at afterwards."""
    disk = machine.where(MACHINE) / f"disk-{TARGET}.raw"
    with interruptions.PowerCuts(MACHINE, disk, interruptions.seeded(), wanted=10, first=1, last=12) as power:
        player.play(
            str(ROOT / "tests/e2e/install_guards.yml"),
            {
                "image": f"{REPOSITORY}:1",
                "other_image": f"{REPOSITORY}:2",
                "target_serial": TARGET,
                "other_serial": OTHER,
            },
        )
    check(len(power.cuts) == 10, f"only {len(power.cuts)} moments of the installations were caught")
    interruptions.look_at_cuts(player, MACHINE, disk, TARGET, power.cuts, [LEFT])


def refuse_and_repair(player: Player) -> None:
    live(player)
    install_guards(player)
    run_the_role_registry(player)


def refuse_dangerous_disks(player: Player) -> None:
    live(player)
    refuse_layouts(player)


def interrupt_and_boot_all(player: Player) -> None:
    live(player)
    interrupt(player)
    conformance.push_image(f"{REPOSITORY}:lvm", (ROOT / "tests/e2e/volumes.Containerfile").read_text().format(base=base.base()))
    player.play(str(ROOT / "tests/e2e/volumes.yml"), {"image": f"{REPOSITORY}:lvm", "volume_serial": VOLUMES, "key": key()})
    boot(
        player,
        TARGET,
        {
            "cat /etc/hostname /proc/sys/kernel/hostname": "faults.example.com\nfaults.example.com",
            "ip -4 -brief address": "192.0.2.10/24",
            "cat /etc/motd": "installed by a test",
            "stat -c '%a %u' /var/lib/faults/key /etc/ostree/auth.json": "600 0\n600 0",
            "cat /proc/cmdline": "faults.one=1",
            "bootc upgrade --check": "",
        },
    )
    the_wrong_disk_is_noticed(player)
    boot(
        player,
        VOLUMES,
        {
            "cat /proc/sys/kernel/hostname": "volumes",
            "findmnt -no SOURCE /sysroot": "/dev/mapper/system-root",
            "findmnt -no SOURCE /var": "/dev/mapper/system-var",
            "cat /var/lib/volumes": "on a file system of its own",
        },
    )


PARTS = {"guards": refuse_and_repair, "layouts": refuse_dangerous_disks, "faults": interrupt_and_boot_all}


def main() -> int:
    part = sys.argv[1] if sys.argv[1:] else "guards"
    prepare()
    packages.packages(install=True)
    machine.remove(MACHINE)
    player = Player(LOGS / part, VENV, ANSIBLE_PIPELINING="1")
    try:
        PARTS[part](player)
    except (LabError, PlayFailed, Failed) as error:
        print(f"{error}\n0 passed, 1 failed; machine {MACHINE} is left for you to look at, `tests/reference/lab clean` removes it")
        return 1
    machine.remove(MACHINE)
    registry.remove(MACHINE)
    registry.remove("guarded")
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
