# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A signature is as good as its key is now: what a host refuses is not said to be signed."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner
from ansible_collections.imagemode.bootc.plugins.module_utils._scratch import private_directory
from ansible_collections.imagemode.bootc.plugins.module_utils._signature import Keyring

pytestmark = pytest.mark.skipif(Runner().find("gpg") is None, reason="no gpg here")

DIGEST = f"sha256:{'0' * 64}"
PAYLOAD = {"critical": {"image": {"docker-manifest-digest": DIGEST}, "identity": {"docker-reference": "registry.test/os"}}}


class Signer:
    """A GnuPG home with a key."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.keyring = Keyring(home)

    def gpg(self, *words: str, text: str = "") -> bytes:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--pinentry-mode=loopback", "--passphrase=", *words]
        return subprocess.run(argv, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout

    def sign(self) -> bytes:
        return self.gpg("--sign", text=json.dumps(PAYLOAD))


@pytest.fixture
def signer() -> Iterator[Callable[[str], Signer]]:
    with private_directory() as home:  # a path that an agent's socket has room for
        made = Signer(home)

        def make(expires: str) -> Signer:
            made.gpg("--quick-generate-key", "signer@example.com", "rsa2048", "sign", expires)
            return made

        yield make
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


def test_a_key_that_is_good_signs(signer: Callable[[str], Signer]) -> None:
    made = signer("never")
    assert made.keyring.read(made.sign()) == (made.keyring.fingerprints()[0], DIGEST, "registry.test/os")


def test_a_key_that_was_revoked_since_has_signed_nothing(signer: Callable[[str], Signer]) -> None:
    made = signer("never")
    signature = made.sign()
    revocation = (made.home / "openpgp-revocs.d" / f"{made.keyring.fingerprints()[0]}.rev").read_text()
    made.gpg("--import", text=revocation.replace(":-----BEGIN", "-----BEGIN"))
    assert made.keyring.read(signature) is None


def test_a_key_that_expired_since_has_signed_nothing(signer: Callable[[str], Signer]) -> None:
    made = signer("seconds=2")
    signature = made.sign()
    time.sleep(3)
    assert made.keyring.read(signature) is None
