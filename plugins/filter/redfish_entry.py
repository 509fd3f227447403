# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One resource of a BMC that has several."""

from __future__ import annotations

DOCUMENTATION = r"""
name: redfish_entry
short_description: What a BMC said of one of its resources
version_added: 0.1.0
author: Contributors to the imagemode.bootc project (@imagemode)
description:
  - Chooses from the C(entries) of C(community.general.redfish_info), which has one for each system or manager of the BMC.
options:
  _input:
    description: The entries, each a pair of a dictionary with its address and what was said.
    type: list
    elements: list
    required: true
  resource_id:
    description: The last part of the resource's address. Without it there must be one resource only.
    type: str
"""

EXAMPLES = r"""
- name: Say whether the machine is on
  ansible.builtin.debug:
    msg: "{{ (asked.redfish_facts.system.entries | imagemode.bootc.redfish_entry('437XR1138R2')).PowerState }}"
"""

RETURN = r"""
_value:
  description: What was said of the resource.
  type: raw
"""

from collections.abc import Iterable
from typing import Any

from ansible.errors import AnsibleFilterError


def redfish_entry(entries: Iterable[tuple[dict[str, str], Any]], resource_id: str | int | None = None) -> Any:
    named = [(next(iter(address.values())).rstrip("/").rpartition("/")[2], said) for address, said in entries]
    found = [said for name, said in named if resource_id in (None, "") or name == str(resource_id)]
    if len(found) != 1:
        which = f"with the id {resource_id!r}" if resource_id else "that is the only one"
        names = ", ".join(name for name, _said in named) or "none"
        raise AnsibleFilterError(f"The BMC has no resource {which}. It has: {names}. Set bare_metal_bmc_system to one of them.")
    return found[0]


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"redfish_entry": redfish_entry}
