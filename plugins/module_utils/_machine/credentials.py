# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys for a machine by its SMBIOS strings: systemd.system-credentials(7), read by systemd 252 and newer, nothing on any disk."""

from __future__ import annotations

import base64
from collections.abc import Iterable

_NAME = "io.systemd.credential.binary:tmpfiles.extra"


def root_keys(keys: Iterable[str]) -> str:
    """:param keys: lines of root's authorized_keys
    :returns: the SMBIOS OEM string; the keys are put in place at every boot where there are none yet
    """
    lines = _encoded("".join(f"{key}\n" for key in keys))
    drop_in = f"d /root/.ssh 0700 root root -\nf~ /root/.ssh/authorized_keys 0600 root root - {lines}\n"
    return f"{_NAME}={_encoded(drop_in)}"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
