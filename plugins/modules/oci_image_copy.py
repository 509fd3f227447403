#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_copy
short_description: Carry an image from place to place, digest and signatures included
version_added: 0.1.0
description:
  - Copies an image between registries, OCI layouts, archives and directories, with all its platforms, byte for byte, so that its
    digest stays the same. What has this digest already is not copied.
  - Signatures, attestations and SBOMs go with it, whether they are attached by cosign's tags or as OCI referrers, and whether
    the registries on either side have the referrers API or not. Signatures and attestations that a registry has of its own, as a
    mirror that signs what it holds, stay beside those that come.
  - The destination is read back afterwards.
options:
  src:
    description:
      - Where the image is - C(registry.example.com/os:1) or C(registry.example.com/os@sha256:…) in a registry,
        C(oci:PATH[:NAME]), C(oci-archive:PATH[:NAME]), C(dir:PATH) or C(docker-archive:PATH[:NAME]) in files. A C(~) that a path begins
        with is the home of the task's user.
    type: str
    required: true
  dest:
    description:
      - Where it goes, written as O(src) is. With a digest, what O(src) has must be that; a tag beside it comes to mean it.
      - A layout (C(oci:PATH:NAME)) can hold several images by name. An archive (C(oci-archive:PATH:NAME)) holds one, with what is
        attached to it; it is written beside and replaced when it is complete.
      - A directory of C(oci) or C(dir) is made; one that is there must be empty or hold such an image. With other files in it, it is
        refused before anything is written.
      - A C(docker-archive) keeps no digest; the image id, which is the digest of the image configuration, is compared instead.
    type: str
    required: true
  platform:
    description:
      - Copy this platform only, for example V(linux/arm64). Unset, everything that O(src) holds.
      - If O(src) has no image for it, be it an index or a single image, this is an error that names what there is.
    type: str
  attached:
    description:
      - Whether signatures, attestations and SBOMs are carried along. Layouts and OCI archives have room for them, by names that
        start with the image's digest, where O(dest) names the image, too; C(dir) has not, and a warning says what stays behind.
      - GnuPG's signatures in a lookaside directory, which containers-registries.d(5) of the machine names, are verified as its
        containers-policy.json(5) demands, and carried to C(dir) and to registries only, as C(skopeo copy) does it.
    type: bool
    default: true
  src_registry:
    description: How the registry of O(src) is reached.
    type: dict
    default: {}
    suboptions: &registry
      username:
        description: User at the registry. Without it, credentials are looked for in C(auth_file) or where Podman looks for them.
        type: str
      password:
        description: Password or token of C(username). It is never on a command line.
        type: str
      auth_namespace:
        description: Registry or namespace that C(username) and C(password) are for; without it the registry of the image.
        type: str
      auth_file:
        description: File with credentials as C(podman login) writes it.
        type: path
      validate_certs:
        description: Whether the registry's certificate must be trusted and name its host.
        type: bool
        default: true
      plain_http:
        description: Speak HTTP to the registry, without TLS. Never tried unless asked for.
        type: bool
        default: false
      ca_path:
        description: File with CA certificates to trust, or a directory as containers-certs.d(5) has it.
        type: path
      client_cert:
        description: PEM file with the client certificate that the registry asks for.
        type: path
      client_key:
        description: PEM file with the key of C(client_cert), without a passphrase; unset, it is in the same file.
        type: path
      timeout:
        description: Seconds for a connection to the registry, and for each wait for data.
        type: int
        default: 30
      retries:
        description: How often a request to the registry is repeated after 429, 5xx or a broken connection.
        type: int
        default: 3
  dest_registry:
    description: How the registry of O(dest) is reached.
    type: dict
    default: {}
    suboptions: *registry
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.elapsed
attributes:
  check_mode:
    support: full
    details:
      - Only reads digests on both sides.
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - skopeo 1.9 or newer
  - Python library requests
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Mirror an image with its signatures
  imagemode.bootc.oci_image_copy:
    src: registry.example.com/os:1
    dest: mirror.example.net/os:1

- name: Put it on a stick for a site without a network
  imagemode.bootc.oci_image_copy:
    src: registry.example.com/os:1
    dest: oci:/media/stick/os:1

- name: And into the site's registry
  imagemode.bootc.oci_image_copy:
    src: oci:/media/stick/os:1
    dest: registry.site.example/os:1
    dest_registry:
      ca_path: /etc/pki/site-ca.crt
"""

RETURN = r"""
digest:
  description:
    - The digest of the image at O(dest); of the index, where it is one. Where O(dest) is a C(docker-archive), the image id.
    - In check mode it is null for what would be copied out of a C(docker-archive), because it gets its digest where it goes.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
before_digest:
  description: The digest that O(dest) had before; null if there was nothing.
  returned: success
  type: str
  sample: null
image_id:
  description: Digest of the image configuration, which is what is compared where O(src) or O(dest) is a C(docker-archive); null elsewhere.
  returned: success
  type: str
  sample: null
copied:
  description: What was, or would be, copied - C(src), C(dest) and C(digest) of each.
  returned: success
  type: list
  elements: dict
  sample:
    - src: docker://registry.example.com/os:1
      dest: oci:/media/stick/os:1
      digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
attached:
  description:
    - What is attached to the image at O(src) and has a place at O(dest) - C(kind) (signature, attestation, sbom, other), C(digest),
      C(artifact_type), C(subject), the digest that it is attached to, and cosign's C(tag), empty for referrers.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: signature
      digest: sha256:41af286dc0b172ed2f1ca934fd2278de4a1192302ffa07087cea2682e7d372e3
      artifact_type: ""
      subject: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
      tag: sha256-512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7.sig
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

from dataclasses import asdict, replace

from ansible_collections.imagemode.bootc.plugins.module_utils._copy import Side, by_image_id, carry, compare, left_behind, moved
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError, OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._layout import Place
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import REGISTRY_ARGUMENTS, Platform, RegistryOptions
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner


def main() -> None:
    registry = {"type": "dict", "default": {}, "options": REGISTRY_ARGUMENTS, "apply_defaults": True}
    module = CollectionModule(
        argument_spec={
            "src": {"type": "str", "required": True},
            "dest": {"type": "str", "required": True},
            "platform": {"type": "str"},
            "attached": {"type": "bool", "default": True},
            "src_registry": registry,
            "dest_registry": registry,
        },
        supports_check_mode=True,
    )
    with module.errors():
        platform = Platform.parse(module.params["platform"]) if module.params["platform"] else None
        source_options, source = side(module, "src")
        destination_options, destination = side(module, "dest")
        pinned = Place.parse(module.params["dest"]).reference
        items = compare(source, destination, platform, module.params["attached"])
        if pinned and pinned.digest not in (None, items[0].digest):
            raise OptionError(
                f"{source.place} has the digest {items[0].digest}, and 'dest' names {pinned.digest}.",
                hint="Leave the digest out of 'dest', or name the image that it belongs to in 'src'.",
            )
        missing = tuple(item for item in items if item.changed)
        # What a docker-archive holds gets its digest where it goes.
        unpacked = source.place.transport == "docker-archive" != destination.place.transport
        before = [destination.digest(destination.place)] if unpacked else [item.before for item in items]
        left = left_behind(items, destination, source) if module.params["attached"] else 0
        if left:
            module.warn(f"{left} signatures, attestations or SBOMs stay behind: {destination.place} has room for the image only.")
        if missing and not module.check_mode:
            runner = Runner(secrets=(*source_options.secrets, *destination_options.secrets))
            try:
                carry(items, source, destination, platform, module.params["attached"], runner)
            except ImageModeError:
                module.changed = destination.digest(destination.place) != before[0] if unpacked else moved(missing, destination)
                raise
        image_id = items[0].digest if by_image_id(source, destination) else None
        after = [item.digest for item in items]
        if unpacked:
            after = [None if missing and module.check_mode else destination.digest(destination.place)]
        module.exit_json(
            changed=bool(missing),
            digest=after[0],
            before_digest=before[0],
            image_id=image_id,
            copied=[
                {"src": str(item.source), "dest": str(item.destination), "digest": digest}
                for item, digest in zip(items, after)
                if item in missing
            ],
            attached=[asdict(item.attached) for item in items if item.attached],
            diff={
                "before": "".join(f"{item.destination}: {digest or 'not there'}\n" for item, digest in zip(items, before)),
                "after": "".join(f"{item.destination}: {digest or f'image {image_id}'}\n" for item, digest in zip(items, after)),
            },
        )


def side(module: CollectionModule, which: str) -> tuple[RegistryOptions, Side]:
    place = Place.parse(module.need(which))
    options = RegistryOptions.of(module.params[f"{which}_registry"], place.reference)
    if which == "dest" and place.reference and place.reference.tag:
        # With a digest beside it, the tag is to mean that one, and no other is written.
        place = replace(place, reference=place.reference.with_tag(place.reference.tag))
    return options, Side(place, options, options.puller() if which == "src" else options.pusher())


if __name__ == "__main__":
    main()
