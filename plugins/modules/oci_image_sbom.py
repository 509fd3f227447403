#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_sbom
short_description: Attach a bill of materials to an image in a registry
version_added: 0.1.0
description:
  - Stores an SBOM in the registry as an OCI artifact that refers to the image, so that tools find it by the image's digest. In
    registries that do not list referrers, it is listed by the fallback tag of the OCI distribution specification 1.1.
  - The same document on the same image is attached once. Another one is attached beside it; none is removed.
  - M(imagemode.bootc.oci_image_info) with O(imagemode.bootc.oci_image_info#module:attached=true) shows it.
options:
  name:
    description: The image, for example V(registry.example.com/os:1) or V(registry.example.com/os@sha256:…).
    type: str
    required: true
  src:
    description:
      - The document in SPDX or CycloneDX JSON, on the machine that the task runs on, as C(syft) and other tools write it.
    type: path
    required: true
  platform:
    description:
      - The platform of a multi-platform image that the document describes, for example V(linux/arm64). Unset, it is attached
        to what O(name) points at.
    type: str
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.group_image
  - imagemode.bootc.registry
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - Python library requests
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Attach what the build wrote down
  imagemode.bootc.oci_image_sbom:
    name: registry.example.com/os:1
    src: build/os.spdx.json
"""

RETURN = r"""
digest:
  description: The digest of the image that the document is attached to.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
artifact_digest:
  description: The digest of the artifact's manifest, which can be signed in its turn.
  returned: success
  type: str
  sample: sha256:0f1a9a0c1c7b4e7c0e8c2f0d6a1b5e3f7d9c8b2a4e6f8091a2b3c4d5e6f70819
artifact_type:
  description: What the document is.
  returned: success
  type: str
  sample: application/spdx+json
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: sbom_invalid
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Give SPDX or CycloneDX in JSON.
"""

import json
from pathlib import Path

from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import (
    REGISTRY_ARGUMENTS,
    Descriptor,
    Platform,
    RegistryOptions,
    artifact,
    attach,
)


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "src": {"type": "path", "required": True},
            "platform": {"type": "str"},
            **REGISTRY_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with module.errors():
        reference = Reference.parse(module.need("name"))
        content, artifact_type = read(module.need("src"))
        registry = RegistryOptions.of(module.params, reference).pusher()
        manifest = registry.manifest(reference)
        if module.params["platform"]:
            manifest = registry.image(reference, Platform.parse(module.params["platform"]))[0]
        subject = Descriptor(manifest.media_type, manifest.digest, manifest.size)
        wanted = artifact(subject, content, artifact_type).digest
        # Not by its type alone: go-containerregistry lists every artifact with the type of its configuration.
        there = sorted(
            entry.digest
            for entry in registry.referrers(reference, subject.digest)
            if entry.artifact_type == artifact_type or entry.digest == wanted
        )
        after = sorted({*there, wanted})
        changed = after != there
        if changed and not module.check_mode:
            attach(registry, reference, subject, content, artifact_type)
        module.exit_json(
            changed=changed,
            digest=subject.digest,
            artifact_digest=wanted,
            artifact_type=artifact_type,
            diff={"before": "".join(f"{digest}\n" for digest in there), "after": "".join(f"{digest}\n" for digest in after)},
        )


def read(path: str) -> tuple[bytes, str]:
    """:returns: the document as it is, and its media type"""
    try:
        content = Path(path).read_bytes()
        document = json.loads(content)
    except (OSError, ValueError) as error:
        raise ImageModeError(
            f"'{path}' cannot be read as JSON: {error}.", error="sbom_invalid", hint="Give SPDX or CycloneDX in JSON.") from None
    if isinstance(document, dict) and ("spdxVersion" in document or "spdx" in str(document.get("@context", ""))):
        return content, "application/spdx+json"
    if isinstance(document, dict) and document.get("bomFormat") == "CycloneDX":
        return content, "application/vnd.cyclonedx+json"
    raise ImageModeError(f"'{path}' is neither SPDX nor CycloneDX.", error="sbom_invalid", hint="Give SPDX or CycloneDX in JSON.")


if __name__ == "__main__":
    main()
