#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_info
short_description: What a registry says of an image
version_added: 0.1.0
description:
  - Asks a registry about a reference, without pulling it, and returns digests, platforms, labels and layers.
options:
  name:
    description: The image, for example V(registry.example.com/os:1).
    type: str
    required: true
  platform:
    description: Platform whose image is described, for example V(linux/arm64); without it that of the machine the task runs on.
    type: str
  query:
    description: JMESPath expression over the result; what it gives is returned as RV(answer).
    type: str
  required:
    description: Fail with RV(error=image_missing) if the registry has no such image, instead of returning RV(exists=false).
    type: bool
    default: false
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.info
  - imagemode.bootc.attributes.group_image
  - imagemode.bootc.registry
requirements:
  - Python library requests
  - Python library jmespath for O(query)
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Look at an image in a registry
  imagemode.bootc.oci_image_info:
    name: registry.example.com/os:1
  register: os

- name: How large is its download
  imagemode.bootc.oci_image_info:
    name: registry.example.com/os:1
    query: sum(layers[].size)
"""

RETURN = r"""
exists:
  description: Whether the registry has the image.
  returned: success
  type: bool
  sample: true
digest:
  description: The digest of the manifest for the platform, as C(bootc status) reports it.
  returned: when the image exists
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
index_digest:
  description: The digest of the index that the reference points at; null if it points at a manifest.
  returned: when the image exists
  type: str
  sample: null
platforms:
  description: Platform → digest of its manifest.
  returned: when the image exists
  type: dict
  sample: {linux/amd64: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7}
image_id:
  description: Digest of the image configuration, the id that engines show.
  returned: when the image exists
  type: str
  sample: sha256:353266bc3645851e5d62a4873741596c3fbcad3d1dacc49c2b51a4e94b3ac3d6
labels:
  description: The image's labels.
  returned: when the image exists
  type: dict
  sample: {containers.bootc: "1"}
created:
  description: When it was built, RFC 3339.
  returned: when the image exists
  type: str
  sample: "2026-11-23T22:01:08Z"
layers:
  description: The layers, with C(digest), C(size) in bytes and C(media_type).
  returned: when the image exists
  type: list
  elements: dict
  sample:
    - digest: sha256:0b1079cbf28edf302126a16429c305d57e071e1a0a92878102c0bb7f95f3f6e3
      media_type: application/vnd.oci.image.layer.v1.tar+gzip
      size: 1234
size:
  description: Bytes of all layers together, as they travel.
  returned: when the image exists
  type: int
  sample: 153600000
bootc:
  description: Whether the image says of itself that it is a bootable container.
  returned: when the image exists
  type: bool
  sample: true
answer:
  description: What O(query) gives.
  returned: when O(query) is set
  type: raw
  sample: 153600000
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: registry_unauthorized
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Check the repository, the tag and the digest.
"""

from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError, OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import (
    REGISTRY_ARGUMENTS,
    Image,
    ImageMissing,
    Index,
    Platform,
    RegistryOptions,
)


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "platform": {"type": "str"},
            "query": {"type": "str"},
            "required": {"type": "bool", "default": False},
            **REGISTRY_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with module.errors():
        reference = Reference.parse(module.need("name"))
        options = RegistryOptions.of(module.params, reference)
        registry = options.puller()
        platform = Platform.parse(module.params["platform"]) if module.params["platform"] else Platform.here()
        try:
            image, index = registry.image(reference, platform)
        except ImageMissing:
            if module.params["required"]:
                raise
            result = {"exists": False, "reference": str(reference)}
        else:
            result = describe(reference, image, index, registry.config(reference, image), platform)
        if module.params["query"]:
            result["answer"] = ask(module.params["query"], result)
        module.exit_json(changed=False, **result)


def describe(reference: Reference, image: Image, index: Index | None, config: dict, platform: Platform) -> dict:
    labels = (config.get("config") or {}).get("Labels") or {}
    return {
        "exists": True,
        "reference": str(reference),
        "digest": image.digest,
        "index_digest": index.digest if index else None,
        "platforms": {str(entry.platform): entry.digest for entry in index.platforms}
        if index
        else {str(Platform.of(config.get("os", "linux"), config.get("architecture", ""), config.get("variant", ""))): image.digest},
        "image_id": image.config.digest,
        "labels": labels,
        "created": config.get("created"),
        "layers": [{"digest": layer.digest, "size": layer.size, "media_type": layer.media_type} for layer in image.layers],
        "size": sum(layer.size for layer in image.layers),
        "bootc": labels.get("containers.bootc") == "1" or "ostree.bootable" in labels,
    }


def ask(query: str, result: dict) -> object:
    try:
        import jmespath
    except ImportError:
        raise ImageModeError(
            "The option 'query' needs the Python library jmespath where the task runs.", error="python_library_missing",
            hint="Install jmespath there, or delegate the task to the controller.",
        ) from None
    try:
        return jmespath.search(query, result)
    except jmespath.exceptions.JMESPathError as error:
        raise OptionError(f"'{query}' is not a JMESPath expression: {error}") from None


if __name__ == "__main__":
    main()
