#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_bound_images
short_description: Have the images that a bootc host's image binds, and the newest of them
version_added: 0.1.0
description:
  - Pulls logically bound images (C(/usr/lib/bootc/bound-images.d)) into bootc's own storage with C(bootc image cmd pull).
  - bootc pulls what is missing when it stages an image on the ostree backend, and nothing on the composefs backend (1.16.9). Where a
    tag has moved it never pulls again.
  - Looked at are the booted image and, on the ostree backend, what is staged.
  - What runs of an image is not restarted.
options:
  state:
    description:
      - With V(present), what is missing is pulled, and the registry is not asked for the rest.
      - With V(latest), an image whose tag points at another one in the registry is pulled, too. What is bound by its digest cannot move.
    type: str
    default: present
    choices: [present, latest]
  timeout:
    description: Seconds that the pull of one image may take; V(0) means no limit.
    type: int
    default: 3600
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
  - skopeo on the host for O(state=latest)
notes:
  - Must be run as root, for example with C(become).
  - The host's credentials for bootc are used; see M(imagemode.bootc.bootc_auth).
  - Images that are named without a registry are left alone, with a warning.
seealso:
  - module: imagemode.bootc.bootc_info
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Have the newest of what the image binds
  imagemode.bootc.bootc_bound_images:
    state: latest
  register: bound

- name: Run it
  ansible.builtin.systemd_service:
    name: app.service
    state: restarted
  when: bound.changed
"""

RETURN = r"""
commands:
  description: The commands that were run, or would be run in check mode.
  returned: success
  type: list
  elements: str
  sample: ["bootc image cmd pull registry.example.com/app:1"]
bound_images:
  description: The bound images, as M(imagemode.bootc.bootc_info) tells them; in check mode as they are.
  returned: success
  type: list
  elements: dict
  sample:
    - digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
      image: registry.example.com/app:1
      name: app.container
      present: true
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

from collections.abc import Collection
from typing import Any

from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.bound import bound_to
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.client import Bootc, architecture, remote_of
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import INSTALL_FIRST, BootcError, NotManaged
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.sameness import pinned
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import Source
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import has_registry


def lacking(bootc: Bootc, bound: dict[str, Any], latest: bool) -> bool:
    """Whether an image is to be pulled."""
    if not bound["present"]:
        return True
    source = Source(bound["image"])
    if not latest or pinned(source):
        return False
    remote = remote_of(bootc.manifest(source), architecture())
    return bound["digest"] not in (remote.digest, remote.index)


def shown(images: list[dict[str, Any]], to_come: Collection[str] = ()) -> str:
    return "".join(f"{one['image']}: {'to be pulled' if one['image'] in to_come else one['digest'] or '-'}\n" for one in images)


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "state": {"type": "str", "default": "present", "choices": ["present", "latest"]},
            "timeout": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    with module.errors():
        bootc = Bootc(timeout=module.params["timeout"] or None)
        host = bootc.status()
        if not host.managed:
            raise NotManaged("This host is not managed by bootc: its image binds none.", hint=INSTALL_FIRST)
        before = after = bound_to(host)
        named = [bound for bound in before if has_registry(bound["image"])]
        for bound in before:
            if bound not in named:
                module.warn(f"'{bound['image']}' is bound without its registry, and left alone. Name it in the image.")
        wanted = sorted({bound["image"] for bound in named if lacking(bootc, bound, module.params["state"] == "latest")})
        steps = [("bootc", "image", "cmd", "pull", image) for image in wanted]
        if not module.check_mode:
            for step in steps:
                bootc.run(step)
                module.changed = True
            after = bound_to(host)
            missing = [bound["image"] for bound in after if bound["image"] in wanted and not bound["present"]]
            if missing:
                raise BootcError(
                    f"bootc said that it pulled {', '.join(missing)}, and does not have it.",
                    error="bootc_ignored",
                    hint="Look at 'bootc image list --type logical' on the host, and at bootc's journal.",
                )
        module.exit_json(
            changed=bool(steps) if module.check_mode else before != after,
            commands=[" ".join(step) for step in steps],
            bound_images=after,
            diff={"before": shown(before), "after": shown(after, wanted if module.check_mode else ())},
        )


if __name__ == "__main__":
    main()
