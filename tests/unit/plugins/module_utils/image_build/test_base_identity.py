# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A base image is the same one whether a registry was asked for it or local storage, whatever an engine takes for its id."""

from __future__ import annotations

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._base_images import BaseImages, Resolved
from ansible_collections.imagemode.bootc.plugins.module_utils._engine import LocalImage
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint import Base, Fingerprint, Inputs, take
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import Platform

CONFIGURATION, MANIFEST, INDEX, OTHER = (f"sha256:{digit * 64}" for digit in "1234")
NAME = "r.test/base:1"
BASE = Base(NAME, "linux/amd64")


class Storage:
    """Stands in for an engine with one image."""

    def __init__(self, image_id: str) -> None:
        self.image_id = image_id

    def find(self, name: str) -> LocalImage | None:
        return LocalImage(self.image_id, INDEX, "linux/amd64", {}) if name == NAME else None


def built_upon(digest: str, image_id: str) -> Fingerprint:
    before = take(Inputs("FROM", "", {}, {NAME: digest}))
    return Fingerprint(before.digest, before.parts, {NAME: (digest, image_id)})


@pytest.mark.parametrize("image_id", [CONFIGURATION, INDEX], ids=["the configuration's", "the index's, as containerd has it"])
@pytest.mark.parametrize("digest", [CONFIGURATION, MANIFEST], ids=["nobody was asked", "the registry was"])
def test_it_is_known_by_its_id_or_by_the_registry(image_id: str, digest: str) -> None:
    bases = BaseImages("FROM r.test/base:1", {}, None, Platform("linux", "amd64", ""), "newer")
    asked = Resolved(BASE.reference, MANIFEST, MANIFEST, INDEX)
    assert bases.digests_in(built_upon(digest, image_id), {BASE: asked}, Storage(image_id)) == {NAME: digest}  # type: ignore[arg-type]


def test_another_one_is_another_one() -> None:
    bases = BaseImages("FROM r.test/base:1", {}, None, Platform("linux", "amd64", ""), "newer")
    asked = Resolved(BASE.reference, OTHER, OTHER, "")
    assert bases.digests_in(built_upon(CONFIGURATION, INDEX), {BASE: asked}, Storage(INDEX)) == {NAME: OTHER}  # type: ignore[arg-type]
