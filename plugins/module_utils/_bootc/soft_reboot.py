# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is prepared for a soft reboot: /run/nextroot, the root that systemd goes on with.

It is one deployment, and outlives what was pending when it was mounted. libostree unmounts it when it stages or when that deployment
goes, but not when a rollback is taken back (ostree_sysroot_write_deployments). bootc never does so on composefs (1.16.9,
bootc_composefs/soft_reboot.rs). And `systemctl reboot` is a soft reboot while it is mounted (systemd 255, systemctl-logind.c).
"""

from __future__ import annotations

import os
from dataclasses import replace

from .errors import refusal
from .plan import Plan, Step, pulls
from .status import Deployment, Host

NEXT_ROOT = "/run/nextroot"

FORGET: dict[str | None, Step] = {
    "ostree": ("ostree", "admin", "prepare-soft-reboot", "--reset"),
    # As `bootc internals prep-soft-reboot --reset` does, which came with bootc 1.13.0.
    "composefs": ("umount", "--recursive", "--lazy", NEXT_ROOT),
}


def prepared() -> bool:
    """Whether a deployment is mounted for a soft reboot, whichever it is."""
    return os.path.ismount(NEXT_ROOT)


def with_next_root(host: Host, plan: Plan, wanted: str | None, mounted: bool) -> Plan:
    """The plan, and what keeps /run/nextroot the deployment that boots next.

    :param wanted: C(auto), C(required) or C(None)
    :param mounted: whether something is prepared, see L(prepared)
    :raises BootcError: C(soft_reboot_unavailable) for what is there already; of what is yet to be staged only bootc knows
    """
    steps = plan.steps
    if steps and mounted:
        steps, mounted = (FORGET[host.backend], *steps), False
    pending = plan.after.pending
    if wanted == "required" and pending and pending.identity in _identities(host) and not pending.soft_reboot_capable:
        # bootc fails too, but after it has staged, unlocked or queued it (cli.rs, handle_soft_reboot): a second run would succeed.
        raise refusal("soft_reboot_unavailable", "A soft reboot is required, and what boots next cannot be reached by one.")
    # What is yet to be staged is prepared by the command that stages it.
    by_step = pulls(plan) or any(word.startswith("--soft-reboot=") for step in steps for word in step)
    if wanted and pending and pending.soft_reboot_capable and not mounted and not by_step:
        steps = (*steps, *_prepare(plan.after, pending))
    return replace(plan, steps=steps)


def _identities(host: Host) -> tuple[str | None, ...]:
    return tuple(slot.identity for slot in (host.staged, host.rollback) if slot)


def _prepare(host: Host, pending: Deployment) -> tuple[Step, ...]:
    if host.backend == "composefs":  # since bootc 1.12.0, as is a composefs deployment that says that it can
        return (("bootc", "internals", "prep-soft-reboot", str(pending.identity)),)
    # bootc's own commands for it want a network, or bootc 1.12.0. The one that boots next is the first; beside a locked stage it is not.
    return (("ostree", "admin", "prepare-soft-reboot", "0"),) if host.staged in (None, pending) else ()
