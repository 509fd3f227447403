# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a program said at its end: the one line of it that tells why."""

from __future__ import annotations

import json
import re

# logrus, of a program that writes to no terminal; it quotes what has blanks in it as Go does, which is JSON but for odd characters.
_LOGRUS = re.compile(r'^time="[^"]*" level=\w+ msg=(.*)$')
# Docker's client, after an error in its arguments.
_HELP = re.compile(r"^See '.* --help'\.?$")


def last_line(text: str, rc: int) -> str:
    """:returns: the last line that says something, or the return code"""
    lines = [line for line in text.splitlines() if line.strip() and not _HELP.match(line.strip())]
    if not lines:
        return f"return code {rc}"
    wrapped = _LOGRUS.match(lines[-1])
    if not wrapped:
        return lines[-1]
    try:
        return str(json.loads(wrapped[1]))
    except ValueError:
        return wrapped[1]
