# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planner: what to run on a host so that it becomes what was asked. Pure: data in, data out.

A plan is made from the state of the host, what is wanted, and what the registry holds. Where the
registry decides and was not asked yet, the plan says so in I(ask) and is made again with the answer.
So check mode and the real run walk the same road, and no verb of bootc is run to find out
(`bootc upgrade --check` can stage an update on composefs: recording composefs, check-after-dlonly-reboot).
"""

from __future__ import annotations

from dataclasses import replace

from .._reference import Reference, without_tag
from .errors import INSTALL_FIRST, DigestMismatch, NotManaged, Refused, Unsupported
from .moves import converge, drop_stage, go_back, keep, need_image, settle_lock, settled, soft, thrown_away, upgrade_step
from .plan import CANCEL_ROLLBACK, ENFORCE, Follow, GoBack, Plan, Remote, Step, Update, pulls
from .sameness import pinned, policy, same_source, satisfied
from .status import Host, Source

NOT_RECORDED = (
    "The composefs backend does not record that the image is to be verified: policy.json holds for every pull, but bootc does not insist "
    "on one that verifies."
)


def plan_switch(host: Host, want: Follow, remote: Remote | None = None) -> Plan:
    """Plan a switch.

    :raises ImageModeError: NotManaged, Refused, Unsupported or DigestMismatch
    """
    if want.source.transport == "registry":
        want = replace(want, source=replace(want.source, image=without_tag(want.source.image)))
    return _telling(_switch(host, want, remote), want.digest or pinned(want.source), remote)


def _switch(host: Host, want: Follow, remote: Remote | None) -> Plan:
    _need_bootc_host(host)
    digest, source = want.digest or pinned(want.source), want.source
    if host.backend == "composefs":  # which writes `ostree-unverified-image:` whatever was asked (bootc_composefs/state.rs of 1.16.9)
        source = replace(source, signature=None)
    if host.spec and same_source(host.spec, source):
        if digest is None:
            return keep(host, "the host follows this image already")
        present = _present(host, digest, remote, Update(soft_reboot=want.soft_reboot))
        if present:
            return present
        if remote is None:
            return _ask(host, source)
        # An upgrade keeps the name as the host spells it.
        return converge(host, host.spec, _checked(remote, digest, source), upgrade_step(want.soft_reboot))
    if remote is None:
        return _ask(host, source)
    if digest:
        _checked(remote, digest, source)
    plan = converge(host, source, remote, _switch_step(want), new_source=True)
    if pulls(plan) and source != want.source:
        return replace(plan, warnings=(*plan.warnings, NOT_RECORDED))
    if plan.steps and host.spec and policy(host.spec) and not policy(source):
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
        if not same_source(host.spec, source):
            return _change_tag(host, want, source, remote)
    if want.digest:
        present = _present(host, want.digest, remote, want)
        if present:
            return present
    else:
        fixed = pinned(host.spec)
        if fixed:
            return Plan(f"the host follows the digest {fixed}, which cannot change", host)
    if remote is None:
        return _ask(host, host.spec)
    if want.digest:
        _checked(remote, want.digest, host.spec)
    if host.staged and remote.is_in(host.staged):
        return settle_lock(host, host.staged, want)
    step = upgrade_step(want.soft_reboot, want.download_only)
    return converge(host, host.spec, remote, step, locked=want.download_only, cancel_rollback=want.digest is not None)


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
    return converge(host, source, remote, step, locked=True)


def _apply_downloaded(host: Host, want: Update) -> Plan:
    if host.staged is None:
        if want.digest and satisfied(host.booted, want.digest):
            return keep(host, "the host runs this digest already")
        if want.digest:
            raise Refused(
                f"Nothing is staged on this host, and it does not run {want.digest}.",
                error="no_staged_deployment",
                hint="Download again with 'download_only: true': a stage is lost when a host crashes.",
            )
        # bootc fails here (recording from-downloaded-none); a second run of a playbook has nothing to do.
        return Plan("nothing is downloaded and waiting", host)
    if want.digest and not satisfied(host.staged, want.digest):
        raise DigestMismatch(
            f"The staged deployment is {host.staged.digest}, not {want.digest}.",
            hint="Download that image first with 'download_only: true'.",
        )
    return settle_lock(host, host.staged, want)


def plan_rollback(host: Host, want: GoBack) -> Plan:
    """Plan a rollback. `bootc rollback` toggles and throws a staged deployment away; this does not toggle.

    :raises ImageModeError: NotManaged, Refused, Unsupported
    """
    _need_bootc_host(host)
    if not want.queued:
        if host.going_back:
            need_image(host.rollback)
            return Plan("the queued rollback is cancelled", settled(host), (CANCEL_ROLLBACK,), thrown_away(host))
        return Plan("no rollback is queued", host)
    booted, target = host.booted, host.rollback
    if booted and want.away_from and not satisfied(booted, want.away_from):
        known = any(satisfied(slot, want.away_from) for slot in (host.staged, target, *host.other))
        index = f"No deployment of this host is {want.away_from}; if that is the digest of an index, name the one for the host's platform."
        return Plan(f"the host does not run {want.away_from}", host, warnings=() if known else (index,))
    if booted and want.digest and satisfied(booted, want.digest):
        return keep(host, f"the host runs {want.digest} already")
    if target is None:
        raise Refused(
            "There is no rollback deployment on this host to go back to.",
            error="no_rollback_deployment",
            hint="Use bootc_switch with the image that you want, or bootc_upgrade with its digest.",
        )
    if not host.going_back:
        need_image(target)
    if want.digest and not satisfied(target, want.digest):
        raise Refused(
            f"The rollback deployment is {target.digest}, not {want.digest}.",
            error="digest_mismatch",
            hint="Use bootc_switch to go to an image that is neither booted nor the rollback deployment.",
        )
    if want.away_from and satisfied(target, want.away_from):
        raise Refused(
            f"The rollback deployment is {want.away_from}, too: going back to it would not leave that image.",
            error="no_rollback_deployment",
            hint="Use bootc_switch with the image that you want, or bootc_upgrade with its digest.",
        )
    return go_back(host, "the next boot goes to the rollback deployment", want.soft_reboot)


def _present(host: Host, digest: str, remote: Remote | None, want: Update) -> Plan | None:
    """The plan if the image with this digest is staged or booted already; the registry is not needed then."""
    if host.staged and satisfied(host.staged, digest, remote):
        return settle_lock(host, host.staged, want)
    if not satisfied(host.booted, digest, remote):
        return None
    if host.staged:
        return drop_stage(host, "the image with this digest is booted: the staged one is dropped")
    return keep(host, "the host runs this digest already")


def _telling(plan: Plan, digest: str | None, remote: Remote | None) -> Plan:
    """Whoever insists on a digest hears that the host has the image under another one."""
    deployment = plan.after.staged or plan.after.pending or plan.after.booted
    if not (digest and remote and deployment and deployment.digest in remote.same) or satisfied(deployment, digest):
        return plan
    told = (
        f"The host has {deployment.digest}, not {digest}: the registry holds the same image under both, and bootc does not replace one "
        "by the other."
    )
    return replace(plan, warnings=(*plan.warnings, told))


def _ask(host: Host, source: Source) -> Plan:
    return Plan("the registry has to be asked", host, ask=source)


def _checked(remote: Remote, digest: str, source: Source) -> Remote:
    if not remote.is_digest(digest):
        pinned_image = without_tag(f"{source.image.partition('@')[0]}@{digest}")
        raise DigestMismatch(
            f"'{source.image}' is {remote.digest} in the registry, not {digest}.",
            hint="The tag was moved, or the digest is another image's. Resolve the tag again"
            + (f", or use bootc_switch with 'image: {pinned_image}'." if source.transport == "registry" else "."),
            registry_digest=remote.digest,
        )
    return remote


def _retagged(source: Source, tag: str) -> Source:
    if source.transport not in ("registry", "containers-storage"):  # as bootc does it itself (spec.rs, with_tag)
        raise Refused(
            f"The host follows '{source.transport}:{source.image}', which has no tags.", hint="Use bootc_switch to follow another image."
        )
    return replace(source, image=str(Reference.parse(source.image).with_tag(tag)))


def _switch_step(want: Follow) -> Step:
    step: list[str] = ["bootc", "switch"]
    if want.source.transport != "registry":
        step += ["--transport", want.source.transport]
    if want.source.signature == "containerPolicy":
        step.append(ENFORCE)
    if want.retain:
        step.append("--retain")
    return (*soft(step, want.soft_reboot), "--", want.source.image)


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
        hint=INSTALL_FIRST,
    )
