# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists from what people and AWX write for them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: listed
short_description: Read an option that is a list from what people and surveys write for it
version_added: 0.1.0
author: Contributors to the imagemode.bootc project (@imagemode)
description:
  - AWX asks for a list by a line of text, and an empty answer is V(""); a playbook gives a list, or the one entry that it would have.
  - A list stays as it is, nothing (V(""), null, V({})) is an empty one, and a dictionary or a number is the one entry.
  - A text that is a list in JSON is that list.
positional: split
options:
  _input:
    description: What was written.
    type: raw
    required: true
  split:
    description:
      - What another text is cut into, C(words) at commas and white space, or C(lines). Unset, it is one entry.
    type: str
    choices: [words, lines]
"""

EXAMPLES = r"""
- name: Name the tags of an answer
  ansible.builtin.debug:
    msg: "{{ 'stable, 1.2' | imagemode.bootc.listed('words') }}"
"""

RETURN = r"""
_value:
  description: The entries; those of a text are trimmed, and none of them is empty.
  type: list
  elements: raw
"""

import json
import re
from typing import Any

from ansible.errors import AnsibleFilterError

_CUTS = {"words": re.compile(r"[,\s]+"), "lines": re.compile(r"[\r\n]+"), None: re.compile(r"(?!)")}


def listed(value: Any, split: str | None = None) -> list[Any]:
    if split not in _CUTS:
        raise AnsibleFilterError(f"listed cannot split at {split!r}, only at words and lines.")
    if value is None or value == "" or value == {}:
        return []
    if isinstance(value, str):
        found = _of_json(value)
        return [entry for entry in map(str.strip, _CUTS[split].split(value)) if entry] if found is None else found
    return [value] if isinstance(value, (dict, int, float)) else list(value)


def _of_json(text: str) -> list[Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"listed": listed}
