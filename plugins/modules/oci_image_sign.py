#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_sign
short_description: Sign an image in a registry, once
version_added: 0.1.0
description:
  - Signs what a reference points at, by digest - the index and the image of each platform, as hosts check both.
    What carries a good signature by this key for this repository is left alone.
  - With O(type=sigstore), cosign stores the signature in the registry beside the image, in the form that
    C(sigstoreSigned) of containers-policy.json(5) reads, also with cosign 3, whose own default hosts do not read.
  - With O(type=gpg), skopeo makes the signature, and it is stored in a directory that a web server gives to the hosts.
  - Every new signature is verified afterwards. Nothing is sent to the internet unless O(transparency_log) is set.
options:
  name:
    description: The image, for example V(registry.example.com/os:1); with C(@sha256:…) that digest and no other is signed.
    type: str
    required: true
  type:
    description: The kind of signature.
    type: str
    default: sigstore
    choices: [sigstore, gpg]
  key:
    description:
      - With O(type=sigstore) the path of the private key, or the URI of a key management system as cosign has it,
        for example V(awskms:///alias/signing), V(hashivault://signing) or, of a token, V(pkcs11:token=signing;object=release).
      - With O(type=gpg) the fingerprint of the key, or another name that GnuPG knows it by. Not needed with O(key_content).
    type: str
  key_content:
    description:
      - The private key itself, for example from a vault or C(lookup('ansible.builtin.env', 'COSIGN_PRIVATE_KEY')).
        It is written to no disk.
      - With O(type=sigstore) a key of cosign, or any private key in PEM without a passphrase; with O(type=gpg) an exported one.
    type: str
  passphrase:
    description: The passphrase of the key; unset, that of the environment variable E(COSIGN_PASSWORD), or none.
    type: str
  certificate:
    description: Path of a certificate of the key in PEM, stored with the signature. For O(type=sigstore).
    type: path
  certificate_chain:
    description: Path of the chain of O(certificate) in PEM, from the intermediate to the root. For O(type=sigstore).
    type: path
  identity:
    description:
      - The repository that the signature is for, for example V(registry.example.com/os) on an image that is mirrored from there.
        Unset, the repository of O(name). Hosts compare it with the name that they pull by.
    type: str
  parts:
    description: What of a multi-platform image is signed. bootc checks what the tag points at, Podman the platform's image.
    type: str
    default: all
    choices: [all, index, platforms]
  transparency_log:
    description: Whether the signature is published in a transparency log, for everyone to see. For O(type=sigstore).
    type: bool
    default: false
  transparency_log_url:
    description: Address of the log, a Rekor server; unset, the public one. For O(transparency_log=true).
    type: str
  lookaside:
    description: Directory of signatures, for O(type=gpg). Hosts get it from a web server; see M(imagemode.bootc.bootc_signature_policy).
    type: path
  gpg_home:
    description: GnuPG's directory with the key, for O(type=gpg); unset, the user's own.
    type: path
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.group_image
  - imagemode.bootc.registry
attributes:
  check_mode:
    support: full
    details:
      - Verifies what is there, and signs nothing.
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - cosign 2.2 or newer for O(type=sigstore)
  - skopeo and GnuPG for O(type=gpg)
  - Python library requests
seealso:
  - module: imagemode.bootc.oci_image_verify
  - module: imagemode.bootc.bootc_signature_policy
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Sign what was pushed
  imagemode.bootc.oci_image_sign:
    name: "registry.example.com/os:1@{{ pushed.digest }}"
    key_content: "{{ lookup('ansible.builtin.env', 'COSIGN_PRIVATE_KEY') }}"
    passphrase: "{{ lookup('ansible.builtin.env', 'COSIGN_PASSWORD') }}"

- name: Sign with a key of a key management system
  imagemode.bootc.oci_image_sign:
    name: registry.example.com/os:1
    key: hashivault://signing

- name: Sign with GnuPG, for hosts that ask https://signatures.example.com
  imagemode.bootc.oci_image_sign:
    name: registry.example.com/os:1
    type: gpg
    key: 0123456789ABCDEF0123456789ABCDEF01234567
    passphrase: "{{ signing_passphrase }}"
    lookaside: /srv/www/signatures
"""

RETURN = r"""
digest:
  description: The digest that O(name) points at.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
fingerprint:
  description:
    - Which key signs. With O(type=sigstore) the SHA-256 of the public key in DER, with O(type=gpg) the fingerprint of the primary key.
  returned: success
  type: str
  sample: sha256:8b7df143d91c716ecfa5fc1730022f6b421b05cedee8fd52b1fc65a96030ad52
public_key:
  description: The public key that hosts verify with, in PEM. Empty with O(type=gpg).
  returned: success
  type: str
  sample: "-----BEGIN PUBLIC KEY-----\nMFkw…\n-----END PUBLIC KEY-----\n"
signed:
  description: What was, or would be, signed.
  returned: success
  type: list
  elements: dict
  sample:
    - digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
      platform: index
      reason: registry.example.com/os@sha256:512f… (index) has no signature
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: signing_key_invalid
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Check the key and 'passphrase'.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils.basic import env_fallback
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import REGISTRY_ARGUMENTS, Registry, RegistryOptions
from ansible_collections.imagemode.bootc.plugins.module_utils._signature import (
    PARTS,
    Cosign,
    CosignVerifier,
    GpgVerifier,
    Keyring,
    Lookaside,
    SigningFailed,
    SigningKey,
    Verdict,
    Verifier,
    fingerprint,
    judge,
    sign_to,
    subjects,
)

BELONGS = {"sigstore": ("certificate", "certificate_chain", "transparency_log", "transparency_log_url"), "gpg": ("lookaside", "gpg_home")}


class Signer(NamedTuple):
    """Who signs, how that is verified, and how a manifest is signed."""

    fingerprint: str
    public_key: str
    verifier: Verifier
    sign: Callable[[Reference], None]


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "type": {"type": "str", "default": "sigstore", "choices": ["sigstore", "gpg"]},
            "key": {"type": "str", "no_log": False},
            "key_content": {"type": "str", "no_log": True},
            "passphrase": {"type": "str", "no_log": True, "fallback": (env_fallback, ["COSIGN_PASSWORD"])},
            "certificate": {"type": "path"},
            "certificate_chain": {"type": "path"},
            "identity": {"type": "str"},
            "parts": {"type": "str", "default": "all", "choices": list(PARTS)},
            "transparency_log": {"type": "bool", "default": False},
            "transparency_log_url": {"type": "str"},
            "lookaside": {"type": "path"},
            "gpg_home": {"type": "path"},
            **REGISTRY_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with module.errors():
        check(module)
        reference = Reference.parse(module.need("name"))
        options = RegistryOptions.of(module.params, reference)
        # What is signed is what the registry itself has, not a mirror.
        ensure(module, reference, options, options.pusher())


def check(module: CollectionModule) -> None:
    kind = module.params["type"]
    foreign = next((name for other, names in BELONGS.items() if other != kind for name in names if module.params[name]), None)
    if foreign:
        raise OptionError(f"The option '{foreign}' is not for type '{kind}'.", hint=f"Leave '{foreign}' out, or set another 'type'.")
    if not (module.params["key"] or module.params["key_content"]):
        raise OptionError("Neither 'key' nor 'key_content' is set.", hint="Say what to sign with.")
    if kind == "gpg":
        module.need("lookaside")
    elif module.params["certificate_chain"] and not module.params["certificate"]:
        raise OptionError("The option 'certificate_chain' is set and 'certificate' is not.", hint="Set both, or none.")


def ensure(module: CollectionModule, reference: Reference, options: RegistryOptions, registry: Registry) -> None:
    repository = Reference.parse(module.params["identity"]).name if module.params["identity"] else reference.name
    digest, wanted = subjects(registry, reference, module.params["parts"])
    with {"sigstore": by_cosign, "gpg": by_gpg}[module.params["type"]](module, reference, options, registry, repository) as signer:
        before = judge(signer.verifier, reference, wanted, repository)
        missing = [verdict for verdict in before if not verdict.verified]
        after = before
        if missing and not module.check_mode:
            for verdict in missing:
                signer.sign(reference.with_digest(verdict.subject.digest))
                module.changed = True
            after = judge(signer.verifier, reference, wanted, repository)
            failed = next((verdict for verdict in after if not verdict.verified), None)
            if failed:
                raise SigningFailed(
                    f"After it was signed, {failed.reason}.",
                    # Seen with cosign 3.1.3: what it makes of such a key (Ed25519ph) is verified by no cosign, nor by containers/image.
                    hint="Somebody else may write there: run the task again. Cosign 3 needs another kind of key than Ed25519.",
                )
    module.exit_json(
        changed=bool(missing),
        digest=digest,
        fingerprint=signer.fingerprint,
        public_key=signer.public_key,
        signed=[{"digest": item.subject.digest, "platform": item.subject.platform, "reason": item.reason} for item in missing],
        diff={"before": shown(before, None), "after": shown(before, signer.fingerprint)},
    )


@contextmanager
def by_cosign(
    module: CollectionModule, reference: Reference, options: RegistryOptions, registry: Registry, repository: str
) -> Iterator[Signer]:
    params = module.params
    key = SigningKey(params["key"], params["key_content"], params["passphrase"] or "", params["certificate"], params["certificate_chain"])
    cosign = Cosign(options)
    public_key = cosign.public_key(key)

    def sign(manifest: Reference) -> None:
        cosign.sign(manifest, key, repository, params["transparency_log"], params["transparency_log_url"])

    yield Signer(fingerprint(public_key), public_key, CosignVerifier(cosign, [public_key]), sign)


@contextmanager
def by_gpg(
    module: CollectionModule, reference: Reference, options: RegistryOptions, registry: Registry, repository: str
) -> Iterator[Signer]:
    params = module.params
    lookaside = Lookaside(Path(params["lookaside"]))
    identity = f"{repository}:{reference.tag}" if reference.tag else f"{repository}@{reference.digest}"

    def signer(keyring: Keyring) -> Signer:
        key = keyring.fingerprints(params["key"], private=True)[0]

        def sign(manifest: Reference) -> None:
            sign_to(lookaside, registry, manifest, identity, keyring, key, params["passphrase"])

        return Signer(key, "", GpgVerifier(lookaside, keyring, [key]), sign)

    if params["key_content"]:
        with Keyring.of([params["key_content"]]) as keyring:
            yield signer(keyring)
    else:
        yield signer(Keyring(Path(params["gpg_home"]) if params["gpg_home"] else None))


def shown(verdicts: tuple[Verdict, ...], signer: str | None) -> str:
    lines = []
    for verdict in verdicts:
        signers = sorted({item.fingerprint for item in verdict.found} if verdict.verified else {signer} if signer else {"none"})
        lines.append(f"{verdict.subject.platform or 'image'} {verdict.subject.digest}: {', '.join(signers)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
