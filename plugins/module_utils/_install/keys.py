# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root's SSH keys on an installed disk: a tmpfiles.d(5) drop-in in the deployment's C(/etc).

bootc's own form (1.16.9, C(osconfig.rs)): one C(f~) line with the keys in base64. The path in it is that of root's home after links:
at the first boot C(/root) leads to a directory of C(/var) that systemd-tmpfiles makes only later, by a file with a later name.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from .._errors import OptionError

DROP_IN = "tmpfiles.d/bootc-root-ssh.conf"
# Where image mode keeps root's home, for deployments that cannot be asked.
HOME = "/var/roothome"
_LINE = re.compile(r"^f\S*~\S*\s+/*(/\S+)/\.ssh/authorized_keys\s+\S+\s+\S+\s+\S+\s+\S+\s+(\S+)\s*$", re.MULTILINE)
# sshd(8), AUTHORIZED_KEYS FILE FORMAT: options, key type, key; every key begins with the length of its type.
_KEY = re.compile(r"(?:^|\s)(?:ssh-|ecdsa-|sk-)[\w@.-]+\s+AAAA[A-Za-z0-9+/]+=*(?:\s|$)")


def checked(lines: Iterable[str]) -> tuple[str, ...]:
    """:returns: the keys, one a line, without blanks around them
    :raises OptionError: a line that is not a public key
    """
    keys = tuple(dict.fromkeys(line.strip() for entry in lines for line in entry.splitlines() if line.strip()))
    for key in keys:
        if not _KEY.search(key):
            shown = key if len(key) <= 40 else f"{key[:40]}…"
            # A private key pasted by mistake must not come back in a message.
            shown = "a private key" if "PRIVATE KEY" in key else f"'{shown}'"
            raise OptionError(
                f"{shown} in 'root_ssh_authorized_keys' is not a line of an authorized_keys file.",
                hint="Give public keys, for example \"{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}\".",
            )
    return keys


def usable(text: str) -> tuple[str, ...]:
    """:param text: an authorized_keys file, in which sshd overlooks what it cannot read
    :returns: its keys that let somebody in: none that only runs a command, as clouds write it for root ("Please login as…")
    """
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if not line.startswith("#") and _KEY.search(line) and not _runs_command(line))


def _runs_command(line: str) -> bool:
    # Options are the first field, which has blanks and commas in quotes only.
    options = re.sub(r'"(?:\\.|[^"\\])*"', '""', line).split(maxsplit=1)[0]
    return any(option.lower().startswith("command=") for option in options.split(","))


def file_text(keys: Iterable[str]) -> str:
    """:returns: the authorized_keys file"""
    return "".join(f"{key}\n" for key in keys)


def drop_in(keys: Iterable[str], home: str) -> str:
    """:param home: root's, without links on the way
    :returns: the drop-in that brings the keys to the booted machine
    """
    encoded = base64.b64encode(file_text(keys).encode()).decode()
    # A link's target is not there yet at the first boot; parents that no line names would be 0755.
    made = [*([] if home == "/root" else [home]), f"{home}/.ssh"]
    directories = "".join(f"d {directory} 0700 root root -\n" for directory in made)
    return f"{directories}f~ {home}/.ssh/authorized_keys 600 root root - {encoded}\n"


def home_in(text: str) -> str | None:
    """:returns: root's home, as a drop-in has it"""
    match = _LINE.search(text)
    return match.group(1) if match else None


def from_drop_in(text: str) -> tuple[str, ...]:
    """:returns: the keys in a drop-in; none if it is not one of ours or bootc's"""
    match = _LINE.search(text)
    if not match:
        return ()
    try:
        content = base64.b64decode(match.group(2), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ()
    return tuple(line.strip() for line in content.splitlines() if line.strip())
