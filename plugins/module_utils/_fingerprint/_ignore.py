# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files of a context an engine sees: C(.containerignore) and C(.dockerignore).

The rules are those that Docker documents for C(.dockerignore) and that Buildah follows: Go's C(filepath.Match),
C(**) for any number of directories, C(!) for exceptions, and the last matching line decides.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from .._errors import ImageModeError


class IgnoreInvalid(ImageModeError):
    """A line of an ignore file that is not a pattern."""

    error = "ignore_file_invalid"


@dataclass(frozen=True)
class Rule:
    """One line: a path that matches, or that lies below one that does, is left out, or is taken in again."""

    pattern: re.Pattern[str]
    text: str
    exception: bool


class Rules:
    """The lines of an ignore file.

    :raises IgnoreInvalid: a line is not a pattern
    """

    def __init__(self, text: str = "", name: str = ".containerignore") -> None:
        self.text = text
        self.rules = tuple(rule for line in text.lstrip("\ufeff").splitlines() if (rule := _rule(line, name)))

    def __bool__(self) -> bool:
        return bool(self.rules)

    def ignored(self, path: str, parent_matches: tuple[bool, ...] = ()) -> tuple[bool, tuple[bool, ...]]:
        """:param path: relative to the context, with C(/)
        :param parent_matches: what this returned for the directory that the path is in
        :returns: whether the path is left out, and which rules matched it or a directory above it
        """
        matches = []
        out = False
        for index, rule in enumerate(self.rules):
            matched = bool(parent_matches and parent_matches[index]) or bool(rule.pattern.match(path))
            matches.append(matched)
            if matched:
                out = not rule.exception
        return out, tuple(matches)

    def leaves_out(self, path: str) -> bool:
        """:returns: whether the path, or a directory above it, is left out"""
        out = False
        matches: tuple[bool, ...] = ()
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            out, matches = self.ignored("/".join(parts[:end]), matches)
        return out

    @property
    def has_exceptions(self) -> bool:
        """Whether something below an ignored directory can be taken in again."""
        return any(rule.exception for rule in self.rules)


def ignore_file(context: Path, containerfile: Path | None) -> Path | None:
    """:returns: the ignore file that counts: one named after the Containerfile, else the context's own"""
    places = []
    if containerfile is not None:
        places += [containerfile.with_name(containerfile.name + suffix) for suffix in (".containerignore", ".dockerignore")]
    places += [context / ".containerignore", context / ".dockerignore"]
    return next((place for place in places if place.is_file()), None)


def _rule(line: str, name: str) -> Rule | None:
    if line.startswith("#"):
        return None
    text = line.strip()
    exception = text.startswith("!")
    text = text[1:].strip() if exception else text
    if not text:
        if exception:
            raise IgnoreInvalid(f"'{name}' has a line with nothing but '!'.", hint="Write a pattern after the '!'.")
        return None
    text = posixpath.normpath(text).lstrip("/")
    if text in (".", ""):
        return None  # the context itself cannot be left out
    try:
        return Rule(re.compile(_expression(text), re.DOTALL), text, exception)
    except (re.error, IndexError):
        raise IgnoreInvalid(f"'{name}' has the line '{line}', which is not a pattern.") from None


def _expression(pattern: str) -> str:
    """The regular expression of a pattern."""
    words: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if pattern.startswith("**", at):
            at += 2
            while pattern.startswith("*", at):
                at += 1
            if at == len(pattern):
                words.append(".*")
            else:
                at += pattern.startswith("/", at)
                words.append("(?:.*/)?")
            continue
        if character == "*":
            words.append("[^/]*")
        elif character == "?":
            words.append("[^/]")
        elif character == "\\":
            at += 1
            words.append(re.escape(pattern[at]))
        elif character == "[":
            end = pattern.index("]", at + 2) if "]" in pattern[at + 2 :] else -1
            if end < 0:
                raise IndexError(pattern)
            inside = pattern[at + 1 : end]
            negated = inside.startswith("^")
            inside = inside[1:] if negated else inside
            words.append(f"[{'^/' if negated else ''}{inside.replace('[', chr(92) + '[')}]")
            at = end
        else:
            words.append(re.escape(character))
        at += 1
    return "".join(words) + r"\Z"
