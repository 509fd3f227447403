# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image's labels say of what it was made of, and whether they are its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint import LABEL, PARTS_LABEL, Inputs, from_labels, take

DIGEST = f"sha256:{'a' * 64}"
MINE = [f'/bin/sh -c #(nop) LABEL "{LABEL}"="{DIGEST}"', f'/bin/sh -c #(nop) LABEL "{PARTS_LABEL}"="{{}}"']


@pytest.mark.parametrize(
    ("history", "mine"),
    [
        (["COPY etc /etc", *MINE], True),
        (["COPY etc /etc", *MINE, "LABEL more=1"], False),
        (["COPY etc /etc"], True),
        ([*(step.replace("a" * 64, "b" * 64) for step in MINE), "COPY etc /etc"], True),
        ([], True),
    ],
    ids=["built by Podman", "built upon it", "built by Docker", "built by Docker upon one that Podman built", "told by Docker"],
)
def test_a_fingerprint_is_the_images_own_unless_something_is_behind_it(history: list[str], mine: bool) -> None:
    assert bool(from_labels({LABEL: DIGEST}, history)) is mine


def test_what_is_told_of_a_base_is_read_again() -> None:
    taken = replace(take(Inputs("FROM a", "", {}, {"a": DIGEST})), ids={"a": (DIGEST, f"sha256:{'b' * 64}")})
    read = from_labels(taken.as_labels())
    assert read == taken
    assert read
    assert (read.ids, read.parts) == (taken.ids, taken.parts)
    assert (read.has_base("a", DIGEST), read.has_base("a", taken.ids["a"][1]), read.has_base("b", DIGEST)) == (True, False, False)


@pytest.mark.parametrize("parts", ["", "{", "[]", '{"ids": []}', '{"ids": {"a": "b"}}', '{"ids": {"a": ["b"]}}'])
def test_labels_that_somebody_wrote_are_read(parts: str) -> None:
    read = from_labels({LABEL: DIGEST, PARTS_LABEL: parts})
    assert read
    assert (read.digest, read.ids, read.parts) == (DIGEST, {}, {})
