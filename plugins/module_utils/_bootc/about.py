# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kind of host this is, and what follows from C(bootc status): what bootc_info and bootc_facts both tell."""

from __future__ import annotations

import os
from typing import Any

from .client import Bootc, architecture
from .errors import NotManaged
from .status import Host

NO_HOST = Host(spec=None, staged=None, booted=None, rollback=None)
KINDS = ("image", "layered", "ostree", "live", "package", "container")

# The first two are where bootc itself looks (contract.md 1.0); the last is systemd's, for containers that boot.
_CONTAINER_MARKS = ("/run/.containerenv", "/.dockerenv", "/run/systemd/container")

# Package modules of Ansible by the program that each drives, in order of preference. dnf is a link to what it is.
_PACKAGE_MANAGERS = (
    ("dnf", "dnf"),
    ("microdnf", "dnf"),
    ("yum", "dnf"),
    ("apt-get", "apt"),
    ("zypper", "zypper"),
    ("pacman", "pacman"),
    ("apk", "apk"),
    ("emerge", "portage"),
    ("xbps-install", "xbps"),
)
WHY_NOT_WRITABLE = (
    "/usr is read-only: what is in the image can be asked for and is left alone; what is not belongs into the image. "
    "bootc_usr_overlay makes /usr writable until the next reboot."
)
WHY_WRITABLE = "/usr has a writable overlay: what is installed now is gone after the next reboot."


def about(bootc: Bootc) -> tuple[Host, dict[str, Any]]:
    """Look at the host; a host without bootc is one that bootc does not manage.

    :returns: its state, and the facts that both modules return
    :raises BootcError: not root, or a status that cannot be read
    """
    try:
        host, capabilities = bootc.status(), bootc.capabilities
    except NotManaged:  # no bootc at all
        host, capabilities = NO_HOST, None
    pending = host.pending
    return host, {
        "managed": host.managed,
        "kind": kind(host, is_container(), os.path.exists("/run/ostree-booted")),
        "backend": host.backend,
        "architecture": architecture(),
        "bootc_version": capabilities.text if capabilities else None,
        "capabilities": capabilities.as_dict() if capabilities else {},
        "digest": host.booted.digest if host.booted else None,
        "pending_digest": pending.digest if pending else None,
        "reboot_required": host.reboot_required,
        "soft_reboot_capable": bool(pending and pending.soft_reboot_capable),
    }


def kind(host: Host, in_container: bool = False, ostree_booted: bool = False) -> str:
    """:returns: one of C(KINDS)"""
    if host.booted is None:
        return "container" if in_container else "ostree" if ostree_booted else "package"
    if host.read_only:
        return "live"
    if host.layered:
        return "layered"
    return "image" if host.managed else "ostree"


def is_container() -> bool:
    return any(os.path.exists(mark) for mark in _CONTAINER_MARKS)


def package_manager(root: str = "/") -> str | None:
    """The package module of Ansible that fits what is in the image; C(None) if there is no package manager in it.

    ansible-core decides by C(/run/ostree-booted) for C(atomic_container), which is no module and has never been one;
    on composefs, which has no such mark, it decides as here (ansible/module_utils/facts/system/pkg_mgr.py).
    """
    for program, module in _PACKAGE_MANAGERS:
        for directory in ("usr/bin", "usr/sbin", "sbin"):
            path = os.path.join(root, directory, program)
            if os.path.exists(path):
                return "dnf5" if os.path.basename(os.path.realpath(path)) == "dnf5" else module
    return None


def packages(root: str = "/") -> dict[str, Any]:
    """:returns: the package manager of the image, whether it could install anything now, and why (not)"""
    usr = os.path.join(root, "usr")
    writable = os.path.exists(usr) and not os.statvfs(usr).f_flag & os.ST_RDONLY
    return {
        "manager": package_manager(root),
        "usr_writable": writable,
        "explanation": WHY_WRITABLE if writable else WHY_NOT_WRITABLE,
    }
