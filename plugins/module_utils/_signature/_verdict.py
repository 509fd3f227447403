# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which signatures there are, which there should be, and making those that are missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from .._reference import Reference, ReferenceInvalid
from .._registry import Index, PlatformMissing, Registry

PARTS = ("all", "index", "platforms")


@dataclass(frozen=True)
class Subject:
    """A manifest that carries signatures of its own.

    :ivar platform: C(index) for the index, else C(os/architecture[/variant]); C("") for an image without an index
    """

    digest: str
    platform: str


@dataclass(frozen=True)
class Found:
    """A signature that a key has made.

    :ivar fingerprint: of the key
    :ivar identity: the repository, or the whole reference, that the signature is for
    """

    fingerprint: str
    identity: str

    def is_for(self, repository: str) -> bool:
        """Tags and digests are left out, as C(matchRepository) of containers-policy.json(5) does."""
        try:
            return Reference.parse(self.identity).name == repository
        except ReferenceInvalid:
            return False


@dataclass(frozen=True)
class Verdict:
    """What the signatures of one manifest say.

    :ivar error: C(signature_missing), C(signature_invalid), or C(None) if there is a good one
    """

    subject: Subject
    found: tuple[Found, ...]
    error: str | None
    reason: str

    @property
    def verified(self) -> bool:
        return self.error is None

    def as_dict(self) -> dict[str, object]:
        return {
            "digest": self.subject.digest,
            "platform": self.subject.platform,
            "verified": self.verified,
            "reason": self.reason,
            "signers": [{"fingerprint": item.fingerprint, "identity": item.identity} for item in self.found],
        }


class Verifier(Protocol):
    """Looks for signatures by certain keys."""

    def look(self, reference: Reference) -> tuple[tuple[Found, ...], bool]:
        """:param reference: with a digest
        :returns: the good signatures by the keys, and whether there is any signature at all
        """


def subjects(registry: Registry, reference: Reference, parts: str) -> tuple[str, tuple[Subject, ...]]:
    """The manifests that are to carry a signature: podman verifies that of the platform, bootc what the tag points at.

    Source: containers/image 5.35, ``copy/copy.go``, and skopeo 1.18, ``cmd/skopeo/proxy.go``.

    :returns: the digest that the reference points at, of which these are, whatever it points at later; and the manifests
    :raises PlatformMissing: only the platforms' are asked for, and there are none
    """
    manifest = registry.manifest(reference)
    if not isinstance(manifest, Index):
        return manifest.digest, (Subject(manifest.digest, ""),)
    index = Subject(manifest.digest, "index")
    # Some entries are one manifest under several names, such as arm/v6 and arm/v7.
    platforms = tuple({entry.digest: Subject(entry.digest, str(entry.platform)) for entry in manifest.platforms}.values())
    if parts == "platforms" and not platforms:
        raise PlatformMissing(f"The index {manifest.digest} holds no image of a platform.", hint="Set 'parts' to 'index' or 'all'.")
    return manifest.digest, {"all": (index, *platforms), "index": (index,), "platforms": platforms}[parts]


def judge(verifier: Verifier, reference: Reference, wanted: Iterable[Subject], repository: str) -> tuple[Verdict, ...]:
    """:param repository: what the signatures have to be for"""
    return tuple(_judge(verifier, reference, subject, repository) for subject in wanted)


def _judge(verifier: Verifier, reference: Reference, subject: Subject, repository: str) -> Verdict:
    found, any_at_all = verifier.look(reference.with_digest(subject.digest))
    good = tuple(item for item in found if item.is_for(repository))
    what = f"{reference.name}@{subject.digest}" + (f" ({subject.platform})" if subject.platform else "")
    if good:
        return Verdict(subject, good, None, f"{what} is signed by {', '.join(item.fingerprint for item in good)}")
    if found:
        others = ", ".join(sorted({item.identity for item in found}))
        return Verdict(subject, found, "signature_invalid", f"the signature of {what} is for {others}, not for {repository}")
    if any_at_all:
        return Verdict(subject, (), "signature_invalid", f"{what} has signatures, and none of them is a good one by these keys")
    return Verdict(subject, (), "signature_missing", f"{what} has no signature")
