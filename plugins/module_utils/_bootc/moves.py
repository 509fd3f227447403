# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways from one state of a host to another, each with what it does to the rest. Pure: `planner` chooses between them.

What the two backends do differently is known here and in `planner`, and nowhere else (verified.md, "Different").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .errors import Refused, Unsupported
from .plan import CANCEL_ROLLBACK, QUEUE_ROLLBACK, UNDEPLOY, UNLOCK, Plan, Remote, Step, Update
from .sameness import same_source
from .status import Deployment, Host, Image, Source

_QUEUED = "A rollback is queued: the next boot goes to the rollback deployment."


def converge(
    host: Host,
    source: Source,
    remote: Remote,
    step: Step,
    *,
    locked: bool = False,
    cancel_rollback: bool = True,
    new_source: bool = False,
) -> Plan:
    """Make the image that the registry holds the one that boots next."""
    digest = remote.digest
    composefs = host.backend == "composefs"
    if remote.is_in(host.booted) and (composefs or not new_source):
        return _stay(host, source, cancel_rollback)
    if composefs:
        if host.staged and remote.is_in(host.staged):
            return replace(settle_lock(host, host.staged, Update(download_only=locked)), warnings=_other_name(host.staged, source))
        if remote.is_in(host.rollback):
            if locked:  # a queued rollback would be applied
                return Plan("this image is here already, as the rollback deployment: there is nothing to download", host)
            # Staging it is refused, or skipped without a word (recording composefs, switch-digest).
            return go_back(host, "this image is the rollback deployment: it is queued instead of staged again")
        if any(remote.is_in(deployment) for deployment in host.other):
            raise Unsupported(
                f"A pinned deployment of this host is the image {digest}; the composefs backend cannot stage it again.",
                hint="Unpin or remove that deployment first.",
            )
    staged = Deployment(Image(source, digest), download_only=locked, composefs=composefs)
    # A queued rollback stays queued beside a staged deployment, which boots first (recording ostree, switch-digest).
    return Plan(f"{digest} is staged", replace(host, spec=source, staged=staged), (step,))


def _stay(host: Host, source: Source, cancel_rollback: bool) -> Plan:
    """The image wanted is the booted one: whatever would boot instead of it is taken away."""
    warnings = _other_name(host.booted, source)
    if host.staged:
        return replace(drop_stage(host, "the booted image is what is wanted: the staged one is dropped"), warnings=warnings)
    if host.rollback_queued and not cancel_rollback:
        return Plan("the newest image is booted", host, warnings=(_QUEUED,))
    plan = keep(host, "this image is booted already")
    return replace(plan, warnings=plan.warnings + warnings)


def keep(host: Host, reason: str) -> Plan:
    """What is next is what is wanted, unless a rollback is queued before it."""
    if not host.going_back:
        return Plan(reason, host)
    if host.staged and host.booted and host.spec != host.booted.source:  # taking the rollback back would drop what is followed
        return Plan(reason, host, warnings=(_QUEUED,))
    need_image(host.rollback)
    return Plan(f"{reason}: the queued rollback is cancelled", settled(host), (CANCEL_ROLLBACK,), thrown_away(host))


def go_back(host: Host, reason: str, soft_reboot: str | None = None) -> Plan:
    if host.going_back:
        return Plan("the rollback is queued already", host)
    # composefs ignores the option (cli.rs, rollback); see soft_reboot.py.
    step = soft(QUEUE_ROLLBACK, soft_reboot) if host.backend == "ostree" else QUEUE_ROLLBACK
    # With a rollback queued the first call only takes it back and drops the staged deployment.
    steps = (CANCEL_ROLLBACK, step) if host.rollback_queued else (step,)
    return Plan(reason, replace(host, staged=None, rollback_queued=True), steps, thrown_away(host))


def settle_lock(host: Host, staged: Deployment, want: Update) -> Plan:
    """The image wanted is staged: it is locked or unlocked as asked."""
    if staged.download_only == want.download_only:
        return Plan("this image is staged already", host)
    after = replace(host, staged=replace(staged, download_only=want.download_only))
    if not want.download_only:
        # Without a network; a plain upgrade leaves it locked on composefs (recording plain-upgrade-unlocks).
        return Plan("the downloaded image is applied at the next boot", after, (soft(UNLOCK, want.soft_reboot),))
    if host.backend == "composefs":
        raise Unsupported(
            "The staged deployment is applied at the next boot already; the composefs backend cannot lock it again.",
            hint="Leave 'download_only' out, or roll back to throw the staged deployment away.",
        )
    return Plan("the staged image is not applied at the next boot", after, (upgrade_step(None, True),))


def drop_stage(host: Host, reason: str) -> Plan:
    """Throw the staged deployment away and leave the booted one next."""
    after = settled(host)
    if host.rollback_queued:
        need_image(host.rollback)
        # Taking it back drops the staged deployment too (recording rollback-discards-staged).
        return Plan(reason, after, (CANCEL_ROLLBACK,))
    if host.backend == "ostree":
        # Two calls of `bootc rollback` would do it too, but need a rollback deployment, and a queued rollback
        # would be left if they were interrupted in between.
        return Plan(reason, after, (UNDEPLOY,))
    if host.rollback:
        return Plan(reason, after, (QUEUE_ROLLBACK, CANCEL_ROLLBACK))
    verity = host.staged.identity if host.staged else None
    return Plan(reason, after, (("bootc", "delete-deployment", str(verity)),))


def settled(host: Host) -> Host:
    return replace(host, spec=host.booted.source if host.booted else None, staged=None, rollback_queued=False)


def need_image(rollback: Deployment | None) -> None:
    """`bootc rollback` does not go to, or back from, what is no container image (deploy.rs of 1.16.9, "not container image based")."""
    if rollback and rollback.image is None:
        what = "an image that rpm-ostree changed" if rollback.incompatible else "a classic ostree commit"
        raise Refused(
            f"The rollback deployment of this host is {what}, and bootc rolls back to container images only.",
            error="host_layered" if rollback.incompatible else "no_rollback_deployment",
            hint="Run 'rpm-ostree rollback' on the host, or use bootc_switch with the image that you want.",
        )


def thrown_away(host: Host) -> tuple[str, ...]:
    return ("The staged deployment is thrown away.",) if host.staged else ()


def _other_name(deployment: Deployment | None, source: Source) -> tuple[str, ...]:
    if deployment is None or deployment.source is None or same_source(deployment.source, source):
        return ()
    if not deployment.composefs:
        return (f"The host follows '{deployment.source.image}' again, which is this image; switch it to '{source.image}' once more.",)
    return (
        f"The host has this image as '{deployment.source.image}' and goes on following that name: "
        f"the composefs backend cannot hold the same content under '{source.image}' too.",
    )


def upgrade_step(soft_reboot: str | None, download_only: bool = False) -> Step:
    return soft(("bootc", "upgrade", *(["--download-only"] if download_only else [])), soft_reboot)


def soft(step: Sequence[str], soft_reboot: str | None) -> Step:
    return (*step, *([f"--soft-reboot={soft_reboot}"] if soft_reboot else []))
