#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_rollback
short_description: Queue or cancel a rollback of a bootc host
version_added: 0.1.0
description:
  - Makes the next boot go to the rollback deployment, the image that ran before, or takes that back.
  - C(bootc rollback) is a toggle; this module is not. A queued rollback stays queued.
  - After the reboot the two deployments have changed places, so a task that only says O(state=queued) would go
    forward again. Say with O(digest) where to go, or with O(away_from) what to leave, to make a playbook that
    can be run again.
  - A staged deployment is thrown away by a rollback; the module warns about it.
options:
  state:
    description:
      - V(queued) makes the next boot go to the rollback deployment.
      - V(cancelled) makes it stay with the booted one.
    type: str
    default: queued
    choices: [queued, cancelled]
  digest:
    description:
      - The digest to go back to. A host that runs it is left alone, and it is an error if the rollback deployment
        has another one.
    type: str
  away_from:
    description: The digest to leave. A host that does not run it is left alone.
    type: str
  soft_reboot:
    description:
      - Prepare a soft reboot into the rollback deployment; with V(required), fail if that cannot be done.
      - Needs bootc 1.7.0 or newer. C(bootc rollback) ignores it on the composefs backend; there the deployment is prepared by
        C(bootc internals prep-soft-reboot), which needs bootc 1.12.0.
    type: str
    choices: [auto, required]
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.group_bootc
  - imagemode.bootc.bootc
author:
  - Contributors to the imagemode.bootc project (@imagemode)
seealso:
  - module: imagemode.bootc.bootc_switch
  - module: imagemode.bootc.bootc_upgrade
  - module: imagemode.bootc.bootc_reboot
"""

EXAMPLES = r"""
- name: Leave a bad image, wherever it runs
  imagemode.bootc.bootc_rollback:
    away_from: sha256:b248f1a47bdc5ba23b41c0d479014ebb93183baca172e41dcb1167534f5d7f27
  register: os

- name: Boot the image that ran before
  imagemode.bootc.bootc_reboot:
    digest: "{{ os.digest }}"
  when: os.reboot_required

- name: Change of mind before the reboot
  imagemode.bootc.bootc_rollback:
    state: cancelled
"""

RETURN = r"""
reason:
  description: Why something was, or was not, changed.
  returned: success
  type: str
  sample: the next boot goes to the rollback deployment
commands:
  description: The commands that were run, or would be run in check mode.
  returned: success
  type: list
  elements: str
  sample: ["bootc rollback"]
before:
  description: The state of the host before, as RV(imagemode.bootc.bootc_info#module:host).
  returned: success, and failure after a command was run
  type: dict
  sample:
    backend: ostree
    booted:
      digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
      download_only: false
      image: registry.example.com/os:1
      version: "1"
    image: registry.example.com/os:1
    managed: true
    reboot_required: false
    rollback: null
    rollback_queued: false
    staged: null
after:
  description: The state of the host afterwards; in check mode the state that is predicted.
  returned: success, and failure after a command was run
  type: dict
  sample:
    backend: ostree
    booted:
      digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
      download_only: false
      image: registry.example.com/os:1
      version: "1"
    image: registry.example.com/os:1
    managed: true
    reboot_required: false
    rollback: null
    rollback_queued: false
    staged: null
digest:
  description: The digest that the host runs after its next boot.
  returned: success
  type: str
  sample: sha256:b248f1a47bdc5ba23b41c0d479014ebb93183baca172e41dcb1167534f5d7f27
reboot_required:
  description: Whether the next boot goes to another deployment than the booted one.
  returned: success
  type: bool
  sample: true
soft_reboot_capable:
  description: Whether that boot can be a soft reboot.
  returned: success
  type: bool
  sample: false
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: no_rollback_deployment
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: "Use bootc_switch with the image that you want, or bootc_upgrade with its digest."
"""

from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.plan import GoBack
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.planner import plan_rollback
from ansible_collections.imagemode.bootc.plugins.module_utils._host_module import ARGUMENTS, BootcModule
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import parse_digest


def main() -> None:
    module = BootcModule(
        argument_spec={
            "state": {"type": "str", "default": "queued", "choices": ["queued", "cancelled"]},
            "digest": {"type": "str"},
            "away_from": {"type": "str"},
            "soft_reboot": {"type": "str", "choices": ["auto", "required"]},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with module.errors():
        digests = {name: module.params[name] for name in ("digest", "away_from")}
        wanted = GoBack(
            queued=module.params["state"] != "cancelled",
            soft_reboot=module.params["soft_reboot"],
            **{name: parse_digest(digest) for name, digest in digests.items() if digest},
        )
        module.converge(lambda host, _remote: plan_rollback(host, wanted), going_back=True)


if __name__ == "__main__":
    main()
