# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TOML, with what Python has for it."""

from __future__ import annotations

from typing import Any

from ._errors import ImageModeError


class TomlLibraryMissing(ImageModeError):
    """This Python has no library that reads TOML."""

    error = "python_library_missing"


def parse_toml(text: str, what: str) -> dict[str, Any]:
    """:param what: names the file, for the error
    :raises TomlLibraryMissing: Python is older than 3.11 and has no C(tomli)
    :raises ValueError: the text is no TOML
    """
    try:
        import tomllib as toml
    except ImportError:
        try:
            import tomli as toml  # type: ignore[import-not-found,no-redef,unused-ignore]
        except ImportError:
            raise TomlLibraryMissing(
                f"This Python has no library that reads TOML, for {what}.",
                hint="Install python3-tomli for the Python that runs the module, or use Python 3.11.",
            ) from None
    document: dict[str, Any] = toml.loads(text)
    return document
