#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_switch
short_description: Make a bootc host follow an image
version_added: 0.1.0
description:
  - Makes a host that runs a bootable container image follow another image, another tag or a digest,
    and stages what the host will boot next.
  - A host that follows the image already is left alone. Use M(imagemode.bootc.bootc_upgrade) to get
    a newer image of the same reference.
  - The differences between the backends of bootc are taken care of. On composefs, where bootc refuses to stage
    what is booted already or is the rollback deployment, nothing is done, the staged deployment is dropped,
    or the rollback is queued.
options:
  image:
    description:
      - The image to follow, for example V(registry.example.com/os:1) or V(registry.example.com/os@sha256:…).
      - Of V(registry.example.com/os:1@sha256:…), as Renovate writes it, the tag is left out, because not every bootc takes both.
      - With another O(transport), what that transport takes, for example a directory.
    type: str
    required: true
  transport:
    description: Where the host finds the image. V(docker-daemon) needs bootc 1.11.0 or newer.
    type: str
    default: registry
    choices: [registry, oci, oci-archive, docker-archive, containers-storage, dir, docker-daemon]
  digest:
    description:
      - The digest that O(image) must have, of the index or of the manifest for the host's platform.
      - A host that follows O(image) and has this digest booted or staged is found by C(bootc status) alone.
        Otherwise the registry is asked, and a tag that was moved is an error instead of a surprise.
      - What was downloaded by O(imagemode.bootc.bootc_upgrade#module:download_only) and has this digest is applied at the next boot.
    type: str
  enforce_container_sigpolicy:
    description:
      - Have the image's signature checked by the host's C(policy.json), now and at every upgrade.
      - The composefs backend does not record it (bootc 1.16.9), and the task warns when it stages something. The policy holds for
        every pull there, too; but bootc does not insist that it verifies.
    type: bool
    default: false
  retain:
    description: Keep the previous ostree reference when the host comes from a classic ostree system.
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
  - module: imagemode.bootc.bootc_upgrade
  - module: imagemode.bootc.bootc_rollback
  - module: imagemode.bootc.bootc_reboot
"""

EXAMPLES = r"""
- name: Follow another image
  imagemode.bootc.bootc_switch:
    image: registry.example.com/os:2
  register: os

- name: Boot it, and prove that it runs
  imagemode.bootc.bootc_reboot:
    digest: "{{ os.digest }}"
  when: os.reboot_required

- name: Pin hosts to one digest, resolved once on the controller
  imagemode.bootc.bootc_switch:
    image: registry.example.com/os:stable
    digest: "{{ wanted }}"
  vars:
    wanted: "{{ lookup('imagemode.bootc.digest', 'registry.example.com/os:stable') }}"

- name: Switch a disconnected host to an image on a stick
  imagemode.bootc.bootc_switch:
    image: /run/media/os
    transport: oci
"""

RETURN = r"""
reason:
  description: Why something was, or was not, changed.
  returned: success
  type: str
  sample: the host follows this image already
commands:
  description: The commands that were run, or would be run in check mode.
  returned: success
  type: list
  elements: str
  sample: ["bootc switch -- registry.example.com/os:2"]
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
  sample: image_missing
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Check the image's name, tag or digest; push it first.
"""

from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.plan import Follow
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.planner import plan_switch
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import Source
from ansible_collections.imagemode.bootc.plugins.module_utils._host_module import ARGUMENTS, WATCHED, BootcModule
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import TRANSPORTS, Reference, ReferenceInvalid, parse_digest


def main() -> None:
    module = BootcModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "transport": {"type": "str", "default": "registry", "choices": list(TRANSPORTS)},
            "digest": {"type": "str"},
            "enforce_container_sigpolicy": {"type": "bool", "default": False},
            "retain": {"type": "bool", "default": False},
            "soft_reboot": {"type": "str", "choices": ["auto", "required"]},
            **ARGUMENTS,
            **WATCHED,
        },
        supports_check_mode=True,
    )
    with module.errors():
        image, transport, digest = module.need("image"), module.params["transport"], module.params["digest"]
        if transport == "registry":
            in_registry(image)
            image = image[len("docker://") :] if image.startswith("docker://") else image
        wanted = Follow(
            Source(image, transport, "containerPolicy" if module.params["enforce_container_sigpolicy"] else None),
            digest=parse_digest(digest) if digest else None,
            retain=module.params["retain"],
            soft_reboot=module.params["soft_reboot"],
        )
        module.converge(lambda host, remote: plan_switch(host, wanted, remote), digest)


def in_registry(image: str) -> None:
    """:raises ReferenceInvalid: it is no image in a registry; one that begins with a transport is told where that goes"""
    try:
        Reference.parse(image)
    except ReferenceInvalid as error:
        transport, _colon, place = image.partition(":")
        if place and transport in TRANSPORTS:
            error.hint = f"The transport is an option of its own: 'transport: {transport}' with 'image: {place}'."
        raise


if __name__ == "__main__":
    main()
