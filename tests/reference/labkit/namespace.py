# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""Run a command where `registry.test` is this machine and container engines work, without changing the machine.

Everything is a bind mount in a mount namespace that ends with the command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from . import store
from .say import say

# Each registry of the lab has its own port, so that they can be up at the same time.
PORTS = {
    "main": 5000,
    "guards": 5001,
    "conformance": 5002,
    "closed": 5003,
    "bench": 5004,
    "composefs": 5005,
    "takeover": 5006,
    "guarded": 5007,
    "rack": 5008,
    "vm": 5009,
    "chaos": 5011,
    "many": 5012,
}
INSECURE = "".join(f'[[registry]]\nlocation = "{{host}}:{port}"\ninsecure = true\n' for port in PORTS.values())
HOSTS = "127.0.0.1 localhost\n{address} registry.test\n"
CONTAINERS_CONF = """[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
netns = "host"
pids_limit = 0
cgroups = "disabled"
[engine]
cgroup_manager = "cgroupfs"
"""


def containers_are_restricted() -> bool:
    """Whether `podman run` fails here for want of cgroups and limits; found by trying, once a boot."""
    verdict_file = store.directory() / "engine.json"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = store.read(verdict_file)
    if known and known["boot"] == boot:
        return bool(known["restricted"])
    name = "localhost/imagemode/empty:latest"
    subprocess.run(["sh", "-c", f"cd / && tar -c --no-recursion tmp | podman import -q - {name}"], capture_output=True, check=False)
    # The image is empty: a complaint about the command itself is the answer of a runtime that got all the way.
    tried = subprocess.run(["podman", "run", "--rm", "--pull=never", name, "/nothing"], capture_output=True, text=True, check=False)
    restricted = "/nothing" not in tried.stderr
    subprocess.run(["podman", "rmi", "-f", name], capture_output=True, check=False)
    store.write(verdict_file, {"boot": boot, "restricted": restricted})
    if restricted:
        say("containers do not run here as they are: `lab run` gives them a cgroup mount and limits of their own")
    return restricted


def engine_environment() -> dict[str, str]:
    return {"BUILDAH_ISOLATION": "chroot"} if containers_are_restricted() else {}


def command(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The argument list and environment that run `words` in the lab's namespace."""
    etc = store.directory("etc")
    conf_dir = Path("/etc/containers/registries.conf.d")
    hosts = Path("/etc/hosts").read_text()
    lines = [line for line in hosts.splitlines() if "registry.test" not in line.split()]
    _write(etc / "hosts", "\n".join(lines) + "\n127.0.0.1 registry.test\n")
    drop_ins = store.directory("etc", "registries.conf.d")
    for path in conf_dir.glob("*.conf"):
        _write(drop_ins / path.name, path.read_text())
    _write(drop_ins / "50-lab.conf", INSECURE.format(host="registry.test"))
    script = ["set -e", f"mount --bind '{etc}/hosts' /etc/hosts"]
    environment = dict(os.environ)
    if conf_dir.is_dir():
        script.append(f"mount --bind '{drop_ins}' {conf_dir}")
    if containers_are_restricted():
        _write(etc / "containers.conf", CONTAINERS_CONF)
        script.append("umount -l /sys/fs/cgroup 2>/dev/null || true")
        script.append("mkdir -p /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup")
        environment.setdefault("CONTAINERS_CONF", str(etc / "containers.conf"))
        environment.setdefault("BUILDAH_ISOLATION", "chroot")
    script.append('exec "$@"')
    return ["unshare", "-m", "sh", "-c", "\n".join(script), "lab-run", *words], environment


def _write(path: Path, text: str) -> None:
    """Other commands may have the file mounted: what is right already is left alone."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def execute(words: list[str]) -> int:
    arguments, environment = command(words)
    return subprocess.call(arguments, env=environment)
