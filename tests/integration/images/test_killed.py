# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that is killed in the middle of its work: its secrets do not outlive the next run of any module."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from .conftest import PASSWORD, LiveRegistry, add_programs, holders

Module = Callable[..., dict[str, Any]]
Building = Callable[..., subprocess.Popen[str]]
SLEEPING = 'FROM scratch\nCOPY etc /\nRUN ["/bin/sleep", "{}"]\n'
WAITING = 'FROM scratch\nCOPY etc /\nRUN ["/bin/sh", "-c", "while [ ! -e /gate/open ]; do /bin/sleep 1; done", "{}"]\n'
SWEEPING = """
from ansible_collections.imagemode.bootc.plugins.module_utils._scratch import sweep_private
for _ in range(300):
    sweep_private()
"""


def test_a_killed_build_leaves_no_secret_after_the_next_run(
    module: Module,
    context: Path,
    registry: LiveRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # A memory of its own: any other run on this machine removes what a killed one left.
    memory = tempfile.TemporaryDirectory(dir="/dev/shm")
    request.addfinalizer(memory.cleanup)
    monkeypatch.setenv("XDG_RUNTIME_DIR", memory.name)
    secret = f"canary-of-{os.getpid()}"
    add_programs(context / "etc", "/bin/sh", "/bin/sleep")
    text = 'FROM scratch\nCOPY etc /\nRUN --mount=type=secret,id=token ["/bin/sleep", "40"]\n'
    options = {
        "name": f"killed-{os.getpid()}:1",
        "context": str(context),
        "content": text,
        "engine": "podman",
        "network": "host",
        "secrets": [{"id": "token", "value": secret}],
    }
    words = [sys.executable, "-m", "ansible_collections.imagemode.bootc.plugins.modules.oci_image_build"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
    process.stdin.close()
    deadline = time.monotonic() + 30
    while not _at_work(process.pid) or not holders(secret):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    engines = _children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    for engine in engines:
        os.killpg(engine, signal.SIGKILL)  # nobody is left to end it
    subprocess.run(["buildah", "rm", "--all"], check=True, capture_output=True)
    assert holders(secret), "without a leftover this shows nothing"
    assert module("oci_image_info", name=f"{registry.address}/none:1", plain_http=True)["exists"] is False
    assert holders(secret) == []


def test_a_living_module_keeps_its_secrets(module: Module, guarded_registry: LiveRegistry, context: Path) -> None:
    """Two at a time, one of them looking for what was left all the while."""
    name = f"{guarded_registry.address}/alive:1"
    access = {"username": "builder", "password": PASSWORD, "ca_path": f"{guarded_registry.base}/ca.crt"}
    module("oci_image_build", name=name, context=str(context), **access)
    arguments = {"ANSIBLE_MODULE_ARGS": {"name": name, "engine": "podman", **access}}
    words = [sys.executable, "-m", "ansible_collections.imagemode.bootc.plugins.modules.oci_image_push"]
    pushing = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert pushing.stdin
    pushing.stdin.write(json.dumps(arguments))
    pushing.stdin.close()
    while pushing.poll() is None:
        subprocess.run([sys.executable, "-c", SWEEPING], check=True)
    assert pushing.stdout
    assert json.loads(pushing.stdout.read())["changed"]


@pytest.mark.parametrize(("builder", "ending"), [("podman", "module"), ("podman", "all"), ("buildah", "all")])
def test_the_next_build_removes_what_a_killed_one_left_and_nothing_else(
    module: Module,
    building: Building,
    context: Path,
    storage_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    builder: str,
    ending: str,
) -> None:
    """SIGKILL for the module alone, whose engine goes on, or for all of them; meanwhile another build, and a user's own container."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    add_programs(context / "etc", "/bin/sh", "/bin/sleep")
    own, seconds = f"own-{builder}-{ending}", 100_000 + os.getpid()  # of this run alone
    subprocess.run(["buildah", "from", "--name", own, "scratch"], check=True, capture_output=True)
    before = _left(storage_directory, temporary)
    options = {"context": str(context), "engine": builder, "network": "host"}
    killed = building(name=f"killed-{builder}-{ending}:1", content=SLEEPING.format(seconds), **options)
    engines = _children(killed.pid)
    gate = tmp_path / "gate"
    gate.mkdir()
    living = {"name": f"living-{builder}-{ending}:1", "secrets": [{"id": "a", "value": "b"}], "volumes": [f"{gate}:/gate"]}
    other = building(content=WAITING.format(f"{builder}-{ending}"), **living, **options)
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    for engine in engines if ending == "all" else ():
        os.killpg(engine, signal.SIGKILL)
    meanwhile = _left(storage_directory, temporary)
    assert len(meanwhile) > len(before), "without a leftover this shows nothing"

    another = {"name": f"next-{builder}-{ending}:1", "content": "FROM scratch\nCOPY etc /etc\n", **options}
    predicted = module("oci_image_build", check_mode=True, **another)
    assert (predicted["changed"], _left(storage_directory, temporary)) == (True, meanwhile), "check mode removes nothing"
    built = module("oci_image_build", **another)
    assert (built["changed"], built.get("warnings")) == (True, None), built
    assert not any(command_of(process).endswith(f"sleep\0{seconds}\0".encode()) for process in _processes())
    assert other.poll() is None, "the other is still at work"
    (gate / "open").touch()
    assert other.stdout
    result = json.loads(other.stdout.read())
    assert result["changed"], result
    assert _left(storage_directory, temporary) == before
    subprocess.run(["buildah", "rm", own], check=True, capture_output=True)


@pytest.fixture
def building() -> Iterator[Building]:
    """Begins builds that have come to their RUN instruction; at the end none of them is left at work."""
    begun: list[subprocess.Popen[str]] = []
    engines: set[int] = set()

    def begin(**options: Any) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "ansible_collections.imagemode.bootc.plugins.modules.oci_image_build"]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        begun.append(process)
        assert process.stdin
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": options}))
        process.stdin.close()
        wait_for_run(process, b"/bin/s")
        engines.update(_children(process.pid))
        return process

    yield begin
    for process in begun:
        process.terminate()
        process.wait(30)
    for engine in engines:
        if b"imagemode-build-" in command_of(engine):
            os.killpg(engine, signal.SIGKILL)


def wait_for_run(building: subprocess.Popen[str], command: bytes) -> None:
    """:param command: what the RUN instruction runs, as it begins"""
    deadline = time.monotonic() + 60
    while not any(command_of(child).startswith(command) for child in descendants(building.pid)):
        assert building.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _left(storage: Path, temporary: Path) -> list[str]:
    """Containers, mounts and temporary files that are there."""
    words = ["podman", "ps", "--all", "--external", "--quiet", "--no-trunc"]
    listed = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for command in (["buildah", "containers", "--all", "--quiet", "--notruncate"], words)
    ]
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"{storage}/" in line]
    return sorted([*listed[0], *listed[1], *mounts, *map(str, temporary.glob("*"))])


def _processes() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _at_work(pid: int) -> bool:
    return any(b"sleep\x0040" in command_of(child) for child in descendants(pid))


def _children(pid: int) -> list[int]:
    found = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread or process that has just ended
            found += [int(child) for child in file.read_text().split()]
    return found


def descendants(pid: int) -> list[int]:
    children = _children(pid)
    return children + [below for child in children for below in descendants(child)]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
