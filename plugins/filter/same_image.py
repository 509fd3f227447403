# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether two texts name the same image."""

from __future__ import annotations

DOCUMENTATION = r"""
name: same_image
short_description: Whether two texts name the same image
description:
  - Compares two image references by what they mean, as V(os) and V(docker.io/library/os:latest) mean the same.
  - What is no reference, as the directory of another transport, is compared as text.
version_added: 0.1.0
author: Contributors to the imagemode.bootc project (@imagemode)
positional: other
options:
  _input:
    description: A reference.
    type: str
    required: true
  other:
    description: The other one.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Say whether the host follows the image
  ansible.builtin.debug:
    msg: "{{ os.host.image | imagemode.bootc.same_image('registry.example.com/os') }}"
"""

RETURN = r"""
_value:
  description: Whether they do.
  type: bool
"""

from typing import Any

from ansible_collections.imagemode.bootc.plugins.module_utils._reference import same_reference


def same_image(one: str | None, other: str | None) -> bool:
    return same_reference(str(one or ""), str(other or ""))


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"same_image": same_image}
