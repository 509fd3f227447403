# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file attached to an image as an OCI artifact: OCI image specification 1.1, "Guidelines for Artifact Usage"."""

from __future__ import annotations

import json

from .._reference import Reference, digest_of
from ._attached import list_referrers
from ._client import Content, Registry
from ._manifests import IMAGE_TYPES, Descriptor
from ._upload import put_blob, put_manifest

_MANIFEST = IMAGE_TYPES[0]
# The specification's own: the configuration of what has none.
_EMPTY, _EMPTY_TYPE = b"{}", "application/vnd.oci.empty.v1+json"


def artifact(subject: Descriptor, content: bytes, artifact_type: str) -> Content:
    """:returns: the manifest that attaches the content to the subject; the same for the same content"""
    document = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "artifactType": artifact_type,
        "config": Descriptor(_EMPTY_TYPE, digest_of(_EMPTY), len(_EMPTY)).as_document(),
        "layers": [Descriptor(artifact_type, digest_of(content), len(content)).as_document()],
        "subject": subject.as_document(),
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    return Content(body, _MANIFEST, digest_of(body))


def attach(registry: Registry, reference: Reference, subject: Descriptor, content: bytes, artifact_type: str) -> str:
    """Attach the content, by the fallback tag too where the registry does not list referrers by itself.

    :returns: the digest of the artifact's manifest
    :raises RegistryError: the registry does not take it
    """
    manifest = artifact(subject, content, artifact_type)
    put_blob(registry, reference, _EMPTY, _EMPTY_TYPE)
    put_blob(registry, reference, content, artifact_type)
    put_manifest(registry, reference.with_digest(manifest.digest), manifest)
    list_referrers(registry, reference, subject.digest, [manifest.digest])
    return manifest.digest
