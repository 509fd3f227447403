# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The vocabulary of the tests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._errors import OptionError

PRESENCE = ("present", "absent")

# Kind → the options that go with it. A test is of the first kind that it names: `group` belongs to a file or a user, too.
_KINDS: Mapping[str, tuple[str, ...]] = {
    "command": ("rc", "stdout", "stderr", "timeout"),
    "file": ("state", "mode", "owner", "group", "content", "target"),
    "package": ("state", "version"),
    "service": ("state",),
    "port": ("protocol", "start", "timeout"),
    "user": ("state", "uid", "group", "groups", "home", "shell"),
    "group": ("state", "gid"),
    "kernel": ("version",),
    "label": ("state", "value"),
    "env": ("state", "value"),
}
_STATES: Mapping[str, tuple[str, ...]] = {
    "file": ("present", "file", "directory", "link", "absent"),
    "service": ("enabled", "disabled", "masked", "static", "absent"),
}
_PATTERNS = ("stdout", "stderr", "content", "version", "value")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

TEST_ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str"},
    "command": {"type": "str"},
    "rc": {"type": "int"},
    "stdout": {"type": "str"},
    "stderr": {"type": "str"},
    "timeout": {"type": "int"},
    "file": {"type": "str"},
    "state": {"type": "str"},
    "mode": {"type": "raw"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "content": {"type": "str"},
    "target": {"type": "str"},
    "package": {"type": "str"},
    "version": {"type": "str"},
    "service": {"type": "str"},
    "port": {"type": "int"},
    "protocol": {"type": "str", "choices": ["tcp", "udp"]},
    "start": {"type": "str"},
    "user": {"type": "str"},
    "uid": {"type": "int"},
    "groups": {"type": "list", "elements": "str"},
    "home": {"type": "str"},
    "shell": {"type": "str"},
    "gid": {"type": "int"},
    "kernel": {"type": "bool"},
    "label": {"type": "str"},
    "env": {"type": "str"},
    "value": {"type": "str"},
}


@dataclass(frozen=True)
class Test:
    """One thing that must hold for the image.

    :ivar kind: what is looked at, one of the keys of the vocabulary
    :ivar subject: which one: a command line, a path, a name
    :ivar expected: option → value, only those that were given
    """

    name: str
    kind: str
    subject: str
    expected: Mapping[str, Any]

    @property
    def state(self) -> str:
        return str(self.expected.get("state") or ("enabled" if self.kind == "service" else "present"))

    def as_key(self) -> list[Any]:
        """:returns: all that decides the outcome, for the memory of what passed"""
        return [self.kind, self.subject, sorted(self.expected.items())]


def parse_tests(given: Sequence[Mapping[str, Any]]) -> tuple[Test, ...]:
    """:param given: dictionaries as C(TEST_ARGUMENTS) has them, C(None) for what is unset
    :raises OptionError: an option is missing, unknown to the kind, or cannot be used
    """
    return tuple(
        _parse({name: value for name, value in test.items() if value is not None and value is not False}, number)
        for number, test in enumerate(given, 1)
    )


def _parse(given: Mapping[str, Any], number: int) -> Test:
    kind = next((kind for kind in _KINDS if kind in given), None)
    if kind is None:
        named = f" ('{given['name']}')" if "name" in given else ""
        raise OptionError(f"Test {number}{named} does not say what it tests.", hint=f"Give it one of {', '.join(_KINDS)}.")
    subject = str(given[kind])
    test = Test(
        str(given.get("name") or (kind if kind == "kernel" else f"{kind} {subject}")),
        kind,
        subject,
        {option: value for option, value in given.items() if option not in ("name", kind)},
    )
    strange = [option for option in test.expected if option not in _KINDS[kind]]
    if strange:
        raise _invalid(test, f"'{strange[0]}' does not go with '{kind}'", f"With '{kind}' go {', '.join(_KINDS[kind])}.")
    states = _STATES.get(kind, PRESENCE)
    if test.state not in states:
        raise _invalid(test, f"there is no state '{test.state}' of a {kind}", f"It is one of {', '.join(states)}.")
    if test.state == "absent" and len(test.expected) > 1:
        raise _invalid(test, "what is absent has nothing else to be looked at", "Leave the other options out.")
    _check_values(test)
    return test


def _check_values(test: Test) -> None:
    for option in _PATTERNS:
        try:
            re.compile(test.expected.get(option, ""))
        except re.error as error:
            raise _invalid(test, f"'{option}' is no regular expression: {error}", "Escape what is meant literally.") from None
    if "mode" in test.expected:
        try:
            mode(test.expected["mode"])
        except ValueError:
            raise _invalid(test, f"'{test.expected['mode']}' is no mode", 'Write it in octal and quoted, for example "0644".') from None
    if test.kind == "file" and not test.subject.startswith("/"):
        raise _invalid(test, f"'{test.subject}' is no absolute path", "Begin it with '/'.")
    if test.kind == "port" and not 0 < int(test.subject) < 65536:
        raise _invalid(test, f"'{test.subject}' is no port", "A port is between 1 and 65535.")
    if test.kind == "env" and not _VARIABLE.fullmatch(test.subject):
        raise _invalid(test, f"'{test.subject}' is no name of a variable", "Use letters, digits and '_'.")


def mode(value: Any) -> int:
    """:param value: octal digits, or the number that YAML makes of C(0644) without quotes
    :raises ValueError: it is neither
    """
    return value if isinstance(value, int) else int(str(value), 8)


def _invalid(test: Test, what: str, hint: str) -> OptionError:
    return OptionError(f"The test '{test.name}' cannot be run: {what}.", hint=hint, test=test.name)
