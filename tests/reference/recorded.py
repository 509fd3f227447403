# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recordings of bootc 1.16.9, and what the collection's modules make of each recorded command.

Read by the unit tests, on a planner and on a fake host, and by the conformance program, on a host that runs.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).with_name("recordings")
BACKENDS = ("ostree", "composefs")
REGISTRY = "registry.test:5000"
REPOSITORY = f"{REGISTRY}/os"
# What a host is asked for its state; where /boot is an automount, bootc in a mount namespace of its own cannot bring it back.
STATUS = "ls /boot > /dev/null; bootc status --json --format-version=1"

# The registry did not change but for the moving tag: from this step on it is the image with this tag.
STABLE_FROM = {
    "ostree": {"upgrade-noop": "2", "check-update-available": "3"},
    "composefs": {"upgrade-noop": "2", "dl-only-when-tag-moved": "3", "check-update-available": "4", "upgrade-with-overlay": "5"},
}

# Steps where the modules do better than the recorded command: what they run, and why that is right.
BETTER: dict[tuple[str, str], tuple[list[str], str]] = {
    ("composefs", "switch-same-digest"): ([], "the digest is booted under another name: nothing to do instead of a failure"),
    ("composefs", "plain-upgrade-unlocks"): (
        ["bootc upgrade --from-downloaded"],
        "the verb leaves the stage locked; the planner unlocks it",
    ),
    ("composefs", "check-after-dlonly-reboot"): (
        ["bootc upgrade"],
        "the verb stages although only asked to check; the planner predicts that and only looks",
    ),
    ("ostree", "check-after-dlonly-reboot"): (["bootc upgrade"], "the verb denies an update that there is; the planner asks the registry"),
    ("ostree", "from-downloaded-none"): ([], "a second run has nothing to do instead of failing"),
    ("composefs", "from-downloaded-none"): ([], "a second run has nothing to do instead of failing"),
    ("ostree", "usr-overlay-again"): ([], "there is an overlay: a second run has nothing to do instead of failing"),
    ("composefs", "upgrade-tag"): (
        ["bootc rollback"],
        "the verb ignores the tag while something is staged; the image is the rollback deployment",
    ),
    ("composefs", "switch-booted-image-with-staged"): (
        ["bootc rollback", "bootc rollback"],
        "the booted image is wanted: the stage is dropped instead of a failure",
    ),
    ("composefs", "switch-digest"): (["bootc rollback"], "the image is the rollback deployment: it is queued instead of a failure"),
}
# Asked of the modules, but answered with an error on purpose, by code.
REFUSED = {
    ("ostree", "rollback-none"): "no_rollback_deployment",
    ("composefs", "rollback-none"): "no_rollback_deployment",
    ("ostree", "rollback-with-staged-no-rollback"): "no_rollback_deployment",
    ("composefs", "rollback-with-staged"): "no_rollback_deployment",
    ("ostree", "switch-missing"): "image_missing",
    ("composefs", "switch-missing"): "image_missing",
    ("ostree", "switch-refused"): "registry_unreachable",
    ("composefs", "switch-refused"): "registry_unreachable",
    ("ostree", "switch-badref"): "reference_invalid",
    ("composefs", "switch-badref"): "reference_invalid",
    ("ostree", "switch-badtransport"): "reference_invalid",
    ("composefs", "switch-badtransport"): "reference_invalid",
    ("composefs", "download-only-2"): "bootc_unsupported",  # the verb says yes and leaves the stage unlocked
    ("ostree", "upgrade-in-container-env"): "container_detected",
    ("ostree", "status-nonroot"): "not_root",
    ("ostree", "usage"): "bootc_unsupported",
    ("composefs", "usage"): "bootc_unsupported",
    ("composefs", "edit"): "bootc_unsupported",
}


@dataclass(frozen=True)
class Step:
    """A command that was run on a recorded host, with its status before and after."""

    backend: str
    name: str
    cmd: str
    rc: int
    stdout: str
    stderr: str
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return self.backend, self.name

    @property
    def booted(self) -> str:
        """What tells the booted deployment from others with the same image."""
        booted = self.before["status"]["booted"]
        return json.dumps(booted["ostree"] or booted["composefs"]["verity"])


@dataclass(frozen=True)
class Call:
    """A module as Ansible runs it.

    :ivar looks: the recorded command only looked: check mode is all that is asked for
    :ivar user: run as this user id
    """

    module: str
    options: dict[str, Any] = field(default_factory=dict)
    looks: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    user: int = 0


def steps(backend: str) -> list[Step]:
    names = ("name", "cmd", "rc", "stdout", "stderr", "before", "after")
    lines = (RECORDINGS / f"{backend}.jsonl").read_text().splitlines()
    return [Step(backend, **{name: line[name] for name in names}) for line in map(json.loads, lines)]


def reboots(previous: Step | None, step: Step) -> str | None:
    """:returns: the verb of systemctl between two steps"""
    if previous and (previous.booted != step.booted or step.name == "after-dlonly-reboot"):
        return "soft-reboot" if step.name == "after-soft-reboot" else "reboot"
    return None


def digests(recording: list[Step]) -> dict[str, str]:
    """:returns: tag → digest, from what the host reported when it had the image"""
    tags: dict[str, str] = {}
    stable = ""
    for step in recording:
        stable = STABLE_FROM[step.backend].get(step.name, stable)
        for document in (step.before, step.after):
            for slot in ("staged", "booted"):
                image = (document["status"][slot] or {}).get("image")
                tag = image["image"]["image"].rpartition("/")[2].partition(":")[2] if image else ""
                if tag in ("1", "2", "3", "4", "5"):
                    tags[tag] = image["imageDigest"]
                elif tag == "stable" and slot == "staged" and document is step.after and step.before != step.after:
                    tags.setdefault(stable, image["imageDigest"])
    return tags


def asked(step: Step) -> Call | None:
    """:returns: the recorded command as a user would ask for it in a playbook, or C(None): the collection has no module for it"""
    command = step.cmd.split("; ")[-1 if step.name.startswith("edit") else 0]
    if command.startswith("bash -c"):
        command = re.sub(r'^bash -c "|--progress-fd 3 | 3> .*$', "", command)
    environment = {}
    if command.startswith("container="):
        name, _equals, value = command.split()[0].partition("=")
        environment, command = {name: value}, command.partition(" ")[2]
    words = shlex.split(command)
    user = 0
    if words[0] == "setpriv":
        user, words = int(words[1].partition("=")[2]), words[2:]
    if words[0] != "bootc" or "|" in words or "--nope" in words or "--format-version=9" in words:
        return None
    verb, options = words[1], words[2:]
    how: dict[str, Any] = {"environment": environment, "user": user}
    soft = next(({"soft_reboot": word.partition("=")[2]} for word in options if word.startswith("--soft-reboot=")), {})
    if verb == "status":
        return Call("bootc_info", **how)
    if verb in ("rollback", "edit"):  # the verb toggles; a wish does not
        return Call("bootc_rollback", {"state": "cancelled" if step.name.endswith(("-again", "-undo")) else "queued"}, **how)
    if verb == "switch":
        transport = {"transport": options[options.index("--transport") + 1]} if "--transport" in options else {}
        return Call("bootc_switch", {"image": options[-1], **transport, **soft}, **how)
    if verb == "upgrade":
        looks = "--check" in options and step.before["status"]["staged"] == step.after["status"]["staged"]
        if "--tag" in options:  # the modules follow another tag by switching to it
            followed = step.before["spec"]["image"]["image"].rpartition(":")[0]
            return Call("bootc_switch", {"image": f"{followed}:{options[options.index('--tag') + 1]}"}, looks, **how)
        flags = {name: True for name in ("download_only", "from_downloaded") if f"--{name.replace('_', '-')}" in options}
        return Call("bootc_upgrade", {**flags, **soft}, looks, **how)
    if verb == "usr-overlay":
        return Call("bootc_usr_overlay")
    if verb == "loader-entries":
        source = options[options.index("--source") + 1]
        kargs = options[options.index("--options") + 1].split() if "--options" in options else []
        return Call("bootc_kargs", {"source": source, **({"kargs": kargs} if kargs else {"state": "absent"})})
    return None
