# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions of AWX from the options of a role."""

from __future__ import annotations

DOCUMENTATION = r"""
name: survey
short_description: Make a survey of AWX from the options of a role
version_added: 0.1.0
author: Contributors to the imagemode.bootc project (@imagemode)
description:
  - Takes texts, types and choices from the role's C(meta/argument_specs.yml), so that AWX asks in the words of the documentation.
  - No question is required, because a step of a workflow would have to answer it again; a role refuses what it cannot do without.
  - A question has a default only if O(defaults) has one. AWX gives a default to the job as an extra variable, which would stand above
    what the inventory says, and the default of an option is what the role takes anyhow.
options:
  _input:
    description: Names of options, or questions as AWX has them, which stay as they are.
    type: list
    elements: raw
    required: true
  options:
    description: The role's options, as in its argument specification.
    type: dict
    required: true
  defaults:
    description: Option → value that is its default here.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Ask for the image of a rollout
  ansible.builtin.debug:
    msg: "{{ ['rollout_image', 'rollout_on_halt'] | imagemode.bootc.survey(specification.argument_specs.plan.options) }}"
"""

RETURN = r"""
_value:
  description: The survey, for O(awx.awx.job_template#module:survey_spec).
  type: dict
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from ansible.errors import AnsibleFilterError

# O(name), V(value), P(name#type): the words in them are what people read.
_MARKUP = re.compile(r"\b[A-Z]\(([^)#]*)[^)]*\)")


def survey(names: Sequence[Any], options: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    questions = [dict(name) if isinstance(name, Mapping) else _question(str(name), options, defaults or {}) for name in names]
    return {"name": "", "description": "", "spec": questions}


def _question(name: str, options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    if name not in options:
        raise AnsibleFilterError(f"The role has no option {name!r}. It has {', '.join(sorted(options))}.")
    option = options[name]
    default = _answer(defaults.get(name))
    choices = list(option.get("choices", ()))
    return {
        "question_name": name[len(_prefix(options)) :].replace("_", " ").capitalize(),
        "question_description": _text(option.get("description", "")),
        "variable": name,
        "type": "multiplechoice" if choices else "text",
        # With "" among them a choice can be left open, since what is not among them is refused.
        "choices": choices,
        "required": False,
        **({"default": default} if default else {}),
        "min": 0,
        "max": 1024,
    }


def _answer(value: Any) -> str:
    """A value as the text that somebody would answer; C("") for one that no text is, which the job has as its extra variable then."""
    if isinstance(value, list) and value and not any(isinstance(entry, (list, Mapping)) for entry in value):
        return json.dumps(list(value))
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, (bool, int, float)) else ""


def _prefix(names: Iterable[str]) -> str:
    """The role's name: the words that all of its options begin with."""
    words = takewhile(lambda found: len(set(found)) == 1, zip(*(name.split("_") for name in names)))
    return "".join(f"{found[0]}_" for found in words)


def _text(description: Any) -> str:
    return _MARKUP.sub(r"\1", description if isinstance(description, str) else " ".join(str(line) for line in description))


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"survey": survey}
