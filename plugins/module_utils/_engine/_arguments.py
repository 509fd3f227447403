# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From options to arguments, by a table instead of a chain of ifs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Flag:
    """How one attribute becomes arguments.

    A mapping becomes C(flag key=value) for each pair, a sequence C(flag item) for each item, C(True) the flag alone;
    C(None), C(False) and what is empty become nothing.

    :ivar shape: with C({}) for the value, where the argument is more than the value
    """

    attribute: str
    flag: str
    shape: str = "{}"
    joined: bool = False

    def arguments(self, value: Any) -> list[str]:
        if value is None or value is False or value == "":
            return []
        if value is True:
            return [self.flag]
        items: Iterable[str]
        if isinstance(value, Mapping):
            items = [f"{name}={item}" for name, item in value.items()]
        else:
            items = value if isinstance(value, (tuple, list)) else [value]
        words = [self.shape.format(item) for item in items]
        if self.joined:
            return [f"{self.flag}={word}" for word in words]
        return [part for word in words for part in (self.flag, word)]


def arguments(table: Iterable[Flag], source: object) -> list[str]:
    """:returns: the arguments for all attributes of I(source) that the table names, in its order"""
    return [word for flag in table for word in flag.arguments(getattr(source, flag.attribute))]
