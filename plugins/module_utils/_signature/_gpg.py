# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simple signing: signatures by GnuPG in a lookaside directory, containers-registries.d(5) and containers-signature(5)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

from .._reference import Reference
from .._registry import Registry
from .._replace import new_file
from .._runner import Completed, Runner
from .._scratch import private_directory
from ._verdict import Found
from .errors import SigningFailed, SigningKeyInvalid

# The first says who signed. For a key that expired or was revoked GnuPG says it, too, and ends with 0; the second it does not say
# then (doc/DETAILS), and containers/image takes no such signature.
_WORDS = ("VALIDSIG", "GOODSIG")


class Keyring:
    """A GnuPG home.

    :param home: its directory; C(None) for the user's own
    """

    def __init__(self, home: Path | None = None) -> None:
        self.environment = {"GNUPGHOME": str(home)} if home else {}
        self._runner = Runner(self.environment)

    @classmethod
    @contextmanager
    def of(cls, keys: Sequence[str], secrets: Sequence[str] = ()) -> Iterator[Keyring]:
        """A keyring of these keys and no others, gone afterwards with the agent that held them.

        :param keys: exported keys, armoured; private ones are protected as they are
        :raises SigningKeyInvalid: one of them is no key
        """
        with private_directory() as home:
            keyring = cls(home)
            try:
                for key in keys:
                    done = Runner(keyring.environment, secrets=secrets).run(["gpg", "--batch", "--import"], stdin=key, check=False)
                    if done.rc != 0:
                        raise _key_invalid("A key that was given cannot be imported", done)
                yield keyring
            finally:
                keyring._runner.run(["gpgconf", "--kill", "all"], check=False)

    def fingerprints(self, name: str | None = None, private: bool = False) -> tuple[str, ...]:
        """:returns: the primary keys' fingerprints, in upper case
        :raises SigningKeyInvalid: there is no such key
        """
        verb = "--list-secret-keys" if private else "--list-keys"
        done = self._runner.run(["gpg", "--batch", "--with-colons", verb, *(["--", name] if name else [])], check=False)
        found, primary = [], False
        for line in done.stdout.splitlines():
            kind, *fields = line.split(":")
            if kind in ("sec", "pub"):
                primary = True
            elif kind == "fpr" and primary:
                found.append(fields[8])
                primary = False
        if not found:
            raise _key_invalid(f"There is no {'private' if private else 'public'} key '{name or ''}' in the keyring", done)
        return tuple(found)

    def sign(self, manifest: bytes, identity: str, key: str, passphrase: str | None) -> bytes:
        """:param identity: the reference that the signature is for, with tag or digest
        :returns: the signature
        :raises SigningKeyInvalid: the passphrase is wrong
        """
        with private_directory() as directory:
            (directory / "manifest").write_bytes(manifest)
            argv = ["skopeo", "standalone-sign", f"--output={directory / 'signature'}"]
            if passphrase is not None:
                (directory / "passphrase").write_text(passphrase)
                argv.append(f"--passphrase-file={directory / 'passphrase'}")
            done = self._runner.run([*argv, "--", str(directory / "manifest"), identity, key], check=False)
            if done.rc != 0:
                raise _key_invalid(f"The key '{key}' cannot sign", done)
            return (directory / "signature").read_bytes()

    def read(self, signature: bytes) -> tuple[str, str, str] | None:
        """:returns: fingerprint of the primary key, digest and identity; C(None) if it is by no key of the keyring, by one that expired
        or was revoked, or changed
        """
        with private_directory() as directory:
            (directory / "signature").write_bytes(signature)
            done = self._runner.run(["gpg", "--batch", "--status-fd=2", "--decrypt", "--", str(directory / "signature")], check=False)
        valid, good = ([line.split() for line in done.stderr.splitlines() if line.startswith(f"[GNUPG:] {word} ")] for word in _WORDS)
        if done.rc != 0 or len(valid) != 1 or len(good) != 1:
            return None
        try:
            critical = json.loads(done.stdout)["critical"]
            return valid[0][-1], critical["image"]["docker-manifest-digest"], critical["identity"]["docker-reference"]
        except (ValueError, KeyError, TypeError):
            return None


class Lookaside:
    """A directory of signatures as a web server gives it to hosts: C(REPOSITORY@sha256=…/signature-N)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def signatures(self, reference: Reference) -> tuple[bytes, ...]:
        """They are numbered from 1, and end at the first number that is missing."""
        found: list[bytes] = []
        while (path := self._path(reference, len(found) + 1)).is_file():
            found.append(path.read_bytes())
        return tuple(found)

    def add(self, reference: Reference, signature: bytes) -> None:
        """:raises SigningFailed: it cannot be written"""
        number = len(self.signatures(reference)) + 1
        path = self._path(reference, number)
        try:
            for directory in reversed(path.parents):
                if not directory.exists():
                    directory.mkdir(exist_ok=True)
                    directory.chmod(0o755)  # whatever the umask: a web server is to find it
            for path in map(partial(self._path, reference), count(number)):
                with suppress(FileExistsError):  # by another signer, meanwhile
                    new_file(path, signature, 0o644)  # no secret, and a web server is to read it
                    return
        except OSError as error:
            raise SigningFailed(f"The signature cannot be written to '{path}': {error.strerror}.", hint="Check 'lookaside'.") from None

    def _path(self, reference: Reference, number: int) -> Path:
        # The registry's name is no part of it: containers/image 5.35, docker/registries_d.go.
        return self._directory / f"{reference.repository}@{(reference.digest or '').replace(':', '=')}" / f"signature-{number}"


class GpgVerifier:
    """Signatures in a lookaside directory by the keys of a keyring, or by some of them."""

    def __init__(self, lookaside: Lookaside, keyring: Keyring, fingerprints: Sequence[str]) -> None:
        self._lookaside, self._keyring, self._fingerprints = lookaside, keyring, fingerprints

    def look(self, reference: Reference) -> tuple[tuple[Found, ...], bool]:
        signatures = self._lookaside.signatures(reference)
        read = [item for item in map(self._keyring.read, signatures) if item]
        return tuple(
            Found(fingerprint, identity)
            for fingerprint, digest, identity in read
            if digest == reference.digest and fingerprint in self._fingerprints
        ), bool(signatures)


def sign_to(
    lookaside: Lookaside, registry: Registry, reference: Reference, identity: str, keyring: Keyring, key: str, passphrase: str | None
) -> None:
    """Sign a manifest of the registry.

    :param reference: with a digest
    """
    lookaside.add(reference, keyring.sign(registry.content(reference).body, identity, key, passphrase))


def _key_invalid(what: str, done: Completed) -> SigningKeyInvalid:
    words = [line for line in done.last_words.splitlines() if line.strip()]
    return SigningKeyInvalid(f"{what}: {words[-1] if words else 'it is not there'}.", hint="Check the key and 'passphrase'.")
