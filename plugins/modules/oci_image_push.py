#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_push
short_description: Make a registry's tag point at an image
version_added: 0.1.0
description:
  - Pushes an image of the engine's local storage, if the registry does not hold it under this tag yet.
  - The registry is asked first. If its tag points at this image already, nothing is sent.
  - C(changed) means that the registry's digest for the tag changed; a new tag on the same image is a change.
options:
  name:
    description: The image in the engine's local storage, and where it goes unless O(to) says otherwise.
    type: str
    required: true
  to:
    description: The reference in the registry.
    type: str
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.group_image
  - imagemode.bootc.engine
  - imagemode.bootc.registry
attributes:
  check_mode:
    support: full
    details:
      - Only asks the registry.
  diff_mode:
    support: full
  idempotent:
    support: full
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Push what changed
  imagemode.bootc.oci_image_push:
    name: registry.example.com/os:1
  register: pushed

- name: Give the same image another tag
  imagemode.bootc.oci_image_push:
    name: registry.example.com/os:1
    to: registry.example.com/os:stable
"""

RETURN = r"""
digest:
  description:
    - The digest that the registry has for the tag.
    - In check mode, when the image would be pushed, it is null, because compressing decides it.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
before_digest:
  description: The digest that it had before; null if there was no such tag.
  returned: success
  type: str
  sample: null
image_id:
  description: Digest of the image configuration, the id that engines show.
  returned: success
  type: str
  sample: sha256:353266bc3645851e5d62a4873741596c3fbcad3d1dacc49c2b51a4e94b3ac3d6
reference:
  description: The reference that was pushed, normalised.
  returned: success
  type: str
  sample: registry.example.com/os:1
reason:
  description: Why it was, or was not, pushed.
  returned: success
  type: str
  sample: the registry has another image under this tag
requests:
  description: How many requests this module sent to the registry by itself; the engine's upload is not counted.
  returned: success
  type: int
  sample: 1
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

from ansible_collections.imagemode.bootc.plugins.module_utils._engine import CHOICES, LOCAL, choose_engine, local_name
from ansible_collections.imagemode.bootc.plugins.module_utils._engine_access import engine_access
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError, OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import (
    REGISTRY_ARGUMENTS,
    Image,
    ImageMissing,
    Manifest,
    Registry,
    RegistryOptions,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "to": {"type": "str"},
            "engine": {"type": "str", "default": "auto", "choices": CHOICES},
            **REGISTRY_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with module.errors():
        push(module)


def push(module: CollectionModule) -> None:
    name = local_name(module.need("name"))
    reference = Reference.parse(module.params["to"]) if module.params["to"] else name
    if reference.registry == LOCAL or reference.pinned:
        raise OptionError(
            f"'{reference}' cannot be pushed to: it names {'a digest' if reference.pinned else 'no registry'}.",
            hint="Write the target as registry/repository:tag, in 'to' or in 'name'.",
        )
    options = RegistryOptions.of(module.params, reference)
    engine = choose_engine(module.params["engine"], Runner(secrets=options.secrets))
    image = engine.need(str(name))
    registry = options.pusher()
    there = look(registry, reference)
    # The configuration's digest names the content whatever the layers were compressed with.
    same = isinstance(there, Image) and there.config.digest == image.id
    digest = before = there.digest if there else None
    if same:
        reason = "the registry has this image under this tag"
    elif there:
        reason = "the registry has another image under this tag"
    else:
        reason = "the registry does not have this tag"
    if not same:
        digest = None
        if not module.check_mode:
            with engine_access(options, reference.registry) as access:
                pushed = engine.push(image.id, reference, access)
            digest = registry.digest(reference)
            module.changed = digest != before
            if pushed != digest:
                raise ImageModeError(
                    f"The engine pushed {pushed} to {reference}, and the registry has {digest} there now.",
                    error="digest_mismatch",
                    hint="Somebody else pushed to the same tag meanwhile. Run the task again.",
                )
    module.exit_json(
        changed=not same if module.check_mode else digest != before,
        digest=digest,
        before_digest=before,
        image_id=image.id,
        reference=str(reference),
        reason=reason,
        requests=registry.requests_sent,
        diff={
            "before": f"{reference}: {there.config.digest if isinstance(there, Image) else before}\n",
            "after": f"{reference}: {image.id}\n",
        },
    )


def look(registry: Registry, reference: Reference) -> Manifest | None:
    try:
        return registry.manifest(reference)
    except ImageMissing:
        return None


if __name__ == "__main__":
    main()
