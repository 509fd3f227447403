# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run install_guards.yml on a machine of the lab: what bootc_install refuses, does and repairs, on real disks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "reference")]

from labkit import conformance, machine, packages, registry
from labkit.say import LabError, progress
from play import Player, PlayFailed
from prepare import LOGS, ROOT, VENV, prepare
from proof import Failed, check

MACHINE, TARGET, OTHER = "guards", "GUARDS-TARGET", "GUARDS-OTHER"
REPOSITORY = f"{registry.address(MACHINE)}/os"


def run_the_role_registry(player: Player) -> None:
    """On this machine as a process, on the live system as a service of systemd; nothing changes the second time."""
    player.inventory(localhost=["registry"], **{MACHINE: ["registry"]})
    program = "$(realpath -m /usr/local/bin)/docker-registry"
    copy = machine.ssh_command(machine.state(MACHINE), f"install -D -m 0755 /dev/stdin {program}")
    with open("/usr/bin/docker-registry", "rb") as file:
        subprocess.run(copy, stdin=file, check=True)
    for where, address, directory, *arguments in (
            ("localhost", "127.0.0.1:5010", str(player.folder / "registry")),
            (MACHINE, "127.0.0.1:5000", "/var/lib/registry", "--skip-tags=install")):
        options = {"target": where, "registry_address": address, "registry_directory": directory}
        for state in ("present", "absent"):
            changes = [player.play("imagemode.bootc.registry", {**options, "registry_state": state}, *arguments) > 0 for _time in (1, 2)]
            check(changes == [True, False], f"role registry, {state} on {where}: changed {changes}")


def main() -> int:
    prepare()
    packages.packages(install=True)
    machine.remove(MACHINE)
    player = Player(LOGS / "guards", VENV)
    try:
        registry.remove(MACHINE)
        registry.up(MACHINE)
        conformance.push_images(REPOSITORY, "12")
        with progress("starting a live installer with two disks"):
            machine.up(MACHINE, live=True, disks=[f"{TARGET}:10G", f"{OTHER}:64M"], memory=None, keys=[], firmware=None)
            machine.wait(MACHINE, timeout=600)
        player.inventory(**{MACHINE: ["installers"]})
        player.play(str(ROOT / "tests/e2e/install_guards.yml"), {
            "image": f"{REPOSITORY}:1",
            "other_image": f"{REPOSITORY}:2",
            "target_serial": TARGET,
            "other_serial": OTHER,
        })
        run_the_role_registry(player)
    except (LabError, PlayFailed, Failed) as error:
        print(f"{error}\n0 passed, 1 failed; machine {MACHINE} is left for you to look at, `tests/reference/lab clean` removes it")
        return 1
    machine.remove(MACHINE)
    registry.remove(MACHINE)
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
