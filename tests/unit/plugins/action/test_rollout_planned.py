# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans as playbooks ask for them: hosts that are named twice, options as surveys and inventories write them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.action.rollout_plan import ActionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.plugin_utils.controller_action import checked

NEW = "sha256:" + "b" * 64
FLEET: dict[str, dict[str, Any]] = {name: {"group_names": ["web"]} for name in "abcd"}


class Planner:
    """The directory of a rollout."""

    def __init__(self, base: Path) -> None:
        self.path = base / "rollout.json"

    def plan(self, fleet: dict[str, dict[str, Any]] = FLEET, *, check: bool = False, **options: Any) -> dict[str, Any]:
        action = ActionModule.__new__(ActionModule)
        action._task = SimpleNamespace(check_mode=check)
        needed = {"path": str(self.path), "journal": f"{self.path}l", "image": "registry.test/os:1", "digest": NEW, "hosts": list(fleet)}
        return action.act(checked(ActionModule.arguments, {**needed, **options}), {"hostvars": fleet})


@pytest.fixture
def planner(tmp_path: Path) -> Planner:
    return Planner(tmp_path)


def test_a_host_that_is_in_several_groups_goes_once(planner: Planner) -> None:
    planned = planner.plan(hosts=["a", "b", "a", "c", "b"], waves=[{"name": "all", "batch": "2"}])
    assert (planned["order"], planned["serial"]) == (["a", "b", "c"], [2, 1])


def test_a_rollout_over_nobody_is_no_rollout(planner: Planner) -> None:
    with pytest.raises(ImageModeError, match="no hosts") as refused:
        planner.plan(hosts=[])
    assert (refused.value.error, bool(refused.value.hint), planner.path.exists()) == ("rollout_plan_invalid", True, False)


def test_a_wave_is_known_by_its_name_and_two_of_one_name_are_an_error(planner: Planner) -> None:
    """To the gate the second canary would be of the first wave: it would go though a host of the wave between them was never tried."""
    waves = [{"name": "canary", "size": 1}, {"name": "half", "size": "50%"}, {"name": "canary"}]
    with pytest.raises(ImageModeError, match="Two waves are called 'canary'") as refused:
        planner.plan(waves=waves)
    assert (refused.value.error, bool(refused.value.hint)) == ("rollout_plan_invalid", True)


@pytest.mark.parametrize("asked", [True, "true", "True"])
@pytest.mark.parametrize("there", [True, "true", "True"])
def test_a_label_that_is_true_is_true_however_an_inventory_writes_it(planner: Planner, asked: Any, there: Any) -> None:
    """An INI inventory reads True as a boolean and true as a text; YAML reads both as a boolean."""
    fleet = {**FLEET, "d": {"canary": there}}
    planned = planner.plan(fleet, waves=[{"name": "canary", "labels": {"canary": asked}}, {"name": "rest"}])
    assert planned["batches"][0] == {"wave": "canary", "hosts": ["d"]}
    assert planned["warnings"] == []


@pytest.mark.parametrize(("label", "named"), [("site", []), ("sitte", ["sitte"])])
def test_a_budget_by_what_no_host_has_is_told(planner: Planner, label: str, named: list[str]) -> None:
    fleet = {name: {"site": "north" if name in "ab" else ""} for name in FLEET}
    warnings = planner.plan(fleet, budgets=[{"by": label, "max_unavailable": "50%"}])["warnings"]
    assert [warning.split("'")[1] for warning in warnings] == named


@pytest.mark.parametrize("nothing", ["", None])
def test_what_is_left_empty_in_a_wave_is_unset_as_in_modules(planner: Planner, nothing: str | None) -> None:
    wave = {"name": "all", **dict.fromkeys(("size", "groups", "labels", "batch"), nothing)}
    budget = {"by": nothing, "max_unavailable": "3"}
    planned = planner.plan(waves=[wave], budgets=["", budget], halt={"failures": "2", "query": nothing})
    assert planned["serial"] == [3, 1]


def test_a_rollout_goes_on_over_none_but_the_hosts_that_are_asked_for(planner: Planner) -> None:
    planner.plan()
    again = planner.plan(hosts=["c", "d"])
    assert (again["resumed"], again["order"]) == (True, ["c", "d"])
    assert again["warnings"] == ["2 hosts are not among 'hosts' any more, or not in the inventory: a, b."]
    with pytest.raises(ImageModeError, match="is among those that were asked for: c, d"):
        planner.plan(hosts=["a", "b"])


def test_that_another_digest_was_asked_for_than_the_one_that_goes_on_is_told(planner: Planner) -> None:
    other = "sha256:" + "c" * 64
    planner.plan()
    again = planner.plan(digest=other)
    assert (again["digest"], len(again["warnings"])) == (NEW, 1)
    assert (NEW in again["warnings"][0], other in again["warnings"][0]) == (True, True)
    assert planner.plan()["warnings"] == []
