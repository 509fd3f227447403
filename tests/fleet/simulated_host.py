# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fake: bootc, skopeo, systemctl and shutdown of a simulated host, which is a directory named by SIMULATED_HOST.

It exists because a thousand machines do not fit on one. `state.json` there holds what is booted, staged and the rollback
deployment, and how many `pull_seconds` a pull takes; `fault` names what goes wrong: C(rolls_back) (the next boot comes back on the
old image), C(unhealthy) (the program `healthy` fails on the image that was not booted first), C(throttled) (the registry answers
429 to every pull), C(unreachable).
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

DOWN_SECONDS = 1.0


def main() -> int:
    base = Path(os.environ["SIMULATED_HOST"])
    state = json.loads((base / "state.json").read_text())
    program, words = Path(sys.argv[0]).name, [word for word in sys.argv[1:] if word != "--"]
    if program == "skopeo":
        return skopeo(base, words)
    if program == "healthy":
        return int(state["fault"] == "unhealthy" and state["booted"]["digest"] != state["first"])
    if program == "shutdown" or (program == "systemctl" and words[:1] in (["reboot"], ["soft-reboot"])):
        boot(state)
    elif program == "systemctl":
        if words[0] == "show":
            print("inactive")
        return 3 if words[0] == "is-active" else 0
    else:
        return bootc(base, state, words)
    save(base, state)
    return 0


def bootc(base: Path, state: dict[str, Any], words: list[str]) -> int:
    verb = words[0]
    if verb == "--version":
        print("bootc 1.16.9 (simulated)")
        return 0
    if verb == "status":
        print(json.dumps(status(state)), end="")
        return 0
    if state["fault"] == "throttled" and verb in ("switch", "upgrade"):
        print(
            "error: Creating importer: failed to invoke method OpenImage: received unexpected HTTP status: 429 Too Many Requests",
            file=sys.stderr,
        )
        return 1
    (base / "verbs").open("a").write(" ".join(words) + "\n")
    if verb in ("switch", "upgrade") and "--from-downloaded" not in words and not pull(base, state):
        return unreachable()
    if verb == "switch":
        state["staged"] = deployment(words[-1], registry(base)[words[-1]])
    elif verb == "upgrade" and "--from-downloaded" in words:
        state["staged"]["download_only"] = False
    elif verb == "upgrade":
        image = (state["staged"] or state["booted"])["image"]
        state["staged"] = deployment(image, registry(base)[image], "--download-only" in words)
    elif verb == "rollback":
        state["staged"], state["queued"] = None, not state["queued"]
    save(base, state)
    return 0


def skopeo(base: Path, words: list[str]) -> int:
    """The answer to `skopeo inspect`, `--raw` or `--config`."""
    if "--config" in words:
        print(json.dumps({"architecture": "amd64", "config": {"Labels": {"containers.bootc": "1"}}}))
        return 0
    image = words[-1].partition("//")[2].partition("@")[0]
    with (base.parent / "requests").open("a") as requests:
        requests.write(f"{base.name} {image}\n")
    if not registry(base):
        return unreachable()
    print(index(registry(base)[image]), end="")
    return 0


def index(digest: str) -> str:
    """What the registry has under a tag."""
    return json.dumps({"schemaVersion": 2, "manifests": [{"digest": digest, "platform": {"architecture": "amd64", "os": "linux"}}]})


def registry(base: Path) -> dict[str, str]:
    """:returns: image → digest; nothing while the file is not there: then the registry is down"""
    path = base.parent / "registry.json"
    found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return found


def pull(base: Path, state: dict[str, Any]) -> bool:
    """:returns: whether the registry was there from the beginning to the end"""
    there = bool(registry(base))
    time.sleep(state.get("pull_seconds", 0) if there else 0)
    return there and bool(registry(base))


def unreachable() -> int:
    print("error: pinging container registry registry.test: connection refused", file=sys.stderr)
    return 1


def deployment(image: str, digest: str, download_only: bool = False) -> dict[str, Any]:
    return {"image": image, "digest": digest, "download_only": download_only}


def boot(state: dict[str, Any]) -> None:
    staged = state["staged"]
    if staged and not staged["download_only"]:
        if state["fault"] != "rolls_back":
            state["rollback"], state["booted"] = state["booted"], staged
    elif state["queued"]:
        state["rollback"], state["booted"] = state["booted"], state["rollback"]
    state.update(staged=None, queued=False, boot_id=str(uuid.uuid4()), down_until=time.time() + DOWN_SECONDS)


def status(state: dict[str, Any]) -> dict[str, Any]:
    def entry(found: dict[str, Any] | None) -> dict[str, Any] | None:
        if found is None:
            return None
        image = {
            "image": {"image": found["image"], "transport": "registry"},
            "imageDigest": found["digest"],
            "architecture": "amd64",
            "version": None,
            "timestamp": None,
        }
        return {
            "image": image,
            "cachedUpdate": None,
            "incompatible": False,
            "pinned": False,
            "softRebootCapable": False,
            "downloadOnly": found["download_only"],
            "store": "ostreeContainer",
            "ostree": {"stateroot": "default", "checksum": found["digest"][7:], "deploySerial": 0},
        }

    spec = {
        "image": {"image": (state["staged"] or state["booted"])["image"], "transport": "registry"},
        "bootOrder": "rollback" if state["queued"] else "default",
    }
    return {
        "apiVersion": "org.containers.bootc/v1",
        "kind": "BootcHost",
        "metadata": {"name": "host"},
        "spec": spec,
        "status": {
            "booted": entry(state["booted"]),
            "staged": entry(state["staged"]),
            "rollback": entry(state["rollback"]),
            "rollbackQueued": state["queued"],
            "type": "bootcHost",
            "usrOverlay": None,
            "readOnly": False,
        },
    }


def save(base: Path, state: dict[str, Any]) -> None:
    (base / "state.json.new").write_text(json.dumps(state))
    (base / "state.json.new").replace(base / "state.json")
    (base / "boot_id").write_text(state["boot_id"] + "\n")


if __name__ == "__main__":
    sys.exit(main())
