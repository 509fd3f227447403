# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes as people write them: C(100GiB), C(480GB), and conditions on them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from .._errors import OptionError

_BINARY = {unit: 1024**power for power, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB", "PiB"))}
_DECIMAL = {unit: 1000**power for power, unit in enumerate(("B", "KB", "MB", "GB", "TB", "PB"))}
# Single letters are binary, as in lsblk, sfdisk and `bootc install --root-size`.
_LETTERS = {unit: 1024**power for power, unit in enumerate("KMGTP", start=1)}
_UNITS = {unit.lower(): factor for units in (_BINARY, _DECIMAL, _LETTERS) for unit, factor in units.items()}

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$")
_CONDITION = re.compile(r"^\s*(>=|<=|==|=|!=|>|<)?\s*(.+)$")


def parse_size(text: str, what: str = "size") -> int:
    """:returns: bytes
    :param what: the option's name, for the message
    :raises OptionError: no number with a unit
    """
    match = _SIZE.match(text)
    factor = _UNITS.get(match.group(2).lower()) if match else None
    if match is None or factor is None:
        raise OptionError(
            f"'{text}' is not a size for '{what}'.",
            hint="Write a number and a unit, for example '100GiB', '100G' (both 1024-based) or '480GB' (1000-based).",
        )
    return int(float(match.group(1)) * factor)


def human(size: int) -> str:
    """:returns: for example C(12.0 GiB)"""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} PiB"


def exact(size: int) -> str:
    """:returns: for example C(20GiB), the same text for the same size; L(parse_size) reads it back"""
    unit, factor = next((unit, factor) for unit, factor in reversed(_BINARY.items()) if size % factor == 0)
    return f"{size // factor}{unit}"


def _about(size: int, wanted: int) -> bool:
    # A "480GB" disk has 480,103,981,056 bytes: what is printed on a disk is its size to about a percent.
    return abs(size - wanted) * 100 <= wanted


_OPERATORS: dict[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": _about,
    "=": _about,
    "!=": lambda size, wanted: not _about(size, wanted),
}


@dataclass(frozen=True)
class SizeRule:
    """Conditions that a size must all meet.

    :ivar text: as written, for example C(>= 100GiB, < 2TB)
    :ivar conditions: operator and bytes
    """

    text: str
    conditions: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, text: str) -> SizeRule:
        """Parse conditions separated by commas; without an operator the size is met to one percent.

        :raises OptionError: not conditions on a size
        """
        conditions = []
        for part in text.split(","):
            match = _CONDITION.match(part)
            if match is None:
                raise OptionError(f"'{text}' is not a condition on a size.", hint="Write '>= 100GiB' or '>= 100GiB, < 2TB'.")
            conditions.append((match.group(1) or "==", parse_size(match.group(2), "disk.size")))
        return cls(text, tuple(conditions))

    def met_by(self, size: int) -> bool:
        return all(_OPERATORS[name](size, wanted) for name, wanted in self.conditions)
