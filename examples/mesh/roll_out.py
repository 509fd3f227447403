#!/usr/bin/env python3
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roll an image out over several sites of a receptor mesh at the same time, each by its own node, and make one report.

    roll_out.py --socket /run/receptor/receptor.sock --image registry.example.com/os:stable --digest sha256:… SITE=NODE…

Each SITE is a directory below --directory as ansible-runner has it, with `inventory/` and `env/` of that site. What a site's node
finds out comes back as artifacts, so the node needs to keep nothing. A node that is gone is given up, the others go on; run it
again to finish: hosts that run the digest are passed over.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

PLAYBOOK = "imagemode.bootc.rollout"
# Where ansible-runner collects what it sends back.
JOURNAL_DIRECTORY = "{{ lookup('ansible.builtin.env', 'AWX_ISOLATED_DATA_DIR') }}/rollout"
WATCH_SECONDS, MISSES = 5, 3


class Site:
    """A site's rollout, on its node."""

    def __init__(self, name: str, node: str, options: argparse.Namespace) -> None:
        self.name, self.node, self.socket = name, node, options.socket
        self.directory = options.directory / name
        self.ident = time.strftime("rollout-%Y%m%dT%H%M%S")
        self.extra = {"rollout_image": options.image, "rollout_digest": options.digest, "rollout_directory": JOURNAL_DIRECTORY}
        self.outcome = "not begun"

    @property
    def journals(self) -> list[Path]:
        """What is known of its hosts, from this time and before."""
        return sorted(self.directory.glob("artifacts/*/rollout/fleet.jsonl"))

    def run(self) -> None:
        if not self.reached():
            self.outcome = "its node cannot be reached"
            return
        (self.directory / "env").mkdir(parents=True, exist_ok=True)
        (self.directory / "project").mkdir(exist_ok=True)
        kept = self.directory / "env/extravars"
        given = json.loads(kept.read_text()) if kept.exists() else {}
        kept.write_text(json.dumps({**given, **self.extra}))
        runner = ["ansible-runner", "transmit", str(self.directory), "--playbook", PLAYBOOK, "--ident", self.ident]
        submit = [*self.receptorctl("work", "submit"), "ansible-runner", "--node", self.node, "--payload", "-", "--follow", "--rm"]
        process = ["ansible-runner", "process", str(self.directory), "--ident", self.ident]
        with (self.directory / "mesh.log").open("ab") as log:
            sender = subprocess.Popen(runner, stdout=subprocess.PIPE, stderr=log)
            mesh = subprocess.Popen(submit, stdin=sender.stdout, stdout=subprocess.PIPE, stderr=log)
            receiver = subprocess.Popen(process, stdin=mesh.stdout, stdout=log, stderr=log)
            for pipe in (sender.stdout, mesh.stdout):
                if pipe:
                    pipe.close()  # the next process has it
            self.watch(mesh)
            for child in (sender, mesh, receiver):
                child.wait()
        if self.outcome != "its node was lost":
            self.outcome = "done" if receiver.returncode == 0 else "not every host runs it"

    def watch(self, mesh: subprocess.Popen[bytes]) -> None:
        """receptor waits for a node for ever, since it may come back; this does not."""
        misses = 0
        while mesh.poll() is None:
            time.sleep(WATCH_SECONDS)
            misses = 0 if self.reached() else misses + 1
            if misses == MISSES:
                self.outcome = "its node was lost"
                mesh.terminate()
                return

    def reached(self) -> bool:
        return subprocess.run(self.receptorctl("ping", "--count", "1", self.node), capture_output=True, check=False).returncode == 0

    def receptorctl(self, *words: str) -> list[str]:
        return ["receptorctl", "--socket", str(self.socket), *words]


def report(sites: list[Site], directory: Path) -> None:
    """One report of all sites; a host that nobody has seen is in it as unreachable."""
    inventories = [word for site in sites for word in ("-i", str(site.directory / "inventory"))]
    options = {
        "journal": [str(path) for site in sites for path in site.journals],
        "hosts": "{{ groups.bootc_hosts }}",
        "dest": str(directory / "report"),
        "title": "Rollout over all sites",
    }
    command = ["ansible", "localhost", *inventories, "-m", "imagemode.bootc.fleet_report", "-a", json.dumps(options)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--directory", type=Path, default=Path("sites"))
    parser.add_argument("--image", required=True)
    parser.add_argument("--digest", required=True)
    parser.add_argument("sites", nargs="+", metavar="SITE=NODE")
    options = parser.parse_args()
    sites = [Site(*text.split("=", 1), options) for text in options.sites]
    threads = [threading.Thread(target=site.run) for site in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report(sites, options.directory)
    for site in sites:
        print(f"{site.name} by {site.node}: {site.outcome}")
    return int(any(site.outcome != "done" for site in sites))


if __name__ == "__main__":
    sys.exit(main())
