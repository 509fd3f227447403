# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel arguments: splitting a command line as the kernel does, and what is missing in it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ._errors import OptionError

# kernel-parameters(7): blanks separate, double quotes keep blanks together.
_ARGUMENT = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
# No argument's name begins so; C([console=ttyS0,115200n8]) in YAML ends so.
_CUT_OFF = re.compile(r"\d{2}[^=]*\Z")


def checked(arguments: Iterable[str]) -> tuple[str, ...]:
    """:raises OptionError: one is the rest of another, which YAML divided at its comma"""
    asked = tuple(arguments)
    for before, argument in zip(asked, asked[1:]):
        if _CUT_OFF.match(argument):
            raise OptionError(
                f"'{argument}' is no kernel argument.",
                hint=f"In a list in brackets a comma divides: if '{before},{argument}' is one argument, put it into quotes.",
            )
    return asked


def split(line: str) -> tuple[str, ...]:
    return tuple(_ARGUMENT.findall(line))


def value(name: str, line: str) -> str | None:
    """:returns: the value of the last C(NAME=VALUE), as the kernel takes it"""
    values = [word.partition("=")[2] for word in split(line) if word.startswith(f"{name}=")]
    return values[-1] if values else None


def without(deletions: Iterable[str], arguments: Iterable[str]) -> tuple[str, ...]:
    """:param deletions: C(NAME) for all of that name, or exactly C(NAME=VALUE), as bootc has them (install.rs, delete_kargs)
    :param arguments: an entry may hold several
    """
    # The kernel, and bootc with it, takes "-" and "_" in names for the same.
    gone = {_same_name(word) for word in deletions}
    words = (word for entry in arguments for word in split(entry))
    return tuple(word for word in words if not gone & {_same_name(word), _same_name(word.partition("=")[0])})


def _same_name(word: str) -> str:
    name, equals, rest = word.partition("=")
    return f"{name.replace('-', '_')}{equals}{rest}"


def missing(asked: Iterable[str], there: Iterable[str]) -> tuple[str, ...]:
    """:param asked: arguments, an entry may hold several
    :returns: those that are not there, once each, in their order
    """
    have = set(there)
    return tuple(dict.fromkeys(word for entry in asked for word in split(entry) if word not in have))
