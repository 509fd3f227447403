# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recorded steps by the collection's modules, in check mode and for real, on a host that runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import recorded
from recorded import Call, Step

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from prepare import TREE, VENV, prepare

if TYPE_CHECKING:
    from conformance import Host, Images

PLACE = "/var/tmp/imagemode-modules"
PLUGINS = "ansible_collections/imagemode/bootc/plugins"
# Where the modules went further than the recorded command: how the host gets to where the recording goes on.
BACK = {
    ("composefs", "plain-upgrade-unlocks"): "bootc rollback && bootc rollback && bootc upgrade --download-only",
    ("composefs", "upgrade-tag"): "bootc rollback && bootc upgrade",
    ("composefs", "switch-booted-image-with-staged"): "bootc upgrade",
    ("composefs", "switch-digest"): "bootc rollback && bootc upgrade",
}
# What only the modules know: these do not fail, or Ansible itself refuses the option.
TOLERATED = {
    ("ostree", "upgrade-in-container-env"): "the variable does not hide the host from a module",
}
REFUSED_BY_ANSIBLE = ("switch-badtransport",)
SLOTS = ("booted", "staged", "rollback")


class Modules:
    """The collection's modules on a host, through one connection for all calls between two boots."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._process: subprocess.Popen[str] | None = None
        prepare()
        libraries = next(VENV.glob("lib/python3*/site-packages"))
        here = Path(__file__).resolve().parent
        shipped = {libraries: ["ansible/module_utils"], TREE: [f"{PLUGINS}/modules", f"{PLUGINS}/module_utils"], here: ["on_host.py"]}
        words = [word for directory, names in shipped.items() for word in ("-C", str(directory), *names)]
        packed = subprocess.run(["tar", "-cz", "--exclude=__pycache__", *words], check=True, capture_output=True).stdout
        # Ansible, too, sends a package without its __init__.
        unpack = f"rm -rf {PLACE} && mkdir {PLACE} && tar -xz -C {PLACE} --no-same-owner && touch {PLACE}/ansible/__init__.py"
        subprocess.run([*host.ssh, unpack], input=packed, check=True)

    def call(self, call: Call, *, check: bool) -> dict[str, Any]:
        """:returns: the module's result"""
        request = json.dumps(
            {"module": call.module, "options": call.options, "check": check, "environment": call.environment, "user": call.user}
        )
        for attempt in range(2):  # the first writes into a connection that a reboot may have ended
            if self._process is None:
                self._process = subprocess.Popen(
                    [*self._host.ssh, f"cd {PLACE} && python3 -s on_host.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            assert self._process.stdin
            assert self._process.stdout
            try:
                self._process.stdin.write(request + "\n")
                self._process.stdin.flush()
                answer = self._process.stdout.readline()
            except BrokenPipeError:
                answer = ""
            if answer:
                result: dict[str, Any] = json.loads(answer)
                return result
            self._process.kill()
            self._process.wait()
            self._process = None
            if attempt:
                break
        raise SystemExit(f"the host did not run {call.module}")

    def run(self, host: Host, images: Images, step: Step) -> tuple[list[str], str]:
        """A step by its module, or by the recorded command if there is none."""
        from conformance import by_verbs

        call = recorded.asked(step)
        if call is None:
            return by_verbs(host, images, step, volatile=True)[0], "no module: the recorded command"
        call = Call(call.module, json.loads(images.translate(json.dumps(call.options))), call.looks, call.environment, call.user)
        # Other kernel arguments are another deployment of the same image; all else was compared with the recording after the last step.
        whole = call.module == "bootc_kargs"
        before = footprint(images, host.status() if whole else step.before, whole)
        predicted = self.call(call, check=True)
        if call.looks:
            differences, status = self._judge_a_look(step, predicted), host.status()
        else:
            done, status = self.call(call, check=False), host.status()
            expected = footprint(images, step.before, whole) != footprint(images, step.after, whole)
            differences = self._judge(images, step, expected, (predicted, done), before, footprint(images, status, whole))
        if step.key in BACK:
            host.run(BACK[step.key])
            status = host.status()
        after = footprint(images, status)
        if after != footprint(images, step.after):
            differences.append(f"the host is {after}, recorded {footprint(images, step.after)}")
        return differences, _remark(step, call, predicted)

    def _judge_a_look(self, step: Step, predicted: dict[str, Any]) -> list[str]:
        expected = step.stdout.startswith(("Update available", "Total new layers"))
        if step.key in recorded.BETTER:
            expected = bool(recorded.BETTER[step.key][0])
        return [] if predicted.get("changed") is expected else [f"check mode says changed={predicted.get('changed')}: {_said(predicted)}"]

    def _judge(
        self, images: Images, step: Step, expected: bool, results: tuple[dict[str, Any], dict[str, Any]], before: Any, after: Any
    ) -> list[str]:
        """What was predicted is what was done, and what was done is what the host says."""
        predicted, done = results
        code = recorded.REFUSED.get(step.key)
        if code and step.key not in recorded.BETTER and step.key not in TOLERATED:
            said = [(result.get("failed"), result.get("error"), bool(result.get("changed"))) for result in results]
            wanted = (True, None if step.name in REFUSED_BY_ANSIBLE else code, False)
            return [] if said == [wanted, wanted] and before == after else [f"not refused with {code}: {_said(predicted)}; {_said(done)}"]
        if step.key in recorded.BETTER:
            expected = bool(recorded.BETTER[step.key][0])
        differences = []
        for result, name in zip(results, ("check mode", "the run")):
            if result.get("failed") or result.get("changed", False) is not expected:
                differences.append(f"{name} says changed={result.get('changed')}, expected {expected}: {_said(result)}")
        if (before != after) is not expected:
            differences.append(f"the host went from {before} to {after}, and changed={expected}")
        for fact in ("digest", "reboot_required", "commands", "diff", "usr_overlay"):
            if predicted.get(fact) != done.get(fact):
                differences.append(f"check mode says {fact} {predicted.get(fact)}, the run {done.get(fact)}")
        if "booted" in done.get("after", {}) and _result(images, done["after"]) != after:
            differences.append(f"the run says {_result(images, done['after'])}, the host is {after}")
        return differences


def footprint(images: Images, document: dict[str, Any], whole: bool = False) -> dict[str, Any]:
    """What a change is measured by, from bootc's own words; C(whole) tells deployments of one image apart."""
    status = document["status"]
    found: dict[str, Any] = {"queued": status["rollbackQueued"], "overlay": status["usrOverlay"] is not None}
    for name in SLOTS:
        deployment = status[name]
        found[name] = deployment and (
            images.plain(deployment["image"]["image"]["image"]),
            images.plain(deployment["image"]["imageDigest"]),
            deployment["downloadOnly"],
            *([json.dumps(deployment["ostree"])] if whole else []),
        )
    return found


def _result(images: Images, host: dict[str, Any]) -> dict[str, Any]:
    """The same from a module's words."""
    found: dict[str, Any] = {"queued": host["rollback_queued"], "overlay": host["usr_overlay"] is not None}
    for name in SLOTS:
        deployment = host[name]
        found[name] = deployment and (images.plain(deployment["image"]), images.plain(deployment["digest"]), deployment["download_only"])
    return found


def _said(result: dict[str, Any]) -> str:
    return str(result.get("error") or "") + " " + str(result.get("msg") or result.get("reason") or result)[:300]


def _remark(step: Step, call: Call, predicted: dict[str, Any]) -> str:
    code = predicted.get("error")
    outcome = f"refuses: {code or 'by Ansible'}" if predicted.get("failed") else "changed" if predicted.get("changed") else "unchanged"
    better = recorded.BETTER[step.key][1] if step.key in recorded.BETTER else TOLERATED.get(step.key)
    return f"{call.module}{' (looks)' if call.looks else ''}: {outcome}" + (f"; better: {better}" if better else "")
