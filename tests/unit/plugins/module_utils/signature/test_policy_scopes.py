# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What containers-policy.json(5) demands for a scope, and what is no scope."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._policy import (
    LOCAL_TRANSPORTS,
    PolicyInvalid,
    Scope,
    enforceable,
    with_default,
    with_scope,
)

PEM, GPG = "-----BEGIN PUBLIC KEY-----\nA\n", "-----BEGIN PGP PUBLIC KEY BLOCK-----\nB\n"
ACCEPT, REJECT = {"type": "insecureAcceptAnything"}, {"type": "reject"}
REPOSITORY = {"type": "matchRepository"}


def data(key: str) -> str:
    return base64.b64encode(key.encode()).decode()


@pytest.mark.parametrize(
    ("scope", "requirement", "storage"),
    [
        (Scope("r.test", "reject"), REJECT, None),
        (Scope("*.r.test", "insecure"), ACCEPT, None),
        (
            Scope("r.test", "sigstore", (PEM,)),
            {"type": "sigstoreSigned", "keyData": data(PEM), "signedIdentity": REPOSITORY},
            {"use-sigstore-attachments": True},
        ),
        (
            Scope("r.test", "sigstore", (PEM.strip(), PEM + "C\n")),
            {"type": "sigstoreSigned", "keyDatas": [data(PEM), data(PEM + "C\n")], "signedIdentity": REPOSITORY},
            {"use-sigstore-attachments": True},
        ),
        (
            Scope("r.test", "gpg", (GPG,), "origin.test/os", "https://r.test/signatures"),
            {
                "type": "signedBy",
                "keyType": "GPGKeys",
                "keyData": data(GPG),
                "signedIdentity": {"type": "exactRepository", "dockerRepository": "origin.test/os"},
            },
            {"lookaside": "https://r.test/signatures"},
        ),
        (
            # As the lookup 'file' reads them. On one line, the end of a key and the beginning of the next hide the next from GnuPG.
            Scope("r.test", "gpg", (GPG.strip(), GPG + "C\n")),
            {"type": "signedBy", "keyType": "GPGKeys", "keyData": data(f"{GPG}{GPG}C\n"), "signedIdentity": REPOSITORY},
            None,
        ),
        (
            Scope("r.test", "gpg", (GPG,)),
            {"type": "signedBy", "keyType": "GPGKeys", "keyData": data(GPG), "signedIdentity": REPOSITORY},
            None,
        ),
    ],
    ids=["reject", "insecure", "sigstore", "either key", "gpg of another repository", "either gpg key", "gpg"],
)
def test_what_a_scope_demands_and_where_signatures_are(scope: Scope, requirement: Any, storage: Any) -> None:
    assert (scope.requirement, scope.storage) == (requirement, storage)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("r.test", "sigstore"), "has no key"),
        (("r.test", "gpg", ()), "has no key"),
        (("r.test", "reject", (PEM,)), "has keys"),
        (("r.test", "insecure", (PEM,)), "has keys"),
        (("r.test", "sigstore", (PEM, GPG)), "is none"),
        (("r.test", "gpg", (PEM,)), "is none"),
        (("r.test", "sigstore", (PEM,), None, "https://r.test"), "has a lookaside"),
        (("*.r.test", "sigstore", (PEM,)), "has a wildcard"),
        (("docker://r.test", "reject"), "is no scope"),
        (("", "reject"), "is no scope"),
        (("r.test/", "reject"), "is no scope"),
    ],
)
def test_a_scope_that_cannot_be_meant_is_refused(words: tuple[Any, ...], why: str) -> None:
    with pytest.raises(PolicyInvalid, match=why) as refused:
        Scope(*words)
    assert (refused.value.error, bool(refused.value.hint)) == ("signature_policy_invalid", True)


def test_a_file_with_two_keys_is_two_keys() -> None:
    asked = Scope("registry.example.com", "sigstore", (f"# ours\n{PEM}# theirs\n{PEM}C\n",))
    assert asked.requirement["keyDatas"] == [data(PEM + "# theirs\n"), data(PEM + "C\n")]


def test_a_scope_is_set_and_taken_away_beside_the_others() -> None:
    before = {"transports": {"docker": {"a.test": [REJECT]}}, "more": 1}
    there = with_scope(before, "b.test", [ACCEPT], "transports", "docker")
    assert there == {"transports": {"docker": {"a.test": [REJECT], "b.test": [ACCEPT]}}, "more": 1}
    assert with_scope(there, "b.test", None, "transports", "docker") == before
    assert with_scope(before, "b.test", None, "transports", "oci") == before, "nothing is made to take nothing away"
    with pytest.raises(PolicyInvalid, match="'docker' is no mapping"):
        with_scope({"transports": {"docker": []}}, "b.test", [ACCEPT], "transports", "docker")


def test_what_is_local_is_accepted_where_it_has_no_policy_yet() -> None:
    own = {"default": [ACCEPT], "transports": {"dir": {"": [REJECT]}}}
    changed = with_default(own, "reject", accept_local=True)
    assert changed["default"] == [REJECT]
    assert changed["transports"] == {name: {"": [REJECT if name == "dir" else ACCEPT]} for name in LOCAL_TRANSPORTS}
    assert with_default(own, "reject", accept_local=False) == {**own, "default": [REJECT]}
    assert with_default(own, "insecure", accept_local=True) == own


@pytest.mark.parametrize(("document", "enforced"), [({"default": [REJECT]}, True), ({"default": [ACCEPT]}, False), ({}, False)])
def test_a_policy_that_accepts_everything_is_not_enforced(document: dict[str, Any], enforced: bool) -> None:
    assert enforceable(document) is enforced
