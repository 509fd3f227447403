#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_verify
short_description: Whether an image is signed, and by whom
version_added: 0.1.0
description:
  - Verifies the signatures of what a reference points at - of the index and of each platform's image - with public keys, and
    tells which key signed which digest.
  - Every part has to carry a good signature, by any of the keys, for the image's own repository.
options:
  name:
    description: The image, for example V(registry.example.com/os:1) or V(registry.example.com/os@sha256:…).
    type: str
    required: true
  type:
    description: The kind of signature.
    type: str
    default: sigstore
    choices: [sigstore, gpg]
  keys:
    description: Public keys, in PEM with O(type=sigstore), exported with C(gpg --export --armor) with O(type=gpg).
    type: list
    elements: str
    default: []
  key_files:
    description: Paths of files with public keys, on the machine that the task runs on.
    type: list
    elements: path
    default: []
  identity:
    description: The repository that the signatures have to be for; unset, that of O(name).
    type: str
  parts:
    description: What of a multi-platform image has to be signed.
    type: str
    default: all
    choices: [all, index, platforms]
  transparency_log:
    description: Whether the signature has to be in the public transparency log, too. For O(type=sigstore).
    type: bool
    default: false
  lookaside:
    description: Directory of signatures. For O(type=gpg).
    type: path
  required:
    description: Fail if the image is not signed as it has to be. With V(false) RV(verified) tells.
    type: bool
    default: true
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.info
  - imagemode.bootc.attributes.group_image
  - imagemode.bootc.registry
requirements:
  - cosign 2.2 or newer for O(type=sigstore)
  - GnuPG for O(type=gpg)
  - Python library requests
seealso:
  - module: imagemode.bootc.oci_image_sign
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Go on only with an image that was signed
  imagemode.bootc.oci_image_verify:
    name: registry.example.com/os:1
    keys:
      - "{{ lookup('ansible.builtin.file', 'cosign.pub') }}"

- name: Look who signed
  imagemode.bootc.oci_image_verify:
    name: registry.example.com/os:1
    key_files: [/etc/pki/old.pub, /etc/pki/new.pub]
    required: false
  register: os
"""

RETURN = r"""
verified:
  description: Whether every part carries a good signature.
  returned: always, if the image could be asked for
  type: bool
  sample: true
reason:
  description: Why, in words.
  returned: always, if the image could be asked for
  type: str
  sample: registry.example.com/os@sha256:512f… is signed by sha256:8b7d…
digest:
  description: The digest that O(name) points at.
  returned: always, if the image could be asked for
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
signatures:
  description: What was found for each part - C(digest), C(platform), C(verified), C(reason) and C(signers).
  returned: always, if the image could be asked for
  type: list
  elements: dict
  sample:
    - digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
      platform: ""
      verified: true
      reason: registry.example.com/os@sha256:512f… is signed by sha256:8b7d…
      signers:
        - fingerprint: sha256:8b7df143d91c716ecfa5fc1730022f6b421b05cedee8fd52b1fc65a96030ad52
          identity: registry.example.com/os
error:
  description: A stable code for what went wrong; also with O(required=false).
  returned: failure, and if RV(verified=false)
  type: str
  sample: signature_missing
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Sign it with oci_image_sign.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import REGISTRY_ARGUMENTS, RegistryOptions
from ansible_collections.imagemode.bootc.plugins.module_utils._signature import (
    PARTS,
    Cosign,
    CosignVerifier,
    GpgVerifier,
    Keyring,
    Lookaside,
    SignatureInvalid,
    SignatureMissing,
    Verifier,
    judge,
    subjects,
)

ERRORS = {error.error: error for error in (SignatureMissing, SignatureInvalid)}


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "type": {"type": "str", "default": "sigstore", "choices": ["sigstore", "gpg"]},
            "keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "key_files": {"type": "list", "elements": "path", "default": [], "no_log": False},
            "identity": {"type": "str"},
            "parts": {"type": "str", "default": "all", "choices": list(PARTS)},
            "transparency_log": {"type": "bool", "default": False},
            "lookaside": {"type": "path"},
            "required": {"type": "bool", "default": True},
            **REGISTRY_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with module.errors():
        reference = Reference.parse(module.need("name"))
        options = RegistryOptions.of(module.params, reference)
        registry = options.pusher()
        repository = Reference.parse(module.params["identity"]).name if module.params["identity"] else reference.name
        digest, wanted = subjects(registry, reference, module.params["parts"])
        with verifier(module, options, public_keys(module)) as chosen:
            verdicts = judge(chosen, reference, wanted, repository)
        worst = next((verdict for verdict in verdicts if not verdict.verified), verdicts[0])
        result = {
            "verified": worst.verified,
            "reason": worst.reason,
            "digest": digest,
            "signatures": [verdict.as_dict() for verdict in verdicts],
        }
        if worst.error and module.params["required"]:
            raise ERRORS[worst.error](f"{worst.reason}.", hint="Sign it with oci_image_sign, or check 'keys' and 'identity'.", **result)
        module.exit_json(changed=False, **result, **({"error": worst.error} if worst.error else {}))


def public_keys(module: CollectionModule) -> list[str]:
    try:
        keys = [*module.params["keys"], *[Path(path).read_text() for path in module.params["key_files"]]]
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"A file of 'key_files' cannot be read: {error}.", hint="Give armoured keys or PEM.") from None
    if not keys:
        raise OptionError("Neither 'keys' nor 'key_files' holds a key.", hint="Give the public keys to verify with.")
    return keys


@contextmanager
def verifier(module: CollectionModule, options: RegistryOptions, keys: Sequence[str]) -> Iterator[Verifier]:
    if module.params["type"] == "sigstore":
        yield CosignVerifier(Cosign(options), keys, module.params["transparency_log"])
        return
    lookaside = Lookaside(Path(module.need("lookaside")))
    with Keyring.of(keys) as keyring:
        yield GpgVerifier(lookaside, keyring, keyring.fingerprints())


if __name__ == "__main__":
    main()
