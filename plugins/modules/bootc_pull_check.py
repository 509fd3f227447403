#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_pull_check
short_description: Whether the host's next pull would work
version_added: 0.1.0
description:
  - Opens an image as bootc does - with its auth file, the host's mirrors, certificates and signature policy - and fetches no layer.
options:
  image:
    description: The image in a registry; unset, the one that the host follows.
    type: str
  enforce_container_sigpolicy:
    description: Whether bootc is to enforce the signature policy, for which the policy's default may not accept everything.
    type: bool
    default: false
  required:
    description: Fail if the image could not be pulled. With V(false) RV(pullable) tells.
    type: bool
    default: true
  timeout:
    description: Seconds that the registry may take for each answer; V(0) means no limit.
    type: int
    default: 120
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.info
  - imagemode.bootc.attributes.group_bootc
requirements:
  - skopeo
seealso:
  - module: imagemode.bootc.bootc_auth
  - module: imagemode.bootc.bootc_signature_policy
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Know before the night that the update will be there
  imagemode.bootc.bootc_pull_check:
    image: registry.example.com/os:2
  become: true
"""

RETURN = r"""
pullable:
  description: Whether the image could be opened.
  returned: always
  type: bool
  sample: true
image:
  description: The image.
  returned: success
  type: str
  sample: registry.example.com/os:2
digest:
  description: Its digest for this host's platform; null if it could not be opened.
  returned: always
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
auth_file:
  description: Which file the credentials were looked for in; null if bootc has none and asks without.
  returned: success
  type: str
  sample: /etc/ostree/auth.json
error:
  description: A stable code for what went wrong; also with O(required=false).
  returned: failure, and if RV(pullable=false)
  type: str
  sample: registry_unauthorized
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: bootc reads /run/ostree/auth.json, /etc/ostree/auth.json and /usr/lib/ostree/auth.json only; bootc_auth puts credentials there.
"""

from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.client import Bootc
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import BootcError, NotManaged
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._foresight import need_enforceable
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._policy import Pulled, open_image


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "image": {"type": "str"},
            "enforce_container_sigpolicy": {"type": "bool", "default": False},
            "required": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    with module.errors():
        image = module.params["image"] or followed()
        try:
            pulled = pull(module, image)
        except BootcError as error:
            error.details.update(pullable=False, digest=None)
            if module.params["required"]:
                raise
            module.exit_json(changed=False, image=image, auth_file=None, **error.as_result())
        module.exit_json(changed=False, pullable=True, image=image, digest=pulled.digest, auth_file=pulled.auth_file)


def followed() -> str:
    spec = Bootc(timeout=300).status().spec
    if spec is None:
        raise NotManaged("The host follows no image, and 'image' names none.", hint="Set 'image'.")
    if spec.transport not in ("registry", "docker"):
        raise OptionError(f"The host follows {spec.transport}:{spec.image}, which is in no registry.", hint="Set 'image'.")
    return spec.image


def pull(module: CollectionModule, image: str) -> Pulled:
    if module.params["enforce_container_sigpolicy"]:
        need_enforceable()
    return open_image(image, timeout=module.params["timeout"])


if __name__ == "__main__":
    main()
