# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The session of the user that a task becomes: C(su) and C(sudo) leave variables of the one that it came from."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

# Where a user's own sockets and credentials are. With another user's, engines fail or read what is not theirs.
_BOUND = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


def own_session(environment: MutableMapping[str, str] | None = None, uid: int | None = None) -> None:
    """Let the environment be that of the user: with the user's own runtime directory where there is one, and with no other's."""
    env = os.environ if environment is None else environment
    uid = os.geteuid() if uid is None else uid
    given = env.get("XDG_RUNTIME_DIR")
    if given and _belongs(given, uid):
        return
    if given:
        for name in _BOUND:
            env.pop(name, None)
    own = f"/run/user/{uid}"
    # Without the variable Podman looks there by itself, and Buildah and Skopeo do not; for root none of them does.
    if uid != 0 and _belongs(own, uid):
        env["XDG_RUNTIME_DIR"] = own


def _belongs(directory: str, uid: int) -> bool:
    try:
        return os.stat(directory).st_uid == uid
    except OSError:
        return False
