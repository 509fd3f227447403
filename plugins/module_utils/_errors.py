# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one base of every error that a room of this collection raises."""

from __future__ import annotations

from typing import Any


class ImageModeError(Exception):
    """What was asked, what is there, and what to do.

    :ivar error: stable code, for C(failed_when) and C(rescue); listed in docs/errors.md
    :ivar message: what was asked and what is there
    :ivar hint: what to do next
    :ivar details: further fields of the module result, JSON-serialisable
    """

    error = "failed"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        error: str | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details
        if error is not None:
            self.error = error

    def as_result(self) -> dict[str, Any]:
        """:returns: the fields of the failed module result: C(msg), C(error), C(hint) and details"""
        result: dict[str, Any] = {"msg": self.message, "error": self.error}
        if self.hint:
            result["hint"] = self.hint
        result.update(self.details)
        return result


class OptionError(ImageModeError):
    """Options that cannot be meant together, or a value that cannot be used."""

    error = "option_invalid"
