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
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .conftest import PASSWORD, LiveRegistry, holders

Module = Callable[..., dict[str, Any]]
SWEEPING = """
from ansible_collections.imagemode.bootc.plugins.module_utils._scratch import sweep_private
for _ in range(300):
    sweep_private()
"""


def test_a_killed_build_leaves_no_secret_after_the_next_run(module: Module, context: Path, registry: LiveRegistry) -> None:
    secret = f"canary-of-{os.getpid()}"
    programs = subprocess.run(["ldd", "/bin/sleep"], capture_output=True, text=True, check=True).stdout
    files = ["/bin/sleep", *(word for word in programs.split() if word.startswith("/"))]
    for file in files:
        target = context / "etc" / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(file).read_bytes())
        target.chmod(0o755)
    text = 'FROM scratch\nCOPY etc /\nRUN --mount=type=secret,id=token ["/bin/sleep", "40"]\n'
    options = {"name": f"killed-{os.getpid()}:1", "context": str(context), "content": text, "engine": "podman", "network": "host",
               "secrets": [{"id": "token", "value": secret}]}
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


def _at_work(pid: int) -> bool:
    return any(b"sleep\x0040" in _command(child) for child in _descendants(pid))


def _children(pid: int) -> list[int]:
    words = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in words for child in file.read_text().split()]


def _descendants(pid: int) -> list[int]:
    children = _children(pid)
    return children + [below for child in children for below in _descendants(child)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
