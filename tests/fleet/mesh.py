# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A mesh of real receptors on loopback: a controller, a hop, and execution nodes behind it."""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[1] / "reference")]

from labkit import base
from labkit.say import LabError
from processes import descendants

CACHE = Path(os.environ.get("IMAGEMODE_CACHE") or Path(__file__).resolve().parents[2] / ".cache")
BIN = Path(sys.executable).parent


def receptor() -> Path:
    """The program from Debian's package, by this machine's own mirror; it is kept by its version.

    :raises LabError: it cannot be had
    """
    found = shutil.which("receptor")
    kept = sorted((CACHE / "receptor").glob("*/usr/bin/receptor"))
    if found or kept:
        return Path(found or kept[-1])
    if not shutil.which("dpkg-deb"):
        raise LabError("no receptor on this machine, and no dpkg-deb to unpack Debian's")
    mirror = (os.environ.get("DEBIAN_MIRROR") or base.mirror()).rstrip("/") + "/"
    try:
        with urllib.request.urlopen(f"{mirror}dists/{base.SUITE}/main/binary-amd64/Packages.xz", timeout=60) as answer:
            stanzas = lzma.decompress(answer.read()).decode().split("\n\n")
        stanza = next(text for text in stanzas if text.startswith("Package: receptor\n"))
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and not line.startswith(" "))
        with urllib.request.urlopen(mirror + fields["Filename"], timeout=300) as answer:
            package = answer.read()
    except (OSError, StopIteration) as error:
        raise LabError(f"receptor cannot be had from this machine's mirror: {error}") from None
    if hashlib.sha256(package).hexdigest() != fields["SHA256"]:
        raise LabError("receptor's package is not what the mirror's list says")
    where = CACHE / "receptor" / fields["Version"]
    where.mkdir(parents=True)
    (where / "receptor.deb").write_bytes(package)
    subprocess.run(["dpkg-deb", "-x", str(where / "receptor.deb"), str(where)], check=True)
    return where / "usr/bin/receptor"


class Mesh:
    """controller ── hop ── the execution nodes, each with ansible-runner as its work."""

    def __init__(self, base: Path, port: int, nodes: list[str]) -> None:
        self.base = base
        self.program = receptor()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        peer = {"tcp-peer": {"address": f"127.0.0.1:{port}", "redial": True}}
        work = {"worktype": "ansible-runner", "command": str(BIN / "ansible-runner"), "params": "worker", "allowruntimeparams": True}
        self.start("hop", [{"tcp-listener": {"bindaddr": "127.0.0.1", "port": port}}])
        self.start("controller", [peer])
        self.work = [peer, {"work-command": work}]
        for node in nodes:
            self.start(node, self.work)

    @property
    def socket(self) -> Path:
        return self.base / "controller.sock"

    def start(self, node: str, more: list[dict[str, Any]]) -> None:
        data = self.base / node
        data.mkdir(parents=True, exist_ok=True)
        config = [
            {"node": {"id": node, "datadir": str(data)}},
            {"log-level": {"level": "info"}},
            {"control-service": {"service": "control", "filename": str(self.base / f"{node}.sock")}},
            *more,
        ]
        path = self.base / f"{node}.yml"
        path.write_text(yaml.safe_dump(config))
        environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
        with (self.base / f"{node}.log").open("ab") as log:
            # A session of its own: what it runs ends with it.
            self.processes[node] = subprocess.Popen(
                [str(self.program), "--config", str(path)], stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def wait(self, *nodes: str) -> None:
        """Until the controller reaches these nodes."""
        end = time.monotonic() + 60
        while any(self.ping(node) for node in nodes):
            if time.monotonic() > end:
                raise LabError(f"the mesh does not come up; see {self.base}/*.log")
            time.sleep(0.5)

    def ping(self, node: str) -> int:
        return subprocess.run(
            [str(BIN / "receptorctl"), "--socket", str(self.socket), "ping", "--count", "1", node],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode

    def kill(self, node: str) -> None:
        """As a machine that loses its power: the receptor and all that it runs."""
        process = self.processes.pop(node)
        for number in [process.pid, *descendants(process.pid)]:
            try:
                os.kill(number, 9)
            except ProcessLookupError:
                continue
        process.wait()

    def stop(self) -> None:
        for node in list(self.processes):
            self.kill(node)
