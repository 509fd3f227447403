#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_upgrade
short_description: Stage the newest image of what a bootc host follows
version_added: 0.1.0
description:
  - Stages the newest image of the reference that the host follows, or the one with a given digest.
  - The registry is asked first, so that check mode and the real run decide alike, and a host that has the newest
    image is not touched.
  - An image that the registry holds under another digest than the host, because it was only compressed anew (on composefs also if
    it was built again with the same layers), is no update to bootc. The task is unchanged then, with a warning that names both
    digests if O(digest) asked for one of them.
  - To follow another image, use M(imagemode.bootc.bootc_switch).
options:
  digest:
    description:
      - The digest that the host must get, of the index or of the manifest for its platform.
      - If it is booted or staged already, C(bootc status) is the only command that runs.
      - If the followed tag is at another digest in the registry, the task fails instead of staging that.
    type: str
  tag:
    description:
      - Follow this tag of the same repository, or of the same name in local storage, from now on, and stage its newest image.
        A digest that the host follows gives way to it.
      - Done by C(bootc switch), which every bootc has; with O(download_only) by C(bootc upgrade --tag), which needs bootc 1.15.0.
    type: str
  download_only:
    description:
      - Stage the update locked, so that a reboot does not apply it. Needs bootc 1.12.0 or newer.
      - A locked stage is dropped by a reboot; the downloaded layers stay.
    type: bool
    default: false
  from_downloaded:
    description:
      - Unlock what was staged with O(download_only), without a network. Needs bootc 1.12.0 or newer.
      - Nothing is done if nothing is staged, unless O(digest) asks for it.
    type: bool
    default: false
  soft_reboot:
    description:
      - Prepare a soft reboot into what is staged; with V(required), fail if that cannot be done.
      - Needs bootc 1.7.0 or newer, with the composefs backend 1.13.0. The reboot itself is done by M(imagemode.bootc.bootc_reboot).
    type: str
    choices: [auto, required]
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.group_bootc
  - imagemode.bootc.bootc
  - imagemode.bootc.bootc.pulls
author:
  - Contributors to the imagemode.bootc project (@imagemode)
seealso:
  - module: imagemode.bootc.bootc_switch
  - module: imagemode.bootc.bootc_rollback
  - module: imagemode.bootc.bootc_reboot
"""

EXAMPLES = r"""
- name: Stage the newest image
  imagemode.bootc.bootc_upgrade:
  register: os

- name: Boot it, and prove that it runs
  imagemode.bootc.bootc_reboot:
    digest: "{{ os.digest }}"
  when: os.reboot_required

- name: Go on with another tag of the same repository
  imagemode.bootc.bootc_upgrade:
    tag: "2"

- name: Download now, without applying
  imagemode.bootc.bootc_upgrade:
    download_only: true

- name: Apply in the maintenance window
  imagemode.bootc.bootc_upgrade:
    from_downloaded: true
"""

RETURN = r"""
reason:
  description: Why something was, or was not, changed.
  returned: success
  type: str
  sample: this image is booted already
commands:
  description: The commands that were run, or would be run in check mode.
  returned: success
  type: list
  elements: str
  sample: ["bootc upgrade"]
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
  sample: registry_unreachable
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: "Check from the host that the registry can be reached: name, port, proxy, firewall."
"""

from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.plan import Update
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.planner import plan_upgrade
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._host_module import ARGUMENTS, WATCHED, BootcModule
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import parse_digest


def main() -> None:
    module = BootcModule(
        argument_spec={
            "digest": {"type": "str"},
            "tag": {"type": "str"},
            "download_only": {"type": "bool", "default": False},
            "from_downloaded": {"type": "bool", "default": False},
            "soft_reboot": {"type": "str", "choices": ["auto", "required"]},
            **ARGUMENTS,
            **WATCHED,
        },
        supports_check_mode=True,
    )
    with module.errors():
        digest = module.params["digest"]
        if module.params["from_downloaded"] and (module.params["tag"] or module.params["download_only"]):
            raise OptionError(
                "'from_downloaded' applies what was downloaded; 'tag' and 'download_only' download.", hint="Leave one of them out."
            )
        wanted = Update(
            digest=parse_digest(digest) if digest else None,
            tag=module.params["tag"],
            download_only=module.params["download_only"],
            from_downloaded=module.params["from_downloaded"],
            soft_reboot=module.params["soft_reboot"],
        )
        module.converge(lambda host, remote: plan_upgrade(host, wanted, remote), digest)


if __name__ == "__main__":
    main()
