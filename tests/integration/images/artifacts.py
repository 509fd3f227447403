# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images and artifacts put into a registry as they are, without an engine, which would take longer."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import Any

from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import (
    Access,
    Content,
    Registry,
    list_referrers,
    put_blob,
    put_manifest,
)

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def put_image(name: str, architecture: str = "amd64", **files: str) -> str:
    """Put an image with a layer for each file.

    :returns: its digest
    """
    registry, reference = _there(name)
    layers, plain = [], []
    for path, text in {"release": name, **files}.items():
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            member = tarfile.TarInfo(f"etc/{path}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
        plain.append(digest_of(content.getvalue()))
        packed = gzip.compress(content.getvalue(), mtime=0)
        layers.append(put_blob(registry, reference, packed, "application/vnd.oci.image.layer.v1.tar+gzip").as_document())
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": "2026-11-23T22:01:08Z",
        "config": {"Labels": {"containers.bootc": "1"}},
        "rootfs": {"type": "layers", "diff_ids": plain},
        "history": [{"created_by": path} for path in ("release", *files)],
    }
    stored = put_blob(registry, reference, json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")
    return _put(registry, reference, {"config": stored.as_document(), "layers": layers})


def put_index(name: str, **digests: str) -> str:
    """Put an index of images that are there, by architecture.

    :returns: its digest
    """
    registry, reference = _there(name)
    entries = []
    for architecture, digest in digests.items():
        there = registry.content(reference.with_digest(digest))
        entries.append(
            {
                "mediaType": there.media_type,
                "digest": digest,
                "size": len(there.body),
                "platform": {"os": "linux", "architecture": architecture},
            }
        )
    return _put(registry, reference, {"manifests": entries}, "application/vnd.oci.image.index.v1+json")


def attach(image: str, artifact_type: str, content: bytes, subject: str | None = None) -> str:
    """Attach an artifact as a referrer to an image, or to another artifact of it.

    :returns: its digest
    """
    registry, reference = _there(image)
    there = registry.content(reference.with_digest(subject) if subject else reference)
    config, part = (
        put_blob(registry, reference, body, media_type)
        for body, media_type in ((b"{}", "application/vnd.oci.empty.v1+json"), (content, artifact_type))
    )
    digest = _put(
        registry,
        reference,
        {
            "artifactType": artifact_type,
            "config": config.as_document(),
            "layers": [part.as_document()],
            "subject": {"mediaType": there.media_type, "digest": there.digest, "size": len(there.body)},
        },
        tagged=False,
    )
    list_referrers(registry, reference, there.digest, [digest])
    return digest


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _there(name: str) -> tuple[Registry, Reference]:
    return Registry(Access(plain_http=True), lambda _reference: None), Reference.parse(name)


def _put(registry: Registry, reference: Reference, document: dict[str, Any], media_type: str = MANIFEST, tagged: bool = True) -> str:
    body = json.dumps({"schemaVersion": 2, "mediaType": media_type, **document}).encode()
    digest = digest_of(body)
    return put_manifest(registry, reference if tagged else reference.with_digest(digest), Content(body, media_type, digest))
