# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What belongs to an image without being part of it: signatures, attestations, SBOMs."""

from __future__ import annotations

from dataclasses import dataclass

from .._reference import Reference
from ._client import Registry
from .errors import ImageMissing

# cosign's tag scheme: what is attached to sha256:X has the tag sha256-X with one of these suffixes.
ATTACHED = {"signature": ".sig", "attestation": ".att", "sbom": ".sbom"}
# The tag of the OCI distribution specification 1.1 for registries without the referrers API.
FALLBACK = ""
_KINDS = (("sigstore.bundle", "signature"), ("cosign.artifact.sig", "signature"), ("signature", "signature"), ("spdx", "sbom"),
          ("cyclonedx", "sbom"), ("in-toto", "attestation"))


@dataclass(frozen=True)
class Attached:
    """:ivar kind: C(signature), C(attestation), C(sbom) or C(other)
    :ivar artifact_type: as the referrer states it; C("") with cosign's tags
    """

    kind: str
    digest: str
    artifact_type: str = ""


def attached(registry: Registry, reference: Reference, digest: str) -> tuple[Attached, ...]:
    """:returns: what is attached to the manifest of this digest, by referrers and by cosign's tags: four requests or more"""
    found = [Attached(_kind(entry.artifact_type), entry.digest, entry.artifact_type) for entry in registry.referrers(reference, digest)]
    for kind, suffix in ATTACHED.items():
        try:
            found.append(Attached(kind, registry.digest(reference.with_tag(digest.replace(":", "-") + suffix))))
        except ImageMissing:
            continue
    return tuple(found)


def _kind(artifact_type: str) -> str:
    return next((kind for word, kind in _KINDS if word in artifact_type.lower()), "other")
