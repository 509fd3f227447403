# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fake: stands in for bootc, ostree and skopeo, and answers from a prepared directory.

It exists because no bootc host can run beside unit tests. FAKE_HOST names the directory:
status (text that `bootc status` prints), refusal (its error instead), steps.json (command line → rc, stdout, stderr,
after, files below root/ in base64, seconds that it takes),
boot (a directory; bootc fails where nobody has it open),
registry.json (image → digest, manifest or stderr; "config IMAGE" → its configuration), config.json (the configuration of every
other image, where it is not a good one),
calls (what was run, appended), auth_file (what the environment of `bootc image cmd pull` names as Podman's).
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from pathlib import Path

CONFIGURATION = '{"architecture": "amd64", "config": {"Labels": {"containers.bootc": "1"}}}'


def held(boot: Path) -> bool:
    """Whether whoever runs this keeps an automount where it is, which bootc cannot bring back."""
    return any(os.path.realpath(link) == str(boot) for process in ("self", os.getppid()) for link in Path(f"/proc/{process}/fd").iterdir())


def main() -> int:
    base = Path(os.environ["FAKE_HOST"])
    program = Path(sys.argv[0]).name
    command = " ".join([program, *(word for word in sys.argv[1:] if word != "--")]).replace(" --progress-fd 3", "")
    with (base / "calls").open("a") as calls:
        calls.write(command + "\n")
    if program == "bootc" and (base / "boot").exists() and not held(base / "boot"):
        sys.stderr.write("error: Status: opendir(boot): Operation not permitted\n")
        return 1
    if command.startswith("bootc image cmd pull"):
        (base / "auth_file").write_text(os.environ.get("REGISTRY_AUTH_FILE", ""))
    if command == "bootc --version":
        print((base / "version").read_text() if (base / "version").exists() else "bootc 1.16.9")
        return 0
    if command.startswith("bootc status") and (base / "refusal").exists():
        sys.stderr.write((base / "refusal").read_text() + "\n")
        return 1
    if command.startswith("bootc status"):
        if "container" in os.environ:
            print("{}")
        else:
            sys.stdout.write((base / "status").read_text())
        return 0
    if program == "skopeo":
        image = sys.argv[-1].split("//", 1)[-1]
        registry = json.loads((base / "registry.json").read_text())
        if "--config" in sys.argv and f"config {image}" in registry:
            print(registry[f"config {image}"])
            return 0
        if "--config" in sys.argv:
            print((base / "config.json").read_text() if (base / "config.json").exists() else CONFIGURATION)
            return 0
        answer = registry.get(image, "manifest unknown")
        if answer.startswith("{"):
            sys.stdout.write(answer)
            return 0
        if not answer.startswith("sha256:"):
            sys.stderr.write(f"Error parsing image name: {answer}\n")
            return 1
        platform = {"architecture": "amd64", "os": "linux"}
        print(json.dumps({"schemaVersion": 2, "manifests": [{"digest": answer, "platform": platform}]}), end="")
        return 0
    step = json.loads((base / "steps.json").read_text()).get(command)
    if step is None:
        sys.stderr.write(f"error: the fake has no recording of '{command}'\n")
        return 1
    if "seconds" in step:
        os.write(3, b'{"type":"Start","version":"0.1.0"}\n{"type":"ProgressBytes","task":"pulling","bytes":1000,"bytesTotal":4000}\n')
        time.sleep(step["seconds"])
    if step.get("after") is not None:
        (base / "status").write_text(step["after"])
    for name, content in step.get("files", {}).items():
        (base / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (base / "root" / name).write_bytes(base64.b64decode(content))
    sys.stdout.write(step.get("stdout", ""))
    sys.stderr.write(step.get("stderr", ""))
    return int(step.get("rc", 0))


if __name__ == "__main__":
    sys.exit(main())
