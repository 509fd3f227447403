# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ten machines installed at once by one play: what the registry is asked for, and what memory the controller takes.

It needs 2 GiB of memory a machine, and where everything is emulated more than an hour for ten; `tests/e2e/many.py 3` makes three.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / place) for place in ("", "fleet", "reference")]

from labkit import conformance, machine, packages, registry
from labkit.say import LabError
from play import Player, PlayFailed
from prepare import LOGS, VENV, prepare
from processes import descendants, memory
from proof import Failed, Registry, check, status

NAME, COUNT, MEMORY = "many", 10, 1536
# Of this machine for each, in MiB: QEMU has up to a GiB of translated code; what machines have in common counts once, see L(merged).
NEEDED = MEMORY + 512
KSM = {"pages_to_scan": "5000", "run": "1"}
# Of the controller's memory, to what it takes to have as many machines do nothing: Ansible has a process for each.
LIMIT = 1.5
NOTHING = str(Path(__file__).with_name("nothing.yml"))
IMAGE = f"{registry.address(NAME)}/os:1"
PATIENCE = 3600  # seconds that a machine may take to boot beside all the others


class Memory:
    """Of ansible-playbook and its workers, in MiB: the most that was seen."""

    def __init__(self) -> None:
        self.most, self._done = 0.0, threading.Event()

    def _look(self) -> None:
        while not self._done.wait(2):
            plays = [pid for pid in descendants(os.getpid()) if b"ansible-playbook" in _command(pid)]
            # The first is the controller itself, the others are below it.
            self.most = max(self.most, memory(min(plays)) if plays else 0)

    @contextmanager
    def watched(self) -> Iterator[None]:
        threading.Thread(target=self._look, daemon=True).start()
        try:
            yield
        finally:
            self._done.set()


@contextmanager
def merged() -> Iterator[None]:
    """Where the kernel can, it keeps equal pages of the machines once: each has the live system and the image in its memory.

    With ten machines that is 9 of 23 GiB.
    """
    files = {Path("/sys/kernel/mm/ksm", name): value for name, value in KSM.items()}
    before = {path: path.read_text() for path in files if path.exists()}
    try:
        for path in before:
            path.write_text(files[path])
        yield
    finally:
        for path, value in before.items():
            path.write_text(value)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def options() -> dict[str, object]:
    return {
        "bare_metal_image": IMAGE,
        "bare_metal_disk": {"serial": "{{ inventory_hostname | upper }}"},
        "bare_metal_filesystem": "ext4",
        "bare_metal_hostname": "{{ inventory_hostname }}",
        "bare_metal_root_ssh_authorized_keys": [machine.lab_key().with_suffix(".pub").read_text().strip()],
        # Beside nine others a machine may not see its disk within the 90 seconds that systemd gives it.
        "bare_metal_kernel_arguments": ["console=ttyS0,115200", f"systemd.default_device_timeout_sec={PATIENCE}"],
        "bare_metal_boot_timeout": PATIENCE,
        "bare_metal_live_timeout": PATIENCE,
    }


def require_memory(count: int) -> None:
    """
    :raises LabError: the machines would not fit, and what is short of memory stands still
    """
    available = int(re.findall(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[0]) >> 10
    if available < count * NEEDED:
        raise LabError(f"{count} machines need {count * NEEDED} MiB of memory, and {available} are free: try {available // NEEDED}")


def install(player: Player, names: list[str]) -> None:
    for name in names:
        machine.up(name, live=True, disks=[f"{name.upper()}:6G"], memory=MEMORY, keys=[], firmware=None)
    for name in names:
        machine.wait(name, timeout=PATIENCE)
    player.inventory(**{name: ["installers"] for name in names})
    forks, bare, used = f"--forks={len(names)}", Memory(), Memory()
    with bare.watched():
        player.play(NOTHING, {}, forks)
    seen = Registry(NAME)
    with used.watched():
        player.play("imagemode.bootc.install", options(), forks)
    digest = seen.digest("os", "1")
    for name in names:
        booted = status(name)["status"]["booted"]["image"]["imageDigest"]
        check(booted == digest, f"{name} runs {booted}, not {digest}")
    pulled = Counter(seen.blobs_pulled("os"))
    asked = f"{len(pulled)} blobs asked for {pulled.total()} times"
    took = f"the controller took {used.most:.0f} MiB, and {bare.most:.0f} for a task that sleeps"
    print(f"{len(names)} machines run {digest}; {asked}; {took}", flush=True)
    check(max(pulled.values()) <= len(names), f"the registry was asked for a blob more than once a machine: {pulled}")
    check(used.most <= LIMIT * bare.most, took)


def install_again(player: Player, names: list[str]) -> None:
    changed = player.play("imagemode.bootc.install", options(), f"--forks={len(names)}")
    check(changed == 0, "a second run changed something")


def main(words: list[str]) -> int:
    prepare()
    packages.packages(install=True)
    names = [f"{NAME}-{number}" for number in range(int(words[0]) if words else COUNT)]
    player, passed = Player(LOGS / NAME, VENV, ANSIBLE_PIPELINING="1"), 0
    for name in (name for name in machine.names() if name.startswith(f"{NAME}-")):
        machine.remove(name)
    registry.remove(NAME)
    try:
        require_memory(len(names))
    except LabError as error:
        print(f"{error}\n0 passed, 1 failed")
        return 1
    registry.up(NAME)
    conformance.push_images(IMAGE.rpartition(":")[0], "1")
    for step in (install, install_again):
        started = time.monotonic()
        try:
            with merged():
                step(player, names)
        except (LabError, PlayFailed, Failed, subprocess.SubprocessError) as error:
            print(f"FAILED at {step.__name__}: {error}\n{passed} passed, 1 failed; the machines are left for you to look at")
            return 1
        passed += 1
        print(f"{step.__name__} took {time.monotonic() - started:.0f} s", flush=True)
    for name in names:
        machine.remove(name)
    registry.remove(NAME)
    print(f"{passed} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
