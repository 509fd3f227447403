# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions of AWX from the options of a role."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.filter.survey import survey

OPTIONS: dict[str, Any] = {
    "rollout_on_halt": {"description": "What then.", "choices": ["stop", "rollback", ""], "default": "stop"},
    "rollout_soak": {"description": "Seconds.", "default": 0},
    "rollout_tags": {"description": "A list.", "default": []},
    "rollout_download": {"description": "Whether.", "default": True},
}


@pytest.mark.parametrize(
    ("name", "defaults", "default"),
    [
        ("rollout_on_halt", {}, None),
        ("rollout_soak", {}, None),
        ("rollout_soak", {"rollout_soak": ""}, None),
        ("rollout_soak", {"rollout_soak": 0}, "0"),
        ("rollout_download", {"rollout_download": False}, "false"),
        ("rollout_on_halt", {"rollout_on_halt": "rollback"}, "rollback"),
        ("rollout_tags", {"rollout_tags": ["Stable", "1.2"]}, '["Stable", "1.2"]'),
        ("rollout_tags", {"rollout_tags": []}, None),
        ("rollout_tags", {"rollout_tags": [{"name": "canary"}]}, None),
    ],
)
def test_only_what_is_set_is_a_default(name: str, defaults: dict[str, Any], default: str | None) -> None:
    (question,) = survey([name], OPTIONS, defaults)["spec"]
    assert question.get("default") == default


def test_a_choice_can_be_left_open() -> None:
    (question,) = survey(["rollout_on_halt"], OPTIONS)["spec"]
    assert (question["type"], question["choices"], question["required"]) == ("multiplechoice", ["stop", "rollback", ""], False)
