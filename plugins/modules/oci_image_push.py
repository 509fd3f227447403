#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_push
short_description: Make tags of a registry point at an image
version_added: 0.1.0
description:
  - Pushes an image of the engine's local storage if the registry does not hold it
    under this tag yet.
  - The registry is asked first, with one request a tag. If its tag points at this image already, nothing is sent. If the
    repository holds the image under another of the tags, the tag is set on it there; nothing is compressed or sent again.
  - C(changed) means that the registry's digest for a tag changed; a new tag on the same image is a change.
  - A push that is cut off leaves the tags where they were; running the task again goes on with what is missing.
  - Of an image that M(imagemode.bootc.oci_image_build) built for several platforms, the index is pushed. In the registry its
    images get tags of their own, such as C(1-linux-arm64) beside C(1).
options:
  name:
    description:
      - The image in the engine's local storage, and where it goes unless O(to) says otherwise.
      - With O(to), it may be the id of an image, with or without C(sha256:), as M(imagemode.bootc.oci_image_build) returns it.
    type: str
    required: true
  to:
    description:
      - References in one or several registries; one that is there twice counts once.
      - From a registry M(imagemode.bootc.oci_image_copy) brings an image into a directory or an archive.
    type: list
    elements: str
    default: []
  compression:
    description:
      - What the layers in the registry are compressed with. Unset, anything that is there already will do, and what is
        pushed is compressed as the engine is configured, which is V(gzip) everywhere by default.
      - If the registry holds the image with another compression, it is pushed again, under another digest.
      - To have it as asked for, the image is compressed into a temporary directory and sent from there by skopeo, because engines
        may take layers that the registry has with another compression.
      - With V(zstd:chunked), engines that know how pull only those parts of a layer that they do not have. bootc pulls it as
        it pulls any layer.
    type: str
    choices: [gzip, zstd, "zstd:chunked"]
  built:
    description:
      - Whether a task before this one builds the image, C(built is changed). Check mode builds nothing, so that what local storage has
        there is not what would be pushed; with V(true) check mode looks for no image, and predicts that it is pushed.
        An image that the build would only tag, or take from its registry, is predicted so, too.
      - Outside of check mode it does nothing.
    type: bool
    default: false
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.elapsed
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
- name: Build the operating system
  imagemode.bootc.oci_image_build:
    name: registry.example.com/os:1
    context: /srv/os
  register: built

- name: Push what changed
  imagemode.bootc.oci_image_push:
    name: registry.example.com/os:1
    built: "{{ built is changed }}"
  register: pushed

- name: Push under three tags
  imagemode.bootc.oci_image_push:
    name: localhost/os:1
    to:
      - registry.example.com/os:1.4.2
      - registry.example.com/os:1.4
      - registry.example.com/os:1
  register: pushed

- name: Show each tag's digest
  ansible.builtin.debug:
    msg: "{{ item.reference }} is {{ item.digest }}"
  loop: "{{ pushed.pushed }}"
  loop_control:
    label: "{{ item.reference }}"
"""

RETURN = r"""
digest:
  description:
    - The digest that the registry has for the first tag, read back after a push.
    - In check mode, when the image would be pushed, it is null, because building and compressing decide it.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
before_digest:
  description: The digest that the first tag had before; null if there was no such tag.
  returned: success
  type: str
  sample: null
image_id:
  description: >-
    Digest of the image configuration, the id that engines show; null in check mode with O(built=true). With containerd's image store,
    which new installations of Docker 29 have, it is the digest of the manifest.
  returned: success
  type: str
  sample: sha256:353266bc3645851e5d62a4873741596c3fbcad3d1dacc49c2b51a4e94b3ac3d6
platforms:
  description: Platform → digest of its image configuration, of an image that was built for several; empty for others.
  returned: success
  type: dict
  sample: {}
reference:
  description: The first tag's reference, normalised.
  returned: success
  type: str
  sample: registry.example.com/os:1
reason:
  description: Why it was, or was not, pushed.
  returned: success
  type: str
  sample: the registry has another image under this tag
pushed:
  description: The same for every tag, in the order of O(to).
  returned: success
  type: list
  elements: dict
  contains:
    reference:
      description: The tag's reference, normalised.
      type: str
    digest:
      description: As RV(digest).
      type: str
    before_digest:
      description: As RV(before_digest).
      type: str
    reason:
      description: As RV(reason).
      type: str
    changed:
      description: Whether the digest of this tag changed, or would.
      type: bool
  sample:
    - reference: registry.example.com/os:1
      digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
      before_digest: null
      reason: the registry does not have this tag
      changed: true
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
  sample: "Check the repository, the tag and the digest; oci_image_info with 'tags: true' lists the tags that there are."
"""

from typing import NoReturn

from ansible_collections.imagemode.bootc.plugins.module_utils._engine import (
    CHOICES,
    LOCAL,
    Engine,
    ImageMissingLocal,
    LocalImage,
    choose_engine,
    image_digest,
    local_name,
    named_by_id,
    platform_name,
    require_support,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._push import IndexPush, Push, Tag, unbuilt
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import TRANSPORTS, Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import REGISTRY_ARGUMENTS, Registry, RegistryOptions
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "to": {"type": "list", "elements": "str", "default": []},
            "compression": {"type": "str", "choices": ["gzip", "zstd", "zstd:chunked"]},
            "built": {"type": "bool", "default": False},
            "engine": {"type": "str", "default": "auto", "choices": CHOICES},
            **REGISTRY_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with module.errors():
        push(module)


def push(module: CollectionModule) -> None:
    to, ahead = module.params["to"], module.check_mode and module.params["built"]
    # The id of an image that check mode does not build is null.
    given = module.params["name"] if ahead and to else module.need("name")
    name = None if given is None or named_by_id(given) else local_name(given)
    if name is None and not to:
        raise OptionError(f"The id '{given}' does not say where the image goes.", hint="Set 'to', or give the name of the image.")
    targets = [target(reference) for reference in dict.fromkeys(map(parse, to or [str(name)]))]
    options = RegistryOptions.of(module.params, *targets)
    compression = module.params["compression"]
    engine = choose_engine(module.params["engine"], Runner(secrets=options.secrets))
    require_support(engine, [option for option in ("compression", "ca_path", "client_cert") if module.params[option]])
    registry = options.pusher()
    if ahead:
        report(module, registry, [unbuilt(registry, reference) for reference in targets], None, {})
    image = need(module, engine, str(name or image_digest(given)))
    images = built_together(engine, name, image) if name else {}
    job = IndexPush(images, engine, options, registry, compression) if images else Push(image, engine, options, registry, compression)
    tags = [job.predict(tag) for tag in [job.look(reference) for reference in targets]]
    if not module.check_mode:
        tags = carry_out(module, job, tags)
    if compression and compression != "gzip":
        module.warn(
            f"Layers compressed with {compression} need hosts that can read them: bootc's ostree backend does, its composefs backend"
            " has not been seen to. Try one host of each kind before a fleet is switched to this image."
        )
    report(module, registry, tags, image.id, {platform: image.id for platform, image in images.items()})


def need(module: CollectionModule, engine: Engine, name: str) -> LocalImage:
    try:
        return engine.need(name)
    except ImageMissingLocal as error:
        if module.check_mode:
            error.hint = f"{error.hint} If a task before this one builds it, which check mode does not, set 'built'."
        raise


def report(module: CollectionModule, registry: Registry, tags: list[Tag], image_id: str | None, platforms: dict[str, str]) -> NoReturn:
    """:param image_id: C(None) if the image is yet to be built"""
    first = tags[0].as_result()
    del first["changed"]
    image = f"image {image_id}" if image_id else "an image that is built first"
    module.exit_json(
        changed=any(tag.changed for tag in tags),
        image_id=image_id,
        platforms=platforms,
        pushed=[tag.as_result() for tag in tags],
        requests=registry.requests_sent,
        diff={
            "before": "".join(f"{tag.reference}: {tag.before.digest if tag.before else 'not there'}\n" for tag in tags),
            "after": "".join(f"{tag.reference}: {tag.digest or image}\n" for tag in tags),
        },
        **first,
    )


def built_together(engine: Engine, name: Reference, image: LocalImage) -> dict[str, LocalImage]:
    """:returns: platform → image, of an image that was built for several; empty for others"""
    names = {platform: str(platform_name(name, platform)) for platform in image.platforms}
    images = {platform: engine.find(name) for platform, name in names.items()}
    # The label alone proves nothing: a base that was built for several hands it on, and a further name for the image keeps it.
    if not any(other and other.id == image.id for other in images.values()):
        return {}
    return {platform: other or engine.need(names[platform]) for platform, other in images.items()}


def carry_out(module: CollectionModule, job: Push, tags: list[Tag]) -> list[Tag]:
    done = []
    try:
        for tag in tags:
            done.append(tag if tag.same else job.carry_out(tag))
    finally:
        module.changed = job.sent
    return done


def parse(text: str) -> Reference:
    transport, colon, rest = text.partition(":")
    # "dir:5000/os" is in a registry of that name.
    if text.startswith(("/", "./")) or (colon and transport in TRANSPORTS[1:] and not rest.partition("/")[0].isdecimal()):
        raise OptionError(
            f"'{text}' cannot be pushed to: a push goes to a registry.",
            hint="Write the target as registry/repository:tag. From there oci_image_copy brings the image into files, and engines pull it.",
        )
    return Reference.parse(text)


def target(reference: Reference) -> Reference:
    if reference.registry == LOCAL or reference.pinned:
        raise OptionError(
            f"'{reference}' cannot be pushed to: it names {'a digest' if reference.pinned else 'no registry'}.",
            hint="Write the target as registry/repository:tag, in 'to' or in 'name'.",
        )
    return reference


if __name__ == "__main__":
    main()
