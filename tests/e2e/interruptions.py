# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens to an installer: power cuts at any moment, killed programs, a disk that is gone."""

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

from labkit import machine
from play import Player
from prepare import ROOT
from proof import check

# plugins/module_utils/_install/stamp.py, read here without its code.
STAMP_OFFSET, MAGIC = (1 << 20) - 4096, b"imagemode.bootc stamp 1\n"
FAULTS = str(ROOT / "tests/e2e/faults.yml")
# A module that came through the pipe has no name of its own; it is known by the lock that it holds.
KILL_HOLDER = """for fd in /proc/[0-9]*/fd/*; do
  case $(readlink "$fd") in
    /run/lock/bootc-install-*) pid=${fd#/proc/}; pid=${pid%%/*}; kill -KILL "$pid" && echo "$pid" ;;
  esac
done"""


def noted(disk: Path) -> dict[str, str]:
    """The stamp in the disk's file at this moment."""
    with disk.open("rb") as file:
        file.seek(STAMP_OFFSET)
        block = file.read(4096)
    found: dict[str, str] = json.loads(block.removeprefix(MAGIC).partition(b"\n")[0]) if block.startswith(MAGIC) else {}
    return found


def stamp(disk: Path) -> str:
    """begun, finished, or nothing."""
    return noted(disk).get("state", "")


def when(disk: Path) -> str:
    """Tells one installation from another."""
    return noted(disk).get("when", "")


def copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--sparse=always", str(source), str(target)], check=True)


class PowerCuts(threading.Thread):
    """While installations run, copies of the disk as a power cut at that moment would leave it: no instruction runs meanwhile.

    `wanted` copies, `first` to `last` seconds apart.
    """

    def __init__(self, name: str, disk: Path, rng: random.Random, wanted: int, first: float, last: float) -> None:
        super().__init__(daemon=True)
        self.cuts: list[Path] = []
        self.error: Exception | None = None
        self._name, self._disk, self._ended = name, disk, threading.Event()
        self._pauses = [rng.uniform(first, last) for _number in range(wanted)]

    def __enter__(self) -> PowerCuts:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self.join()
        if self.error and kind is None:
            raise self.error

    def run(self) -> None:
        try:
            for pause in self._pauses:
                # The pause counts from when an installation is under way, so that each copy is of one.
                while stamp(self._disk) != "begun" or self._ended.wait(pause) or stamp(self._disk) != "begun":
                    if self._ended.wait(0.2):
                        return
                self._cut()
        except (OSError, subprocess.CalledProcessError) as error:
            self.error = error

    def _cut(self) -> None:
        target = self._disk.with_name(f"cut-{len(self.cuts)}.raw")
        machine.pause(self._name)
        try:
            copy(self._disk, target)
        finally:
            machine.resume(self._name)
        self.cuts.append(target)
        print(f"   ⚡ {target.name} after {self._pauses[len(self.cuts) - 1]:.1f} s", flush=True)


def look_at_cuts(player: Player, name: str, disk: Path, serial: str, cuts: list[Path], before: list[str]) -> None:
    """Each disk that a power cut left, in the place of the disk.

    :param before: what was on it before the installation, as the module tells it
    """
    lab = [sys.executable, str(ROOT / "tests/reference/lab.py"), "machine"]
    commands = []
    for cut in cuts:
        pause, resume = (shlex.join([*lab, verb, name]) for verb in ("pause", "resume"))
        put = shlex.join(["cp", "--sparse=always", str(cut), str(disk)])
        commands.append({"name": cut.name, "command": f"{pause} && {put}; {resume}"})
    player.play(str(ROOT / "tests/e2e/interrupted.yml"), {"target_serial": serial, "cuts": commands, "before": before})
    for cut in cuts:
        cut.unlink()


def interrupt(player: Player, name: str, serial: str, options: dict[str, object], rng: random.Random) -> None:
    """An installation is killed, loses its disk, is killed again; the next run makes it whole, and the one after it does nothing."""
    kill_controller_and_module(player, name, serial, {**options, "wipe_confirm": serial}, rng.uniform(0, 10))
    lose_the_disk(player, name, serial, options, rng.uniform(5, 15))
    kill_controller_and_module(player, name, serial, options, rng.uniform(15, 30))
    check(player.play(FAULTS, {**options, "says": "interrupted"}) > 0, "the installation after three interrupted ones changed nothing")
    check(player.play(FAULTS, options) == 0, "installing again changed something")


def kill_controller_and_module(player: Player, name: str, serial: str, options: dict[str, object], after: float) -> None:
    """First the controller goes, and the installation runs on, and no other one may begin; then it is killed, its container left."""
    print(f"   ⚡ kill after {after:.1f} s", flush=True)
    disk = machine.where(name) / f"disk-{serial}.raw"
    before = when(disk)
    player.kill(FAULTS, options, after, since=lambda: stamp(disk) == "begun" and when(disk) != before)
    player.play(FAULTS, {**options, "predict": True, "expect": ["install_running"], "changes": False})
    check(machine.ssh(name, KILL_HOLDER).stdout.strip() != "", "no module held the lock of the disk")


def lose_the_disk(player: Player, name: str, serial: str, options: dict[str, object], after: float) -> None:
    """It is pulled out while it is written to, and put back."""
    disk = machine.where(name) / f"disk-{serial}.raw"
    before, ended = when(disk), threading.Event()

    def pull() -> None:
        while (stamp(disk) != "begun" or when(disk) == before) and not ended.wait(0.2):
            pass
        ended.wait(after)
        found = machine.ssh(name, f"lsblk -dno NAME,SERIAL | awk '$2 == \"{serial}\" {{ print $1 }}'").stdout.strip()
        print(f"   ⚡ {found} is gone after {after:.1f} s", flush=True)
        machine.ssh(name, f"echo 1 > /sys/block/{found}/device/delete")

    hand = threading.Thread(target=pull, daemon=True)
    hand.start()
    try:
        player.play(FAULTS, {**options, "expect": ["disk_gone"], "changes": True})
    finally:
        ended.set()
        hand.join()
        machine.ssh(name, "for host in /sys/class/scsi_host/*/scan; do echo '- - -' > $host; done; udevadm settle")


def seeded() -> random.Random:
    """FAULTS_SEED makes another run."""
    seed = int(os.environ.get("FAULTS_SEED") or 1)
    print(f"   FAULTS_SEED={seed}", flush=True)
    return random.Random(seed)
