# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cutting fleets into waves and batches."""

from __future__ import annotations

import random

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import Record
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.gate import HaltRuleInvalid, HaltRules, halted, over_budget
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.plan import Budget, Candidate, PlanInvalid, WaveRule, amount, cut

NEW, OLD = "sha256:" + "b" * 64, "sha256:" + "a" * 64
FLEET = [
    Candidate(f"h{number:02}", ("canary",) if number < 2 else ("rest",), {"site": "north" if number % 2 else "south"})
    for number in range(20)
]


def test_without_waves_one_goes_first_then_a_quarter_then_the_rest() -> None:
    assert [(batch.wave, len(batch.hosts)) for batch in cut(FLEET, ())] == [("canary", 1), ("early", 5), ("rest", 14)]


def test_waves_go_by_group_label_and_share_of_the_fleet() -> None:
    batches = cut(FLEET, [WaveRule("canary", groups=("canary",)), WaveRule("south", "20%", labels={"site": "south"}), WaveRule("rest")])
    assert batches[0].hosts == ("h00", "h01")
    assert batches[1].hosts == ("h02", "h04", "h06", "h08")
    assert len(batches[2].hosts) == 14


def test_a_batch_never_takes_more_of_a_site_than_may_be_away() -> None:
    batches = cut(FLEET, [WaveRule("all")], [Budget(2, "site")])
    assert all(sum(int(host[1:]) % 2 for host in batch.hosts) <= 2 for batch in batches)
    assert [len(batch.hosts) for batch in batches] == [4] * 5


@pytest.mark.parametrize(("batch", "sizes"), [(8, [8, 8, 4]), ("25%", [5] * 4), (None, [20])])
def test_a_wave_goes_in_batches_of_the_size_that_was_asked_for(batch: str | int | None, sizes: list[int]) -> None:
    assert [len(part.hosts) for part in cut(FLEET, [WaveRule("all", batch=batch)])] == sizes


def test_hosts_that_no_wave_takes_are_an_error_and_not_left_out() -> None:
    with pytest.raises(PlanInvalid, match="No wave takes 18 of 20 hosts: h02") as refused:
        cut(FLEET, [WaveRule("canary", groups=("canary",))])
    assert (refused.value.error, "last wave" in (refused.value.hint or "")) == ("rollout_plan_invalid", True)


@pytest.mark.parametrize("size", [0, -1, "0%", "101%", "some", ""])
def test_a_size_that_is_none_is_an_error(size: object) -> None:
    with pytest.raises(PlanInvalid, match=f"size is '{size}'"):
        amount(size, 10, "size")  # type: ignore[arg-type]


def test_shares_round_up_for_waves_and_down_for_budgets_but_never_to_none() -> None:
    assert (amount("10%", 25, "x"), amount("10%", 25, "x", down=True), amount("1%", 3, "x", down=True)) == (3, 2, 1)


def test_a_share_is_exact_where_a_float_is_not() -> None:
    assert (amount("64.4%", 250, "x"), amount("17.6%", 375, "x"), amount("18.4%", 375, "x", down=True)) == (161, 66, 69)


@pytest.mark.parametrize("size", ["1/0%", "nan%", "inf%", "%"])
def test_a_share_that_is_no_number_is_an_error(size: str) -> None:
    with pytest.raises(PlanInvalid, match="x is "):
        amount(size, 10, "x")


def test_each_host_goes_exactly_once_whatever_the_rules() -> None:
    chance = random.Random(7)
    for _round in range(200):
        fleet = [
            Candidate(f"h{n}", (chance.choice("ab"),), {"site": chance.choice("xyz"), "rack": chance.choice("12345")})
            for n in range(chance.randint(1, 60))
        ]
        waves = [
            WaveRule("one", chance.choice([1, "5%", "50%"]), groups=chance.choice([(), ("a",)]), batch=chance.choice([None, 3, "30%"])),
            WaveRule("rest", batch=chance.choice([None, 7])),
        ]
        budgets = chance.choice([[], [Budget(1, "rack")], [Budget("20%", "site"), Budget(4)]])
        batches = cut(fleet, waves, budgets)
        assert sorted(host for batch in batches for host in batch.hosts) == sorted(host.name for host in fleet)
        for batch in batches:
            assert batch.hosts
            assert over_budget(batch.hosts, fleet, budgets, {}, NEW) is None


def tried(host: str, result: str, wanted: str = NEW) -> Record:
    return Record(host, "2026", managed=True, wanted=wanted, result=result)


def test_a_rollout_halts_by_count_and_by_share() -> None:
    records = {f"h{n}": tried(f"h{n}", "rolled_back" if n < 2 else "updated") for n in range(20)}
    assert halted(HaltRules(3), records, NEW, 20) is None
    assert "2 of 20 hosts failed" in str(halted(HaltRules(2), records, NEW, 20))
    assert halted(HaltRules("11%"), records, NEW, 20) is None
    assert "h0, h1" in str(halted(HaltRules("10%"), records, NEW, 20))
    assert halted(HaltRules(None), records, NEW, 20) is None


@pytest.mark.parametrize("result", ["failed", "rolled_back", "unreachable"])
def test_a_host_that_did_not_get_there_is_a_failure(result: str) -> None:
    assert "1 of 1 hosts failed" in str(halted(HaltRules(), {"h0": tried("h0", result)}, NEW, 20))


def test_failures_of_another_rollout_do_not_count() -> None:
    assert halted(HaltRules(1), {"h0": tried("h0", "failed", OLD)}, NEW, 20) is None


def test_a_share_is_of_the_hosts_that_this_rollout_tried() -> None:
    records = {
        "h0": tried("h0", "failed"),
        "h1": tried("h1", "updated"),
        "h2": tried("h2", "waiting"),
        "h3": Record("h3", "2026", managed=True, wanted=NEW),
        "h4": tried("h4", "updated", OLD),
    }
    assert "1 of 2 hosts failed" in str(halted(HaltRules("50%"), records, NEW, 5))
    assert halted(HaltRules(None, "counts == {failed: `1`, updated: `1`} && length(results) == `2` && total == `5`"), records, NEW, 5)


def test_a_rollout_halts_by_an_expression_over_the_results() -> None:
    records = {"h0": tried("h0", "rolled_back"), "h1": tried("h1", "updated")}
    assert halted(HaltRules(None, "counts.rolled_back > `0`"), records, NEW, 2)
    assert halted(HaltRules(None, "counts.rolled_back > `1`"), records, NEW, 2) is None
    assert halted(HaltRules(None, "length(results[?state=='rolled_back']) >= `1`"), records, NEW, 2)
    with pytest.raises(HaltRuleInvalid, match=r"'counts\['") as refused:
        halted(HaltRules(None, "counts["), records, NEW, 2)
    assert (refused.value.error, bool(refused.value.hint)) == ("halt_rule_invalid", True)


def test_hosts_that_failed_are_away_and_count_against_the_budget() -> None:
    records = {"h00": tried("h00", "failed")}
    assert over_budget(["h02", "h04"], FLEET, [Budget(2, "site")], records, NEW)
    assert over_budget(["h02"], FLEET, [Budget(2, "site")], records, NEW) is None
    assert over_budget(["h01", "h03"], FLEET, [Budget(2, "site")], records, NEW) is None
    assert str(over_budget(["h02", "h04"], FLEET, [Budget(2, "site")], records, NEW)).startswith("3 hosts with site 'south' would be away")
    assert str(over_budget(["h01", "h02"], FLEET, [Budget(2)], records, NEW)).startswith("3 hosts would be away")


def test_a_host_that_is_away_already_is_tried_again_though_others_are_away_too() -> None:
    records = {"h00": tried("h00", "failed"), "h02": tried("h02", "failed")}
    assert over_budget(["h00"], FLEET, [Budget(1, "site")], records, NEW) is None, "nobody more is away for that"
    assert over_budget(["h00", "h04"], FLEET, [Budget(2, "site")], records, NEW)
