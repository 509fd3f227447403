# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""Run the recorded commands on a host, and compare: exit code, change of the status, text of the error.

The host is any bootc host that has booted REGISTRY/REPOSITORY:1 and never another image, with root by SSH. The registry
holds `1` to `5`, which differ by a small layer, `one`, which is `1`, and `stable`, which this program moves. Without
--host, the lab makes all of that.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORDING = Path(__file__).resolve().parent / "recordings" / "ostree.jsonl"
RECORDED_REGISTRY = "registry.test:5000"
RECORDED_REPOSITORY = f"{RECORDED_REGISTRY}/os"
# Between two steps somebody pushed: from here on `stable` is another image.
MOVES = {"upgrade-noop": "2", "check-update-available": "3"}
STATUS = "bootc status --json --format-version=1"
BOOTS = "cat /proc/sys/kernel/random/boot_id; systemctl show -p SoftRebootsCount; systemctl is-system-running | grep -v stopping"


@dataclass(frozen=True)
class Step:
    name: str
    cmd: str
    rc: int
    stderr: str
    before: dict[str, Any]
    after: dict[str, Any]


class Host:
    """A host that is reached by a command line that ends with the remote command."""

    def __init__(self, ssh: list[str]) -> None:
        self.ssh = ssh

    def run(self, command: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.ssh, command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)

    def status(self) -> dict[str, Any]:
        answer = self.run(STATUS)
        if answer.returncode:
            raise SystemExit(f"the host does not say its status: {answer.stderr.strip()}")
        document: dict[str, Any] = json.loads(answer.stdout)
        return document

    def boots(self) -> str:
        """Changes with every boot, soft ones included; empty while the host is down."""
        try:
            answer = self.run(BOOTS, timeout=30)
        except subprocess.TimeoutExpired:
            return ""
        return " ".join(answer.stdout.split()[:2]) if answer.returncode == 0 else ""

    def reboot(self, verb: str, patience: float) -> None:
        before, deadline = self.boots(), time.monotonic() + patience
        self.run(f"systemd-run --collect --on-active=1s systemctl {verb}")
        while self.boots() in ("", before):
            if time.monotonic() > deadline:
                raise SystemExit(f"the host did not come back from `systemctl {verb}` in {patience:.0f} s")
            time.sleep(2)


class Images:
    """The five images, by what they are called here and in the recording."""

    def __init__(self, repository: str, plain_http: bool, steps: list[Step]) -> None:
        self.repository = repository
        self.registry = repository.partition("/")[0]
        self.options = ["--tls-verify=false"] if plain_http else []
        self.here = {tag: self._digest(tag) for tag in "12345"}
        recorded = {}
        for step in steps:
            for entry in (step.before, step.after):
                for deployment in ("booted", "staged", "rollback"):
                    image = ((entry.get("status") or {}).get(deployment) or {}).get("image")
                    if image:
                        recorded[image["version"]] = image["imageDigest"]
        self.recorded = {digest: tag for tag, digest in recorded.items()}
        self.known = {digest: tag for tag, digest in self.here.items()}

    def _digest(self, tag: str) -> str:
        words = ["skopeo", "inspect", *self.options, "--format", "{{.Digest}}", f"docker://{self.repository}:{tag}"]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    def move_stable(self, tag: str) -> None:
        options = [option.replace("--tls", f"--{side}-tls") for side in ("src", "dest") for option in self.options]
        source, target = f"docker://{self.repository}:{tag}", f"docker://{self.repository}:stable"
        subprocess.run(["skopeo", "copy", "--quiet", *options, source, target], check=True)

    def translate(self, command: str) -> str:
        """A recorded command, for this registry's names and digests."""
        for digest, tag in self.recorded.items():
            command = command.replace(digest, self.here.get(tag, digest))
        return command.replace(RECORDED_REPOSITORY, self.repository).replace(RECORDED_REGISTRY, self.registry)

    def plain(self, text: str) -> str:
        """Digests as tags and the repository by one name, so that two hosts can be compared."""
        for digest, tag in {**self.recorded, **self.known}.items():
            text = text.replace(digest, f"<{tag}>")
        return text.replace(self.repository, RECORDED_REPOSITORY).replace(self.registry, RECORDED_REGISTRY)

    def state(self, document: dict[str, Any]) -> dict[str, str]:
        """What a status says that does not depend on the machine or on the time."""
        status = document["status"]
        said = {"bootOrder": document["spec"]["bootOrder"], "type": status["type"], "rollbackQueued": status["rollbackQueued"],
                "usrOverlay": status["usrOverlay"], "spec": (document["spec"]["image"] or {}).get("image")}
        for name in ("booted", "staged", "rollback"):
            deployment = status[name]
            if deployment:
                image, update = deployment["image"], deployment["cachedUpdate"]
                said[name] = {**{key: deployment[key] for key in ("downloadOnly", "pinned", "incompatible", "softRebootCapable", "store")},
                              "image": image["image"], "digest": image["imageDigest"], "cachedUpdate": update and update["imageDigest"]}
            else:
                said[name] = None
        return {key: self.plain(json.dumps(value, sort_keys=True)) for key, value in said.items()}

    def errors(self, text: str) -> str:
        """The lines that name the error, without what differs from host to host."""
        lines = [line for line in self.plain(text).splitlines() if line and not line.startswith("Deploying...done")]
        return re.sub(r"dial tcp \S+:", "dial tcp ADDRESS:", "\n".join(lines))


def replay(host: Host, images: Images, steps: list[Step], patience: float) -> Iterator[tuple[str, list[str]]]:
    """Each step's name, and in what the host was different."""
    previous, state = None, images.state(host.status())
    for step in steps:
        if step.name in MOVES:
            images.move_stable(MOVES[step.name])
        if (previous and _booted(step) != _booted(previous)) or step.name == "after-dlonly-reboot":
            host.reboot("soft-reboot" if step.name == "after-soft-reboot" else "reboot", patience)
            state = images.state(host.status())
        differences = _compare("before", images.state(step.before), state)
        done = host.run(images.translate(step.cmd))
        if done.returncode != step.rc:
            differences.append(f"exit code {done.returncode}, recorded {step.rc}: {done.stderr.strip()}")
        if step.rc and images.errors(done.stderr) != images.errors(step.stderr):
            differences.append(f"error {images.errors(done.stderr)!r}, recorded {images.errors(step.stderr)!r}")
        state = images.state(host.status())
        differences += _compare("after", images.state(step.after), state)
        yield step.name, differences
        previous = step


def _booted(step: Step) -> str:
    return json.dumps(step.before["status"]["booted"]["ostree"])


def _compare(when: str, recorded: dict[str, str], found: dict[str, str]) -> list[str]:
    return [f"{when}: {key} {found[key]}, recorded {recorded[key]}" for key in recorded if recorded[key] != found[key]]


def read(path: Path) -> list[Step]:
    names = ("name", "cmd", "rc", "stderr", "before", "after")
    return [Step(**{name: line[name] for name in names}) for line in map(json.loads, path.read_text().splitlines())]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", metavar="USER@ADDRESS", help="a host that has just been installed; without it the lab makes one")
    parser.add_argument("--ssh-option", action="append", default=[], metavar="OPTION", help="for ssh, e.g. -oPort=2222")
    parser.add_argument("--repository", default=RECORDED_REPOSITORY, help="as the host and this machine reach it (%(default)s)")
    parser.add_argument("--plain-http", action="store_true", help="for this machine's skopeo")
    parser.add_argument("--recording", type=Path, default=RECORDING)
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one reboot")
    parser.add_argument("--keep", action="store_true", help="leave the lab's machine and registry up")
    options = parser.parse_args()
    if not options.host:
        from labkit import conformance  # with --host nothing of the lab is needed

        return conformance.run_here(sys.argv[1:], keep=options.keep)
    steps = read(options.recording)
    host = Host(["ssh", "-oBatchMode=yes", "-oConnectTimeout=20", "-oServerAliveInterval=15", *options.ssh_option, options.host])
    images = Images(options.repository, options.plain_http, steps)
    failed = 0
    for number, (name, differences) in enumerate(replay(host, images, steps, options.timeout), 1):
        print(f"{number:2}/{len(steps)} {'ok  ' if not differences else 'FAIL'} {name}", flush=True)
        for line in differences:
            print(f"      {line}", flush=True)
        failed += bool(differences)
    print(f"{len(steps) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
