# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""--progress-fd: one JSON object a line."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from .errors import BootcError


class Progress:
    def __init__(self, descriptor: int | None) -> None:
        if descriptor is not None and descriptor < 3:
            raise BootcError(f"Cannot use fd {descriptor} for progress JSON")
        self._descriptor = descriptor
        self._last = 0.0
        self._line({"type": "Start", "version": "0.1.0"})

    def _line(self, data: dict[str, Any]) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, (json.dumps(data, sort_keys=True, separators=(",", ":")) + "\n").encode())

    def _steps(self, task: str, description: str, digest: str, done: int, total: int, subtasks: list[tuple[str, str, str, bool]]) -> None:
        self._line(
            {
                "description": description,
                "id": digest,
                "steps": done,
                "stepsCached": 0,
                "stepsTotal": total,
                "task": task,
                "type": "ProgressSteps",
                "subtasks": [{"completed": c, "description": d, "id": i, "subtask": s} for s, d, i, c in subtasks],
            }
        )

    def pulling(self, digest: str, layers: list[tuple[str, str, int]], done: int, read: int) -> None:
        """Of the layers that have to be fetched, so many are done, and so many bytes; at most five lines a second."""
        now, total = time.monotonic(), sum(layer[2] for layer in layers)
        if now - self._last < 0.2 and read < total:
            return
        self._last = now
        self._line(
            {
                "bytes": read,
                "bytesCached": 0,
                "bytesTotal": total,
                "description": f"Pulling Image: {digest}",
                "id": digest,
                "steps": done,
                "stepsCached": 0,
                "stepsTotal": len(layers),
                "subtasks": [],
                "task": "pulling",
                "type": "ProgressBytes",
            }
        )

    def importing(self, digest: str) -> None:
        self._steps("importing", "Importing Image", digest, 0, 1, [("importing", "Importing Image", "importing", False)])

    def imported(self, digest: str) -> None:
        self._steps("importing", "Importing Image", digest, 1, 1, [("importing", "Importing Image", "importing", True)])

    def deploying(self, digest: str) -> None:
        self._steps(
            "staging",
            "Deploying Image",
            digest,
            1,
            3,
            [("merging", "Merging Image", "fetching", True), ("deploying", "Deploying Image", "deploying", False)],
        )

    def deployed(self, digest: str) -> None:
        self._steps(
            "staging",
            "Deploying Image",
            digest,
            3,
            3,
            [("merging", "Merging Image", "fetching", True), ("deploying", "Deploying Image", "deploying", True)],
        )
