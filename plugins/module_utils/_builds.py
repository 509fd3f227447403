# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One build, or one for each of several platforms, as one thing with one result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ._build import Build, Decision
from ._engine import Engine, local_name
from ._fingerprint import lock
from ._reference import Reference
from ._registry import RegistryOptions


class Builds:
    """What a task asks for.

    :ivar caches: where layers come from and go to
    :raises OptionError: see C(Build.of)
    """

    def __init__(self, params: Mapping[str, Any], context: Path) -> None:
        self.name = local_name(params["name"])
        self._builds = Build.each(params, context)
        self.caches = tuple(Reference.parse(text) for text in (*params["cache_from"], *params["cache_to"]))
        self._several = bool(params["platforms"])
        self._decisions: tuple[Decision, ...] = ()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Two builds of one image at the same time take turns; the second finds the work done."""
        with lock(f"build {self.name}"):
            yield

    def decide(self, engine: Engine, options: RegistryOptions) -> bool:
        """:returns: whether there is something to do"""
        self._decisions = tuple(build.decide(engine, options) for build in self._builds)
        return any(decision.changes(decision.final_id) for decision in self._decisions)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user may not have meant, after the decision."""
        found = [
            f"{decision.unasked} Whether it has the image is not known, so it is built." for decision in self._decisions if decision.unasked
        ]
        if self._builds[0].carries_history:
            found.append(
                f"The context '{self._builds[0].context}' has a '.git' in it, which differs after each clone and fetch, so that every"
                " one is a reason to build. Write '.git' into '.containerignore'."
            )
        return tuple(dict.fromkeys(found))

    def carry_out(self, engine: Engine, options: RegistryOptions) -> Iterator[tuple[bool, dict[str, Any]]]:
        """Do what was decided; after each name, whether something changed until then, and all that is known."""
        done: list[dict[str, Any]] = []
        changed = False
        for build, decision in zip(self._builds, self._decisions):
            done.append({})
            for name, done[-1] in build.carry_out(decision, engine, options):
                changed = changed or decision.names[name] != done[-1]["image_id"]
                yield changed, self.result(done)

    def result(self, done: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        """:param done: what came of the first builds"""
        results = [decision.as_result(decision.final_id) for decision in self._decisions]
        for number, more in enumerate(done or ()):
            results[number] = {**self._decisions[number].as_result(more["image_id"]), **more}
        if not self._several:
            return results[0]
        platforms = [str(build.platform) for build in self._builds]
        main = next(result for result, build in zip(results, self._builds) if str(self.name) in build.params["tags"])
        diffs = {platform: result.pop("diff") for platform, result in zip(platforms, results)}
        return {
            **main,
            "name": str(self.name),
            "reasons": [f"{platform}: {why}" for platform, result in zip(platforms, results) for why in result["reasons"]],
            "fingerprint": f"sha256:{hashlib.sha256(' '.join(result['fingerprint'] for result in results).encode()).hexdigest()}",
            "reused": all(result["reused"] for result in results),
            "tagged": [name for result in results for name in result["tagged"]],
            "platforms": dict(zip(platforms, results)),
            "diff": {side: {platform: diff[side] for platform, diff in diffs.items()} for side in ("before", "after")},
        }
