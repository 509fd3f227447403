# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A note on this machine of an installation that was begun, for places that hold no stamp: it outlives a kill and a power cut."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._replace import replace_file

# Afterwards somebody may have finished by hand what was begun.
DAY_SECONDS = 86400.0
DIRECTORY = Path("/var/lib/imagemode-bootc")


class Note:
    """:param name: of the file"""

    def __init__(self, name: str) -> None:
        self._path = DIRECTORY / name

    def read(self, seconds: float | None = None) -> dict[str, Any]:
        """
        :param seconds: how long a note counts
        :returns: what was written, C({}) if that is nothing
        """
        try:
            found: dict[str, Any] = json.loads(self._path.read_text())
            age = time.time() - self._path.stat().st_mtime
        except (OSError, ValueError):
            return {}
        return found if seconds is None or age < seconds else {}

    def write(self, content: Mapping[str, Any]) -> None:
        DIRECTORY.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._path, json.dumps(content))

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
