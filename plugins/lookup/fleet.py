# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of a fleet, from its journals."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
short_description: Look hosts up in the journal of a fleet
version_added: 0.1.0
author: Contributors to the imagemode.bootc project (@imagemode)
description:
  - Reads the journals that rollouts and reports write on the controller, and tells the hosts for which an expression is true.
options:
  _terms:
    description: Journals, C(fleet.jsonl) of one or several controllers.
    type: list
    elements: path
    required: true
  query:
    description: A JMESPath expression over a row as M(imagemode.bootc.fleet_report) has it. Unset, every host.
    type: str
"""

EXAMPLES = r"""
- name: Try those again that failed
  hosts: "{{ query('imagemode.bootc.fleet', 'rollout/fleet.jsonl', query=\"result == 'failed'\") | default('localhost,!localhost', true) }}"
  roles:
    - role: imagemode.bootc.update
"""

RETURN = r"""
_list:
  description: The names of the hosts.
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.journal import read
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.select import matching


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        query = self.get_option("query")
        try:
            known = {name: record.as_row() for name, record in read(Path(str(term)) for term in terms).items()}
            return matching(known, query) if query else list(known)
        except ImageModeError as error:
            raise AnsibleLookupError(f"{error.error}: {error.message} {error.hint or ''}".strip()) from None
