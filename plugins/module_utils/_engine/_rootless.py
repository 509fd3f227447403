# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine has not set up for a user who is not root, told from what an engine says."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Shortcoming:
    """:ivar error: the stable code
    :ivar hint: what to do about it
    """

    error: str
    hint: str
    pattern: re.Pattern[str]


# The words are those of Podman 4.3 and Buildah 1.28 (containers/storage, containers/image, runc), and of the kernel's errors.
# Warnings about the same do not count: much can be done without more than one user id.
_SHORTCOMINGS = (
    Shortcoming(
        error="user_namespaces_missing",
        hint="Allow user namespaces on the builder (sysctl user.max_user_namespaces, and kernel.unprivileged_userns_clone or AppArmor's"
        " restriction where there are such), or run the task as root.",
        pattern=re.compile(r"^cannot clone: |unshare\(CLONE_NEWUSER\)|user namespaces are not enabled", re.I | re.M),
    ),
    Shortcoming(
        error="subordinate_ids_missing",
        hint="Give the user ids of its own, once, as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER;"
        " then, as the user: podman system migrate. Debian needs the package uidmap for it. Or run the task as root.",
        pattern=re.compile(
            r"insufficient UIDs or GIDs|chown [^:\n]*: invalid argument|setting supplemental groups list: operation not permitted"
            r'|"new[ug]idmap": executable file not found'
        ),
    ),
    Shortcoming(
        error="engine_home_unusable",
        hint="An engine keeps a user's images in its home directory: give it one that it can write to, or set HOME or"
        " CONTAINERS_STORAGE_CONF in the task's environment.",
        pattern=re.compile(r"mkdir [^:\n]*: permission denied|cannot resolve [^:\n]*: lstat|unknown userid", re.I),
    ),
)


def shortcoming(stderr: str) -> Shortcoming | None:
    """:returns: what is missing for an ordinary user, if that is why the engine failed"""
    return next((one for one in _SHORTCOMINGS if one.pattern.search(stderr)), None)
