# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planner: what to run on a host so that it becomes what was asked. Pure: data in, data out.

A plan is made from the state of the host, what is wanted, and what the registry holds. Where the
registry decides and was not asked yet, the plan says so in I(ask) and is made again with the answer.
So check mode and the real run walk the same road, and no verb of bootc is run to find out
(`bootc upgrade --check` can stage an update on composefs: recording composefs, check-after-dlonly-reboot).

What the two backends do differently is known here and nowhere else (verified.md, "Different").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .._reference import Reference, ReferenceInvalid, same_reference, without_tag
from .errors import DigestMismatch, NotManaged, Refused, Unsupported
from .status import Deployment, Host, Image, Source

Step = tuple[str, ...]

CANCEL_ROLLBACK: Step = ("bootc", "rollback")
QUEUE_ROLLBACK: Step = ("bootc", "rollback")
ENFORCE = "--enforce-container-sigpolicy"
NOT_RECORDED = (
    "The composefs backend does not record that the image is to be verified: policy.json holds for every pull, but bootc does not insist "
    "on one that verifies."
)
UNLOCK: Step = ("bootc", "upgrade", "--from-downloaded")
# What is staged is the first deployment. On ostree only.
UNDEPLOY: Step = ("ostree", "admin", "undeploy", "0")


@dataclass(frozen=True)
class Remote:
    """What a registry holds under a reference.

    :ivar digest: digest of the manifest for the host's platform, or what `bootc status` of that host reports instead of it
    :ivar index: digest of the index that the reference points at, or C(None)
    :ivar manifest: digest of the manifest where I(digest) is another; see L(pullable)
    :ivar content: what makes two manifests one image to bootc (L(client.Bootc.content)); C(None) if nobody had to know
    :ivar same: digests under which the host has this content already
    """

    digest: str
    index: str | None = None
    manifest: str | None = None
    content: str | None = None
    same: tuple[str, ...] = ()

    @property
    def pullable(self) -> str:
        """The digest by which the registry knows the image for the host's platform."""
        return self.manifest or self.digest

    def is_digest(self, digest: str) -> bool:
        return digest in (self.digest, self.index, self.manifest, *self.same)

    def is_in(self, deployment: Deployment | None) -> bool:
        """Whether a deployment is this image, be it under another digest: then bootc does not stage it again."""
        return deployment is not None and deployment.digest in (self.digest, *self.same)


@dataclass(frozen=True)
class Follow:
    """Wanted of a switch: the host follows I(source); with I(digest), what it gets next is that image."""

    source: Source
    digest: str | None = None
    retain: bool = False
    soft_reboot: str | None = None


@dataclass(frozen=True)
class Update:
    """Wanted of an upgrade: the newest image of what the host follows, or the one with I(digest).

    :ivar tag: follow this tag of the same repository from now on
    :ivar download_only: stage it locked, so that a reboot does not apply it
    :ivar from_downloaded: unlock what was staged so; nothing is fetched
    """

    digest: str | None = None
    tag: str | None = None
    download_only: bool = False
    from_downloaded: bool = False
    soft_reboot: str | None = None


@dataclass(frozen=True)
class GoBack:
    """Wanted of a rollback: the next boot goes to the earlier deployment (I(queued)), or does not.

    :ivar digest: the image to go back to; a host that runs it is left alone
    :ivar away_from: the image to leave; a host that does not run it is left alone
    """

    queued: bool = True
    digest: str | None = None
    away_from: str | None = None
    soft_reboot: str | None = None


@dataclass(frozen=True)
class Plan:
    """What will be run, why, and the state of the host afterwards.

    :ivar steps: commands in order; empty if nothing is to be changed
    :ivar after: the host as it will be; the same as before if nothing is to be changed
    :ivar ask: what the registry must be asked for before there can be a plan
    """

    reason: str
    after: Host
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    ask: Source | None = None


def plan_switch(host: Host, want: Follow, remote: Remote | None = None) -> Plan:
    """Plan a switch.

    :raises ImageModeError: NotManaged, Refused, Unsupported or DigestMismatch
    """
    if want.source.transport == "registry":
        want = replace(want, source=replace(want.source, image=without_tag(want.source.image)))
    return _telling(_switch(host, want, remote), want.digest or _pinned(want.source), remote)


def _switch(host: Host, want: Follow, remote: Remote | None) -> Plan:
    _need_bootc_host(host)
    digest, source = want.digest or _pinned(want.source), want.source
    if host.backend == "composefs":  # which writes `ostree-unverified-image:` whatever was asked (bootc_composefs/state.rs of 1.16.9)
        source = replace(source, signature=None)
    if host.spec and _same_source(host.spec, source):
        if digest is None:
            return _keep(host, "the host follows this image already")
        present = _present(host, digest, remote)
        if present:
            return present
        if remote is None:
            return _ask(host, source)
        # An upgrade keeps the name as the host spells it.
        return _converge(host, host.spec, _checked(remote, digest, source), _upgrade_step(want.soft_reboot))
    if remote is None:
        return _ask(host, source)
    if digest:
        _checked(remote, digest, source)
    plan = _converge(host, source, remote, _switch_step(want), new_source=True)
    if pulls(plan) and source != want.source:
        return replace(plan, warnings=(*plan.warnings, NOT_RECORDED))
    if plan.steps and host.spec and _policy(host.spec) and not _policy(source):
        lost = f"The host verified its image by '{host.spec.signature}'; it does not verify '{want.source.image}'."
        return replace(plan, warnings=(*plan.warnings, lost))
    return plan


def plan_upgrade(host: Host, want: Update, remote: Remote | None = None) -> Plan:
    """Plan an upgrade.

    :raises ImageModeError: NotManaged, Refused, Unsupported or DigestMismatch
    """
    return _telling(_upgrade(host, want, remote), want.digest, remote)


def _upgrade(host: Host, want: Update, remote: Remote | None) -> Plan:
    _need_bootc_host(host)
    if host.layered:
        raise Refused(
            "The host's deployment was changed by rpm-ostree (layered packages or overrides); bootc cannot upgrade it.",
            error="host_layered",
            hint="Run 'rpm-ostree reset' on the host, or switch it to an image with bootc_switch.",
        )
    if host.staged and host.staged.incompatible:  # bootc looks at both (`upgrade` in cli.rs)
        raise Refused(
            "What is staged on the host was changed by rpm-ostree (layered packages or overrides); bootc cannot upgrade it.",
            error="host_layered",
            hint="Run 'rpm-ostree cleanup --pending' on the host to drop it, or switch the host to an image with bootc_switch.",
        )
    if host.spec is None:
        raise _not_managed()
    if want.from_downloaded:
        return _apply_downloaded(host, want)
    if want.tag:
        source = _retagged(host.spec, want.tag)
        if not _same_source(host.spec, source):
            return _change_tag(host, want, source, remote)
    if want.digest:
        if host.staged and _satisfied(host.staged, want.digest, remote):
            return _settle_lock(host, host.staged, want)
        present = _present(host, want.digest, remote)
        if present:
            return present
    else:
        pinned = _pinned(host.spec)
        if pinned:
            return Plan(f"the host follows the digest {pinned}, which cannot change", host)
    if remote is None:
        return _ask(host, host.spec)
    if want.digest:
        _checked(remote, want.digest, host.spec)
    if host.staged and remote.is_in(host.staged):
        return _settle_lock(host, host.staged, want)
    step = _upgrade_step(want.soft_reboot, want.download_only)
    return _converge(host, host.spec, remote, step, locked=want.download_only, cancel_rollback=want.digest is not None)


def plan_rollback(host: Host, want: GoBack) -> Plan:
    """Plan a rollback. `bootc rollback` toggles and throws a staged deployment away; this does not toggle.

    :raises ImageModeError: NotManaged, Refused, Unsupported
    """
    _need_bootc_host(host)
    if not want.queued:
        if host.going_back:
            _need_image(host.rollback)
            return Plan("the queued rollback is cancelled", _settled(host), (CANCEL_ROLLBACK,), _thrown_away(host))
        return Plan("no rollback is queued", host)
    booted, target = host.booted, host.rollback
    if booted and want.away_from and not _satisfied(booted, want.away_from):
        known = any(_satisfied(slot, want.away_from) for slot in (host.staged, target, *host.other))
        index = f"No deployment of this host is {want.away_from}; if that is the digest of an index, name the one for the host's platform."
        return Plan(f"the host does not run {want.away_from}", host, warnings=() if known else (index,))
    if booted and want.digest and _satisfied(booted, want.digest):
        return _keep(host, f"the host runs {want.digest} already")
    if target is None:
        raise Refused(
            "There is no rollback deployment on this host to go back to.",
            error="no_rollback_deployment",
            hint="Use bootc_switch with the image that you want, or bootc_upgrade with its digest.",
        )
    if not host.going_back:
        _need_image(target)
    if want.digest and not _satisfied(target, want.digest):
        raise Refused(
            f"The rollback deployment is {target.digest}, not {want.digest}.",
            error="digest_mismatch",
            hint="Use bootc_switch to go to an image that is neither booted nor the rollback deployment.",
        )
    if want.away_from and _satisfied(target, want.away_from):
        raise Refused(
            f"The rollback deployment is {want.away_from}, too: going back to it would not leave that image.",
            error="no_rollback_deployment",
            hint="Use bootc_switch with the image that you want, or bootc_upgrade with its digest.",
        )
    return _go_back(host, "the next boot goes to the rollback deployment", want.soft_reboot)


def pulls(plan: Plan) -> bool:
    """Whether the plan fetches an image, which takes as long as the network does. It is the last step of such a plan."""
    return any(step[:2] in (("bootc", "switch"), ("bootc", "upgrade")) and step[:3] != UNLOCK for step in plan.steps)


def needs_of_composefs(host: Host, plan: Plan) -> tuple[str, str, str] | None:
    """What a plan asks of the composefs backend that came there later than the command.

    :returns: capability, what is asked, and what can be done without
    """
    if host.backend != "composefs":
        return None
    if any(word in ("--download-only", "--from-downloaded") for step in plan.steps for word in step):
        return "composefs_download_only", "Downloading now and applying later on the composefs backend", "leave the option out"
    if QUEUE_ROLLBACK not in plan.steps:
        return None
    if host.staged:
        return "composefs_rollback_staged", "Dropping what is staged on the composefs backend", "reboot into what is staged first"
    if host.rollback_queued:
        return "composefs_rollback_cancel", "Taking a rollback back on the composefs backend", "reboot, and roll back again from there"
    return None


def footprint(host: Host) -> tuple[object, ...]:
    """What a change of the host is measured by: each slot's source, digest and lock, and the boot order."""
    slots = tuple((slot.source, slot.digest, slot.download_only) if slot else None for slot in (host.booted, host.staged, host.rollback))
    return (*slots, host.rollback_queued)


def _converge(
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
        if remote.is_in(host.staged):
            return Plan("this image is staged already", host, warnings=_other_name(host.staged, source))
        if remote.is_in(host.rollback):
            if locked:  # a queued rollback would be applied
                return Plan("this image is here already, as the rollback deployment: there is nothing to download", host)
            # Staging it is refused, or skipped without a word (recording composefs, switch-digest).
            return _go_back(host, "this image is the rollback deployment: it is queued instead of staged again")
        if any(deployment.digest == digest for deployment in host.other):
            raise Unsupported(
                f"A pinned deployment of this host has the digest {digest}; the composefs backend cannot stage it again.",
                hint="Unpin or remove that deployment first.",
            )
    staged = Deployment(Image(source, digest), download_only=locked, composefs=composefs)
    # A queued rollback stays queued beside a staged deployment, which boots first (recording ostree, switch-digest).
    return Plan(f"{digest} is staged", replace(host, spec=source, staged=staged), (step,))


def _stay(host: Host, source: Source, cancel_rollback: bool) -> Plan:
    """The image wanted is the booted one: whatever would boot instead of it is taken away."""
    warnings = _other_name(host.booted, source)
    if host.staged:
        return replace(_drop_stage(host, "the booted image is what is wanted: the staged one is dropped"), warnings=warnings)
    if host.rollback_queued and not cancel_rollback:
        return Plan(
            "the newest image is booted",
            host,
            warnings=("A rollback is queued: the next boot goes to the rollback deployment.",),
        )
    plan = _keep(host, "this image is booted already")
    return replace(plan, warnings=plan.warnings + warnings)


def _keep(host: Host, reason: str) -> Plan:
    """What is next is what is wanted, unless a rollback is queued before it."""
    if not host.going_back:
        return Plan(reason, host)
    if host.staged and host.booted and host.spec != host.booted.source:  # taking the rollback back would drop what is followed
        return Plan(reason, host, warnings=("A rollback is queued: the next boot goes to the rollback deployment.",))
    _need_image(host.rollback)
    return Plan(f"{reason}: the queued rollback is cancelled", _settled(host), (CANCEL_ROLLBACK,), _thrown_away(host))


def _go_back(host: Host, reason: str, soft_reboot: str | None = None) -> Plan:
    if host.going_back:
        return Plan("the rollback is queued already", host)
    # composefs ignores the option (cli.rs, rollback); see soft_reboot.py.
    step = _soft(QUEUE_ROLLBACK, soft_reboot) if host.backend == "ostree" else QUEUE_ROLLBACK
    # With a rollback queued the first call only takes it back and drops the staged deployment.
    steps = (CANCEL_ROLLBACK, step) if host.rollback_queued else (step,)
    return Plan(reason, replace(host, staged=None, rollback_queued=True), steps, _thrown_away(host))


def _need_image(rollback: Deployment | None) -> None:
    """`bootc rollback` does not go to, or back from, what is no container image (deploy.rs of 1.16.9, "not container image based")."""
    if rollback and rollback.image is None:
        what = "an image that rpm-ostree changed" if rollback.incompatible else "a classic ostree commit"
        raise Refused(
            f"The rollback deployment of this host is {what}, and bootc rolls back to container images only.",
            error="host_layered" if rollback.incompatible else "no_rollback_deployment",
            hint="Run 'rpm-ostree rollback' on the host, or use bootc_switch with the image that you want.",
        )


def _thrown_away(host: Host) -> tuple[str, ...]:
    return ("The staged deployment is thrown away.",) if host.staged else ()


def _drop_stage(host: Host, reason: str) -> Plan:
    """Throw the staged deployment away and leave the booted one next."""
    after = _settled(host)
    if host.rollback_queued:
        _need_image(host.rollback)
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


def _settle_lock(host: Host, staged: Deployment, want: Update) -> Plan:
    """The image wanted is staged: it is locked or unlocked as asked."""
    if staged.download_only == want.download_only:
        return Plan("this image is staged already", host)
    after = replace(host, staged=replace(staged, download_only=want.download_only))
    if not want.download_only:
        # Without a network; a plain upgrade leaves it locked on composefs (recording plain-upgrade-unlocks).
        return Plan("the downloaded image is applied at the next boot", after, (_soft(UNLOCK, want.soft_reboot),))
    if host.backend == "composefs":
        raise Unsupported(
            "The staged deployment is applied at the next boot already; the composefs backend cannot lock it again.",
            hint="Leave 'download_only' out, or roll back to throw the staged deployment away.",
        )
    return Plan("the staged image is not applied at the next boot", after, (_upgrade_step(None, True),))


def _change_tag(host: Host, want: Update, source: Source, remote: Remote | None) -> Plan:
    """`bootc upgrade --tag` needs bootc 1.15.0, forgets the tag where its digest is booted already, and is ignored on composefs
    while something is staged (recording composefs, upgrade-tag). A switch has none of that, but cannot stage locked.
    """
    if not want.download_only:
        if source.signature and source.signature.startswith("ostreeRemote"):
            raise Unsupported(
                f"The host verifies its image by '{source.signature}', which a switch to another tag would lose.",
                hint="Use bootc_switch, and say with 'enforce_container_sigpolicy' whether the image is to be verified.",
            )
        return plan_switch(host, Follow(source, digest=want.digest, soft_reboot=want.soft_reboot), remote)
    if host.backend == "composefs" and host.staged:
        raise Unsupported(
            "Something is staged, and the composefs backend ignores another tag then.",
            hint="Drop what is staged with bootc_rollback, or leave 'download_only' out.",
        )
    if remote is None:
        return _ask(host, source)
    if want.digest:
        _checked(remote, want.digest, source)
    step = ("bootc", "upgrade", "--tag", str(want.tag), "--download-only")
    if remote.is_in(host.booted):
        return Plan(f"'{source.image}' is the booted image: there is nothing to download", host)
    if host.staged and remote.is_in(host.staged):
        if host.staged.download_only:
            return Plan("this image is staged already", host)
        after = replace(host, staged=replace(host.staged, download_only=True))
        return Plan("the staged image is not applied at the next boot", after, (step,))
    return _converge(host, source, remote, step, locked=True)


def _apply_downloaded(host: Host, want: Update) -> Plan:
    if host.staged is None:
        if want.digest and _satisfied(host.booted, want.digest):
            return _keep(host, "the host runs this digest already")
        if want.digest:
            raise Refused(
                f"Nothing is staged on this host, and it does not run {want.digest}.",
                error="no_staged_deployment",
                hint="Download again with 'download_only: true': a stage is lost when a host crashes.",
            )
        # bootc fails here (recording from-downloaded-none); a second run of a playbook has nothing to do.
        return Plan("nothing is downloaded and waiting", host)
    if want.digest and not _satisfied(host.staged, want.digest):
        raise DigestMismatch(
            f"The staged deployment is {host.staged.digest}, not {want.digest}.",
            hint="Download that image first with 'download_only: true'.",
        )
    return _settle_lock(host, host.staged, want)


def _settled(host: Host) -> Host:
    return replace(host, spec=host.booted.source if host.booted else None, staged=None, rollback_queued=False)


def _present(host: Host, digest: str, remote: Remote | None) -> Plan | None:
    """The plan if the image with this digest is staged or booted already; the registry is not needed then."""
    if host.staged and _satisfied(host.staged, digest, remote):
        return Plan("the image with this digest is staged already", host)
    if not _satisfied(host.booted, digest, remote):
        return None
    if host.staged:
        return _drop_stage(host, "the image with this digest is booted: the staged one is dropped")
    return _keep(host, "the host runs this digest already")


def _telling(plan: Plan, digest: str | None, remote: Remote | None) -> Plan:
    """Whoever insists on a digest hears that the host has the image under another one."""
    deployment = plan.after.staged or plan.after.pending or plan.after.booted
    if not (digest and remote and deployment and deployment.digest in remote.same) or _satisfied(deployment, digest):
        return plan
    told = (
        f"The host has {deployment.digest}, not {digest}: the registry holds the same image under both, and bootc does not replace one "
        "by the other."
    )
    return replace(plan, warnings=(*plan.warnings, told))


def _ask(host: Host, source: Source) -> Plan:
    return Plan("the registry has to be asked", host, ask=source)


def _pinned(source: Source) -> str | None:
    if source.transport != "registry":
        return None
    try:
        return Reference.parse(source.image).digest
    except ReferenceInvalid:
        return None


def _retagged(source: Source, tag: str) -> Source:
    if source.transport not in ("registry", "containers-storage"):  # as bootc does it itself (spec.rs, with_tag)
        raise Refused(
            f"The host follows '{source.transport}:{source.image}', which has no tags.", hint="Use bootc_switch to follow another image."
        )
    return replace(source, image=str(Reference.parse(source.image).with_tag(tag)))


def _satisfied(deployment: Deployment | None, digest: str, remote: Remote | None = None) -> bool:
    """Whether a deployment is the image with this digest, be it the platform's or the index's."""
    if deployment is None or deployment.image is None:
        return False
    if digest in (deployment.image.digest, _pinned(deployment.image.source)):
        return True
    return remote is not None and remote.is_digest(digest) and remote.is_in(deployment)


def _checked(remote: Remote, digest: str, source: Source) -> Remote:
    if not remote.is_digest(digest):
        raise DigestMismatch(
            f"'{source.image}' is {remote.digest} in the registry, not {digest}.",
            hint="The tag was moved. Resolve it again, or switch to the image by digest (name@sha256:…).",
            registry_digest=remote.digest,
        )
    return remote


def _same_source(one: Source, other: Source) -> bool:
    if (one.transport, _policy(one)) != (other.transport, _policy(other)):
        return False
    return one.image == other.image or (one.transport == "registry" and same_reference(one.image, other.image))


def _policy(source: Source) -> str | None:
    return None if source.signature == "insecure" else source.signature


def _other_name(deployment: Deployment | None, source: Source) -> tuple[str, ...]:
    if deployment is None or deployment.source is None or _same_source(deployment.source, source):
        return ()
    if not deployment.composefs:
        return (f"The host follows '{deployment.source.image}' again, which is this image; switch it to '{source.image}' once more.",)
    return (
        f"The host has this image as '{deployment.source.image}' and goes on following that name: "
        f"the composefs backend cannot hold the same content under '{source.image}' too.",
    )


def _switch_step(want: Follow) -> Step:
    step: list[str] = ["bootc", "switch"]
    if want.source.transport != "registry":
        step += ["--transport", want.source.transport]
    if want.source.signature == "containerPolicy":
        step.append(ENFORCE)
    if want.retain:
        step.append("--retain")
    return (*_soft(step, want.soft_reboot), "--", want.source.image)


def _upgrade_step(soft_reboot: str | None, download_only: bool = False) -> Step:
    return _soft(("bootc", "upgrade", *(["--download-only"] if download_only else [])), soft_reboot)


def _soft(step: Sequence[str], soft_reboot: str | None) -> Step:
    return (*step, *([f"--soft-reboot={soft_reboot}"] if soft_reboot else []))


def _need_bootc_host(host: Host) -> None:
    if host.booted is None:
        raise _not_managed()
    if host.read_only:
        raise Refused(
            "This is a live system: its /sysroot is on a read-only device.",
            error="host_read_only",
            hint="Install it to a disk first; see the module bootc_install.",
        )


def _not_managed() -> NotManaged:
    return NotManaged(
        "This host is not managed by bootc: it does not run a bootable container image.",
        hint="Install a machine with bootc_install, or take this one over first.",
    )
