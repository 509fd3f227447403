# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signatures of several signers under one tag of cosign's: each is a layer there, and none is to take another's place."""

from __future__ import annotations

import json
from collections.abc import Iterable

from .._reference import Reference, digest_of
from ._client import Content, Registry
from ._manifests import Image, Layer, Manifest, parse_manifest
from ._upload import put_blob, put_manifest


def lacking(there: Manifest, wanted: Manifest) -> tuple[Layer, ...] | None:
    """:returns: what the one lacks of the other's signatures; C(None) if one of them holds none"""
    if not (isinstance(there, Image) and isinstance(wanted, Image)):
        return None
    # Two keys sign the same text for the same repository: what tells their signatures apart is in the annotations.
    known = [(layer.digest, layer.annotations) for layer in there.layers]
    return tuple(layer for layer in wanted.layers if (layer.digest, layer.annotations) not in known)


def join(registry: Registry, reference: Reference, signatures: Iterable[tuple[Layer, bytes]]) -> None:
    """Put signatures beside those that a tag has, as C(cosign sign) does.

    :raises RegistryError: the registry does not take them
    """
    content = registry.content(reference)
    document = json.loads(content.body)
    image = parse_manifest(content.body, content.media_type, content.digest)
    configuration = registry.config(reference, image) if isinstance(image, Image) else {}
    root = {"type": "layers", **(configuration.get("rootfs") or {})}
    root["diff_ids"] = list(root.get("diff_ids") or ())
    for layer, blob in signatures:
        put_blob(registry, reference, blob, layer.media_type)
        document["layers"].append(layer.as_document())
        root["diff_ids"].append(layer.digest)  # they are not compressed
    stored = put_blob(registry, reference, json.dumps({**configuration, "rootfs": root}).encode(), document["config"]["mediaType"])
    document["config"] = stored.as_document()
    body = json.dumps(document, separators=(",", ":")).encode()
    put_manifest(registry, reference, Content(body, content.media_type, digest_of(body)))
