# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The digest behind a tag, asked on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
name: digest
short_description: The digest that a registry has for an image
version_added: 0.1.0
description:
  - Asks a registry, from the controller, for the digest of an image. The answer is kept for the run of the playbook, so that any
    number of hosts and tasks make one request and see one digest, whatever becomes of the tag meanwhile.
  - Returns the digest of the manifest for a platform, as C(bootc status) reports it, so that hosts can compare without asking.
options:
  _terms:
    description: The images, for example V(registry.example.com/os:stable).
    required: true
    type: list
    elements: str
  platform:
    description:
      - The platform, for example V(linux/arm64); without it that of the controller.
      - It chooses from an index. An image without one is not looked into, so that the answer stays one request;
        M(imagemode.bootc.oci_image_info) tells its platform.
    type: str
  index:
    description: Return the digest that the reference itself points at, which is an index's where it is one, whatever O(platform) is.
    type: bool
    default: false
  content:
    description:
      - Return a digest of what the image of the platform holds, which other manifests may share, instead of the digest of its manifest.
      - V(configuration) is that of its configuration, the same for an image that was only compressed anew; V(layers) is one over the
        diff ids of its layers, the same also for an image that was built again with the same files.
    type: str
    choices: [configuration, layers]
extends_documentation_fragment:
  - imagemode.bootc.registry
requirements:
  - Python library requests
seealso:
  - module: imagemode.bootc.oci_image_info
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Resolve a tag once, for all hosts
  ansible.builtin.set_fact:
    wanted: "{{ lookup('imagemode.bootc.digest', 'registry.example.com/os:stable', platform='linux/amd64') }}"
  run_once: true

- name: Refuse to go on with another image than the one that was approved
  ansible.builtin.assert:
    that: lookup('imagemode.bootc.digest', 'registry.example.com/os:stable', index=true) == approved_digest
"""

RETURN = r"""
_raw:
  description: The digests, one for each image.
  type: list
  elements: str
  sample: [sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7]
"""

import json
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import unset
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference, digest_of
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import (
    REGISTRY_ARGUMENTS,
    Platform,
    RegistryOptions,
)
from ansible_collections.imagemode.bootc.plugins.plugin_utils.once import once


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        # Ansible would take "" for no, and refuse it as a number.
        self.set_options(var_options=variables, direct={name: value for name, value in kwargs.items() if value != ""})
        params = {name: self.get_option(name) for name in (*REGISTRY_ARGUMENTS, "platform", "index", "content")}
        unset(params)
        # The answer does not depend on who asks, and a secret belongs in no name.
        asked = {name: value for name, value in params.items() if name != "password"}
        try:
            return [once([str(term), asked], lambda term=term: _digest(str(term), params)) for term in terms]
        except ImageModeError as error:
            raise AnsibleLookupError(f"{error.error}: {error.message} {error.hint or ''}".strip()) from None


def _digest(term: str, params: Mapping[str, Any]) -> str:
    reference = Reference.parse(term)
    registry = RegistryOptions.of(params, reference).puller()
    if params["index"]:
        return registry.digest(reference)
    platform = Platform.parse(params["platform"]) if params["platform"] else Platform.here()
    if params["content"]:
        image, _index = registry.image(reference, platform)
        layers = registry.config(reference, image).get("rootfs") if params["content"] == "layers" else None
        return digest_of(json.dumps(layers).encode()) if layers else image.config.digest
    # One request for an image without an index; an index itself names the platform's digest.
    return registry.platform_digest(reference, platform)
