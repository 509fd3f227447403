# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds that fail, are killed, or meet each other: nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .conftest import holders
from .test_engines import programs

Module = Callable[..., dict[str, Any]]
SECRET = "canary-of-a-build-that-fails"


class Leftovers:
    """What a build may leave: containers, mounts, files, processes."""

    def __init__(self, storage: Path, temporary: Path) -> None:
        self._storage, self._temporary = storage, temporary

    def found(self) -> list[str]:
        containers = subprocess.run(["buildah", "containers", "-q", "--all"], capture_output=True, text=True, check=True).stdout.split()
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
        return [
            *containers,
            *(line for line in mounts if f"{self._storage}/" in line and not line.split()[4].endswith(("/graph", "/overlay"))),
            *(str(path) for path in (*self._temporary.iterdir(), *holders(SECRET))),
            *(line for line in processes if "/forever" in line),
        ]


@pytest.fixture
def leftovers(storage_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leftovers:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    return Leftovers(storage_directory, temporary)


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_a_build_that_fails_half_way_leaves_nothing(module: Module, context: Path, leftovers: Leftovers, builder: str) -> None:
    programs(context)
    options = {"name": f"half-{builder}:1", "context": str(context), "engine": builder, "secrets": [{"id": "token", "value": SECRET}]}
    failed = module("oci_image_build", content="FROM scratch\nCOPY root /\nRUN echo a word of the step; exit 3\n", **options)
    assert (failed["error"], failed["changed"]) == ("build_failed", False)
    assert "exit 3" in failed["step"]
    assert any("a word of the step" in line for line in failed["log"]), failed["log"]
    assert SECRET not in str(failed)
    assert leftovers.found() == []


@pytest.mark.parametrize("instruction", ["RUN", "COPY"])
@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_a_killed_build_leaves_nothing_and_a_rerun_builds(
    module: Module, context: Path, tmp_path: Path, leftovers: Leftovers, builder: str, instruction: str
) -> None:
    programs(context)
    log = tmp_path / "log"
    if instruction == "RUN":
        text, waiting = "FROM scratch\nCOPY root /\nRUN echo begun; exec /bin/sh -c 'while :; do :; done' /forever\n", "begun"
    else:
        (context / "large").mkdir()
        for number in range(8):
            (context / "large" / str(number)).write_bytes(os.urandom(1 << 20) * 60)
        text, waiting = "FROM scratch\nCOPY root /\nCOPY large /large\n", "COPY large"
    options = {
        "name": f"killed-{builder}-{instruction.lower()}:1",
        "context": str(context),
        "engine": builder,
        "secrets": [{"id": "token", "value": SECRET}],
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "ansible_collections.imagemode.bootc.plugins.modules.oci_image_build"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": {**options, "content": text, "log_path": str(log)}}).encode())
    process.stdin.close()
    deadline = time.monotonic() + 60
    while not log.exists() or waiting not in log.read_text():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert leftovers.found() == []
    assert module("oci_image_build", content="FROM scratch\nCOPY root /\n", **options)["changed"]


def test_two_builds_of_one_image_at_the_same_time_both_end_well(module: Module, context: Path, engine: str) -> None:
    options = {"name": f"twice-{engine}:1", "context": str(context), "engine": engine}
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _number: module("oci_image_build", **options), range(2)))
    assert sorted(result["changed"] for result in results) == [False, True], results
    assert len({result["image_id"] for result in results}) == 1


def test_two_builds_of_different_images_at_the_same_time_both_end_well(module: Module, context: Path, engine: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        results = list(
            pool.map(
                lambda number: module("oci_image_build", name=f"beside-{engine}-{number}:1", context=str(context), engine=engine), range(2)
            )
        )
    assert all(result["changed"] for result in results), results
