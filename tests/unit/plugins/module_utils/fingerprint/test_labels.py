# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose fingerprint it is that an image carries."""

from __future__ import annotations

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint import LABEL, PARTS_LABEL, from_labels

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
