# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A note on this machine of an installation that was begun, for places that hold no stamp: it outlives a kill and a power cut."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DIRECTORY = Path("/var/lib/imagemode-bootc")


class Note:
    """:param name: of the file"""

    def __init__(self, name: str) -> None:
        self._path = DIRECTORY / name

    def read(self) -> dict[str, Any]:
        """:returns: what was written, C({}) if that is nothing"""
        try:
            found: dict[str, Any] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def write(self, content: Mapping[str, Any]) -> None:
        DIRECTORY.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.name}")
        with temporary.open("w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
