# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollout of nothing."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play


def test_an_image_that_nobody_named_is_asked_for_by_the_variables_name(tmp_path: Path) -> None:
    rc, output = play(tmp_path, "imagemode.bootc.rollout", {"a": {}}, "--check", rollout_image="")
    assert rc != 0
    assert "rollout_image is required and is empty" in output
