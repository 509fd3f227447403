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
    description:
      - Platform whose image is described, for example V(linux/arm64); without it that of the machine the task runs on.
      - If it is set and there is no image for it, be it an index or a single image, this is an error that names what there is.
    type: str
  since:
    description:
      - Another image, for example the one that hosts run now; RV(download) tells what an update from it transfers.
      - Layers are compared by digest, as hosts compare them.
    type: str
  attached:
    description: Whether signatures, attestations and SBOMs are looked for; it takes four requests more.
    type: bool
    default: false
  tags:
    description: Whether the tags of the repository are listed.
    type: bool
    default: false
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
download:
  description: What is transferred to a host that has O(since) already - C(size) in bytes, C(layers) as a number, C(digests).
  returned: when O(since) is set and the image exists
  type: dict
  sample: {size: 1234, layers: 1, digests: ["sha256:0b1079cbf28edf302126a16429c305d57e071e1a0a92878102c0bb7f95f3f6e3"]}
attached:
  description:
    - What is attached to the image or to its index - C(kind) (signature, attestation, sbom, other), C(digest), C(artifact_type),
      C(subject), the digest that it is attached to, and cosign's C(tag), empty for referrers.
  returned: when O(attached) is true and the image exists
  type: list
  elements: dict
  sample:
    - kind: signature
      digest: sha256:41af286dc0b172ed2f1ca934fd2278de4a1192302ffa07087cea2682e7d372e3
      artifact_type: ""
      subject: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
      tag: sha256-512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7.sig
tags:
  description: The tags of the repository.
  returned: when O(tags) is true
  type: list
  elements: str
  sample: ["1", stable]
bootc:
  description: Whether the image says of itself that it is a bootable container.
  returned: when the image exists
  type: bool
  sample: true
answer:
  description: What O(query) gives; null where it asks for what an image that does not exist lacks.
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
  sample: "Check the repository, the tag and the digest; oci_image_info with 'tags: true' lists the tags that there are."
"""

from dataclasses import asdict

from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError, OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import (
    REGISTRY_ARGUMENTS,
    Image,
    ImageMissing,
    Index,
    Platform,
    Registry,
    RegistryOptions,
    attached,
    need_platform,
)


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "platform": {"type": "str"},
            "since": {"type": "str"},
            "attached": {"type": "bool", "default": False},
            "tags": {"type": "bool", "default": False},
            "query": {"type": "str"},
            "required": {"type": "bool", "default": False},
            **REGISTRY_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with module.errors():
        reference = Reference.parse(module.need("name"))
        since = Reference.parse(module.params["since"]) if module.params["since"] else None
        options = RegistryOptions.of(module.params, reference, *([since] if since else []))
        registry = options.puller()
        platform = Platform.parse(module.params["platform"]) if module.params["platform"] else Platform.here()
        try:
            image, index = registry.image(reference, platform)
        except ImageMissing:
            if module.params["required"]:
                raise
            result = {"exists": False, "reference": str(reference)}
        else:
            configuration = registry.config(reference, image)
            if module.params["platform"] and not index:
                need_platform(image.digest, configuration, platform)
            result = describe(reference, image, index, configuration)
            if since:
                before, _index = registry.image(since, platform)
                result["download"] = download(image, before)
            if module.params["attached"]:
                subjects = [image.digest, *([index.digest] if index else [])]
                result["attached"] = [asdict(found) for subject in subjects for found in attached(registry, reference, subject)]
        if module.params["tags"]:
            result["tags"] = list_tags(registry, reference)
        if module.params["query"]:
            result["answer"] = ask(module.params["query"], result)
        module.exit_json(changed=False, **result)


def describe(reference: Reference, image: Image, index: Index | None, config: dict) -> dict:
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


def list_tags(registry: Registry, reference: Reference) -> list[str]:
    try:
        return list(registry.tags(reference))
    except ImageMissing:
        return []


def download(image: Image, before: Image) -> dict:
    there = {layer.digest for layer in before.layers}
    missing = {layer.digest: layer.size for layer in image.layers if layer.digest not in there}
    return {"size": sum(missing.values()), "layers": len(missing), "digests": list(missing)}


def ask(query: str, result: dict) -> object:
    try:
        import jmespath
    except ImportError:
        raise ImageModeError(
            "The option 'query' needs the Python library jmespath where the task runs.",
            error="python_library_missing",
            hint="Install jmespath there, or delegate the task to the controller.",
        ) from None
    try:
        return jmespath.search(query, result)
    except jmespath.exceptions.JMESPathError as error:
        if isinstance(error, jmespath.exceptions.JMESPathTypeError) and not result["exists"]:
            return None  # what it asks about is not there: the expression is as good as ever
        raise OptionError(
            f"The JMESPath expression '{query}' cannot be evaluated: {error}", error="query_invalid", hint="See jmespath.org."
        ) from None


if __name__ == "__main__":
    main()
