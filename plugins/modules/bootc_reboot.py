#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_reboot
short_description: Reboot a bootc host into what is pending, and prove it
version_added: 0.1.0
description:
  - Reboots a host only if its next boot goes to another deployment than the booted one, waits for it,
    and proves by digest that it came up on that deployment.
  - A host that comes back on the image it ran before is a failure with RV(rolled_back=true).
  - The reboot itself is done by M(ansible.builtin.reboot).
options:
  digest:
    description:
      - The digest that the host must run afterwards, as RV(imagemode.bootc.bootc_switch#module:digest) returns it.
      - A host that would boot something else is not rebooted, and the task fails.
      - Without it, whatever is pending is what the host must run.
    type: str
  soft:
    description:
      - V(auto) restarts only the user space where the pending deployment allows it, and else the machine.
      - V(required) fails where that is not possible.
      - What is pending is prepared for it, also where nothing or another deployment was. Before a full reboot whatever was prepared is
        taken back, because systemd would go on with that.
      - Needs bootc 1.7.0 and systemd 254 or newer. The boot ID stays the same; the number of soft reboots counts up.
    type: str
    default: never
    choices: [never, auto, required]
  force:
    description: Reboot also if nothing is pending. The host must then come back on the image that it runs.
    type: bool
    default: false
  reboot_timeout:
    description: Seconds to wait for the host to come back, and again for O(test_command).
    type: int
    default: 600
  connect_timeout:
    description: Seconds to wait for one attempt to connect; without it the connection plugin's own.
    type: int
  post_reboot_delay:
    description: Seconds to wait after the reboot command before the host is asked.
    type: int
    default: 0
  test_command:
    description: Command that must succeed before the host counts as back; without it that of M(ansible.builtin.reboot).
    type: str
  msg:
    description: Message to logged-in users.
    type: str
    default: Reboot initiated by Ansible to boot another image
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.action
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - With O(force=true) it reboots every time.
seealso:
  - module: ansible.builtin.reboot
  - module: imagemode.bootc.bootc_switch
  - module: imagemode.bootc.bootc_upgrade
  - module: imagemode.bootc.bootc_rollback
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Stage the newest image
  imagemode.bootc.bootc_upgrade:
  register: os

- name: Boot it, and prove that it runs
  imagemode.bootc.bootc_reboot:
    digest: "{{ os.digest }}"

- name: Restart only the user space where that is enough
  imagemode.bootc.bootc_reboot:
    soft: auto
"""

RETURN = r"""
rebooted:
  description: Whether the host was rebooted; in check mode whether it would be.
  returned: always
  type: bool
  sample: true
rolled_back:
  description: Whether the host came back on the image that it ran before instead of the pending one.
  returned: always
  type: bool
  sample: false
digest:
  description: The digest of the booted image; in check mode the one that would be booted.
  returned: when the host's state could be read
  type: str
  sample: sha256:b248f1a47bdc5ba23b41c0d479014ebb93183baca172e41dcb1167534f5d7f27
soft:
  description: Whether the reboot was a soft one.
  returned: when the host's state could be read
  type: bool
  sample: false
boot_id:
  description: The kernel's boot ID afterwards.
  returned: after a reboot
  type: str
  sample: 0f7f4a52-3f8f-4c1a-9d35-2a2d7f6f3f0b
boot_id_kept:
  description: Whether the boot ID is the same as before, as it is after a soft reboot.
  returned: after a reboot
  type: bool
  sample: false
soft_reboots_count:
  description: How many soft reboots there were since the kernel started; null with a systemd older than 254.
  returned: after a reboot
  type: int
  sample: 0
reboot_required:
  description: Whether yet another deployment is pending.
  returned: after a reboot
  type: bool
  sample: false
elapsed:
  description: Seconds that the task took.
  returned: always
  type: int
  sample: 34
before:
  description: The state of the host before, as RV(imagemode.bootc.bootc_info#module:host).
  returned: when the host's state could be read
  type: dict
  sample: {managed: true, reboot_required: true}
after:
  description: The state of the host afterwards, as RV(imagemode.bootc.bootc_info#module:host).
  returned: after a reboot
  type: dict
  sample: {managed: true, reboot_required: false}
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: host_not_back
hint:
  description: What to do about it.
  returned: failure
  type: str
  sample: Look at the host's console; raise 'reboot_timeout' if it is only slow.
"""
