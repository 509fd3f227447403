# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is attached, as the tools of the field write it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import Access, Registry, attached, list_referrers, subject_tag

from .scripted import INDEX, MANIFEST, Answer, ScriptedRegistry, Seen, digest, found, manifest

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE = "dev.sigstore.bundle.predicateType"


def artifact(predicate: str) -> bytes:
    annotations = {PREDICATE: predicate} if predicate else {}
    return json.dumps({**json.loads(manifest()), "artifactType": BUNDLE, "annotations": annotations}).encode()


def listing(*entries: dict[str, Any]) -> Answer:
    return found(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}).encode(), INDEX)


@pytest.mark.parametrize(
    ("predicate", "kind"),
    [
        ("https://sigstore.dev/cosign/sign/v1", "signature"),  # cosign 3
        ("https://slsa.dev/provenance/v1", "attestation"),  # GitHub's actions/attest with push-to-registry
        ("https://spdx.dev/Document", "attestation"),
        ("", "signature"),
    ],
)
@pytest.mark.parametrize("annotated", [True, False])
def test_a_bundle_is_what_it_is_made_for(server: ScriptedRegistry, predicate: str, kind: str, annotated: bool) -> None:
    """Its type says only that sigstore made it. What cosign lists itself, without the referrers API, lacks the annotations."""
    body = artifact(predicate)
    entry = {"mediaType": MANIFEST, "digest": digest(body), "size": len(body), "artifactType": BUNDLE}
    if annotated and predicate:
        entry["annotations"] = {PREDICATE: predicate}

    def script(seen: Seen) -> Answer:
        if "/referrers/" in seen.path:
            return listing(entry)
        return found(body) if seen.path.endswith(digest(body)) else Answer(404)

    server.script = script
    registry = Registry(Access(plain_http=True), lambda _reference: None)
    assert [one.kind for one in attached(registry, Reference.parse(f"{server.address}/os:1"), digest(b"image"))] == [kind]


def test_the_list_of_referrers_has_a_tag_with_any_digest(server: ScriptedRegistry) -> None:
    """A digest of SHA-512 is longer than a tag may be: the distribution specification has it cut."""
    subject, body = f"sha512:{hashlib.sha512(b'image').hexdigest()}", artifact("")
    tags: dict[str, bytes] = {}

    def script(seen: Seen) -> Answer:
        name = seen.path.rpartition("/")[2]
        if seen.method == "PUT":
            tags[name] = seen.body
            return Answer(201)
        if name in tags:
            return found(tags[name], INDEX)
        return found(body) if name == digest(body) else Answer(404)

    server.script = script
    registry, reference = Registry(Access(plain_http=True), lambda _reference: None), Reference.parse(f"{server.address}/os:1")
    list_referrers(registry, reference, subject, [digest(body)])
    assert [one.digest for one in attached(registry, reference, subject)] == [digest(body)]
    assert list(tags) == [subject_tag(subject)] == [f"sha512-{subject.partition(':')[2][:64]}"]
