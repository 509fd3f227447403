# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Actions that run on the controller alone: options checked, "" as unset, typed errors as failed results."""

from __future__ import annotations

import copy
from datetime import datetime, timezone
from typing import Any, ClassVar

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError, OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import leave_out, unset


class ControllerAction(ActionBase):
    """:cvar arguments: the argument spec, as a module has it"""

    _supports_check_mode = True
    _requires_connection = False
    arguments: ClassVar[dict[str, Any]] = {}

    def act(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Do it; nothing is written in check mode.

        :param variables: the task's
        :returns: fields of the result
        :raises ImageModeError: it cannot be done
        """
        raise NotImplementedError

    def given(self, variables: dict[str, Any]) -> dict[str, Any]:
        """:returns: the options as they are before they are checked: the task's arguments"""
        arguments: dict[str, Any] = self._task.args
        return arguments

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        variables = task_vars or {}
        try:
            result.update({"changed": False, **self.act(checked(self.arguments, self.given(variables)), variables)})
        except ImageModeError as error:
            result.update(failed=True, **error.as_result())
        return result


def checked(arguments: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """:returns: a task's options with defaults, C("") as unset
    :raises OptionError: one is not known, missing, or of another type
    """
    written = copy.deepcopy({name: value for name, value in given.items() if value not in (None, "")})
    leave_out(written, arguments)
    validation = ArgumentSpecValidator(arguments).validate(written)
    if validation.error_messages:
        # Of options that it does not know the validator tells nothing but the names.
        words = [f"Unsupported parameters: {e.msg}" if isinstance(e, UnsupportedError) else e.msg for e in validation.errors.errors]
        raise OptionError("; ".join(words), hint="'ansible-doc' tells the options of this action.")
    options: dict[str, Any] = validation.validated_parameters
    unset(options)
    return options


def now() -> str:
    """:returns: the time, ISO 8601 in UTC, to the millisecond: texts that sort as the times do"""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
