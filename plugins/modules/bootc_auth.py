#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_auth
short_description: Credentials for registries, on hosts and on builders
version_added: 0.1.0
description:
  - Writes the credentials for a registry, or for a namespace in it, to an auth file as containers-auth.json(5) has it.
    The file's other entries stay; it is written whole or not at all, and readable by its owner only. A helper that the file names
    for the registry (C(credHelpers)) would be asked instead of reading the credentials, and is taken out.
  - New credentials are tried at the registry first, so that a wrong password is an error here and not at the next pull.
options:
  registry:
    description: The registry, for example V(registry.example.com), or a namespace in it, for example V(registry.example.com/team).
    type: str
    required: true
  username:
    description: The user name. Required with O(state=present).
    type: str
  password:
    description: The password or token. Required with O(state=present).
    type: str
  path:
    description:
      - The auth file. bootc reads V(/etc/ostree/auth.json), and V(/run/ostree/auth.json), which a reboot empties.
      - For engines on a builder it is V(~/.config/containers/auth.json).
    type: path
    default: /etc/ostree/auth.json
  state:
    description: Whether the credentials are there.
    type: str
    default: present
    choices: [present, absent]
  verify:
    description: Whether credentials that are new are tried at the registry before they are written. Not in check mode.
    type: bool
    default: true
  validate_certs:
    description: Whether the registry's certificate must be trusted when the credentials are tried; V(false) allows plain HTTP, too.
    type: bool
    default: true
  ca_path:
    description:
      - File with CA certificates to trust when the credentials are tried, or a directory with certificates for the registry as
        containers-certs.d(5) has it.
    type: path
  timeout:
    description: Seconds that trying may take.
    type: int
    default: 60
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.group_bootc
attributes:
  check_mode:
    support: full
    details:
      - Compares with the file; the registry is not asked.
  diff_mode:
    support: full
    details:
      - Names registries and users, never a secret; of one it says that it is another.
  idempotent:
    support: full
requirements:
  - skopeo for O(verify=true)
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Let the host pull from a private registry
  imagemode.bootc.bootc_auth:
    registry: registry.example.com/team
    username: puller
    password: "{{ registry_token }}"
  become: true

- name: Log a builder in
  imagemode.bootc.bootc_auth:
    registry: registry.example.com
    username: builder
    password: "{{ registry_token }}"
    path: ~/.config/containers/auth.json

- name: Take the credentials away again
  imagemode.bootc.bootc_auth:
    registry: registry.example.com/team
    state: absent
  become: true
"""

RETURN = r"""
path:
  description: The auth file.
  returned: success
  type: str
  sample: /etc/ostree/auth.json
registry:
  description: The registry or namespace, as the file names it.
  returned: success
  type: str
  sample: registry.example.com/team
registries:
  description: Every registry and namespace that the file has an entry for, afterwards.
  returned: success
  type: list
  elements: str
  sample: [registry.example.com/team]
verified:
  description: Whether the registry accepted the credentials in this run.
  returned: success
  type: bool
  sample: true
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: registry_unauthorized
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Check the user name and the password or token.
"""

import os
import stat
from pathlib import Path

from ansible_collections.imagemode.bootc.plugins.module_utils._auth import (
    Credentials,
    CredentialsInvalid,
    entry,
    helper_of,
    namespace_of,
    need_writable,
    read_auth_file,
    update_auth_file,
    with_entry,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._engine._skopeo import login
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

SHARED = stat.S_IRWXG | stat.S_IRWXO


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "registry": {"type": "str", "required": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "path": {"type": "path", "default": "/etc/ostree/auth.json"},
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
            "verify": {"type": "bool", "default": True},
            "validate_certs": {"type": "bool", "default": True},
            "ca_path": {"type": "path"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    with module.errors():
        ensure(module)


def ensure(module: CollectionModule) -> None:
    namespace, path = namespace_of(module.need("registry")), Path(module.need("path"))
    wanted = Credentials(module.need("username"), module.need("password")) if module.params["state"] == "present" else None
    before = read_auth_file(path, "path")
    try:
        known, damaged = entry(before, namespace, path), False
    except CredentialsInvalid:
        known, damaged = None, True  # what is asked for takes its place
    exposed = os.path.exists(path) and bool(path.stat().st_mode & SHARED)
    helper = helper_of(before, namespace) if wanted else None
    other = known != wanted or damaged or helper is not None
    changed = other or exposed
    after = with_entry(before, namespace, wanted) if other else before
    verified = False
    if changed:
        need_writable(path)
    if changed and not module.check_mode:
        if wanted and known != wanted and module.params["verify"]:
            runner = Runner(secrets=wanted.secrets)
            ca_path = Path(module.params["ca_path"]) if module.params["ca_path"] else None
            login(runner, namespace, wanted, ca_path, module.params["validate_certs"], module.params["timeout"])
            verified = True
        after = update_auth_file(path, namespace, wanted)
    module.exit_json(
        changed=changed,
        path=str(path),
        registry=namespace,
        registries=sorted(after.get("auths") or {}),
        verified=verified,
        diff={"before": shown(known, namespace, exposed, damaged=damaged, helper=helper), "after": shown(wanted, namespace, False, known)},
    )


def shown(
    credentials: Credentials | None,
    namespace: str,
    exposed: bool,
    before: Credentials | None = None,
    damaged: bool = False,
    helper: str | None = None,
) -> str:
    """:param before: what was there; that the secret is another one is all that may be told of it
    :param helper: the program that is asked instead
    """
    user = credentials.username if credentials else "damaged" if damaged else "none"
    renewed = credentials and before and credentials != before and credentials.username == before.username
    lines = [f"{namespace}: {user}{' with another password' if renewed else ''}"]
    lines += [f"{helper} is asked for credentials instead"] if helper else []
    lines += ["others can read the file"] if exposed else []
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
