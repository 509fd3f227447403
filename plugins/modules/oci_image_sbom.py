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
  - With O(generate) the document is made of the image as it is in the registry, once - what has a digest does not change, and an
    image that has a document of that kind keeps it.
  - M(imagemode.bootc.oci_image_info) with O(imagemode.bootc.oci_image_info#module:attached=true) shows it.
options:
  name:
    description: The image, for example V(registry.example.com/os:1) or V(registry.example.com/os@sha256:…).
    type: str
    required: true
  src:
    description:
      - The document in SPDX or CycloneDX JSON, on the machine that the task runs on, as C(syft) and other tools write it.
        Either this or O(generate) is needed.
    type: path
  generate:
    description:
      - Let C(syft), which has to be installed on the machine that the task runs on, make the document, in this form. It pulls the
        image and unpacks it in the directory for temporary files.
      - A multi-platform image needs O(platform).
    type: str
    choices: [spdx-json, cyclonedx-json]
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
  - syft 1.0 or later with O(generate)
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Attach what the build wrote down
  imagemode.bootc.oci_image_sbom:
    name: registry.example.com/os:1
    src: build/os.spdx.json

- name: Attach what syft finds in it
  imagemode.bootc.oci_image_sbom:
    name: registry.example.com/os:1
    generate: spdx-json
"""

RETURN = r"""
digest:
  description: The digest of the image that the document is attached to.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
artifact_digest:
  description:
    - The digest of the artifact's manifest, which can be signed in its turn; null in check mode if the document would be made.
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

from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import (
    REGISTRY_ARGUMENTS,
    Descriptor,
    Index,
    Platform,
    RegistryOptions,
    artifact,
    attach,
    referring,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner
from ansible_collections.imagemode.bootc.plugins.module_utils._sbom import FORMS, generate, read, require_tool


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "src": {"type": "path"},
            "generate": {"type": "str", "choices": list(FORMS)},
            "platform": {"type": "str"},
            **REGISTRY_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with module.errors():
        sbom(module)


def sbom(module: CollectionModule) -> None:
    reference = Reference.parse(module.need("name"))
    form, src, platform = (module.params[option] for option in ("generate", "src", "platform"))
    if bool(form) == bool(src):
        raise OptionError("One of 'src' and 'generate' is needed, and not both.", hint="Give a document, or let one be made.")
    if form:
        content, artifact_type = None, FORMS[form]
    else:
        content, artifact_type = read(src)
    options = RegistryOptions.of(module.params, reference)
    registry = options.pusher()
    manifest = registry.manifest(reference)
    if platform:
        manifest = registry.image(reference, Platform.parse(platform))[0]
    elif form and isinstance(manifest, Index):
        choices = ", ".join(str(entry.platform) for entry in manifest.platforms)
        raise OptionError(f"'{reference}' is an index, and a document is made of one platform's image.", hint=f"Set 'platform': {choices}.")
    subject = Descriptor(manifest.media_type, manifest.digest, manifest.size)
    there = sorted(one.digest for one in referring(registry, reference, subject.digest) if one.artifact_type == artifact_type)
    if content is None and not there:
        runner = Runner(secrets=options.secrets)
        require_tool(runner)
        if not module.check_mode:
            content, artifact_type = generate(runner, options, reference.with_digest(subject.digest), form)
    wanted = artifact(subject, content, artifact_type).digest if content is not None else (there or [None])[0]
    after = sorted({*there, wanted or "a document that would be made"})
    changed = after != there
    if changed and content is not None and not module.check_mode:
        attach(registry, reference, subject, content, artifact_type)
    module.exit_json(
        changed=changed,
        digest=subject.digest,
        artifact_digest=wanted,
        artifact_type=artifact_type,
        diff={"before": "".join(f"{digest}\n" for digest in there), "after": "".join(f"{digest}\n" for digest in after)},
    )


if __name__ == "__main__":
    main()
