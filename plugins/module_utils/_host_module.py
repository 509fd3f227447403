# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that brings a bootc host to a planned state: what the day-2 modules share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from ._bootc.bound import lacks
from ._bootc.client import Bootc
from ._bootc.errors import BootcError, DigestMismatch
from ._bootc.job import Job
from ._bootc.plan import UNDEPLOY, Plan, Remote, Step, footprint, pulls
from ._bootc.soft_reboot import prepared, with_next_root
from ._bootc.status import Host
from ._errors import ImageModeError
from ._module import CollectionModule

ARGUMENTS: dict[str, Any] = {"timeout": {"type": "int", "default": 3600}, "lock_timeout": {"type": "int", "default": 300}}
# What the action plugin tells the module: C(start), or the job that it saw to its end.
WATCHED: dict[str, Any] = {"watch": {"type": "str"}}
# A watched module waits no longer than this without a word.
PATIENCE_SECONDS = 10
NOTHING_NEW = "the host has this image already, under another digest"


class BootcModule(CollectionModule):
    """Status, plan, steps, status again; C(changed) is what differs between the two."""

    def converge(self, planner: Callable[[Host, Remote | None], Plan], digest: str | None = None, *, going_back: bool = False) -> None:
        """Bring the host where the planner says, and end the module.

        :param planner: plans from the host's state and the registry's answer
        :param digest: the digest that the user insists on
        :param going_back: the soft reboot that the user wants is one into the rollback deployment
        """
        watch, lock_timeout = self.params.get("watch"), self.params["lock_timeout"]
        bootc = Bootc(timeout=self.params["timeout"] or None, lock_timeout=min(lock_timeout, PATIENCE_SECONDS) if watch else lock_timeout)
        job = Job.find()
        # One that runs is waited for, and is this task's own if it was asked for the same: then it is not started again.
        ours = bool(job and (job.running or job.id == watch) and job.about["asked"] == self._asked() and not self.check_mode)
        if job:
            self._wait(job)
        foreseen: tuple[str, ...] = ()
        if job and ours:
            before = bootc.host(job.about["before"])
            bootc.answer = _remote(job.about["remote"])
            plan, mounted = planner(before, bootc.answer), job.about["prepared"]
            foreseen = tuple(job.about["foreseen"])
        else:
            document = bootc.status_text()
            before = bootc.host(document)
            plan, mounted = bootc.decide(before, lambda remote: planner(before, remote)), prepared()
            if pulls(plan):
                # Not loaded where nothing is to be done: that is what nearly every run finds.
                from ._foresight import foresee

                foreseen = foresee(bootc, plan)
        soft = self.params.get("soft_reboot") if plan.after.going_back or not going_back else None
        plan = with_next_root(before, plan, soft, mounted)
        for warning in (*plan.warnings, *foreseen):
            self.warn(warning)
        after = plan.after
        if plan.steps and not self.check_mode:
            try:
                if not ours and pulls(plan):
                    answer = bootc.answer and asdict(bootc.answer)
                    about = {"asked": self._asked(), "before": document, "remote": answer, "prepared": mounted, "foreseen": foreseen}
                    for step in plan.steps[:-1]:
                        self._step(bootc, step)
                    job, ours = bootc.detach(plan.steps[-1], about), True
                    self._wait(job)
                if job and ours:
                    self.changed = job.collect()
                    if not self.changed:  # by another task, which tells what it changed; the rest is this one's
                        return self.converge(planner, digest, going_back=going_back)
                else:
                    for step in plan.steps:
                        self._step(bootc, step)
            except ImageModeError as error:
                after = bootc.status()
                if ours and error.error != "soft_reboot_unavailable" and _half_staged(before, after):
                    after = _drop(bootc, after, error)
                self.changed = footprint(before) != footprint(after)
                if not self.changed and _is_booted_already(plan, error):
                    self.warn(f"The host runs {_boots_next(after)}, not {_boots_next(plan.after)}: both hold the same files.")
                    self.exit_json(**_result(before, after, replace(plan, reason=NOTHING_NEW)))
                error.details.update(before=before.as_dict(), after=after.as_dict(), reboot_required=after.reboot_required)
                raise
            after = bootc.status()
            self.changed = footprint(before) != footprint(after)
            plan = self._prove(plan, before, after, digest, bootc)
        lacking = lacks(after.staged) if after.staged else []
        if lacking:
            self.warn(f"The staged image binds {', '.join(lacking)}, which bootc does not have: pull it with bootc_bound_images.")
        self.exit_json(**_result(before, after, plan))

    def _step(self, bootc: Bootc, step: Step) -> None:
        """Run it; until somebody has looked, it has changed the host: a status that cannot be read then must not deny it."""
        bootc.run(step)
        self.changed = True

    def _wait(self, job: Job) -> None:
        """Until it has ended; a watched module returns before, and is run again."""
        if not job.wait(PATIENCE_SECONDS if self.params.get("watch") else None):
            self.exit_json(changed=False, running=job.as_dict())

    def _asked(self) -> str:
        """What this task was asked for, as one word: the same for a rerun of it."""
        asked = {name: value for name, value in self.params.items() if name not in (*ARGUMENTS, *WATCHED)}
        return hashlib.sha256(json.dumps([self._name, asked], sort_keys=True).encode()).hexdigest()

    def _prove(self, plan: Plan, before: Host, after: Host, digest: str | None, bootc: Bootc) -> Plan:
        """bootc's return code is not believed: the host is where the plan said, or the result says why not.

        :returns: the plan as it came out
        """
        if footprint(after) == footprint(plan.after):
            return plan
        if bootc.answer and _staged_alike(after, plan.after) and bootc.has(after.staged, bootc.answer):
            self.warn(f"The host got {_staged(after)}, not {_staged(plan.after)}: the same image, which it had already.")
            return replace(plan, reason=f"{_staged(after)} is staged")
        steps = ", ".join(" ".join(step) for step in plan.steps)
        wanted, got = (_boots_next(host) for host in (plan.after, after))
        details: dict[str, Any] = {"before": before.as_dict(), "after": after.as_dict(), "planned": plan.after.as_dict()}
        if digest and wanted != got:
            raise DigestMismatch(
                f"The host was to get {wanted} and got {got} by '{steps}'.",
                hint="The tag was moved meanwhile: resolve it again and run the task again. "
                "If it was not, a deployment of this host has the files of the wanted image already, under another digest.",
                **details,
            )
        if footprint(after) == footprint(before):
            if _upgrades(plan) and plan.after.spec == before.spec:
                # Another manifest of what the host has, which could not be seen before (L(Bootc.content)).
                self.warn(f"'{steps}' found nothing new: to bootc {_staged(plan.after)} is an image that the host has already.")
                return replace(plan, reason=NOTHING_NEW)
            raise BootcError(
                f"'{steps}' ended with return code 0 and changed nothing; planned was: {plan.reason}.",
                error="bootc_ignored",
                hint="Look at the host with bootc_info and at bootc's journal.",
                **details,
            )
        self.warn(f"'{steps}' left the host in another state than planned ({plan.reason}); the result has both.")
        return plan


def _half_staged(before: Host, after: Host) -> bool:
    """bootc pulls bound images after it has staged, on ostree (deploy.rs, stage): a second run would find the image staged."""
    here, there = (host.staged.identity if host.staged else None for host in (after, before))
    return after.backend == "ostree" and here is not None and here != there


def _drop(bootc: Bootc, staged: Host, error: ImageModeError) -> Host:
    """:returns: the host afterwards; the error says what became of the stage"""
    try:
        bootc.run(UNDEPLOY)
    except ImageModeError as refusal:
        error.message += f" The image is staged, perhaps without images that it binds, and could not be dropped: {refusal.message}"
        return staged
    error.message += " What was staged before that is dropped, as images that it binds may be missing; the next run stages it again."
    return bootc.status()


def _remote(answer: dict[str, Any] | None) -> Remote | None:
    return Remote(**{**answer, "same": tuple(answer["same"])}) if answer else None


def _is_booted_already(plan: Plan, error: ImageModeError) -> bool:
    """What `bootc upgrade` says on composefs of other layers with the booted files (bootc_composefs/update.rs, `do_upgrade`)."""
    return _upgrades(plan) and "same fs-verity digest as the existing Some(Booted)" in str(error.details.get("stderr"))


def _upgrades(plan: Plan) -> bool:
    return pulls(plan) and plan.steps[-1][1] == "upgrade"


def _staged_alike(after: Host, planned: Host) -> bool:
    """Whether the digest of what is staged is all that differs."""
    if not (after.staged and after.staged.image and planned.staged and planned.staged.image):
        return False
    image = replace(after.staged.image, digest=planned.staged.image.digest)
    return footprint(replace(after, staged=replace(after.staged, image=image))) == footprint(planned)


def _staged(host: Host) -> str | None:
    return host.staged.digest if host.staged else None


def _boots_next(host: Host) -> str | None:
    deployment = host.pending or host.booted
    return deployment.digest if deployment else None


def _result(before: Host, after: Host, plan: Plan) -> dict[str, Any]:
    shown = (before.as_dict(), after.as_dict())
    pending = after.pending
    return {
        "changed": footprint(before) != footprint(after),
        "reason": plan.reason,
        "commands": [" ".join(step) for step in plan.steps],
        "before": shown[0],
        "after": shown[1],
        "digest": _boots_next(after),
        "reboot_required": after.reboot_required,
        "soft_reboot_capable": bool(pending and pending.soft_reboot_capable),
        "diff": {"before": _slots(before), "after": _slots(after)},
    }


def _slots(host: Host) -> str:
    """A few lines that a reader compares at a glance."""
    lines = []
    for name in ("booted", "staged", "rollback"):
        deployment = getattr(host, name)
        what = f"{deployment.source.image if deployment.source else '-'} {deployment.digest}" if deployment else "-"
        lock = " (download only)" if deployment and deployment.download_only else ""
        lines.append(f"{name}: {what}{lock}")
    lines.append(f"rollback queued: {'yes' if host.rollback_queued else 'no'}")
    return "\n".join(lines) + "\n"
