# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that are lists, written as text, as surveys and people do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import evaluated


def test_tags_of_an_image_are_a_list_or_a_text(tmp_path: Path) -> None:
    wanted = ["registry.example.com:5000/os:stable", "registry.example.com:5000/os:1.2", "quay.io/os:1"]
    written: dict[str, Any] = {
        "list": ["stable", 1.2, "quay.io/os:1"],
        "text": " stable,1.2  quay.io/os:1\n",
        "json": '["stable", "1.2", "quay.io/os:1"]',
        "nothing": "",
        "null": None,
    }
    hosts = {name: {"image_name": "registry.example.com:5000/os:0", "image_tags": tags} for name, tags in written.items()}
    assert evaluated(tmp_path, "image", "__image_references", hosts) == {
        **dict.fromkeys(("list", "text", "json"), wanted),
        "nothing": [],
        "null": [],
    }


@pytest.mark.parametrize(
    ("role", "expression"),
    [
        ("image", "__image_platforms"),
        ("image", "__image_test_tasks"),
        ("image", "__image_sboms"),
        ("image", "__image_sbom_generate"),
        ("builder", "__builder_registries_named"),
        ("report", "__report_more_journals"),
    ],
)
def test_one_entry_as_text_is_a_list_of_it(tmp_path: Path, role: str, expression: str) -> None:
    option = {"__builder_registries_named": "builder_search_registries"}.get(expression, expression[2:])
    assert evaluated(tmp_path, role, expression, {"one": {option: "/one"}, "none": {option: None}}) == {"one": ["/one"], "none": []}
