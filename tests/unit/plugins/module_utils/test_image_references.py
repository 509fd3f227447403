# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which image a text names, and which texts name none."""

from __future__ import annotations

import re

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import (
    Reference,
    ReferenceInvalid,
    has_registry,
    is_digest,
    parse_digest,
    same_reference,
    without_tag,
)

HEX = "a" * 64
SHA = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("debian", "docker.io", "library/debian", "latest", None),
        ("team/os:1", "docker.io", "team/os", "1", None),
        ("docker.io/debian", "docker.io", "library/debian", "latest", None),
        ("index.docker.io/team/os", "docker.io", "team/os", "latest", None),
        ("registry-1.docker.io/debian", "docker.io", "library/debian", "latest", None),
        ("docker://r.test/os", "r.test", "os", "latest", None),
        ("localhost/os", "localhost", "os", "latest", None),
        ("host:5000/os", "host:5000", "os", "latest", None),
        ("HOST/os", "HOST", "os", "latest", None),
        ("[fd00::1]:5000/os:1", "[fd00::1]:5000", "os", "1", None),
        (f"r.test/os@{SHA}", "r.test", "os", None, SHA),
        (f"r.test/os:1@{SHA}", "r.test", "os", "1", SHA),
        (f"r.test/os@sha512:{HEX}{HEX}", "r.test", "os", None, f"sha512:{HEX}{HEX}"),
        ("r.test/a__b/c-d.e:_1", "r.test", "a__b/c-d.e", "_1", None),
    ],
)
def test_a_text_names_an_image(text: str, registry: str, repository: str, tag: str | None, digest: str | None) -> None:
    reference = Reference.parse(text)
    assert reference == Reference(registry, repository, tag, digest)
    assert Reference.parse(str(reference)) == reference
    assert reference.pinned is (digest is not None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a repository name"),
        ("r.test/", "is not a repository name"),
        ("r.test/OS", "is not a repository name"),
        ("r.test/a//b", "is not a repository name"),
        ("r.test/os\n", "is not a repository name"),
        ("-r.test/os", "is not a registry's host name"),
        ("r.test:port/os", "is not a registry's host name"),
        ("r.test/os:", "'' is not a tag"),
        ("r.test/os:-1", "'-1' is not a tag"),
        (f"r.test/os:{'a' * 129}", "is not a tag"),
        ("r.test/os@", "is not a digest"),
        ("r.test/os@sha256:abc", "is not a digest"),
        (f"r.test/os@{SHA.upper()}", "is not a digest"),
        (f"r.test/os@{SHA}\n", "is not a digest"),
        (HEX, "is an image's id"),
        (SHA, "is an image's id"),
        ("['a', 'b']", "a list was given"),
        ('["a"]', "a list was given"),
    ],
)
def test_a_text_that_names_none_is_told_why(text: str, why: str) -> None:
    with pytest.raises(ReferenceInvalid, match=why) as refused:
        Reference.parse(text)
    assert (refused.value.error, bool(refused.value.hint)) == ("reference_invalid", True)


def test_a_digest_and_a_tag_stand_for_each_other() -> None:
    both = Reference.parse(f"r.test/os:1@{SHA}")
    assert str(both.with_digest(SHA)) == f"r.test/os@{SHA}"
    assert str(both.with_tag("2")) == "r.test/os:2"
    with pytest.raises(ReferenceInvalid, match=re.escape("'r.test/os:a b' is not an image reference: 'a b' is not a tag")):
        both.with_tag("a b")
    with pytest.raises(ReferenceInvalid, match="'sha256:1' is not a digest"):
        both.with_digest("sha256:1")


@pytest.mark.parametrize(
    ("text", "is_one"), [(SHA, True), (f"sha512:{HEX}{HEX}", True), (HEX, False), (f"sha512:{HEX}", False), (f"{SHA}0", False)]
)
def test_a_digest_has_its_full_length(text: str, is_one: bool) -> None:
    assert is_digest(text) is is_one
    if is_one:
        assert parse_digest(text) == text


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("os", "docker.io/library/os:latest", True),
        (f"r.test/os:1@{SHA}", f"r.test/os:2@{SHA}", True),
        (f"r.test:5000/os@{SHA}", f"r.test/os@{SHA}", False),
        ("/media/os", "/media/os", True),
        ("/media/os", "/media/other", False),
        ("r.test/os:1", "r.test/os:2", False),
    ],
)
def test_two_texts_name_one_image(one: str, other: str, same: bool) -> None:
    assert same_reference(one, other) is same


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"r.test:5000/os:1@{SHA}", f"r.test:5000/os@{SHA}"),
        (f"r.test:5000/os@{SHA}", f"r.test:5000/os@{SHA}"),
        ("r.test/os:1", "r.test/os:1"),
    ],
)
def test_a_tag_is_left_out_only_beside_a_digest(text: str, left: str) -> None:
    assert without_tag(text) == left


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("localhost:5000/app", True),
        ("localhost/app", True),
        ("registry:5000/app:1", True),
        ("registry.example.com/app@sha256:" + "0" * 64, True),
        ("nginx:1.25", False),
        ("library/nginx:1.25", False),
        ("registry.example.com", False),
    ],
)
def test_a_short_name_is_told_by_what_stands_before_the_first_slash(image: str, said: bool) -> None:
    assert has_registry(image) is said
