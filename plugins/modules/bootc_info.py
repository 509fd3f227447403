#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_info
short_description: The state of a bootc host as data
version_added: 0.1.0
description:
  - Reads C(bootc status) and returns it as data, with what follows from it.
  - Works on every Linux host. One that does not run a bootc image is RV(managed=false), also if it has no bootc at all.
options:
  timeout:
    description: Seconds that bootc may take; V(0) means no limit. bootc waits for its lock without a limit of its own.
    type: int
    default: 300
  required:
    description: Fail with RV(error=host_not_managed) if the host does not run a bootc image.
    type: bool
    default: false
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.info
  - imagemode.bootc.attributes.group_bootc
notes:
  - Must be run as root on a host that runs a bootc image, because bootc asks for it.
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Look at the host
  imagemode.bootc.bootc_info:
  register: os

- name: Say what runs
  ansible.builtin.debug:
    msg: "{{ os.host.booted.image }} is {{ os.host.booted.digest }}"
  when: os.managed
"""

RETURN = r"""
managed:
  description: Whether the host runs a bootable container image that bootc can update.
  returned: success
  type: bool
  sample: true
backend:
  description: The storage backend of bootc; null if there is no booted deployment.
  returned: success
  type: str
  sample: ostree
bootc_version:
  description: The version of bootc on the host; null if it has none.
  returned: success
  type: str
  sample: 1.16.9
capabilities:
  description: What this version of bootc can do.
  returned: success
  type: dict
  sample: {download_only: true, soft_reboot: true}
digest:
  description: The digest of the booted image; null if the host is not managed.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
reboot_required:
  description: Whether the next boot goes to another deployment than the booted one.
  returned: success
  type: bool
  sample: false
soft_reboot_capable:
  description: Whether that boot can be a soft reboot.
  returned: success
  type: bool
  sample: false
pending_digest:
  description: The digest that the next boot goes to; null if it is the booted deployment.
  returned: success
  type: str
  sample: null
host:
  description: What C(bootc status) says.
  returned: success
  type: dict
  contains:
    managed: {description: As above., type: bool}
    backend: {description: As above., type: str}
    image: {description: "The image that the host follows: the staged one if something is staged, else the booted one.", type: str}
    transport: {description: Where the host finds it., type: str}
    signature: {description: How its signature is checked; null if it is not., type: str}
    booted: {description: "The running deployment: image, transport, signature, digest, version, timestamp and more.", type: dict}
    staged: {description: The deployment that the next boot goes to; null if nothing is staged., type: dict}
    rollback: {description: The deployment that a rollback goes to., type: dict}
    other: {description: Pinned deployments and those of other stateroots., type: list, elements: dict}
    rollback_queued: {description: Whether the next boot goes to the rollback deployment., type: bool}
    reboot_required: {description: As above., type: bool}
    usr_overlay: {description: "V(readWrite) or V(readOnly) if an overlay is mounted on /usr.", type: str}
    read_only: {description: Whether this is a live system., type: bool}
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
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: bootc_status_invalid
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Run 'bootc status --json' on the host and look at its output.
"""

from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.client import Bootc
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import NotManaged
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import Host
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule

NO_HOST = Host(spec=None, staged=None, booted=None, rollback=None)


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "timeout": {"type": "int", "default": 300},
            "required": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    with module.errors():
        bootc = Bootc(timeout=module.params["timeout"] or None)
        try:
            host, capabilities = bootc.status(), bootc.capabilities
        except NotManaged:  # no bootc at all
            if module.params["required"]:
                raise
            host, capabilities = NO_HOST, None
        if module.params["required"] and not host.managed:
            raise NotManaged(
                "This host is not managed by bootc: it does not run a bootable container image.",
                hint="Install a machine with bootc_install, or take this one over first.",
            )
        pending = host.pending
        module.exit_json(
            changed=False,
            managed=host.managed,
            backend=host.backend,
            bootc_version=capabilities.text if capabilities else None,
            capabilities=capabilities.as_dict() if capabilities else {},
            digest=host.booted.digest if host.booted else None,
            pending_digest=pending.digest if pending else None,
            reboot_required=host.reboot_required,
            soft_reboot_capable=bool(pending and pending.soft_reboot_capable),
            host=host.as_dict(),
        )


if __name__ == "__main__":
    main()
