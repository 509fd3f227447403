# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of actions, which no module checks."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.plugin_utils.controller_action import checked

ARGUMENTS = {"digest": {"type": "str"}, "force": {"type": "bool", "default": False}, "path": {"type": "path", "required": True}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"path": "/a", "reboot_command": "x"},
            r"^Unsupported parameters: reboot_command\. Supported parameters include: digest, force, path",
        ),
        ({"path": "/a", "force": "perhaps"}, "argument 'force' is of type"),
        ({"path": ""}, "missing required arguments: path"),
    ],
)
def test_a_refusal_says_what_is_wrong(given: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        checked(ARGUMENTS, given)


def test_what_is_left_empty_is_unset() -> None:
    assert checked(ARGUMENTS, {"path": "/a", "force": "", "digest": None}) == {"path": "/a", "force": False, "digest": None}
