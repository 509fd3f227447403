# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sigstore signatures by cosign, in the form that containers-policy.json(5) C(sigstoreSigned) reads: the tag C(sha256-….sig).

cosign 3 writes another form (bundles) by default, which containers/image does not read, so it is told not to.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._engine import fault_code, fault_hint, last_line
from .._go_access import client_certificate, go_environment
from .._reference import Reference
from .._registry import RegistryOptions
from .._runner import Completed, Runner
from .._scratch import private_directory
from ._verdict import Found
from .errors import CosignUnsupported, SigningFailed, SigningKeyInvalid

_KEY_VARIABLE = "IMAGEMODE_SIGNING_KEY"
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\s*(.*?)\s*-----END \1-----", re.S)
# cosign 2.5, cmd/cosign/errors/exit_codes.go and the words that come with them.
_NONE = re.compile(r"no signatures found|no signatures associated", re.I)
_OTHERS = re.compile(r"no matching signatures|invalid signature", re.I)
_KEY_WORDS = re.compile(r"reading key|decrypt|unsupported pem|invalid pem|loading key|getting signer|open .*key", re.I)
_UNKNOWN = re.compile(r"unknown flag: (--[a-z-]+)")
# The form of cosign 3, which containers/image does not read; older ones do not know these options.
_NEW_FORM = ("--new-bundle-format", "--use-signing-config")


@dataclass(frozen=True)
class SigningKey:
    """A private key for cosign.

    :ivar source: path, or the URI of a key management system such as C(awskms://…); unused with I(content)
    :ivar content: the key itself, PEM
    :ivar certificate: path of a certificate of the key, PEM, to be stored with the signature
    :ivar chain: path of that certificate's chain
    """

    source: str | None = None
    content: str | None = None
    passphrase: str = ""
    certificate: str | None = None
    chain: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(secret for secret in (self.content, self.passphrase) if secret)


def fingerprint(public_key: str) -> str:
    """:returns: C(sha256:…) of the key in DER, which is what C(openssl pkey -pubin -outform der | sha256sum) prints
    :raises SigningKeyInvalid: it is no public key in PEM
    """
    match = _PEM.search(public_key)
    try:
        if not match or not match[1].endswith("PUBLIC KEY"):
            raise ValueError
        return f"sha256:{hashlib.sha256(b64decode(''.join(match[2].split()), validate=True)).hexdigest()}"
    except (ValueError, Base64Error):
        raise SigningKeyInvalid(
            "A key that was given to verify with is no public key in PEM.",
            hint="Give the contents of a file such as cosign.pub, which begins with '-----BEGIN PUBLIC KEY-----'.",
        ) from None


class Cosign:
    """Signs and verifies in one registry.

    :param options: how the registry is reached
    """

    def __init__(self, options: RegistryOptions) -> None:
        self._options = options
        self._unknown: dict[str, set[str]] = {}

    def public_key(self, key: SigningKey) -> str:
        """:returns: the public key, PEM
        :raises SigningKeyInvalid: the key cannot be read, or the passphrase is wrong
        """
        with self._key(key) as (runner, name):
            done = runner.run(["cosign", "public-key", f"--key={name}"], check=False)
            if done.rc != 0:
                raise self._key_invalid(done)
            return done.stdout.strip() + "\n"

    def sign(self, reference: Reference, key: SigningKey, identity: str, transparency_log: bool, log_url: str | None) -> None:
        """Sign a manifest and store the signature beside it.

        :param reference: with a digest
        :param identity: the repository that the signature is for
        :param transparency_log: whether the signature is published in a log of Rekor's
        :raises CosignUnsupported: this cosign cannot do it in the form that hosts read
        """
        argv = ["cosign", "sign", "--yes", f"--tlog-upload={_word(transparency_log)}", f"--sign-container-identity={identity}"]
        argv += [f"--rekor-url={log_url}"] if log_url else []
        argv += self._old_form("sign", "--tlog-upload", "--sign-container-identity")
        argv += [f"--certificate={key.certificate}"] if key.certificate else []
        argv += [f"--certificate-chain={key.chain}"] if key.chain else []
        with self._key(key) as (runner, name), self._access(reference) as (flags, environment):
            done = runner.run([*argv, f"--key={name}", *flags, "--", str(reference)], check=False, environment=environment)
        if done.rc != 0:
            code = fault_code(done.stderr)
            if code is None and _KEY_WORDS.search(done.stderr):
                raise self._key_invalid(done)
            raise _failed(f"cosign could not sign {reference}", done, code)

    def look(self, reference: Reference, public_key: str, transparency_log: bool = False) -> tuple[tuple[Found, ...], bool]:
        """:param transparency_log: whether an entry in Rekor's log is demanded, which needs the internet
        :returns: the good signatures by this key, and whether there is any signature at all
        :raises SigningFailed: the registry could not be asked
        """
        mark = fingerprint(public_key)
        argv = ["cosign", "verify", "--output=json", f"--insecure-ignore-tlog={_word(not transparency_log)}"]
        argv += self._old_form("verify", "--insecure-ignore-tlog")
        with self._access(reference) as (flags, environment), private_directory() as directory:
            path = directory / "key.pub"
            path.write_text(public_key)
            done = Runner().run([*argv, f"--key={path}", *flags, "--", str(reference)], check=False, environment=environment)
        if done.rc == 0:
            payloads: list[dict[str, Any]] = json.loads(done.stdout)
            identities = {str(payload["critical"]["identity"]["docker-reference"]) for payload in payloads}
            return tuple(Found(mark, identity) for identity in sorted(identities)), True
        # The words are of an error chain: the registry's come first, where it was the registry.
        if _OTHERS.search(done.stderr):
            return (), True
        if _NONE.search(done.stderr):
            return (), False
        raise _failed(f"cosign could not verify {reference}", done, fault_code(done.stderr))

    def _old_form(self, verb: str, *needed: str) -> list[str]:
        """:returns: the arguments by which signatures are those that hosts read
        :raises CosignUnsupported: options that are needed are gone
        """
        if verb not in self._unknown:
            self._unknown[verb] = _unknown_options(verb, (*needed, *_NEW_FORM))
        missing = [option for option in needed if option in self._unknown[verb]]
        if missing:
            raise CosignUnsupported(
                f"This cosign does not know {', '.join(missing)} of 'cosign {verb}'.",
                hint="Use cosign 2.2 or newer, up to 3: hosts read the signatures that these write.",
            )
        return [f"{option}=false" for option in _NEW_FORM if option not in self._unknown[verb]]

    @contextmanager
    def _key(self, key: SigningKey) -> Iterator[tuple[Runner, str]]:
        """The key as cosign takes it. One that is given as content is in the environment only, never in a file."""
        environment = {"COSIGN_PASSWORD": key.passphrase}
        # Of a PKCS #11 token the URI is one without slashes (RFC 7512).
        elsewhere = bool(key.source and ("://" in key.source or key.source.startswith("pkcs11:")))
        if key.source and not elsewhere and not Path(key.source).is_file():
            raise SigningKeyInvalid(f"'key' names '{key.source}', which is not there.", hint="Correct the path, or use 'key_content'.")
        try:
            content = key.content or (Path(key.source).read_text() if key.source and not elsewhere else "")
        except (OSError, UnicodeDecodeError) as error:
            raise SigningKeyInvalid(
                f"'key' names '{key.source}', which cannot be read as a key in PEM: {error}.",
                hint="Run the task as who may read it; 'openssl pkey -inform der' makes PEM of a key in DER.",
            ) from None
        match = _PEM.search(content)
        if content and not (match and match[1].endswith("PRIVATE KEY")):
            raise SigningKeyInvalid(
                "The signing key is no private key in PEM.",
                hint="Make one with 'cosign generate-key-pair', and give cosign.key.",
            )
        if match and not match[1].startswith("ENCRYPTED "):
            with private_directory() as directory:
                yield self._imported(content, directory)
            return
        if content:
            environment[_KEY_VARIABLE] = content
        yield Runner(environment, secrets=key.secrets), f"env://{_KEY_VARIABLE}" if content else str(key.source)

    def _imported(self, content: str, directory: Path) -> tuple[Runner, str]:
        """A key of a PKI as cosign wants it: encrypted, by a passphrase that nobody sees, in memory."""
        plain = directory / "key.pem"
        plain.write_text(content)
        runner = Runner({"COSIGN_PASSWORD": secrets.token_hex(16)})
        done = runner.run(["cosign", "import-key-pair", f"--key={plain}", f"--output-key-prefix={directory / 'key'}"], check=False)
        if done.rc != 0:
            raise self._key_invalid(done)
        return runner, str(directory / "key.key")

    def _key_invalid(self, done: Completed) -> SigningKeyInvalid:
        return SigningKeyInvalid(
            f"cosign cannot use the signing key: {last_line(done.last_words, done.rc)}",
            hint="Check the key and 'passphrase'.",
            stderr=done.last_words,
        )

    @contextmanager
    def _access(self, reference: Reference) -> Iterator[tuple[list[str], dict[str, str]]]:
        """Arguments and environment by which cosign reaches the registry."""
        access = self._options.access
        flags = ["--allow-http-registry"] if access.plain_http else []
        flags += ["--allow-insecure-registry"] if access.plain_http or not access.validate_certs else []
        identity = client_certificate(self._options, reference.registry)
        flags += [f"--registry-client-cert={identity[0]}", f"--registry-client-key={identity[1]}"] if identity else []
        with go_environment(self._options, reference) as environment:
            yield flags, environment


class CosignVerifier:
    """Signatures by any of several public keys."""

    def __init__(self, cosign: Cosign, public_keys: Sequence[str], transparency_log: bool = False) -> None:
        self._cosign, self._keys, self._log = cosign, public_keys, transparency_log

    def look(self, reference: Reference) -> tuple[tuple[Found, ...], bool]:
        looks = [self._cosign.look(reference, key, self._log) for key in self._keys]
        return tuple(item for found, _any in looks for item in found), any(there for _found, there in looks)


def _unknown_options(verb: str, options: Sequence[str]) -> set[str]:
    """What this cosign would refuse. Its help does not tell: cosign 3.1 no longer names there what it is going to drop."""
    unknown: set[str] = set()
    while True:
        asked = [f"{option}=false" for option in options if option not in unknown]
        done = Runner().run(["cosign", verb, *asked, "--help"], check=False)
        found = _UNKNOWN.search(done.stderr)
        if done.rc == 0 or not found or found[1] in unknown:
            return unknown
        unknown.add(found[1])


def _word(value: bool) -> str:
    return "true" if value else "false"


def _failed(what: str, done: Completed, code: str | None) -> SigningFailed:
    return SigningFailed(f"{what}: {last_line(done.last_words, done.rc)}", error=code, hint=fault_hint(code), stderr=done.last_words)
