# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image of local storage, as each engine tells of it, and the names that it has there."""

from __future__ import annotations

import json

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._engine import LocalImage, local_name, platform_name, stored_name
from ansible_collections.imagemode.bootc.plugins.module_utils._engine._local import Step, from_buildah, from_docker, from_podman
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference

ID, DIGEST = (f"sha256:{letter * 64}" for letter in "ab")
LABELS = {"io.imagemode.platforms": "linux/amd64,linux/arm64"}
HISTORY = [{"created_by": "COPY . /", "created": "2026-01-01T00:00:00Z"}, {}]
STEPS = (Step("COPY . /", "2026-01-01T00:00:00Z"), Step("", ""))


def test_engines_tell_of_one_image_in_their_own_words() -> None:
    podman = {"Id": ID[7:], "Digest": DIGEST, "Os": "linux", "Architecture": "arm", "Variant": "v7", "Labels": LABELS, "History": HISTORY}
    config = {"os": "linux", "architecture": "arm", "variant": "v7", "config": {"Labels": LABELS}, "history": HISTORY}
    buildah = {"FromImageID": "c" * 64, "FromImageDigest": DIGEST, "OCIv1": config, "Manifest": json.dumps({"config": {"digest": ID}})}
    docker = {
        "Id": ID,
        "RepoDigests": [f"r.test/os@{DIGEST}"],
        "Os": "linux",
        "Architecture": "arm",
        "Variant": "v7",
        "Config": {"Labels": LABELS},
    }
    image = LocalImage(ID, DIGEST, "linux/arm/v7", LABELS, STEPS)
    assert from_podman(podman) == from_buildah(buildah) == image
    assert from_docker(docker) == LocalImage(ID, DIGEST, "linux/arm/v7", LABELS)
    assert image.platforms == ("linux/amd64", "linux/arm64")
    for found in (from_podman(podman), from_buildah(buildah), from_docker(docker)):
        assert found.labels == LABELS


def test_what_an_engine_does_not_tell_is_empty() -> None:
    nothing = LocalImage(ID, "", "linux", {})
    told = from_podman({"Id": ID[7:]}), from_buildah({"FromImageID": ID[7:]}), from_docker({"Id": ID})
    assert told == (nothing,) * 3
    assert [(image.labels, image.platforms) for image in told] == [({}, ())] * 3


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("os", "localhost/os:latest"),
        ("team/os:1", "localhost/team/os:1"),
        ("localhost/os:1", "localhost/os:1"),
        ("r.test/os:1", "r.test/os:1"),
        ("host:5000/os:1", "host:5000/os:1"),
    ],
)
def test_a_name_without_a_registry_is_a_local_one(text: str, name: str) -> None:
    assert str(local_name(text)) == stored_name(text) == name


def test_an_id_finds_an_image_however_short_it_is() -> None:
    assert (stored_name("sha256:abc"), stored_name("a" * 64)) == ("sha256:abc", ID)


def test_one_platforms_image_has_a_name_beside_the_name_for_all() -> None:
    names = [str(platform_name(Reference.parse(text), "linux/arm/v7")) for text in ("r.test/os:1", f"r.test/os@{DIGEST}")]
    assert names == ["r.test/os:1-linux-arm-v7", "r.test/os:latest-linux-arm-v7"]
