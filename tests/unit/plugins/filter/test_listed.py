# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists as people, playbooks and surveys write them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.imagemode.bootc.plugins.filter.listed import listed


@pytest.mark.parametrize("split", [None, "words", "lines"])
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, []),
        ("", []),
        (" \n", []),
        ("[]", []),
        ({}, []),
        ([], []),
        ("stable", ["stable"]),
        (["a, b", "c"], ["a, b", "c"]),
        ('["a, b", {"url": "http://c/"}]', ["a, b", {"url": "http://c/"}]),
        ({"url": "http://c/"}, [{"url": "http://c/"}]),
        (1, [1]),
    ],
)
def test_what_has_one_meaning_has_it_however_texts_are_cut(written: Any, meant: list[Any], split: str | None) -> None:
    assert listed(written, split) == meant


@pytest.mark.parametrize(
    ("split", "meant"),
    [
        ("words", ["test", "-e", "/a", "b", "[x"]),
        ("lines", ["test -e /a, b", "[x"]),
        (None, ["test -e /a, b\n\n [x"]),
    ],
)
def test_a_text_is_cut_as_was_asked(split: str | None, meant: list[str]) -> None:
    assert listed("test -e /a, b\n\n [x\n", split) == meant


def test_what_it_cannot_be_cut_into_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="only at words and lines"):
        listed("a", "letters")
