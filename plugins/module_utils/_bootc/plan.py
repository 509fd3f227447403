# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wanted of a host, what a registry has for it, and the plan that is made of both; `planner` makes it."""

from __future__ import annotations

from dataclasses import dataclass

from .status import Deployment, Host, Source

Step = tuple[str, ...]

CANCEL_ROLLBACK: Step = ("bootc", "rollback")
QUEUE_ROLLBACK: Step = ("bootc", "rollback")
ENFORCE = "--enforce-container-sigpolicy"
UNLOCK: Step = ("bootc", "upgrade", "--from-downloaded")
# What is staged is the first deployment. On ostree only.
UNDEPLOY: Step = ("ostree", "admin", "undeploy", "0")

_DROPPING = "Dropping what is staged on the composefs backend"
_REBOOT_FIRST = "reboot into what is staged first"


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


def pulls(plan: Plan) -> bool:
    """Whether the plan fetches an image, which takes as long as the network does. It is the last step of such a plan."""
    return any(step[:2] in (("bootc", "switch"), ("bootc", "upgrade")) and step[:3] != UNLOCK for step in plan.steps)


def needs_of_composefs(host: Host, plan: Plan) -> tuple[str, str, str] | None:
    """What a plan asks of the composefs backend that came there later than the command.

    :returns: capability, what is asked, and what can be done without
    """
    if host.backend != "composefs":
        return None
    words = [word for step in plan.steps for word in step]
    if "--download-only" in words or "--from-downloaded" in words:
        return "composefs_download_only", "Downloading now and applying later on the composefs backend", "leave the option out"
    if any(word.startswith("--soft-reboot=") for word in words):
        return "composefs_soft_reboot", "Preparing a soft reboot on the composefs backend (soft_reboot)", "leave the option out"
    if host.staged and host.booted and pulls(plan) and plan.after.spec == host.booted.source != host.staged.source:
        return "composefs_switch_back", "Switching back to the booted image's name, on the composefs backend", _REBOOT_FIRST
    if "delete-deployment" in words:
        return "delete_deployment", _DROPPING, _REBOOT_FIRST
    if QUEUE_ROLLBACK not in plan.steps:
        return None
    if host.staged:
        return "composefs_rollback_staged", _DROPPING, _REBOOT_FIRST
    if host.rollback_queued:
        return "composefs_rollback_cancel", "Taking a rollback back on the composefs backend", "reboot, and roll back again from there"
    return None


def footprint(host: Host) -> tuple[object, ...]:
    """What a change of the host is measured by: each slot's source, digest and lock, and the boot order."""
    slots = tuple((slot.source, slot.digest, slot.download_only) if slot else None for slot in (host.booted, host.staged, host.rollback))
    return (*slots, host.rollback_queued)
