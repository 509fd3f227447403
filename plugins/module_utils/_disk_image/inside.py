# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs inside of the throw-away machine: `python3 -m`, a job on standard input, one line of JSON on standard output."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .._disk.hints import Hints
from .._errors import ImageModeError
from .._install.files import PlacedFile
from .._install.image import Request
from .._install.on_disk import DiskInstallation
from .._install.source import Source, Wanted
from .._runner import Runner

# Serial numbers of its disks.
TARGET, SCRATCH = "imagemode-target", "imagemode-scratch"
# Where Podman keeps images; the disk with the image is mounted there, so that they need no memory.
STORAGE = "/var/lib/containers"
IMAGE = "image"


@dataclass(frozen=True)
class Job:
    """:ivar digest: that the image must have
    :ivar timeout: seconds that pulling and installing may take, each
    """

    request: Request
    digest: str | None
    timeout: float

    def encode(self) -> str:
        request = asdict(self.request)
        request["files"] = [{**asdict(one), "content": base64.b64encode(one.content).decode()} for one in self.request.files]
        return json.dumps({"request": request, "digest": self.digest, "timeout": self.timeout})

    @classmethod
    def decode(cls, text: str) -> Job:
        document = json.loads(text)
        request: dict[str, Any] = document["request"]
        request["files"] = tuple(PlacedFile(**{**one, "content": base64.b64decode(one["content"])}) for one in request["files"])
        for name in ("kernel_arguments", "root_keys"):
            request[name] = tuple(request[name]) if request[name] is not None else None
        return cls(Request(**request), document["digest"], document["timeout"])


def run(job: Job, runner: Runner) -> dict[str, Any]:
    """Install to the target.

    :returns: C(digest), C(installed), C(verified), C(command) and C(seconds), as L(bootc_install) has them; C(unread) as L(Installation)
    :raises ImageModeError: what bootc_install raises
    """
    runner.run(["udevadm", "settle"], check=False, timeout=60)
    os.makedirs(STORAGE, exist_ok=True)
    runner.run(["mount", f"/dev/disk/by-id/virtio-{SCRATCH}", STORAGE])
    wanted = Wanted.parse(f"dir:{STORAGE}/{IMAGE}", job.digest, job.request.target)
    place = DiskInstallation(runner, Hints(serial=TARGET), job.request, may_write=True)
    plan = place.plan(frozenset(), None)
    image = Source(runner, wanted, validate_certs=True, timeout=job.timeout).fetch(None, "always")
    wanted.require_digest(image.digests)
    container, abilities = place.install(image, None, plan, os.uname().machine, job.timeout)
    verified = place.read_back(image, abilities)
    runner.run(["sync"])
    found: Mapping[str, Any] = place.installed.facts() if place.installed else {}
    return {
        "digest": image.digest,
        "installed": found,
        "verified": list(verified),
        "unread": list(place.unread),
        "command": list(container.argv),
        "seconds": round(container.seconds, 1),
    }


def main() -> None:
    try:
        answer = run(Job.decode(sys.stdin.read()), Runner())
    except ImageModeError as error:
        answer = {"failure": error.as_result()}
    sys.stdout.write(f"{json.dumps(answer)}\n")


if __name__ == "__main__":
    main()
