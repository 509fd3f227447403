# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Actions that run on the controller alone: options checked, "" as unset, typed errors as failed results."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ._errors import OptionError
from ._module import unset


def options(spec: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """:returns: the task's options with defaults
    :raises OptionError: an option is not known, missing, or of another type
    """
    given = {name: value for name, value in arguments.items() if value is not None and value != ""}
    validation = ArgumentSpecValidator(spec).validate(given)
    if validation.error_messages:
        raise OptionError("; ".join(validation.error_messages), hint="'ansible-doc' tells the options of this action.")
    parameters: dict[str, Any] = validation.validated_parameters
    unset(parameters)
    return parameters
