# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Day 2: host.yml, adjust.yml, and updates that were killed.

On the machine that `tests/reference/conformance --keep` left up, or a new one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "reference")]

from labkit import conformance, machine, namespace, registry
from labkit.say import LabError
from play import Player, PlayFailed
from prepare import LOGS, ROOT, VENV, prepare
from proof import Failed, Registry, check, status

FORBIDDEN = f"{registry.address('closed')}/os:1"
KILL_AFTER_SECONDS = (15, 35, 60)


def have_a_host(player: Player) -> None:
    """And a registry that wants credentials, which the host does not have."""
    if conformance.NAME not in machine.names():
        conformance.host()
    player.inventory(localhost=["builder"], **{conformance.NAME: ["bootc_hosts"]})
    registry.up("closed", user="lab", password="closed")
    command, environment = namespace.command(
        ["skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", "--dest-creds=lab:closed",
         f"docker://{conformance.REPOSITORY}:1", f"docker://{FORBIDDEN}"])
    subprocess.run(command, env=environment, check=True)


def refuse_predict_and_prove(player: Player) -> None:
    player.play(str(ROOT / "tests/e2e/host.yml"), {
        "repository": conformance.REPOSITORY, "forbidden": FORBIDDEN, "options": {"plain_http": True}})


def look_and_adjust(player: Player) -> None:
    player.play(str(ROOT / "tests/e2e/adjust.yml"), {"serial": conformance.SERIAL})


def survive_the_controller(player: Player) -> None:
    """However far an update came, the next run goes on from there."""
    digest = Registry(conformance.NAME).digest("os", "1")
    options: dict[str, object] = {
        "update_image": f"{conformance.REPOSITORY}:1", "update_registry_options": {"plain_http": True}, "update_connect_timeout": 900}
    for seconds in KILL_AFTER_SECONDS:
        player.kill("imagemode.bootc.update", options, seconds)
        print(f"   killed after {seconds} s", flush=True)
    player.play("imagemode.bootc.update", options)
    booted = status(conformance.NAME)["status"]["booted"]["image"]["imageDigest"]
    check(booted == digest, f"the machine runs {booted}, not {digest}")
    check(player.play("imagemode.bootc.update", options) == 0, "another run changed something")


def main() -> int:
    prepare()
    player = Player(LOGS / "day2", VENV)
    passed = 0
    parts = (have_a_host, refuse_predict_and_prove, look_and_adjust, survive_the_controller)
    for part in parts:
        print(f"\n━━ {part.__name__.replace('_', ' ')}", flush=True)
        try:
            part(player)
        except (LabError, PlayFailed, Failed) as error:
            print(f"   FAILED: {error}", flush=True)
            continue
        passed += 1
    if passed == len(parts):
        machine.remove(conformance.NAME)
        for name in ("closed", conformance.NAME):
            registry.remove(name)
    print(f"{passed} passed, {len(parts) - passed} failed")
    return int(passed < len(parts))


if __name__ == "__main__":
    sys.exit(main())
