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

# Go's filepath.Match: a class has members, and a bracket or a hyphen is one only with a backslash before it.
_GO_MEMBER = r"(?:\\.|[^\]\\-])"
_GO_PATTERN = re.compile(rf"(?:\\.|[^\[\\]|\[(?:\^|(?!\^))(?:{_GO_MEMBER}(?:-{_GO_MEMBER})?)+\])*", re.DOTALL)
_TOKEN = re.compile(r"\*\*/?|\\.|.", re.DOTALL)
_WILDCARDS = {"*": "[^/]*", "?": "[^/]"}
_LITERAL = ".+(){}|$"
# Go's regular expressions (RE2): what they read as a class, and what names of POSIX stand for in one.
_CLASS = re.compile(r"\\.|\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_MEMBER = re.compile(r"\[:(\w+):\]|\\.|.", re.DOTALL)
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r"\t ",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}


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
        return Rule(re.compile(_expression(text), re.DOTALL | re.ASCII), text, exception)
    except (re.error, ValueError, KeyError):
        raise IgnoreInvalid(
            f"'{name}' has the line '{line}', which is not a pattern.",
            hint="Every '[' needs its ']'. What is to mean itself has a backslash before it, and so has a backslash.",
        ) from None


def _expression(pattern: str) -> str:
    """The regular expression of a pattern, as Buildah, Podman and Docker make one of it.

    They refuse what is none for Go's C(filepath.Match), and hand the rest to Go's regular expressions character by character, so that
    C(\\d) is a digit to them, within brackets and without.

    :raises ValueError: it is no pattern
    """
    if not _GO_PATTERN.fullmatch(pattern):
        raise ValueError(pattern)
    return _CLASS.sub(_class, _TOKEN.sub(_token, pattern)) + r"\Z"


def _token(match: re.Match[str]) -> str:
    """A sign of a pattern in a regular expression of Go's."""
    text = match[0]
    if text.startswith("**"):
        return ".*" if match.end() == len(match.string) else "(?:.*/)?"
    return _WILDCARDS.get(text) or (re.escape(text) if text in _LITERAL else text)


def _class(match: re.Match[str]) -> str:
    """A class of Go's in Python's words, where a second bracket might begin a class within the class."""
    text = match[0]
    begin = 2 if text.startswith("[^") else 1
    return text if text.startswith("\\") else f"{text[:begin]}{_MEMBER.sub(_member, text[begin:-1])}]"


def _member(match: re.Match[str]) -> str:
    if match[1]:
        return _POSIX[match[1]]
    return match[0] if match[0].startswith("\\") or match[0] == "-" else re.escape(match[0])
