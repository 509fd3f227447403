# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be done so that a virtual machine is as it is wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
name: vm_plan
short_description: What is to be done so that a virtual machine is as it is wanted
version_added: 0.1.0
author: Contributors to the imagemode.bootc project (@imagemode)
description:
  - Compares a machine with what its hypervisor says of it, and writes what the hypervisor is to be told.
    The role P(imagemode.bootc.vm#role) uses it.
options:
  _input:
    description:
      - >-
        The machine as it is wanted, as the role has it: C(name), C(cpus), C(memory) in MiB, C(firmware), C(disks), C(networks)
        and C(keys).
    type: dict
    required: true
  driver:
    description: What the hypervisor is.
    type: str
    choices: [hyperv, libvirt, proxmox, qemu, virtualbox, vmware]
    required: true
  found:
    description: What the hypervisor said of the machine, empty if it does not know it.
    type: raw
  sizes:
    description: Path of a disk's file to its size as the machine sees it, in bytes.
    type: dict
    default: {}
  host:
    description: What the hypervisor's machine has, for example C(architecture), C(accelerator) and C(directory).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Say what differs
  ansible.builtin.debug:
    msg: "{{ (wanted | imagemode.bootc.vm_plan('libvirt', xml, host=host)).changes }}"
"""

RETURN = r"""
_value:
  description:
    - C(verb) is C(create), C(change) or C(none); C(changes) and C(rebuild) are in words; C(restart) tells whether changes count
      from the next start on; C(new_disks) and C(grow) are disks; C(macs) are the addresses of the networks.
    - C(command), C(document), C(commands), C(script) or C(options) is what this kind of hypervisor is told.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._machine.drivers import DRIVERS, Described


def vm_plan(
    machine: Mapping[str, Any],
    driver: str,
    found: Any = None,
    sizes: Mapping[str, int] | None = None,
    host: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """As C(DOCUMENTATION) has it.

    :raises AnsibleFilterError: something that is no machine, or that this hypervisor has not
    """
    if driver not in DRIVERS:
        raise AnsibleFilterError(f"vm_plan knows no driver '{driver}', only {', '.join(sorted(DRIVERS))}.")
    try:
        return DRIVERS[driver](Described(machine, found, sizes or {}, host or {}))
    except ImageModeError as error:
        raise AnsibleFilterError(f"{error.message} {error.hint or ''}".strip()) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"vm_plan cannot read what it was given: {type(error).__name__}: {error}") from error


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vm_plan": vm_plan}
