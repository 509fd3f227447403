# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planner against what real bootc 1.16.9 did: every step of both recordings.

Each recorded step is asked of the planner as a user would ask it of the modules. What it predicts
(changed, commands, the state afterwards) agrees with what happened, or the step is named in
C(BETTER) of recorded.py with what the planner does instead and why.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import BootcError, classify
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.plan import Follow, GoBack, Plan, Remote, Update, footprint
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.planner import plan_rollback, plan_switch, plan_upgrade
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import Host, Source, parse_status
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.tests.reference import recorded
from ansible_collections.imagemode.bootc.tests.reference.recorded import BACKENDS, BETTER, RECORDINGS, REFUSED, STABLE_FROM

# Steps where the planner reaches the recorded state by another command.
OTHER_COMMAND = {
    ("ostree", "plain-upgrade-unlocks"): "bootc upgrade --from-downloaded",  # needs no network
    ("ostree", "upgrade-tag"): "bootc switch registry.test:5000/os:4",  # every backend and version has it
    ("ostree", "edit-rollback"): "bootc rollback",  # composefs has no edit
}
# Not the planner's: looking, other commands, or boots that only show what came of the step before.
NOT_PLANNED = re.compile(
    r"^(true$|cat |touch |container=oci bootc status|bootc (status|--version|usr-overlay|loader-entries|image|internals))"
)


def _steps() -> list[Any]:
    steps = []
    for backend in BACKENDS:
        stable = None
        for line in (RECORDINGS / f"{backend}.jsonl").read_text().splitlines():
            step = json.loads(line)
            stable = STABLE_FROM[backend].get(step["name"], stable)
            steps.append(pytest.param(backend, step, stable, id=f"{backend}-{step['name']}"))
    return steps


STEPS = _steps()


DIGESTS = {backend: recorded.digests(recorded.steps(backend)) for backend in BACKENDS}


def _remote(backend: str, source: Source, stable: str) -> Remote:
    reference = Reference.parse(source.image)
    tag = stable if reference.tag == "stable" else reference.tag
    return Remote(reference.digest or DIGESTS[backend][{"one": "1"}.get(str(tag), str(tag))])


def _as_asked(name: str, words: list[str]) -> Any:
    """The recorded command line as what a user would want of a module."""
    verb, options = words[1], words[2:]
    if verb in ("rollback", "edit"):
        return GoBack(queued=not name.endswith(("-again", "-undo")))  # the verb toggles; a wish does not
    if verb == "switch":
        return Follow(Source(options[-1]))
    return Update(download_only="--download-only" in options, from_downloaded="--from-downloaded" in options)


def _plan(backend: str, name: str, before: Host, words: list[str], stable: str) -> Plan:
    wanted = _as_asked(name, words)
    if isinstance(wanted, GoBack):
        return plan_rollback(before, wanted)
    planner = plan_switch if isinstance(wanted, Follow) else plan_upgrade
    if "--tag" in words:  # the modules follow another tag by switching to it
        assert before.spec is not None
        retagged = Reference.parse(before.spec.image).with_tag(words[words.index("--tag") + 1])
        wanted, planner = Follow(Source(str(retagged))), plan_switch
    plan = planner(before, wanted)  # type: ignore[arg-type]
    if plan.ask:
        plan = planner(before, wanted, _remote(backend, plan.ask, stable))  # type: ignore[arg-type]
        assert plan.ask is None, "asked twice"
    return plan


@pytest.mark.parametrize(("backend", "step", "stable"), STEPS)
def test_step_is_predicted_or_bettered(backend: str, step: dict[str, Any], stable: str) -> None:
    before, after = (parse_status(json.dumps(step[key])) for key in ("before", "after"))
    key = (backend, step["name"])
    command = step["cmd"].split("; ")[-1] if step["name"].startswith("edit") else step["cmd"].split(";")[0]
    if command.startswith("bash -c"):
        command = re.search(r'"(bootc switch) --progress-fd 3 (\S+)', command).expand(r"\1 \2")  # type: ignore[union-attr]
    if "|" in command:
        command = command.split("|")[-1].strip()

    if key in REFUSED and step["rc"] != 0 and not _planner_refuses(key):
        assert classify(step["stderr"])[0] == REFUSED[key]
        assert footprint(before) == footprint(after)
        return
    if NOT_PLANNED.match(command):
        return
    if step["name"] == "edit-noop":
        assert footprint(before) == footprint(after)
        return

    words = shlex.split(command)
    if _planner_refuses(key):
        with pytest.raises(BootcError) as refusal:
            _plan(backend, step["name"], before, words, stable)
        assert refusal.value.error == REFUSED[key]
        assert refusal.value.hint
        assert footprint(before) == footprint(after)
        return

    plan = _plan(backend, step["name"], before, words, stable)
    ran = [" ".join(word for word in planned if word != "--") for planned in plan.steps]
    if key in BETTER:
        assert ran == BETTER[key][0], BETTER[key][1]
        assert bool(plan.steps) == (footprint(plan.after) != footprint(before))
        return
    if "--check" in words:
        # A check changes nothing; the plan predicts what the upgrade then does.
        assert footprint(before) == footprint(after)
        assert bool(plan.steps) == (step["stdout"].startswith(("Update available", "Total new layers")))
        return
    assert step["rc"] == 0
    assert bool(plan.steps) == (footprint(before) != footprint(after)), plan.reason
    assert footprint(plan.after) == footprint(after), plan.reason
    if plan.steps:
        assert ran == [OTHER_COMMAND.get(key, _canonical(words))]


def _planner_refuses(key: tuple[str, str]) -> bool:
    return REFUSED.get(key) in ("no_rollback_deployment",) or key == ("composefs", "download-only-2")


def _canonical(words: list[str]) -> str:
    """The recorded command as the planner writes it: soft reboot left out, tags by switching."""
    return " ".join(word for word in words if not word.startswith("--soft-reboot"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_step_that_changed_the_host_is_covered(backend: str) -> None:
    unplanned = [
        parameters.values[1]["name"]
        for parameters in STEPS
        if parameters.values[0] == backend
        and NOT_PLANNED.match(parameters.values[1]["cmd"])
        and not parameters.values[1]["name"].startswith(("kargs-", "edit-"))
        and footprint(parse_status(json.dumps(parameters.values[1]["before"])))
        != footprint(parse_status(json.dumps(parameters.values[1]["after"])))
    ]
    assert unplanned == []
