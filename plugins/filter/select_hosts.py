# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts by what is known of them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: select_hosts
short_description: Select hosts by a JMESPath expression
version_added: 0.1.0
author: Contributors to the imagemode.bootc project (@imagemode)
description:
  - Tells the names of the hosts for which an expression is true, of the rows of a report or of C(hostvars).
  - Needs the Python library C(jmespath) on the controller.
options:
  _input:
    description: A list of dictionaries with C(host), as M(imagemode.bootc.fleet_report) returns C(rows), or a dictionary by host.
    type: raw
    required: true
  query:
    description: A JMESPath expression, asked of each host; texts in it are in single quotes.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Name the hosts that are behind
  ansible.builtin.debug:
    msg: "{{ report_made.rows | imagemode.bootc.select_hosts(\"drifted && state != 'unreachable'\") }}"

- name: Update those of one site that booted an old version
  ansible.builtin.add_host:
    name: "{{ item }}"
    groups: behind
  loop: "{{ report_made.rows | imagemode.bootc.select_hosts(\"contains(groups, 'north') && version < '41'\") }}"
"""

RETURN = r"""
_value:
  description: The names.
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.select import matching


class _Variables:
    """A host's variables for JMESPath, which asks for them by C(get): those that it does not ask for are not made plain, nor templated."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables

    def get(self, name: str) -> Any:
        return _plain(self._variables[name]) if name in self._variables else None


def select_hosts(fleet: Any, query: str) -> list[str]:
    try:
        if isinstance(fleet, Mapping):
            known: dict[str, Any] = {name: _Variables(dict(fleet[name])) for name in fleet}
        else:
            known = {row["host"]: _plain(dict(row)) for row in fleet}
        return matching(known, query)
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"Not hosts, nor rows of a report: {error!r}.") from error
    except ImageModeError as error:
        raise AnsibleFilterError(f"{error.error}: {error.message} {error.hint or ''}".strip()) from None


def _plain(value: Any) -> Any:
    """JMESPath's functions know values by the names of their types, and a template's are types of Ansible's own (ansible-core 2.19)."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    for kind in (bool, str, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"select_hosts": select_hosts}
