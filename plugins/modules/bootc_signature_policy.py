#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_signature_policy
short_description: Which signatures a host demands of images
version_added: 0.1.0
description:
  - Sets what is demanded of images from registries in containers-policy.json(5), and where their signatures are found in
    containers-registries.d(5). Scopes that are not named stay as they are. Keys become part of the policy.
  - Before a policy is replaced, the image that the host follows is opened by the new one as bootc does it, so that the host is
    not locked out of its own updates.
  - bootc enforces the policy where M(imagemode.bootc.bootc_switch) was told C(enforce_container_sigpolicy), and then refuses
    a policy whose default accepts everything. Podman always enforces it.
options:
  scopes:
    description: What is demanded of images by their names. The longest scope that fits decides.
    type: list
    elements: dict
    default: []
    suboptions:
      scope:
        description: A registry, a namespace or a repository in it, for example V(registry.example.com/team).
        type: str
        required: true
      type:
        description:
          - What is demanded - V(sigstore) a signature by cosign, podman or skopeo that is stored beside the image, V(gpg) a
            signature by GnuPG, V(reject) refuses everything, V(insecure) accepts everything. Required with O(scopes[].state=present).
        type: str
        choices: [sigstore, gpg, reject, insecure]
      keys:
        description:
          - Public keys; a signature by one of them will do. PEM for O(scopes[].type=sigstore), of which more than one needs a
            skopeo on the host that knows C(keyDatas), as 1.18 does; for O(scopes[].type=gpg) exported with C(gpg --export --armor).
        type: list
        elements: str
        default: []
      signed_repository:
        description: The repository that the signatures are for, if it is another than the one that is pulled from.
        type: str
      lookaside:
        description: Address of the signatures by GnuPG, for example V(https://signatures.example.com). For O(scopes[].type=gpg).
        type: str
      mirrors:
        description:
          - Where registries.conf(5) of the host really has these images pulled from, if it is elsewhere; signatures are looked
            for there. As O(scopes[].scope) is written.
        type: list
        elements: str
        default: []
      state:
        description: Whether the scope has a policy of its own.
        type: str
        default: present
        choices: [present, absent]
  default:
    description:
      - What is done with images that no scope is for. Unset, it stays as it is, or is V(insecure) in a file that is new.
        bootc enforces no policy with V(insecure).
    type: str
    choices: [reject, insecure]
  accept_local:
    description:
      - Whether O(default=reject) is for registries only. Other transports that have no policy accept everything then; Podman
        runs no container otherwise.
    type: bool
    default: true
  check_image:
    description: Whether an image is opened by the new policy before that replaces the old one. In check mode, too.
    type: bool
    default: true
  image:
    description: That image; unset, the one that the host follows, if it is one of a registry.
    type: str
  path:
    description: The policy.
    type: path
    default: /etc/containers/policy.json
  registries_d:
    description: Directory that says where signatures are.
    type: path
    default: /etc/containers/registries.d
extends_documentation_fragment:
  - imagemode.bootc.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - skopeo for O(check_image=true)
seealso:
  - module: imagemode.bootc.oci_image_sign
  - module: imagemode.bootc.bootc_switch
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Run nothing but what our key signed
  imagemode.bootc.bootc_signature_policy:
    default: reject
    scopes:
      - scope: registry.example.com/os
        type: sigstore
        keys:
          - "{{ lookup('ansible.builtin.file', 'cosign.pub') }}"
  become: true

- name: Signatures by GnuPG
  imagemode.bootc.bootc_signature_policy:
    scopes:
      - scope: registry.example.com
        type: gpg
        keys: ["{{ lookup('ansible.builtin.file', 'signer.asc') }}"]
        lookaside: https://signatures.example.com
  become: true
"""

RETURN = r"""
path:
  description: The policy's file.
  returned: success
  type: str
  sample: /etc/containers/policy.json
enforceable:
  description: Whether bootc can enforce the policy; it refuses one whose default accepts everything.
  returned: success
  type: bool
  sample: true
checked_image:
  description: The image that was opened by the new policy; null if none was.
  returned: success
  type: str
  sample: registry.example.com/os:1
checked_digest:
  description: Its digest.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: signature_refused
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Check the host's /etc/containers/policy.json and the image's signature.
"""

import json
from pathlib import Path

from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.client import Bootc
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import BootcError, NotManaged
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._policy import (
    PolicyFiles,
    PolicyInvalid,
    Pulled,
    Scope,
    enforceable,
    open_image,
    with_default,
    with_scope,
)


def main() -> None:
    scope = {
        "scope": {"type": "str", "required": True},
        "type": {"type": "str", "choices": ["sigstore", "gpg", "reject", "insecure"]},
        "keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "signed_repository": {"type": "str"},
        "lookaside": {"type": "str"},
        "mirrors": {"type": "list", "elements": "str", "default": []},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    }
    module = CollectionModule(
        argument_spec={
            "scopes": {"type": "list", "elements": "dict", "default": [], "options": scope},
            "default": {"type": "str", "choices": ["reject", "insecure"]},
            "accept_local": {"type": "bool", "default": True},
            "check_image": {"type": "bool", "default": True},
            "image": {"type": "str"},
            "path": {"type": "path", "default": "/etc/containers/policy.json"},
            "registries_d": {"type": "path", "default": "/etc/containers/registries.d"},
        },
        supports_check_mode=True,
    )
    with module.errors():
        ensure(module, PolicyFiles(Path(module.need("path")), Path(module.need("registries_d"))))


def ensure(module: CollectionModule, files: PolicyFiles) -> None:
    before = files.policy(), files.storage()
    after = wanted(module, *before)
    changed = before != after
    if before[1] != after[1]:
        files.refuse_second(after[1])
    image = (module.params["image"] or followed()) if changed and module.params["check_image"] else None
    pulled = tried(files, after, image) if image else None
    if changed and not module.check_mode:
        for _written in files.write(*after):
            module.changed = True
    module.exit_json(
        changed=changed,
        path=str(files.path),
        enforceable=enforceable(after[0]),
        checked_image=image,
        checked_digest=pulled.digest if pulled else None,
        diff={"before": shown(before), "after": shown(after)},
    )


def wanted(module: CollectionModule, policy: dict, storage: dict) -> tuple[dict, dict]:
    default = module.params["default"] or (None if policy.get("default") else "insecure")
    if default:
        policy = with_default(policy, default, module.params["accept_local"])
    for item in module.params["scopes"]:
        requirement = place = None
        if item["state"] == "present":
            if not item["type"]:
                raise PolicyInvalid(f"The scope '{item['scope']}' has no type.", hint="Say with 'type' what is demanded.")
            scope = Scope(
                item["scope"], item["type"], tuple(item["keys"]), item["signed_repository"], item["lookaside"], tuple(item["mirrors"])
            )
            requirement, place = [scope.requirement], scope.storage
        policy = with_scope(policy, item["scope"], requirement, "transports", "docker")
        for name in (item["scope"], *item["mirrors"]):
            storage = with_scope(storage, name, place, "docker")
    return policy, storage


def followed() -> str | None:
    try:
        spec = Bootc(timeout=300).status().spec
    except NotManaged:
        return None
    return spec.image if spec and spec.transport in ("registry", "docker") else None


def tried(files: PolicyFiles, after: tuple[dict, dict], image: str) -> Pulled:
    with files.candidate(*after) as candidate:
        try:
            return open_image(image, candidate)
        except BootcError as error:
            error.message = f"By the new policy the host could not pull {image}, and the old one stays: {error.message}"
            error.hint = f"{error.hint or 'Look at the image and its signatures.'} 'check_image: false' sets the policy all the same."
            raise


def shown(documents: tuple[dict, dict]) -> str:
    return "".join(json.dumps(document, indent=4, sort_keys=True) + "\n" for document in documents)


if __name__ == "__main__":
    main()
