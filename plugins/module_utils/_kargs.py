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
# No argument's name begins so; C([console=ttyS0,115200n8]) and C([isolcpus=domain,1-3]) in YAML end so.
_CUT_OFF = re.compile(r"(?:\d{2}|\d-\d)[^=]*\Z")
# One digit is a runlevel, but not behind one of these, which take lists of processors (kernel-parameters.txt, "cpulist").
_PROCESSORS = re.compile(r"(?:isolcpus|nohz_full|rcu_nocbs|irqaffinity|kthread_cpus)=")


def checked(arguments: Iterable[str]) -> tuple[str, ...]:
    """:raises OptionError: one is the rest of another, which YAML divided at its comma"""
    asked = tuple(arguments)
    for before, argument in zip(asked, asked[1:]):
        if _CUT_OFF.match(argument) or (_PROCESSORS.match(meaning(before)) and argument.isdigit()):
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
    gone = {meaning(word) for word in deletions}
    words = (word for entry in arguments for word in split(entry))
    return tuple(word for word in words if not gone & {meaning(word), meaning(word.partition("=")[0])})


def meaning(word: str) -> str:
    """What tells one argument from another: in names "-" and "_" are the same, and quotes only keep blanks together.

    So it is for the kernel, and for bootc, which does not add an argument that is there in other words (kernel_cmdline/src/bytes.rs).
    """
    name, equals, value = word.removeprefix('"').removesuffix('"').partition("=")
    return f"{name.replace('-', '_')}{equals}" + value.removeprefix('"')


def missing(asked: Iterable[str], there: Iterable[str]) -> tuple[str, ...]:
    """:param asked: arguments, an entry may hold several
    :returns: those that are not there, be it in other words, once each, in their order
    """
    have = {meaning(word) for word in there}
    words: dict[str, str] = {}
    for word in (word for entry in asked for word in split(entry)):
        words.setdefault(meaning(word), word)
    return tuple(word for means, word in words.items() if means not in have)


def present(asked: Iterable[str], there: Iterable[str]) -> tuple[str, ...]:
    """:returns: those that are there, be it in other words"""
    have = {meaning(word) for word in there}
    return tuple(word for word in asked if meaning(word) in have)
