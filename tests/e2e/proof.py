# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the registry and a machine say themselves, read without any code of the collection."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

from labkit import machine, namespace, store
from recorded import STATUS

MEDIA_TYPES = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


class Failed(Exception):
    """Something is not as it was claimed to be."""


def check(holds: bool, otherwise: str) -> None:
    """:raises Failed: it does not hold"""
    if not holds:
        raise Failed(otherwise)


def status(name: str) -> dict[str, Any]:
    """What `bootc status` on the machine says."""
    answer = machine.ssh(name, STATUS, timeout=120)
    check(answer.returncode == 0, f"bootc status on {name} failed: {answer.stderr.strip()}")
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


class Registry:
    """A registry of the lab; its log counts from when this object was made."""

    def __init__(self, name: str) -> None:
        self.port = namespace.PORTS[name]
        self.log = store.directory("registry", name) / "access.log"
        self.start = self.log.stat().st_size

    def _manifest(self, repository: str, tag: str) -> tuple[str, dict[str, Any]]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v2/{repository}/manifests/{tag}", headers={"Accept": MEDIA_TYPES})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers["Docker-Content-Digest"], json.load(answer)

    def digest(self, repository: str, tag: str) -> str:
        return self._manifest(repository, tag)[0]

    def layers(self, repository: str, tag: str) -> dict[str, int]:
        """Digest → bytes."""
        return {layer["digest"]: layer["size"] for layer in self._manifest(repository, tag)[1]["layers"]}

    def requests(self) -> list[str]:
        """ "METHOD PATH" of each request that was answered since, in order."""
        with self.log.open("rb") as file:
            file.seek(self.start)
            text = file.read().decode(errors="replace")
        return [f"{method} {path}" for method, path in re.findall(r'"(GET|HEAD|POST|PUT|PATCH|DELETE) (\S+) HTTP/[\d.]+" 2\d\d', text)]

    def blobs_pulled(self, repository: str) -> list[str]:
        prefix = f"GET /v2/{repository}/blobs/"
        return [request.removeprefix(prefix) for request in self.requests() if request.startswith(prefix)]


def human(size: float) -> str:
    """A number of bytes, for people."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
