#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_usr_overlay
short_description: A writable overlay on /usr of a bootc host, until the next reboot
version_added: 0.1.0
description:
  - Mounts an overlay on C(/usr), so that something can be tried out or debugged; C(bootc usr-overlay) does it.
  - Whatever is written there is gone after the next reboot, also after a soft one. What is to stay belongs into the image.
  - A host that has the overlay is left alone.
options:
  state:
    description:
      - With V(present), the overlay is mounted.
      - With V(absent), nothing is done to the host, because only a reboot takes the overlay away.
        RV(reboot_required) tells whether there is one, and the task warns.
    type: str
    default: present
    choices: [present, absent]
  read_only:
    description:
      - Mount it read-only, so that only a process that mounts it again in a mount namespace of its own writes to it.
      - Needs bootc 1.15.0 or newer.
      - An overlay that is there cannot be made writable or read-only; the task fails.
    type: bool
    default: false
  timeout:
    description: Seconds that one command of bootc may take; V(0) means no limit. bootc waits for its lock without a limit of its own.
    type: int
    default: 300
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.group_bootc
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - bootc 1.1.6 or newer on the host
notes:
  - Must be run as root, for example with C(become).
seealso:
  - module: imagemode.bootc.bootc_facts
  - module: imagemode.bootc.bootc_reboot
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Make /usr writable until the next reboot
  imagemode.bootc.bootc_usr_overlay:

- name: Try a newer build
  ansible.builtin.copy:
    src: example
    dest: /usr/bin/example
    mode: "0755"

- name: Ask whether it is there still
  imagemode.bootc.bootc_usr_overlay:
    state: absent
  register: overlay

- name: Be rid of it
  imagemode.bootc.bootc_reboot:
    force: true
  when: overlay.reboot_required
"""

RETURN = r"""
reason:
  description: Why something was, or was not, changed.
  returned: success
  type: str
  sample: an overlay is mounted on /usr until the next reboot
commands:
  description: The commands that were run, or would be run in check mode.
  returned: success
  type: list
  elements: str
  sample: [bootc usr-overlay]
usr_overlay:
  description: V(readWrite) or V(readOnly) if an overlay is mounted on /usr; null without one.
  returned: success
  type: str
  sample: readWrite
reboot_required:
  description: Whether O(state=absent) needs a reboot.
  returned: success
  type: bool
  sample: false
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: bootc_refused
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: "Reboot to be rid of it (bootc_reboot with 'force: true'), then ask again."
"""

from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.client import Bootc
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import BootcError
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.overlay import mounted_overlay, plan_overlay
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import Host
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule


def overlay(bootc: Bootc, host: Host) -> str | None:
    return host.usr_overlay if bootc.capabilities.has("usr_overlay_status") else mounted_overlay()


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
            "read_only": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    with module.errors():
        bootc = Bootc(timeout=module.params["timeout"] or None)
        host = bootc.status()
        before = overlay(bootc, host)
        plan = plan_overlay(host, before, present=module.params["state"] != "absent", read_only=module.params["read_only"])
        after = plan.after
        for step in plan.steps:
            bootc.capabilities.need_for(step)
            if not module.check_mode:
                bootc.run(step)
                module.changed = True
                after = overlay(bootc, bootc.status())
        module.changed = before != after
        if after != plan.after:
            raise BootcError(
                f"The overlay on /usr is '{after or 'none'}', and was to be '{plan.after or 'none'}'.",
                error="bootc_ignored",
                hint="Look at the host with bootc_info and at bootc's journal.",
            )
        if plan.reboot_required:
            module.warn("There is an overlay on /usr; only a reboot takes it away (bootc_reboot with 'force: true').")
        module.exit_json(
            changed=module.changed,
            reason=plan.reason,
            commands=[" ".join(step) for step in plan.steps],
            usr_overlay=after,
            reboot_required=plan.reboot_required,
            diff={"before": f"overlay on /usr: {before or 'none'}\n", "after": f"overlay on /usr: {after or 'none'}\n"},
        )


if __name__ == "__main__":
    main()
