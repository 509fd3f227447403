# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""As much of GVariant's serialisation as it takes to read what libostree keeps of a staged deployment.

A container ends with the offsets at which its members of variable size end, as little-endian numbers that are as
wide as the container's size asks for (GLib's "GVariant Specification", 2.3 and 2.5).
"""

from __future__ import annotations


def read_vardict(data: bytes) -> dict[str, tuple[str, bytes]]:
    """:param data: of type a{sv}
    :returns: key → type and serialised value
    :raises ValueError: the data is cut off
    """
    found = {}
    for entry in _array(data, 8):
        key, variant = _pair(entry, 8)
        value, _nul, kind = variant.rpartition(b"\0")
        found[key] = (kind.decode(), value)
    return found


def read_strings(data: bytes) -> list[str]:
    """:param data: of type as"""
    return [_text(item) for item in _array(data, 1)]


def read_string_dict(data: bytes) -> dict[str, str]:
    """:param data: of type a{ss}"""
    return {key: _text(value) for key, value in (_pair(entry, 1) for entry in _array(data, 1))}


def _array(data: bytes, alignment: int) -> list[bytes]:
    if not data:
        return []
    width = _width(data)
    table = _number(data[-width:])
    if table > len(data) - width or (len(data) - table) % width:
        raise ValueError("the table of offsets is not where it is said to be")
    items, start = [], 0
    for place in range(table, len(data), width):
        end = _number(data[place : place + width])
        start += -start % alignment
        items.append(data[start:end])
        start = end
    return items


def _pair(entry: bytes, alignment: int) -> tuple[str, bytes]:
    width = _width(entry)
    end = _number(entry[-width:])
    return _text(entry[:end]), entry[end + -end % alignment : len(entry) - width]


def _width(data: bytes) -> int:
    return next(width for width in (1, 2, 4, 8) if len(data) < 1 << 8 * width)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode()
