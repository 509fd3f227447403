# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What belongs to an image without being part of it: signatures, attestations, SBOMs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from .._reference import Reference, digest_of
from ._client import Content, Registry, subject_tag
from ._manifests import Descriptor, Index, Manifest, index_of
from ._upload import put_manifest
from .errors import ImageMissing

# cosign's tag scheme: what is attached to sha256:X has the tag sha256-X with one of these suffixes.
ATTACHED = {"signature": ".sig", "attestation": ".att", "sbom": ".sbom"}
# cosign 3 and GitHub keep signatures and attestations in one type of bundle, and tell by this what it is for.
_BUNDLE, _PREDICATE, _SIGNED = "sigstore.bundle", "dev.sigstore.bundle.predicateType", "https://sigstore.dev/cosign/sign/v1"
_KINDS = (
    (_BUNDLE, "signature"),
    ("cosign.artifact.sig", "signature"),
    ("signature", "signature"),
    ("spdx", "sbom"),
    ("cyclonedx", "sbom"),
    ("in-toto", "attestation"),
)
# Types that say nothing: some registries list these for every artifact.
_UNTOLD = ("", "application/vnd.oci.empty.v1+json", "application/vnd.oci.image.config.v1+json")


@dataclass(frozen=True)
class Attached:
    """:ivar kind: C(signature), C(attestation), C(sbom) or C(other)
    :ivar artifact_type: as the referrer states it; C("") with cosign's tags
    :ivar subject: the digest that it is attached to
    :ivar tag: cosign's tag; C("") with referrers
    """

    kind: str
    digest: str
    artifact_type: str = ""
    subject: str = ""
    tag: str = ""


def attached(registry: Registry, reference: Reference, digest: str) -> tuple[Attached, ...]:
    """:returns: what is attached to the manifest of this digest, by referrers and by cosign's tags: four requests or more"""
    found = list(referring(registry, reference, digest))
    for kind, tag in attached_tags(digest):
        try:
            found.append(Attached(kind, registry.digest(reference.with_tag(tag)), "", digest, tag))
        except ImageMissing:
            continue
    return tuple(found)


def referring(registry: Registry, reference: Reference, digest: str) -> tuple[Attached, ...]:
    """:returns: what refers to the manifest of this digest; a request more for each that its registry does not tell the type of"""
    found = []
    for entry in registry.referrers(reference, digest):
        told, annotations = entry.artifact_type, entry.annotations
        # cosign leaves its annotations out of a list that it makes itself.
        if told in _UNTOLD or (_BUNDLE in told and _PREDICATE not in annotations):
            with suppress(ImageMissing):  # listed, and removed since
                manifest = registry.manifest(reference.with_digest(entry.digest))
                told, annotations = artifact_type(manifest), manifest.annotations
        found.append(Attached(artifact_kind(told, annotations), entry.digest, told, digest))
    return tuple(found)


def attached_tags(digest: str) -> tuple[tuple[str, str], ...]:
    """:returns: the kinds that cosign attaches by tag, and those tags for this digest"""
    return tuple((kind, subject_tag(digest) + suffix) for kind, suffix in ATTACHED.items())


def artifact_type(manifest: Manifest) -> str:
    """:returns: what an artifact says it is, or what its first part is"""
    if isinstance(manifest, Index) or manifest.artifact_type not in _UNTOLD or not manifest.layers:
        return "" if isinstance(manifest, Index) else manifest.artifact_type
    return manifest.layers[0].media_type


def artifact_kind(told: str, annotations: Mapping[str, str]) -> str:
    """:returns: C(signature), C(attestation), C(sbom) or C(other)"""
    if _BUNDLE in told.lower() and annotations.get(_PREDICATE, _SIGNED) != _SIGNED:
        return "attestation"
    return next((kind for word, kind in _KINDS if word in told.lower()), "other")


def list_referrers(registry: Registry, reference: Reference, subject: str, digests: Iterable[str]) -> None:
    """Let a registry know referrers that are in it: what does not have the referrers API needs a tag with their list.

    OCI distribution specification 1.1, "Pushing Manifests with Subject" and "Referrers Tag Schema".
    """
    there = registry.referrers(reference, subject)
    missing = [digest for digest in digests if digest not in {entry.digest for entry in there}]
    if not missing:
        return
    entries = list(there)
    for digest in missing:
        manifest = registry.manifest(reference.with_digest(digest))
        told = artifact_type(manifest)
        entries.append(Descriptor(manifest.media_type, digest, manifest.size, None, manifest.annotations, told))
    body, media_type = index_of(entries)
    put_manifest(registry, reference.with_tag(subject_tag(subject)), Content(body, media_type, digest_of(body)))
