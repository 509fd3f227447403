# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""Run the recorded commands on a host, and compare: exit code, change of the status, text of the error.

The host is any bootc host that has booted REGISTRY/REPOSITORY:1 and never another image, with root by SSH. The registry
holds `1` to `5`, which differ by a small layer, `one`, which is `1`, and `stable`, which this program moves. Without
--host, the lab makes all of that.

With --modules it is the collection's modules that are asked for what was recorded, in check mode and for real.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import recorded
from recorded import STATUS, Step

BOOTS = "cat /proc/sys/kernel/random/boot_id; systemctl show -p SoftRebootsCount; systemctl is-system-running | grep -v stopping"
# Name, in what the host was different, and a remark.
Verdict = tuple[str, list[str], str]
# One way to run a step.
Run = Callable[["Host", "Images", Step], tuple[list[str], str]]


class Host:
    """A host that is reached by SSH, by one connection from boot to boot."""

    def __init__(self, options: list[str], address: str, sockets: str) -> None:
        self._alone = ["ssh", *options, address]
        self.ssh = ["ssh", *options, "-oControlMaster=auto", f"-oControlPath={sockets}/%C", "-oControlPersist=yes", address]

    def run(self, command: str, timeout: float = 900, *, alone: bool = False) -> subprocess.CompletedProcess[str]:
        words = [*(self._alone if alone else self.ssh), command]
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)

    def status(self) -> dict[str, Any]:
        answer = self.run(STATUS)
        if answer.returncode:
            raise SystemExit(f"the host does not say its status: {answer.stderr.strip()}")
        document: dict[str, Any] = json.loads(answer.stdout)
        return document

    def boots(self) -> str:
        """Changes with every boot, soft ones included; empty while the host is down."""
        try:
            answer = self.run(BOOTS, timeout=30, alone=True)
        except subprocess.TimeoutExpired:
            return ""
        return " ".join(answer.stdout.split()[:2]) if answer.returncode == 0 else ""

    def leave(self) -> None:
        """Close the connection; the next command opens another."""
        subprocess.run([*self.ssh[:-1], "-Oexit", self.ssh[-1]], capture_output=True, check=False)

    def reboot(self, verb: str, patience: float) -> None:
        before, deadline = self.boots(), time.monotonic() + patience
        self.run(f"systemd-run --collect --on-active=1s systemctl {verb}")
        self.leave()
        while self.boots() in ("", before):
            if time.monotonic() > deadline:
                raise SystemExit(f"the host did not come back from `systemctl {verb}` in {patience:.0f} s")
            time.sleep(2)


class Images:
    """The five images, by what they are called here and in the recording."""

    def __init__(self, repository: str, plain_http: bool, recording: list[Step]) -> None:
        self.repository = repository
        self.registry = repository.partition("/")[0]
        self.options = ["--tls-verify=false"] if plain_http else []
        self.here = {tag: self._digest(tag) for tag in "12345"}
        self.recorded = {digest: tag for tag, digest in recorded.digests(recording).items()}
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
        return command.replace(recorded.REPOSITORY, self.repository).replace(recorded.REGISTRY, self.registry)

    def plain(self, text: str) -> str:
        """Digests as tags and the repository by one name, so that two hosts can be compared."""
        for digest, tag in {**self.recorded, **self.known}.items():
            text = text.replace(digest, f"<{tag}>")
        return text.replace(self.repository, recorded.REPOSITORY).replace(self.registry, recorded.REGISTRY)

    def state(self, document: dict[str, Any]) -> dict[str, str]:
        """What a status says that does not depend on the machine or on the time."""
        status = document["status"]
        said = {
            "bootOrder": document["spec"]["bootOrder"],
            "type": status["type"],
            "rollbackQueued": status["rollbackQueued"],
            "usrOverlay": status["usrOverlay"],
            "spec": (document["spec"]["image"] or {}).get("image"),
        }
        for name in ("booted", "staged", "rollback"):
            deployment = status[name]
            if deployment:
                image, update = deployment["image"], deployment["cachedUpdate"]
                said[name] = {
                    **{key: deployment[key] for key in ("downloadOnly", "pinned", "incompatible", "softRebootCapable", "store")},
                    "image": image["image"],
                    "digest": image["imageDigest"],
                    "cachedUpdate": update and update["imageDigest"],
                    "hasVersion": bool(image["version"]),
                    **{key: sorted(deployment[key] or ()) for key in recorded.BACKENDS},
                }
            else:
                said[name] = None
        return {key: self.plain(json.dumps(value, sort_keys=True)) for key, value in said.items()}

    def errors(self, text: str) -> str:
        """The lines that name the error, without what differs from host to host, or from run to run."""
        chance = ("Deploying...done", "error: Status: Writing to stdout: Broken pipe")
        lines = [line for line in self.plain(text).splitlines() if line and not line.startswith(chance)]
        return re.sub(r"dial tcp \S+:", "dial tcp ADDRESS:", "\n".join(lines))


def by_verbs(host: Host, images: Images, step: Step, volatile: bool = False) -> tuple[list[str], str]:
    """The recorded command itself."""
    done = host.run(images.translate(step.cmd))
    differences = []
    if done.returncode != step.rc:
        differences.append(f"exit code {done.returncode}, recorded {step.rc}: {done.stderr.strip()}")
    if step.rc and images.errors(done.stderr) != images.errors(step.stderr):
        differences.append(f"error {images.errors(done.stderr)!r}, recorded {images.errors(step.stderr)!r}")
    return differences + compare("after", images.state(step.after), images.state(host.status()), volatile), ""


def replay(host: Host, images: Images, recording: list[Step], run: Run, patience: float) -> Iterator[Verdict]:
    """Each step's name, in what the host was different, and a remark."""
    previous = None
    for step in recording:
        tag = recorded.STABLE_FROM[step.backend].get(step.name)
        if tag:
            images.move_stable(tag)
        verb = recorded.reboots(previous, step)
        differences = []
        if verb:
            host.reboot(verb, patience)
        if verb or previous is None:
            differences = compare("before", images.state(step.before), images.state(host.status()), volatile=run is not by_verbs)
        found, remark = run(host, images, step)
        yield step.name, differences + found, remark
        previous = step


def compare(when: str, expected: dict[str, str], found: dict[str, str], volatile: bool = False) -> list[str]:
    """:param volatile: leave out what only a recorded `--check` writes"""
    if volatile:
        expected, found = ({key: re.sub(r'"cachedUpdate": [^,]+', "", text) for key, text in state.items()} for state in (expected, found))
    return [f"{when}: {key} {found[key]}, recorded {expected[key]}" for key in expected if expected[key] != found[key]]


def tell(verdicts: Iterator[Verdict]) -> list[bool]:
    """:returns: whether each was as it has to be"""
    good, began = [], time.monotonic()
    for number, (name, differences, remark) in enumerate(verdicts, 1):
        good.append(not differences)
        seconds = time.monotonic() - began
        print(f"{number:2} {seconds:4.0f} s {'ok  ' if good[-1] else 'FAIL'} {name}{remark and '  ' + remark}", flush=True)
        for line in differences:
            print(f"      {line}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", metavar="USER@ADDRESS", help="a host that has just been installed; without it the lab makes one")
    parser.add_argument("--ssh-option", action="append", default=[], metavar="OPTION", help="for ssh, e.g. -oPort=2222")
    parser.add_argument("--repository", default=recorded.REPOSITORY, help="as the host and this machine reach it (%(default)s)")
    parser.add_argument("--plain-http", action="store_true", help="for this machine's skopeo")
    parser.add_argument("--flavour", choices=recorded.BACKENDS, default="ostree", help="which recording (%(default)s)")
    parser.add_argument("--modules", action="store_true", help="by the collection's modules instead of the recorded commands")
    parser.add_argument("--both", action="store_true", help="by the commands, then by the modules; needs --reinstall")
    parser.add_argument("--faults", action="store_true", help="afterwards, what a host refuses; needs the images that faults.py names")
    parser.add_argument("--reinstall", metavar="COMMAND", help="puts the host back to where it was; the lab has its own")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one reboot")
    parser.add_argument("--keep", action="store_true", help="leave the lab's machine and registry up")
    options = parser.parse_args()
    if not options.host:
        from labkit import conformance  # with --host nothing of the lab is needed

        return conformance.run_here(sys.argv[1:], flavour=options.flavour, keep=options.keep)
    if options.both and not options.reinstall:
        parser.error("--both needs --reinstall: the modules start where the commands started, on a host that has just been installed")
    with tempfile.TemporaryDirectory(prefix="ssh-") as sockets:
        host = Host(["-oBatchMode=yes", "-oConnectTimeout=20", "-oServerAliveInterval=15", *options.ssh_option], options.host, sockets)
        try:
            return conform(host, options)
        finally:
            host.leave()


def conform(host: Host, options: argparse.Namespace) -> int:
    recording = recorded.steps(options.flavour)
    images = Images(options.repository, options.plain_http, recording)
    good = []
    if not options.modules:
        good += tell(replay(host, images, recording, by_verbs, options.timeout))
    if options.both:
        host.leave()
        subprocess.run(shlex.split(options.reinstall), check=True)
    if options.both or options.modules:
        from by_modules import Modules  # needs the collection's Python environment
        from faults import provoke

        modules = Modules(host)
        good += tell(replay(host, images, recording, modules.run, options.timeout))
        if options.faults:
            good += tell(provoke(host, images, modules, options.flavour))
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
