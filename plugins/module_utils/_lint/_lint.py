# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lints and what they found, in one shape whoever looked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .._bootc.version import Version, parse_version
from .._engine import Container, EngineFailed, LocalImage
from .._errors import ImageModeError
from ._checks import CHECKS, PROBE, Facts, read

# contract.md 1.8: lints have names since bootc 1.1.5, and can be skipped since 1.1.6; long lists are cut off until told not
# to since 1.3.0.
_SINCE: Version = (1, 1, 6)
_NO_TRUNCATE_SINCE: Version = (1, 3, 0)
_FOUND = re.compile(r"^(Failed lint|Lint warning): ([A-Za-z0-9_-]+): ?(.*)$")
_COUNT = re.compile(r"^(?:Checks passed|Checks skipped|Warnings): \d+$")
_PASSED = re.compile(r"^Checks passed: (\d+)$", re.MULTILINE)
FATAL, WARNING = "fatal", "warning"


class LintFailed(ImageModeError):
    """The image is not fit to be booted."""

    error = "lint_failed"


@dataclass(frozen=True)
class Finding:
    """What a lint found.

    :ivar level: C(fatal) or C(warning)
    """

    name: str
    level: str
    message: str


@dataclass(frozen=True)
class Report:
    """:ivar linter: who looked: C(bootc) or C(imagemode.bootc)
    :ivar bootc_version: of the image; C(None) if there is no bootc in it
    :ivar passed: how many lints found nothing; C(None) if bootc did not say
    :ivar fatal_warnings: whether a warning is a reason to refuse the image
    :ivar failed: whether the image is to be refused
    """

    linter: str
    bootc_version: str | None
    findings: tuple[Finding, ...]
    passed: int | None
    fatal_warnings: bool
    failed: bool

    def as_result(self) -> dict[str, Any]:
        return {
            "linter": self.linter,
            "bootc_version": self.bootc_version,
            "lints": [
                {"name": one.name, "level": one.level, "message": one.message, "passed": one.level == WARNING and not self.fatal_warnings}
                for one in self.findings
            ],
            "lints_passed": self.passed,
        }


def lint(box: Container, image: LocalImage, skip: Sequence[str], fatal_warnings: bool, timeout: float) -> Report:
    """:param skip: names of lints to leave out
    :param fatal_warnings: whether a warning makes the image fail
    :param timeout: seconds
    :raises ImageModeError: C(bootc_failed), bootc's lint ended in a way that is no verdict
    """
    asked = box.run(["/bin/sh", "-c", "command -v bootc >/dev/null 2>&1 && bootc --version"], timeout=timeout)
    try:
        version: Version | None = parse_version(asked.stdout)
    except ImageModeError:
        version = None
    text = ".".join(map(str, version)) if version else None
    if version and version >= _SINCE:
        return _bootc(box, version, text, skip, fatal_warnings, timeout)
    done = box.run(["/bin/sh", "-c", PROBE], timeout=timeout)
    facts = read(done.stdout)
    if "end" not in facts:
        raise EngineFailed("The image could not be looked into.", hint="It needs /bin/sh.", rc=done.rc, stderr=done.last_words)
    return own_checks(facts, image, text, skip, fatal_warnings)


def _bootc(box: Container, version: Version, text: str | None, skip: Sequence[str], fatal_warnings: bool, timeout: float) -> Report:
    argv = ["bootc", "container", "lint", *(["--fatal-warnings"] if fatal_warnings else [])]
    argv += [word for name in skip for word in ("--skip", name)]
    argv += ["--no-truncate"] if version >= _NO_TRUNCATE_SINCE else []
    done = box.run(argv, timeout=timeout)
    findings, passed = parse_lint(done.stdout)
    if done.rc != 0 and not findings:
        raise ImageModeError(
            f"'{' '.join(argv)}' in the image failed with return code {done.rc}: {(done.last_words.splitlines() or [''])[-1]}",
            error="bootc_failed",
            hint="Check the names in 'skip'; 'bootc container lint --list' in the image tells which there are.",
            rc=done.rc,
            stderr=done.last_words,
        )
    return Report("bootc", text, findings, passed, fatal_warnings, done.rc != 0)


def parse_lint(stdout: str) -> tuple[tuple[Finding, ...], int | None]:
    """Read what C(bootc container lint) printed (contract.md 1.8). The verdict is its return code, not this text.

    :returns: the findings, and how many checks passed
    """
    findings: list[Finding] = []
    within = False
    for line in stdout.splitlines():
        start = _FOUND.match(line)
        if start:
            findings.append(Finding(start[2], FATAL if start[1] == "Failed lint" else WARNING, start[3]))
            within = True
        elif _COUNT.match(line):
            within = False
        elif within and line.strip():
            # A message may go on, as a list of paths.
            last = findings[-1]
            findings[-1] = Finding(last.name, last.level, f"{last.message}\n{line}".strip())
    counted = _PASSED.search(stdout)
    return tuple(findings), int(counted[1]) if counted else None


def own_checks(facts: Facts, image: LocalImage, bootc_version: str | None, skip: Sequence[str], fatal_warnings: bool) -> Report:
    """What a bootable image must contain (contract.md 5.4), for a base that is older than the lint."""
    findings, passed = [], 0
    for name, (level, check) in CHECKS.items():
        if name in skip:
            continue
        message = check(facts, image.labels)
        if message is None:
            passed += 1
        else:
            findings.append(Finding(name, level, message))
    failed = any(one.level == FATAL or fatal_warnings for one in findings)
    return Report("imagemode.bootc", bootc_version, tuple(findings), passed, fatal_warnings, failed)
