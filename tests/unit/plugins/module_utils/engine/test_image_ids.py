# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image's id is no name, and is taken where an image of local storage is meant."""

from __future__ import annotations

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._engine import local_name, named_by_id, stored_name
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint import bases
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference, ReferenceInvalid

HEXADECIMAL = "0123456789abcdef" * 4
ID = f"sha256:{HEXADECIMAL}"


@pytest.mark.parametrize("text", [ID, HEXADECIMAL, f"docker://{ID}"])
def test_an_id_is_no_name_of_a_registry(text: str) -> None:
    with pytest.raises(ReferenceInvalid, match="an image's id"):
        Reference.parse(text)


@pytest.mark.parametrize("text", [ID, HEXADECIMAL])
def test_an_id_is_not_given_as_a_name_and_finds_what_it_is_of(text: str) -> None:
    with pytest.raises(ReferenceInvalid, match="an image's id"):
        local_name(text)
    assert stored_name(text) == ID
    (base,) = bases(f"FROM {text}\n", {}, None, "linux/amd64", "linux/amd64")
    assert (base.text, named_by_id(base.text), base.reference.registry) == (text, True, "localhost")


@pytest.mark.parametrize("text", [HEXADECIMAL[1:], f"os:{HEXADECIMAL}", f"registry.test/os@{ID}", f"registry.test/{HEXADECIMAL}"])
def test_what_only_looks_like_one_is_a_name(text: str) -> None:
    assert not named_by_id(text)
    Reference.parse(text)
    local_name(text)
