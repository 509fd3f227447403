# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An answer that all hosts of a run share: each host's task is worked on by a process of its own."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible import constants
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import is_digest


def once(question: list[Any], ask: Callable[[], str]) -> str:
    """:param question: what tells one question from another; no secret
    :param ask: finds the digest; called by the first who needs it, while the others wait
    :returns: the digest, kept in the run's own temporary directory
    """
    key = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    with (Path(constants.DEFAULT_LOCAL_TMP) / f"imagemode-digest-{key}").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = file.read()
        if not is_digest(known):
            known = ask()
            file.truncate(0)
            file.write(known)
        return known
