# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a tag means an image already, before anything is sent; and what is sent where it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._engine import LocalImage
from ansible_collections.imagemode.bootc.plugins.module_utils._push import IndexPush, Push, Tag, compression_of, index_of, unbuilt
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import Content, CredentialsRefused, RegistryOptions, parse_manifest

from .scripted import INDEX, MANIFEST, Answer, ScriptedRegistry, Seen, digest, found, manifest

CONFIG = b'{"architecture": "amd64", "os": "linux"}'
OURS, OTHERS = manifest(CONFIG), manifest(b"{}")
IMAGE = LocalImage(digest(CONFIG), "", "linux/amd64", {})
OLD, NEW = Content(OTHERS, MANIFEST, digest(OTHERS)), Content(OURS, MANIFEST, digest(OURS))
REFERENCE = Reference.parse("r.test/os:1")


def push(
    server: ScriptedRegistry, compression: str | None = None, kind: Any = Push, image: Any = IMAGE, **more: Any
) -> tuple[Any, Reference]:
    reference = Reference.parse(f"{server.address}/os:1")
    options = RegistryOptions.of({"plain_http": True, "retries": 0, **more}, reference)
    return kind(image, None, options, options.pusher(), compression), reference


@pytest.mark.parametrize(
    ("there", "compression", "same", "changed"),
    [
        (found(OURS), None, True, False),
        (found(OURS), "gzip", True, False),
        (found(OURS), "zstd", False, True),
        (found(OTHERS), None, False, True),
        (Answer(404), None, False, True),
    ],
    ids=["it is", "compressed so", "compressed in another way", "another image", "no such tag"],
)
def test_a_tag_means_the_image_by_its_configuration(
    server: ScriptedRegistry, there: Answer, compression: str | None, same: bool, changed: bool
) -> None:
    server.script = lambda seen: there
    job, reference = push(server, compression)
    tag = job.look(reference)
    assert (tag.same, tag.changed, tag.hidden) == (same, changed, False)
    assert tag.digest == (digest(OURS) if same else None)
    assert (tag.before and tag.before.digest) == (digest(there.body) if there.body else None)


def test_a_tag_means_an_image_that_its_engine_knows_by_the_manifest(server: ScriptedRegistry) -> None:
    """As Docker does with containerd's image store."""
    server.script = lambda seen: found(OURS)
    job, reference = push(server, image=LocalImage(digest(OURS), "", "linux/amd64", {}))
    tag = job.look(reference)
    assert (tag.same, tag.changed, tag.digest) == (True, False, digest(OURS))


@pytest.mark.parametrize("status", [401, 403])
def test_who_may_not_look_may_push_perhaps(server: ScriptedRegistry, status: int) -> None:
    server.script = lambda seen: Answer(status)
    job, reference = push(server)
    tag = job.look(reference)
    assert (tag.hidden, tag.changed, tag.before) == (True, True, None)
    assert "does not let this user read" in tag.reason
    assert unbuilt(job._registry, reference).hidden


def test_wrong_credentials_are_told_before_anything_is_sent(server: ScriptedRegistry) -> None:
    server.script = lambda seen: Answer(401, headers={"WWW-Authenticate": "Basic realm=x"})
    job, reference = push(server, username="me", password="canary")
    with pytest.raises(CredentialsRefused):
        job.look(reference)


def test_an_image_under_another_tag_of_the_repository_is_sent_by_its_manifest_alone(server: ScriptedRegistry) -> None:
    put: list[str] = []

    def script(seen: Seen) -> Answer:
        if seen.method == "PUT":
            assert seen.body == OURS
            put.append(seen.path)
            return Answer(201, headers={"Docker-Content-Digest": digest(OURS)})
        return found(OURS) if seen.path.endswith("/1") or seen.path in put else Answer(404)

    server.script = script
    job, reference = push(server)
    stable = reference.with_tag("stable")
    first, second = job.look(stable), job.look(reference)
    assert (first.digest, second.same) == (None, True)
    predicted = job.predict(first)
    assert (predicted.digest, predicted.changed, job.sent) == (digest(OURS), True, False)
    assert job.carry_out(predicted) == predicted
    assert (put, job.sent) == (["/v2/os/manifests/stable"], True)


def test_an_index_is_there_when_each_of_its_images_is(server: ScriptedRegistry) -> None:
    arm = manifest(b'{"architecture": "arm64"}')
    images = {"linux/amd64": IMAGE, "linux/arm64": LocalImage(digest(b'{"architecture": "arm64"}'), "", "linux/arm64", {})}
    parts = {"linux/amd64": NEW, "linux/arm64": Content(arm, MANIFEST, digest(arm))}
    wanted = index_of(parts)
    others = index_of({**parts, "linux/arm64": OLD})
    fewer = index_of({"linux/amd64": NEW})
    there = {part.digest: part for part in (wanted, others, fewer, OLD, *parts.values())}

    def look(tags: dict[str, Content]) -> Tag:
        def script(seen: Seen) -> Answer:
            content = {**there, **tags}.get(seen.path.rpartition("/")[2])
            return found(content.body, content.media_type) if content else Answer(404)

        server.script = script
        job, reference = push(server, kind=IndexPush, image=images)
        tag: Tag = job.look(reference)
        return job.predict(tag)

    assert look({"1": wanted}) == Tag(Reference.parse(f"{server.address}/os:1"), wanted, True, wanted.digest)
    for other in (others, fewer, NEW):
        tag = look({"1": other})
        assert (tag.same, tag.digest, tag.changed) == (False, None, True)
    tag = look({"1-linux-amd64": NEW, "1-linux-arm64": parts["linux/arm64"]})
    assert (tag.same, tag.digest, tag.changed) == (False, wanted.digest, True), "all but the index is there"


def test_an_index_of_images_that_are_there_is_put_alone_and_was_sent_then(server: ScriptedRegistry) -> None:
    wanted, put = index_of({"linux/amd64": NEW}), []

    def script(seen: Seen) -> Answer:
        if seen.method == "PUT":
            put.append((seen.path, seen.body))
            return Answer(201, headers={"Docker-Content-Digest": wanted.digest})
        if seen.path.endswith("/1"):
            return found(wanted.body, wanted.media_type) if put else Answer(404)
        return found(OURS)

    server.script = script
    job, reference = push(server, kind=IndexPush, image={"linux/amd64": IMAGE})
    tag = job.predict(job.look(reference))
    assert not job.sent
    assert job.carry_out(tag).digest == wanted.digest
    assert (put, job.sent) == ([("/v2/os/manifests/1", wanted.body)], True)


def test_an_index_tells_platforms_and_is_of_the_type_of_its_images() -> None:
    docker = "application/vnd.docker.distribution.manifest"
    for kind, kind_of_index in ((MANIFEST, INDEX), (f"{docker}.v2+json", f"{docker}.list.v2+json")):
        parts = {name: Content(OURS, kind, digest(OURS)) for name in ("linux/amd64", "linux/arm/v6")}
        made = index_of(parts)
        document = json.loads(made.body)
        assert (made.media_type, document["mediaType"], made.digest) == (kind_of_index, kind_of_index, digest(made.body))
        assert document["manifests"][1] == {
            "mediaType": kind,
            "digest": digest(OURS),
            "size": len(OURS),
            "platform": {"architecture": "arm", "os": "linux", "variant": "v6"},
        }
        assert document["manifests"][0]["platform"] == {"architecture": "amd64", "os": "linux"}
        assert index_of(parts) == made


@pytest.mark.parametrize(
    ("tag", "changed", "reason"),
    [
        (Tag(REFERENCE, NEW, True, NEW.digest), False, "the registry has this image under this tag"),
        (Tag(REFERENCE, OLD, False, None), True, "the registry has another image under this tag"),
        (Tag(REFERENCE, OLD, False, NEW.digest), True, "the registry has another image under this tag"),
        (Tag(REFERENCE, OLD, False, OLD.digest), False, "the registry has another image under this tag"),
        (Tag(REFERENCE, None, False, None), True, "the registry does not have this tag"),
        (Tag(REFERENCE, None, False, NEW.digest), True, "the registry does not have this tag"),
        (Tag(REFERENCE, None, False, None, unbuilt=True), True, "the image is built first"),
    ],
)
def test_a_tag_changes_when_it_means_another_digest(tag: Tag, changed: bool, reason: str) -> None:
    assert tag.as_result() == {
        "reference": "r.test/os:1",
        "digest": tag.digest,
        "before_digest": tag.before.digest if tag.before else None,
        "reason": reason,
        "changed": changed,
    }


GZIP, ZSTD, TAR = (f"application/vnd.oci.image.layer.v1.tar{end}" for end in ("+gzip", "+zstd", ""))


@pytest.mark.parametrize(
    ("layers", "compression"),
    [
        ([(GZIP, {}), (GZIP, {})], "gzip"),
        ([(ZSTD, {})], "zstd"),
        ([(ZSTD, {"io.github.containers.zstd-chunked.manifest-checksum": "x"})], "zstd:chunked"),
        ([(TAR, {})], "none"),
        ([(TAR, {}), (GZIP, {})], "mixed"),
        ([], "mixed"),
    ],
)
def test_layers_are_compressed_in_one_way_or_in_several(layers: list[tuple[str, dict[str, str]]], compression: str) -> None:
    document = json.loads(OURS)
    document["layers"] = [{**document["layers"][0], "mediaType": kind, "annotations": annotations} for kind, annotations in layers]
    body = json.dumps(document).encode()
    assert compression_of(parse_manifest(body, MANIFEST, digest(body))) == compression  # type: ignore[arg-type]
