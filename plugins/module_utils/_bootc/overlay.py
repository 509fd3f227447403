# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The overlay on /usr: whether there is one, and what it takes to have it or to be rid of it. Nothing takes it away but a reboot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import NotManaged, Refused
from .plan import Step
from .status import Host

READ_WRITE, READ_ONLY = "readWrite", "readOnly"


@dataclass(frozen=True)
class OverlayPlan:
    """:ivar after: access mode of the overlay afterwards; C(None) without one
    :ivar reboot_required: what was asked for needs a reboot
    """

    reason: str
    after: str | None
    steps: tuple[Step, ...] = ()
    reboot_required: bool = False


def plan_overlay(host: Host, mounted: str | None, *, present: bool, read_only: bool = False) -> OverlayPlan:
    """Plan an overlay. `bootc usr-overlay` fails the second time on ostree and says nothing of it on composefs (verified.md).

    :param mounted: access mode of the overlay that is there, as L(mounted_overlay) or the status tells
    :raises ImageModeError: NotManaged or Refused
    """
    if host.booted is None or (host.booted.image is None and not host.layered):
        raise NotManaged(
            "This host is not managed by bootc: it does not run a bootable container image.",
            hint="Where /usr is an ordinary directory, there is nothing to be done to write to it.",
        )
    wanted = READ_ONLY if read_only else READ_WRITE
    if not present:
        if mounted is None:
            return OverlayPlan("there is no overlay on /usr", None)
        if host.usr_overlay_persistent:
            raise Refused(
                "The overlay on /usr is a hotfix ('ostree admin unlock --hotfix'): it stays over reboots.",
                hint="Boot another deployment, for example with bootc_upgrade or bootc_switch, to be rid of it.",
            )
        return OverlayPlan("the overlay on /usr goes with the next reboot, and not before", mounted, reboot_required=True)
    if mounted == wanted:
        return OverlayPlan("the overlay is mounted already", mounted)
    if mounted is not None:
        raise Refused(
            f"There is an overlay on /usr with access mode '{mounted}'; bootc cannot make it '{wanted}'.",
            hint="Reboot to be rid of it (bootc_reboot with 'force: true'), then ask again.",
        )
    return OverlayPlan(
        "an overlay is mounted on /usr until the next reboot", wanted, (("bootc", "usr-overlay", *(["--read-only"] if read_only else [])),)
    )


def mounted_overlay(mountinfo: str | None = None) -> str | None:
    """What is mounted on /usr, for a bootc before 1.14.0, whose status does not tell.

    :param mountinfo: text in the place of /proc/1/mountinfo
    :returns: access mode, or C(None) without an overlay
    """
    text = Path("/proc/1/mountinfo").read_text(errors="replace") if mountinfo is None else mountinfo
    mode = None
    for line in text.splitlines():
        first, _separator, second = line.partition(" - ")
        words = first.split(" ")
        if words[4] == "/usr":
            overlay = second.startswith("overlay ")
            mode = (READ_ONLY if "ro" in words[5].split(",") else READ_WRITE) if overlay else None
    return mode
