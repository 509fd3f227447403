# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a rollout goes on, by its file and its journal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.action.rollout_gate import ActionModule
from ansible_collections.imagemode.bootc.plugins.action.rollout_state import ActionModule as StateModule
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.journal import append, read
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import Record
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.gate import HaltRules
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.plan import Batch, Budget, Candidate
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.state import Rollout, RolloutInvalid, find, save

NEW = "sha256:" + "b" * 64
BATCHES = (Batch("canary", ("a",)), Batch("half", ("b", "c")), Batch("half", ("d",)), Batch("rest", ("e",)))
HOSTS = tuple(Candidate(host) for batch in BATCHES for host in batch.hosts)
PLANNED = Rollout("registry.test/os:1", NEW, "2026-01-01", BATCHES, HOSTS, halt=HaltRules("50%"))


class Site:
    """The directory of a rollout."""

    def __init__(self, base: Path) -> None:
        self.path, self.journal = base / "rollout.json", base / "fleet.jsonl"

    def went(self, time: str = "2026-02-01", **results: str) -> None:
        for host, result in results.items():
            append(self.journal, Record(host, time, managed=True, digest=NEW, wanted=NEW, result=result))

    def say(self, state: str) -> None:
        action = StateModule.__new__(StateModule)
        action._task = SimpleNamespace(check_mode=False)
        action.act({"path": self.path, "state": state, "reason": None}, {})

    def ask(self, phase: str, hosts: Sequence[str] = (), *, check: bool = False, **more: Any) -> dict[str, Any]:
        gate = ActionModule.__new__(ActionModule)
        gate._task = SimpleNamespace(check_mode=check)
        options = {"path": self.path, "journal": self.journal, "hosts": list(hosts), "phase": phase, "until": None, "previous": {}, **more}
        return gate.act(options, {})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    save(site.path, PLANNED)
    return site


@pytest.mark.parametrize(
    ("result", "there"), [("updated", True), ("unchanged", True), ("rolled_back", True), ("waiting", False), ("staged", False)]
)
def test_a_wave_that_waits_for_its_window_is_not_there_to_be_approved(site: Site, result: str, there: bool) -> None:
    save(site.path, Rollout(**{**vars(PLANNED), "halt": HaltRules(None)}))
    site.went(a=result)
    answer = site.ask("end", until="canary")
    assert answer["until_reached"] is there
    assert ("1 hosts wait for their windows: a" in answer["reason"]) is (result == "waiting")


def test_a_host_that_failed_in_an_earlier_batch_does_not_keep_its_wave_from_ending(site: Site) -> None:
    site.went(a="updated", b="failed", c="updated")
    assert not site.ask("after", ["b", "c"])["last_of_wave"]
    site.went(d="updated")
    assert site.ask("after", ["d"])["last_of_wave"]


@pytest.mark.parametrize("state", ["done", "halted", "paused"])
def test_check_mode_asks_of_the_plan_and_not_of_the_rollout_that_ended_before(site: Site, state: str) -> None:
    save(site.path, PLANNED.now(state))
    written = site.path.read_text()
    planned = Rollout("registry.test/os:2", NEW, "2026-03-01", (Batch("other", ("a", "b")),), HOSTS[:2])
    answer = site.ask("before", ["a", "b"], check=True, previous=planned.as_dict())
    assert (answer["go"], answer["wave"]) == (True, "other")
    assert site.path.read_text() == written


def test_a_host_that_was_lost_in_its_batch_has_failed(site: Site) -> None:
    answer = site.ask("after", ["a"])
    assert (answer["go"], answer["failed_hosts"]) == (False, ["a"])
    assert "1 of 1 hosts failed" in answer["reason"]
    lost = read([site.journal])["a"]
    assert (lost.result, lost.message, lost.wave, lost.wanted) == ("unreachable", "lost during its batch", "canary", NEW)
    assert find(site.path, {}) == PLANNED.now("halted", answer["reason"]), "the next run begins with that"


def test_a_host_that_failed_before_and_was_lost_when_it_was_tried_again_has_failed(site: Site) -> None:
    site.went(a="rolled_back")
    save(site.path, PLANNED.go_on("2026-03-01", "continued"))
    answer = site.ask("after", ["a"])
    assert (answer["go"], read([site.journal])["a"].result) == (False, "unreachable")


def test_a_host_that_told_how_it_went_is_not_lost(site: Site) -> None:
    site.went(a="updated")
    assert site.ask("after", ["a"])["go"]
    assert read([site.journal])["a"].result == "updated"


def test_a_rollout_is_done_when_every_host_is_there(site: Site) -> None:
    site.went(a="updated", b="updated", c="unchanged", d="updated")
    assert site.ask("end")["state"] == "running"
    site.went(e="updated")
    assert (site.ask("end")["state"], find(site.path, {})) == ("done", PLANNED.now("done", "every host runs it"))


def test_a_batch_does_not_go_after_too_many_failures_nor_where_too_many_would_be_away(site: Site) -> None:
    site.went(a="failed", b="failed", c="updated", d="updated")
    assert "2 of 4 hosts failed" in site.ask("before", ["e"])["reason"], "though no budget is against it"
    for limit, state in ((2, "halted"), (3, "running")):
        save(site.path, Rollout(**{**vars(PLANNED), "halt": HaltRules(None), "budgets": (Budget(limit),)}))
        assert site.ask("before", ["b"], check=True)["go"], "who failed is not away twice"
        assert site.ask("before", ["e"])["state"] == state


def test_a_limit_does_not_pass_a_canary_over(site: Site) -> None:
    with pytest.raises(RolloutInvalid, match="1 hosts of earlier waves were not tried in this run: a") as refused:
        site.ask("before", ["b", "c"])
    assert (refused.value.error, bool(refused.value.hint)) == ("rollout_invalid", True)
    site.went(a="updated")
    assert site.ask("before", ["b", "c"])["go"]
    # One that failed before the rollout was gone on with is to be tried again first.
    site.went(a="rolled_back")
    save(site.path, PLANNED.go_on("2026-03-01", "continued"))
    with pytest.raises(RolloutInvalid):
        site.ask("before", ["b", "c"])
    assert site.ask("before", ["a"])["go"]


def test_a_wave_goes_back_in_the_batches_in_which_it_came(site: Site) -> None:
    site.went(a="updated", b="failed", c="updated", d="updated")
    answer = site.ask("end")
    assert (answer["wave_hosts"], answer["wave_serial"]) == (["c", "d"], [1, 1])


def test_a_pause_that_ends_within_a_run_forgets_no_failure(site: Site) -> None:
    site.went(a="updated", b="failed", c="updated", d="updated")
    site.say("paused")
    assert not site.ask("before", ["e"])["go"]
    site.say("running")
    assert site.ask("before", ["e"])["go"]
    site.went(e="failed", d="failed")
    site.say("paused")
    site.say("running")
    assert "3 of 5 hosts failed" in site.ask("after", ["e"])["reason"]


def test_a_host_that_was_lost_in_its_batch_is_written_down(site: Site) -> None:
    site.went(a="updated", b="updated")
    before = site.journal.read_text()
    site.ask("after", ["b", "c"], check=True, previous=PLANNED.as_dict())
    assert site.journal.read_text() == before, "check mode writes nothing"
    assert site.ask("after", ["b", "c"])["failed_hosts"] == ["c"]
    (line,) = site.journal.read_text().removeprefix(before).splitlines()
    record = json.loads(line)
    assert (record["host"], record["result"], record["wave"]) == ("c", "unreachable", "half")


def test_check_mode_asks_of_no_host_whether_it_went(site: Site) -> None:
    assert site.ask("before", ["b", "c"], check=True, previous=PLANNED.as_dict())["go"]


@pytest.mark.parametrize("check", [True, False])
def test_a_rollout_that_got_as_far_as_it_was_to_go_is_paused(site: Site, check: bool) -> None:
    site.went(a="updated")
    written = site.path.read_text()
    answer = site.ask("end", until="canary", check=check, previous=PLANNED.as_dict())
    assert (answer["go"], answer["state"], answer["reason"]) == (False, "paused", "it was to go no further than wave canary")
    assert (site.path.read_text() == written) is check
    assert site.ask("end", until="canary")["until_reached"] is check, "one that is paused was there before"


def test_what_did_not_change_is_not_written(site: Site) -> None:
    site.path.chmod(0o400)
    inode = site.path.stat().st_ino
    assert site.ask("before", ["a"])["go"]
    assert site.path.stat().st_ino == inode


@pytest.mark.parametrize("state", ["paused", "halted", "cancelled"])
def test_only_a_rollout_that_goes_on_is_ever_done(site: Site, state: str) -> None:
    site.went(a="updated", b="updated", c="updated", d="updated", e="updated")
    save(site.path, PLANNED.now(state))
    assert (site.ask("end")["state"], site.ask("end", until="canary")["until_reached"]) == (state, False)
    save(site.path, PLANNED)
    answer = site.ask("end")
    assert (answer["state"], answer["last_of_wave"], answer["remaining"]) == ("done", True, [])


def test_a_wave_that_went_back_is_tried_again_within_its_budget(site: Site) -> None:
    begun = Rollout(**{**vars(PLANNED), "budgets": (Budget(1),), "batches": tuple(Batch("all", (host,)) for host in "abcde")})
    save(site.path, begun.go_on("2026-03-01", "continued"))
    site.went(a="rolled_back", b="rolled_back", c="rolled_back")
    assert site.ask("before", ["a"])["go"], "all of them failed in this rollout, and nobody more is away for that"
    site.went("2026-03-02", a="updated")
    assert site.ask("before", ["b"])["go"]
    assert not site.ask("before", ["d"], check=True, previous=begun.as_dict())["go"]
