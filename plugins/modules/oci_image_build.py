#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_build
short_description: Build a container image when something that goes into it changed
version_added: 0.1.0
description:
  - Builds an image when, and only when, something that goes into it changed - the Containerfile, a file of the context
    (content, permissions, capabilities or link target), a build argument, a secret's id, the target, the platform, a label, or the digest
    of a base image in its registry.
  - What went in is kept as a fingerprint in the image's labels, so that it travels with the image. Another builder that finds
    the image in the registry does not build it again.
  - An image that something else built upon this one, and gave its name, has its labels, but instructions behind them, and is built
    anew. Docker does not tell the instructions of an image in its local storage, so that there, and of images that Docker
    built, this is not seen. Give such images names of their own.
  - What RUN and ADD instructions fetch from elsewhere is not known beforehand - packages, files at a URL. Where that is to be
    fresh, build with O(force=true) on a schedule, or name a version in a build argument.
  - Podman and Buildah take cached layers of C(RUN --mount) although the files changed that it mounts. A Containerfile that mounts files
    of the context, of a stage or of an image is built without cached layers there, and so is one with O(volumes).
options:
  name:
    description: The name of the image, for example V(registry.example.com/os:1). Without a registry it is C(localhost/…).
    type: str
    required: true
  context:
    description:
      - The build context on the builder - a directory, or a tar archive as C(git archive) writes it. M(ansible.builtin.git) fetches a
        repository. Its C(.containerignore) or C(.dockerignore) counts.
      - Required without O(content); with it, there is nothing to copy from if this is unset.
    type: path
  containerfile:
    description:
      - The Containerfile, relative to O(context). Without it and without O(content), V(Containerfile) or V(Dockerfile).
    type: str
  content:
    description: The text of the Containerfile. Mutually exclusive with O(containerfile).
    type: str
  target:
    description: The stage to build.
    type: str
  build_args:
    description: Build arguments. They can be read in the image's history; use O(secrets) for secrets.
    type: dict
    default: {}
  secrets:
    description:
      - Secrets that C(RUN --mount=type=secret,id=…) mounts. Their ids are part of the fingerprint, their values are not.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: The id.
        type: str
        required: true
      file:
        description: A file on the builder that holds the secret.
        type: path
      env:
        description:
          - A variable of the environment on the builder that holds the secret. Not one that the C(environment) keyword sets - Ansible
            writes that into a command line, which everybody there can read, and C(-vvv) shows.
        type: str
      value:
        description: The secret itself.
        type: str
  platform:
    description:
      - Platform to build for, for example V(linux/arm64); without it the builder's own. An architecture alone is Linux's, an
        operating system alone is for the builder's architecture.
    type: str
  platforms:
    description:
      - Platforms to build for, one image each. M(imagemode.bootc.oci_image_push) makes an index of them. Mutually exclusive with
        O(platform).
      - In local storage each image has a name of its own, such as C(os:1-linux-arm64), and O(name) is the one that runs on the
        builder.
      - An image for another architecture can be built where its RUN instructions can run, which needs C(qemu-user-static), or where
        it has none.
    type: list
    elements: str
    default: []
  labels:
    description: Labels of the image. Docker takes names with blanks in them from a Containerfile only.
    type: dict
    default: {}
  annotations:
    description: Annotations of the manifest.
    type: dict
    default: {}
  network:
    description:
      - Network of the build's RUN instructions, for example V(none) or V(host). With the isolation C(chroot), which E(BUILDAH_ISOLATION)
        may ask for, there is none but V(host), and Podman and Buildah refuse others.
    type: str
  volumes:
    description: Directories that RUN instructions see, as C(--volume) takes them.
    type: list
    elements: str
    default: []
  tags:
    description: Further names for the image, in local storage. They are given to an image that was built before, too.
    type: list
    elements: str
    default: []
  pull:
    description:
      - When a base image is pulled. With V(newer) its digest in the registry decides, and a new digest is a reason to build.
        With V(missing) a local image is taken as it is, and with V(never) nothing else is. While the base is the same, another
        value here is no reason to build.
      - A base image without a registry is what the engine takes it for - with Docker one of Docker Hub, with Podman and Buildah a local
        one, C(localhost/…), before those that C(registries.conf) leads to.
    type: str
    default: newer
    choices: [newer, missing, never]
  timestamp:
    description:
      - Seconds since 1970 that everything which the build makes is dated with, so that the same input gives the same digest on every
        builder. Unset, the variable E(SOURCE_DATE_EPOCH) of the task's environment counts.
    type: int
  ssh:
    description: SSH agents or keys that C(RUN --mount=type=ssh) sees - V(default), or C(ID=SOCKET) or C(ID=KEYFILE).
    type: list
    elements: str
    default: []
  cache_from:
    description:
      - Repositories to take cached layers from, which O(cache_to) fills.
      - With Docker, images instead, built with C(BUILDKIT_INLINE_CACHE=1) in O(build_args); of others it takes nothing.
    type: list
    elements: str
    default: []
  cache_to:
    description: Repositories to put cached layers into. Docker has nothing for it.
    type: list
    elements: str
    default: []
  log_path:
    description:
      - File on the builder that gets the output of the build line by line, to be followed while it runs.
      - Where the controller is the builder, C(-v) shows the output as it comes, without this, unless the task has C(no_log).
    type: path
  reuse:
    description:
      - Whether an image with the same fingerprint is pulled from its registry instead of built. A registry that cannot be asked, or
        does not let this user read the repository, as many do until it exists, has none; there is a warning.
    type: bool
    default: true
  force:
    description: Build although nothing changed, without cached layers.
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
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - With O(force=true) it builds every time, and check mode says changed. The result is changed if the image is another one,
        which with O(timestamp) it may not be.
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Build the operating system
  imagemode.bootc.oci_image_build:
    name: registry.example.com/os:1
    context: /srv/os
    build_args:
      RELEASE: "1"
  register: built

- name: Build what needs no files
  imagemode.bootc.oci_image_build:
    name: localhost/tools:1
    content: |
      FROM registry.example.com/os:1
      RUN dnf --assumeyes install tcpdump

- name: Say why
  ansible.builtin.debug:
    var: built.reasons
"""

RETURN = r"""
reasons:
  description: Which inputs changed, in words; empty if nothing did.
  returned: success
  type: list
  elements: str
  sample: [context file etc/motd changed]
fingerprint:
  description: The hash of everything that goes into the image.
  returned: success
  type: str
  sample: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
image_id:
  description: >-
    Digest of the image configuration; null in check mode if the image would be built. With containerd's image store, which new
    installations of Docker 29 have, it is the digest of the manifest.
  returned: success
  type: str
  sample: sha256:353266bc3645851e5d62a4873741596c3fbcad3d1dacc49c2b51a4e94b3ac3d6
name:
  description: The name of the image, normalised.
  returned: success
  type: str
  sample: registry.example.com/os:1
base_images:
  description:
    - Base image → its digest in the registry, or its image id where it is local or O(pull) is not V(newer).
    - One that is needed for several platforms, as with C(FROM --platform=$BUILDPLATFORM), is there for each, such as C(os:1 (linux/arm64)).
  returned: success
  type: dict
  sample: {quay.io/centos-bootc/centos-bootc:stream10: "sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7"}
tagged:
  description: Which of O(tags) were, or would be, set.
  returned: success
  type: list
  elements: str
  sample: [registry.example.com/os:stable]
platforms:
  description: The results for each of O(platforms).
  returned: with O(platforms)
  type: dict
  sample: {linux/arm64: {image_id: "sha256:353266bc3645851e5d62a4873741596c3fbcad3d1dacc49c2b51a4e94b3ac3d6", reasons: []}}
reused:
  description: Whether the image was, or would be, pulled from its registry instead of built.
  returned: success
  type: bool
  sample: false
seconds:
  description: How long the build took.
  returned: when it was built
  type: float
  sample: 12.5
log:
  description: The last lines of the build.
  returned: when it was built, and when it failed
  type: list
  elements: str
  sample: ["STEP 2/2: COPY etc /etc"]
step:
  description: The step that failed.
  returned: when the build failed
  type: str
  sample: "STEP 2/2: RUN false"
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

import os

from ansible_collections.imagemode.bootc.plugins.module_utils._build_files import context_directory, secret_texts
from ansible_collections.imagemode.bootc.plugins.module_utils._builds import Builds
from ansible_collections.imagemode.bootc.plugins.module_utils._engine import (
    CHOICES,
    LOCAL,
    Engine,
    choose_engine,
    require_labels,
    require_support,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError, OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import REGISTRY_ARGUMENTS, RegistryOptions
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

SECRET = {
    "id": {"type": "str", "required": True},
    "file": {"type": "path"},
    "env": {"type": "str"},
    "value": {"type": "str", "no_log": True},
}


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "context": {"type": "path"},
            "containerfile": {"type": "str"},
            "content": {"type": "str"},
            "target": {"type": "str"},
            "build_args": {"type": "dict", "default": {}},
            "secrets": {"type": "list", "elements": "dict", "default": [], "options": SECRET, "no_log": False},
            "platform": {"type": "str"},
            "platforms": {"type": "list", "elements": "str", "default": []},
            "labels": {"type": "dict", "default": {}},
            "annotations": {"type": "dict", "default": {}},
            "network": {"type": "str"},
            "volumes": {"type": "list", "elements": "str", "default": []},
            "tags": {"type": "list", "elements": "str", "default": []},
            "pull": {"type": "str", "default": "newer", "choices": ["newer", "missing", "never"]},
            "timestamp": {"type": "int"},
            "ssh": {"type": "list", "elements": "str", "default": []},
            "cache_from": {"type": "list", "elements": "str", "default": []},
            "cache_to": {"type": "list", "elements": "str", "default": []},
            "log_path": {"type": "path"},
            "reuse": {"type": "bool", "default": True},
            "force": {"type": "bool", "default": False},
            "engine": {"type": "str", "default": "auto", "choices": CHOICES},
            **REGISTRY_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with module.errors(), context_directory(context_of(module)) as context:
        params = {**module.params, "name": module.need("name"), "timestamp": timestamp(module)}
        builds = Builds(params, context)
        options = RegistryOptions.of(params, builds.name if builds.name.registry != LOCAL else None, *builds.caches)
        secrets = secret_texts(params["secrets"])
        module.hide(secrets)
        engine = choose_engine(params["engine"], Runner(secrets=(*options.secrets, *secrets)))
        require_support(engine, [name for name, value in params.items() if value not in (None, [], {})])
        require_labels(engine, map(str, params["labels"]))
        if not module.check_mode:
            remove_left(module, engine)
        with builds.alone():
            changed = builds.decide(engine, options)
            for text in builds.warnings:
                module.warn(text)
            result = builds.result()
            if changed and not module.check_mode:
                for changed, done in builds.carry_out(engine, options):
                    module.changed, result = changed, done
        module.exit_json(changed=changed, **result)


def context_of(module: CollectionModule) -> str | None:
    """:returns: C(None) if the build has no context: a Containerfile that is given as text may need none"""
    if module.params["context"] is None and module.params["content"] is None:
        raise OptionError(
            "The options 'context' and 'content' are both unset.",
            hint="Set 'context' to the directory that the Containerfile is in, or 'content' to its text.",
        )
    return module.params["context"]


def remove_left(module: CollectionModule, engine: Engine) -> None:
    try:
        engine.remove_left()
    except ImageModeError as error:
        module.warn(f"{error.message} The next build tries again.")


def timestamp(module: CollectionModule) -> int | None:
    given = module.params["timestamp"]
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or ""
    if given is None and epoch:
        if not epoch.isdecimal():
            raise OptionError(f"SOURCE_DATE_EPOCH is '{epoch}', which is no number of seconds.")
        return int(epoch)
    return given


if __name__ == "__main__":
    main()
