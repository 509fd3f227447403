# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How costs grow with files in a context, layers of an image, and hosts: points of curves, which have no goal."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from record import Result

FILES, LAYERS, HOSTS, FORKS = (500, 2_000, 8_000, 20_000), (4, 16, 64), (10, 100, 1_000), 25
ROUNDS = 3

Tasks = Callable[..., dict[str, float]]
Play = Callable[..., float]


def files(folder: Path, repository: str, base: str, play: Play, tasks: Tasks) -> Iterator[Result]:
    """An unchanged build beside Podman's, where both find all in their caches."""
    for number in FILES:
        context = folder / f"files{number}"
        for name in range(number):
            path = context / f"files/{name % 50}/{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{name:9}\n".encode() * 100)
        (context / "Containerfile").write_text(f"FROM {base}\nCOPY files /usr/share/files\n")
        options = {"image": f"{repository}:files{number}", "context": str(context)}
        play("build", **options)
        seconds = tasks("build", ROUNDS, **options)
        ratio = (seconds["Module"] - seconds["Nothing"]) / (seconds["Bare"] - seconds["Nothing"])
        yield Result(f"unchanged build, {number} files", "to cached `podman build`", ratio)
        shutil.rmtree(context)


def layers(folder: Path, repository: str, play: Play, requests: Callable[[], Callable[[], int]]) -> Iterator[Result]:
    """What an unchanged push asks of the registry."""
    for number in LAYERS:
        context, image = folder / f"layers{number}", f"{repository}:layers{number}"
        context.mkdir()
        lines = []
        for name in range(number):
            (context / str(name)).write_text(str(name))
            lines.append(f"COPY {name} /{name}")
        (context / "Containerfile").write_text("\n".join(["FROM scratch", *lines]) + "\n")
        play("build", image=image, context=str(context))
        play("push", image=image)
        count = requests()
        play("push", image=image)
        yield Result(f"unchanged push, {number} layers", "requests", count())
        shutil.rmtree(context)


def hosts() -> Iterator[Result]:
    for number in HOSTS:
        base = Path(tempfile.mkdtemp(prefix="imagemode-growth-"))
        try:
            yield from converge(base / "fleet", number, FORKS)
        finally:
            shutil.rmtree(base, ignore_errors=True)


def converge(base: Path, number: int, forks: int, goals: tuple[float | None, ...] = (None, None, None)) -> Iterator[Result]:
    """A fleet with nothing to do, beside a ping of it; hosts are simulated (tests/fleet).

    :param goals: for the controller's CPU, for its memory, and for requests to the registry
    """
    from load import Load  # needs Ansible

    load = Load(base, number)
    ping, found = load.ping(forks), load.converge(forks)
    print(f"   ping {1000 * ping.cpu / number:.0f} ms a host, converge {1000 * found.cpu / number:.0f} ms a host", flush=True)
    yield Result(f"converge of {number} hosts, nothing to do", "controller's CPU to a ping's", found.cpu / ping.cpu, goals[0])
    yield Result("", "MiB of memory", found.memory, goals[1])
    yield Result("", "requests to the registry", len(load.registry.requests), goals[2])
