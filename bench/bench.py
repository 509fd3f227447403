# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure the collection beside what it stands on: `make bench`, or `python3 bench/bench.py NAME…`.

Seconds say more of the machine than of the collection, so every number is a ratio of two things that ran side by side,
turn and turn about, or a count. One that misses its goal is told, and the exit code is 1. `growth` draws curves, and is run by name only.
Each run is kept in bench/results, with a description of the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "e2e"), str(TESTS / "fleet"), str(TESTS / "reference")]

import growth as curves
from labkit import base, conformance, machine, namespace, packages, registry
from play import Player
from prepare import LOGS, ROOT, TREE, VENV, enter, environment
from proof import Registry
from record import Result, keep

HOST, SERIAL = "bench", "BENCH-DISK"
REPOSITORY = f"{registry.address(HOST)}/os"
IMAGE = f"{REPOSITORY}:1"
CONTAINERFILE = f"""FROM {IMAGE}
COPY files /usr/share/files
RUN find /usr/share/files -type f | wc -l > /usr/share/count
"""
# 46 kB is the mean size of a file under /usr of the Debian 12 machine that this was first measured on.
FILES, SIZE, ROUNDS, NAMES = 5000, 46_000, 9, 5
LARGE = 20_000
FINGERPRINT = """
import pathlib, sys
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint import read_context
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint._ignore import Rules
read_context(pathlib.Path(sys.argv[1]), Rules())
"""


class Bench:
    def __init__(self) -> None:
        folder = LOGS / "bench"
        shutil.rmtree(folder, ignore_errors=True)
        self.durations = folder / "durations"
        self.player = Player(
            folder,
            VENV,
            quiet=True,
            ANSIBLE_CALLBACK_PLUGINS=str(ROOT / "bench/callback_plugins"),
            ANSIBLE_CALLBACKS_ENABLED="durations",
            BENCH_DURATIONS=str(self.durations),
        )

    def play(self, name: str, **options: object) -> float:
        """:returns: seconds of the whole play"""
        started = time.monotonic()
        self.player.play(str(ROOT / f"bench/plays/{name}.yml") if "." not in name else name, options)
        return time.monotonic() - started

    def tasks(self, name: str, rounds: int, **options: object) -> dict[str, float]:
        """:returns: task → median of its seconds"""
        self.durations.unlink(missing_ok=True)
        for _round in range(rounds):
            self.play(name, **options)
        seconds = defaultdict(list)
        for line in self.durations.read_text().splitlines():
            document = json.loads(line)
            seconds[document["task"]].append(document["seconds"])
        medians = {task: statistics.median(found) for task, found in seconds.items()}
        print("   " + ", ".join(f"{task} {median:.2f} s" for task, median in medians.items()), flush=True)
        return medians


def build(bench: Bench) -> Iterator[Result]:
    """A context of 5,000 files and 230 MB in which nothing changed; what any task costs is taken off both sides.

    The first task of a module in a play packs it, which Ansible does once for all its tasks and hosts.
    """
    context = bench.player.folder / "context"
    for number in range(FILES):
        path = context / f"files/{number % 50}/{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{number:9}\n".encode() * (SIZE // 10))
    (context / "Containerfile").write_text(CONTAINERFILE)
    options = {"image": f"{REPOSITORY}:bench", "context": str(context)}
    bench.play("build", **options)
    seconds = bench.tasks("build", ROUNDS, **options)
    own = {task: median - seconds["Nothing"] for task, median in seconds.items()}
    yield Result(f"unchanged build, {FILES} files", "to cached `podman build`", own["Module again"] / own["Bare"], 0.1)
    yield Result("", "the same, packed first", own["Module"] / own["Bare"])
    yield Result("", "to containers.podman.podman_image", own["Module"] / own["Peer"], 1)


def fingerprint(bench: Bench) -> Iterator[Result]:
    """20,000 files and 1 GiB, read by the room that the module uses."""
    context = bench.player.folder / "large"
    for number in range(LARGE):
        path = context / f"{number % 200}/{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{number:9}\n".encode() * 5368)
    time.sleep(3)  # what was written just now is read again, and not remembered
    seconds = defaultdict(list)
    for round_number in range(3):
        cache = bench.player.folder / f"cache{round_number}"
        words = {"sums": f"find {context} -type f -print0 | xargs -0 sha256sum", "first": FINGERPRINT, "again": FINGERPRINT}
        for name, command in words.items():
            started = time.monotonic()
            argv = ["sh", "-c", command] if name == "sums" else [str(VENV / "bin/python"), "-c", command, str(context)]
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env=environment(PYTHONPATH=str(TREE), XDG_CACHE_HOME=str(cache)))
            seconds[name].append(time.monotonic() - started)
    shutil.rmtree(context)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    print("   " + ", ".join(f"{name} {median:.2f} s" for name, median in medians.items()), flush=True)
    yield Result(f"fingerprint of {LARGE} files, 1 GiB", "to `sha256sum`", medians["first"] / medians["sums"], 1.2)
    # A fifth is less than a second on the machine that this was first measured on.
    yield Result("fingerprint, nothing changed", "to `sha256sum`", medians["again"] / medians["sums"], 0.2)


def upload(bench: Bench) -> Iterator[Result]:
    """One file of a 500 MB image changes; what the registry gets is counted on the wire."""
    context, image = bench.player.folder / "upload", f"{REPOSITORY}:upload"
    context.mkdir()
    with (context / "base").open("wb") as file:
        file.writelines(os.urandom(1 << 20) for _number in range(500))
    (context / "Containerfile").write_text("FROM scratch\nCOPY base /base\nCOPY change /change\n")
    sent = 0
    for _round in range(2):
        (context / "change").write_bytes(os.urandom(5 << 20))
        bench.play("build", image=image, context=str(context))
        before = wire()
        bench.play("push", image=image)
        sent = wire() - before
    shutil.rmtree(context)
    layer = list(Registry(HOST).layers("os", "upload").values())[-1]
    yield Result("push of one changed file in 500 MB", "bytes sent to the layer's size", sent / layer, 1.1)


def wire() -> int:
    """:returns: bytes that this machine sent to itself so far; the registry is on it"""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.strip().startswith("lo:"))


def push(bench: Bench) -> Iterator[Result]:
    image = f"{REPOSITORY}:bench"
    if not base.exists(image):
        list(build(bench))
    bench.play("push", image=image)
    seen = Registry(HOST)
    bench.play("push", image=image)
    requests = seen.requests()
    yield Result("unchanged push", "requests", len(requests), 2)
    yield Result("unchanged push", "uploads", sum(request.startswith(("PUT", "POST", "PATCH")) for request in requests), 0)
    seen = Registry(HOST)
    bench.play("push", image=image, by="peer")
    yield Result("the same by containers.podman.podman_image", "requests", len(seen.requests()))


def growth(bench: Bench) -> Iterator[Result]:
    def requests() -> Callable[[], int]:
        seen = Registry(HOST)
        return lambda: len(seen.requests())

    yield from curves.files(bench.player.folder, REPOSITORY, IMAGE, bench.play, bench.tasks)
    yield from curves.layers(bench.player.folder, REPOSITORY, bench.play, requests)
    yield from curves.hosts()


def upgrade(bench: Bench) -> Iterator[Result]:
    digest = Registry(HOST).digest("os", "1")
    seconds = defaultdict(list)
    for _round in range(ROUNDS):
        seconds["ping"].append(bench.play("ping"))
        seconds["upgrade"].append(bench.play("upgrade", digest=digest))
        seconds["role"].append(bench.play("imagemode.bootc.update", update_image=IMAGE, update_registry_options={"plain_http": True}))
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    yield Result("pinned upgrade, nothing to do", "play to ping play", medians["upgrade"] / medians["ping"], 1.3)
    yield Result("role update, nothing to do", "play to ping play", medians["role"] / medians["ping"], 1.5)


def stage(bench: Bench) -> Iterator[Result]:
    """Images with a layer of 100 MB that cannot be compressed, and of which nothing is there: what is replaced is pruned."""
    bench.player.inventory(**{HOST: ["bootc_hosts"]})
    context = bench.player.folder / "large"
    context.mkdir()
    for number in (1, 2):
        (context / "noise").write_bytes(os.urandom(100_000_000))
        (context / "Containerfile").write_text(f"FROM {IMAGE}\nCOPY noise /usr/share/noise\n")
        image = f"{REPOSITORY}:large{number}"
        for words in (
            ["build", "-q", "--format=oci", "--tls-verify=false", f"--tag={image}", str(context)],
            ["push", "-q", "--tls-verify=false", image],
            ["rmi", image],
        ):
            command, environment = namespace.command(["podman", *words])
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    seconds = bench.tasks("stage", 3, repository=REPOSITORY)
    yield Result("staging of 100 MB", "task to bare `bootc switch`", seconds["Module"] / seconds["Bare"], 1.05)


def info(bench: Bench) -> Iterator[Result]:
    seconds = bench.tasks("info", ROUNDS)
    yield Result("host's state", "to `command: bootc status`", seconds["Module"] / seconds["Bare"], 1.2)


def fleet(bench: Bench) -> Iterator[Result]:
    """One machine under many names: what counts is what the registry sees."""
    bench.player.inventory(**{HOST: ["bootc_hosts"]})
    path = bench.player.folder / "inventory.json"
    document = json.loads(path.read_text())
    hosts = document["all"]["hosts"]
    hosts |= {f"{HOST}{number}": hosts[HOST] for number in range(NAMES)}
    document["all"]["children"]["bootc_hosts"]["hosts"] = {f"{HOST}{number}": {} for number in range(NAMES)}
    path.write_text(json.dumps(document))
    seen = Registry(HOST)
    bench.play("imagemode.bootc.update", update_image=IMAGE, update_registry_options={"plain_http": True})
    yield Result(f"converge of {NAMES} hosts, nothing to do", "requests to the registry", len(seen.requests()), 1)


def install(bench: Bench) -> Iterator[Result]:
    """What any task costs, Python's start in an emulated machine above all, is taken off both sides."""
    machine.remove(HOST)
    machine.up(HOST, live=True, disks=[f"{SERIAL}:10G"], memory=None, keys=[], firmware=None)
    machine.wait(HOST, timeout=600)
    bench.player.inventory(**{HOST: ["installers"]})
    seconds = bench.tasks("install", 3, image=IMAGE, serial=SERIAL)
    ratio = (seconds["Module"] - seconds["Nothing"]) / (seconds["Bare"] - seconds["Nothing"])
    yield Result("install to disk", "task to bare `podman run`", ratio, 1.05)


def boot(bench: Bench) -> Iterator[Result]:
    """What `install` left on the disk is the host of the others."""
    machine.down(HOST)
    machine.up(HOST, live=False, disks=[], memory=None, keys=[], firmware=None)
    machine.wait(HOST, timeout=600)
    bench.player.inventory(**{HOST: ["bootc_hosts"]})
    yield from ()


BENCHES: dict[str, tuple[Callable[[Bench], Iterator[Result]], ...]] = {
    "build": (build,),
    "fingerprint": (fingerprint,),
    "upload": (upload,),
    "push": (push,),
    "install": (install,),
    "growth": (growth,),
    "hosts": (install, boot, upgrade, info, fleet, stage),
}
ALL = (build, fingerprint, push, upload, install, boot, upgrade, info, fleet, stage)


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHES]
    if unknown or os.geteuid() != 0:
        print(
            f"No such benchmark: {', '.join(unknown)}. There are: {', '.join(BENCHES)}." if unknown else "The benchmarks need root.",
            file=sys.stderr,
        )
        return 2
    enter()
    packages.packages(install=True)
    machine.remove(HOST)
    registry.remove(HOST)
    registry.up(HOST)
    conformance.push_images(REPOSITORY, "1")
    bench, results = Bench(), []
    try:
        for part in [part for name in names for part in BENCHES[name]] or ALL:
            for result in part(bench):
                results.append(result)
                print(result, flush=True)
    finally:
        machine.remove(HOST)
        registry.remove(HOST)
        if results:
            print(f"kept in {keep(results, ROOT / 'bench/results', environment()).relative_to(ROOT)}", flush=True)
    return int(not all(result.good for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
