# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running a module as Ansible runs it, on a fake host."""

from __future__ import annotations

import json
import os
import platform
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FAKE = Path(__file__).with_name("fake_host.py")
# Each fake host has jobs and a lock of its own; nobody waits ten seconds.
AS_A_MODULE = """
import os, runpy, sys
from ansible_collections.imagemode.bootc.plugins.module_utils import _host_module
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc import boot_entry, boot_mount, bound, client, job, lock
base, name = sys.argv[1:]
job.DIRECTORY, lock.PATH, _host_module.PATIENCE_SECONDS = f"{base}/job", f"{base}/ostree/lock", 0.5
boot_mount.PATH = f"{base}/boot"
client.AUTH_FILES = (f"{base}/run/auth.json", f"{base}/etc/auth.json")
os.makedirs(f"{base}/boot", exist_ok=True)
boot_entry.ROOT = bound.ROOT = f"{base}/root"
_host_module.prepared = lambda: os.path.exists(f"{base}/nextroot")
sys.argv[1:] = []
runpy.run_module(f"ansible_collections.imagemode.bootc.plugins.modules.{name}", run_name="__main__")
"""


class FakeHost:
    """A directory that the fake bootc, ostree and skopeo answer from."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = base / "root"  # boot entries are read and remembered below it
        self.job = base / "job"
        self._bin = base / "bin"
        self._bin.mkdir()
        for program in ("bootc", "ostree", "skopeo", "umount"):
            link = self._bin / program
            link.write_text(f"#!{sys.executable}\n" + FAKE.read_text())
            link.chmod(link.stat().st_mode | stat.S_IXUSR)
        self.set(status="", steps={}, registry={})

    def set(self, status: str | None = None, steps: Any = None, registry: Any = None, version: str | None = None) -> None:
        if status is not None:
            (self.base / "status").write_text(status)
        if steps is not None:
            (self.base / "steps.json").write_text(json.dumps(steps))
        if registry is not None:
            (self.base / "registry.json").write_text(json.dumps(registry))
        if version is not None:
            (self.base / "version").write_text(version)
        (self.base / "calls").write_text("")

    def refuse_status(self, stderr: str) -> None:
        """Have `bootc status` fail with this text."""
        (self.base / "refusal").write_text(stderr)

    @property
    def calls(self) -> list[str]:
        return (self.base / "calls").read_text().splitlines()

    def without(self, program: str) -> None:
        (self._bin / program).unlink()

    def start(
        self, module: str, check_mode: bool = False, environment: dict[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """:returns: the module, running"""
        process = subprocess.Popen(
            [sys.executable, "-c", AS_A_MODULE, str(self.base), module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PATH": f"{self._bin}:/usr/bin:/bin", "FAKE_HOST": str(self.base), **(environment or {})},
        )
        assert process.stdin
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": check_mode, "_ansible_diff": True, **options}}))
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, module: str, check_mode: bool = False, environment: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
        """:returns: the module's result"""
        stdout, stderr = self.start(module, check_mode, environment, **options).communicate()
        lines = [line for line in stdout.splitlines() if line.startswith("{")]
        assert lines, stderr or stdout
        result: dict[str, Any] = json.loads(lines[-1])
        return result


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    if platform.machine() != "x86_64":
        pytest.skip("the recordings are of amd64 hosts")
    return FakeHost(tmp_path)


@pytest.fixture
def documents() -> Callable[[str], str]:
    """Sample status documents by name."""
    return lambda name: (Path(__file__).parents[1] / "module_utils/bootc/status" / f"{name}.json").read_text()
