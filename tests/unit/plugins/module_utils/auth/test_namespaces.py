# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a login is for, as people write it and as files have it."""

from __future__ import annotations

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._auth import namespace_of
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference, ReferenceInvalid
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import RegistryOptions


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("docker.io/team", "docker.io/team"),  # not library/team, which is an image
        ("docker.io/library/debian", "docker.io/library/debian"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("https://registry.test:5000/team/", "registry.test:5000/team"),
        ("registry.test/team/group", "registry.test/team/group"),
        ("[fd00::1]:5000/team", "[fd00::1]:5000/team"),
        ("localhost", "localhost"),
    ],
)
def test_a_namespace_is_what_was_written(written: str, meant: str) -> None:
    assert namespace_of(written) == meant


@pytest.mark.parametrize("written", ["registry.test/team:1", "registry.test/Team", "registry.test/team@x", "a b", "registry.test//team"])
def test_what_is_no_namespace_is_refused(written: str) -> None:
    with pytest.raises(ReferenceInvalid):
        namespace_of(written)


@pytest.mark.parametrize(
    ("written", "image"),
    [("https://registry.test/team/", "registry.test/team/os:1"), ("index.docker.io", "team/os:1"), ("docker.io/team", "team/os")],
)
def test_the_option_takes_a_namespace_as_people_write_it(written: str, image: str) -> None:
    reference = Reference.parse(image)
    options = RegistryOptions.of({"username": "given", "password": "p", "auth_namespace": written}, reference)
    found = options.credentials(reference)
    assert found
    assert found.username == "given"


def test_a_refusal_names_what_was_written() -> None:
    with pytest.raises(ReferenceInvalid, match=r"'registry\.test/os:1' is neither a registry nor a namespace") as refused:
        namespace_of("registry.test/os:1")
    assert "tag" in (refused.value.hint or "")
