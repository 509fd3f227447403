# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which signatures make an image a signed one: by these keys, of this manifest, for this repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._signature import Found, GpgVerifier, Keyring, Lookaside, Subject, judge

DIGEST, OTHER = (f"sha256:{letter * 64}" for letter in "ab")
IMAGE = Reference.parse("registry.test/os:1")
OURS = Found("KEY", "registry.test/os:stable")
MOVED = Found("KEY", "elsewhere.test/os:1")
NONE = Found("KEY", "No Image")


class Known:
    """Stands in for what looks for signatures."""

    def __init__(self, found: tuple[Found, ...], any_at_all: bool) -> None:
        self.answer = found, any_at_all

    def look(self, reference: Reference) -> tuple[tuple[Found, ...], bool]:
        assert str(reference) == f"registry.test/os@{DIGEST}"
        return self.answer


@pytest.mark.parametrize(
    ("found", "any_at_all", "error", "signers", "words"),
    [
        ((OURS,), True, None, (OURS,), "is signed by KEY"),
        ((MOVED, OURS), True, None, (OURS,), "is signed by KEY"),
        ((MOVED,), True, "signature_invalid", (MOVED,), "is for elsewhere.test/os:1, not for registry.test/os"),
        ((NONE,), True, "signature_invalid", (NONE,), "is for No Image, not for"),
        ((), True, "signature_invalid", (), "none of them is a good one by these keys"),
        ((), False, "signature_missing", (), "has no signature"),
    ],
    ids=["good", "good beside another", "another repository's", "nobody's", "by other keys", "none"],
)
def test_an_image_is_signed_by_a_good_signature_for_its_repository(
    found: tuple[Found, ...], any_at_all: bool, error: str | None, signers: tuple[Found, ...], words: str
) -> None:
    (verdict,) = judge(Known(found, any_at_all), IMAGE, [Subject(DIGEST, "linux/amd64")], "registry.test/os")
    assert (verdict.error, verdict.verified, verdict.found) == (error, error is None, signers)
    assert f"registry.test/os@{DIGEST} (linux/amd64)" in verdict.reason
    assert words in verdict.reason
    assert verdict.as_dict() == {
        "digest": DIGEST,
        "platform": "linux/amd64",
        "verified": error is None,
        "reason": verdict.reason,
        "signers": [{"fingerprint": "KEY", "identity": one.identity} for one in signers],
    }


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (("KEY", DIGEST, "registry.test/os"), (Found("KEY", "registry.test/os"),)),
        (("KEY", OTHER, "registry.test/os"), ()),
        (("STRANGER", DIGEST, "registry.test/os"), ()),
        (None, ()),
    ],
    ids=["of this manifest", "of another manifest", "by another key of the keyring", "changed"],
)
def test_a_signature_counts_for_the_manifest_and_by_the_keys_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: tuple[str, str, str] | None, found: tuple[Found, ...]
) -> None:
    reference = IMAGE.with_digest(DIGEST)
    lookaside, keyring = Lookaside(tmp_path), Keyring(tmp_path)
    monkeypatch.setattr(Keyring, "read", lambda _keyring, signature: read if signature == b"one" else None)
    verifier = GpgVerifier(lookaside, keyring, ["KEY"])
    assert verifier.look(reference) == ((), False)
    lookaside.add(reference, b"one")
    assert verifier.look(reference) == (found, True)
