# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollout as it is remembered: who is still to go, who got there, and the file that it is in."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import Record
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.gate import HaltRules, over_budget
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.plan import Batch, Budget, Candidate
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.state import (
    Rollout,
    RolloutInvalid,
    RolloutMissing,
    find,
    need,
    save,
)

NEW, OLD = "sha256:" + "b" * 64, "sha256:" + "a" * 64
BEGAN = "2026-02-01T00:00:00"
BATCHES = (Batch("canary", ("a",)), Batch("rest", ("b", "c")), Batch("rest", ("d",)))
HOSTS = tuple(Candidate(host, ("web",), {"site": "north"}) for host in "abcd")
PLANNED = Rollout("registry.test/os:1", NEW, BEGAN, BATCHES, HOSTS, (Budget(1, "site"),), HaltRules("50%", "total > `9`"))


def went(host: str, result: str | None = "updated", time: str = BEGAN, wanted: str = NEW) -> Record:
    return Record(host, time, managed=True, wanted=wanted, result=result)


@pytest.mark.parametrize(
    ("record", "reached"),
    [
        (went("a"), True),
        (went("a", "unchanged"), True),
        (went("a", time="2026-01-31T23:59:59"), False),
        (went("a", wanted=OLD), False),
        (went("a", "staged"), False),
        (went("a", None), False),
        (None, False),
    ],
    ids=["in the second in which it began", "as it was", "before it began", "another image", "staged only", "looked at", "never seen"],
)
def test_a_host_is_there_when_this_rollout_brought_it_there(record: Record | None, reached: bool) -> None:
    assert PLANNED.reached(record) is reached
    records = {"a": record} if record else {}
    assert [batch.hosts for batch in PLANNED.remaining(records)] == [*([] if reached else [("a",)]), ("b", "c"), ("d",)]


def test_only_looks_since_it_began_are_of_the_rollout() -> None:
    records = {"a": went("a"), "b": went("b", time="2026-01-31"), "elsewhere": went("elsewhere")}
    assert list(PLANNED.of_this(records)) == ["a"]


def test_a_wave_that_nobody_planned_is_an_error_and_not_the_end() -> None:
    assert PLANNED.up_to("canary") == BATCHES[:1]
    assert PLANNED.up_to("rest") == PLANNED.up_to(None) == BATCHES
    with pytest.raises(RolloutInvalid, match="No wave of this rollout is called 'rset'") as refused:
        PLANNED.up_to("rset")
    assert refused.value.hint == "They are canary, rest."


def test_a_batch_of_hosts_that_are_gone_is_none() -> None:
    left = PLANNED.without({"b", "d"})
    assert ([host.name for host in left.hosts], left.batches) == (["a", "c"], (Batch("canary", ("a",)), Batch("rest", ("c",))))
    with pytest.raises(RolloutInvalid, match="is among those that were asked for: a, b, c, d"):
        PLANNED.without(set("abcd"))


def test_where_a_budget_is_a_share_of_fewer_hosts_batches_are_cut_again() -> None:
    batches = (Batch("all", ("a", "b")), Batch("all", ("c", "d")))
    left = Rollout("registry.test/os:1", NEW, BEGAN, batches, HOSTS, (Budget("50%", "site"),)).without({"d"})
    assert left.batches == (Batch("all", ("a",)), Batch("all", ("b",)), Batch("all", ("c",)))
    assert all(over_budget(batch.hosts, left.hosts, left.budgets, {}, NEW) is None for batch in left.batches)


def test_a_wave_of_which_nobody_got_there_has_nobody_to_go_back() -> None:
    records = {"a": went("a"), "b": went("b", "failed"), "c": went("c", "failed"), "d": went("d")}
    assert PLANNED.newest_wave(records) == (Batch("rest", ("d",)),)
    assert PLANNED.newest_wave({}) == ()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "rollouts/os.json"
    save(file, PLANNED.now("halted", "why"))
    assert find(file, {}) == PLANNED.now("halted", "why")
    other = PLANNED.go_on("2026-03-01", "continued")
    assert find(file, other.as_dict()) == PLANNED.now("halted", "why")
    assert find(file, other.as_dict(), kept=False) == find(tmp_path / "none", other.as_dict()) == other
    assert find(file, {}, kept=False) == PLANNED.now("halted", "why")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"batches": 7}'])
def test_a_file_that_is_no_rollout_is_an_error_and_not_no_rollout(tmp_path: Path, text: str) -> None:
    file = tmp_path / "os.json"
    with pytest.raises(RolloutMissing, match=f"There is no rollout '{file}'"):
        need(file, {})
    file.write_text(text)
    with pytest.raises(RolloutInvalid, match=f"'{file}' is not a rollout") as refused:
        need(file, {})
    assert refused.value.hint


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RolloutInvalid, match="cannot be written"):
        save(tmp_path / "file/os.json", PLANNED)
