# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is right after a kill, and what is not."""

from __future__ import annotations

import pytest
from ansible_collections.imagemode.bootc.tests.chaos.judge import NEW, OLD, REFUSED, WRONG, Ending, State, judge

CODES = frozenset({"registry_unreachable"})
# A host that runs A and has X staged, and is to run A and have B staged.
BEFORE, WANTED = State("A", "X"), State("A", "B")
KILLED, FAILED, SUCCEEDED = Ending(None), Ending(2), Ending(0)
REFUSAL = Ending(2, "registry_unreachable")


@pytest.mark.parametrize(
    ("after", "ending", "victim", "word"),
    [
        (BEFORE, KILLED, "controller", OLD),
        (WANTED, KILLED, "controller", NEW),
        (BEFORE, FAILED, "module", OLD),
        (WANTED, FAILED, "ssh", NEW),
        (WANTED, SUCCEEDED, "outage", NEW),
        (BEFORE, REFUSAL, "registry", REFUSED),
        (BEFORE, REFUSAL, "ssh", REFUSED),
        (State("A", "A"), KILLED, "power", OLD),
    ],
)
def test_the_old_state_the_new_one_or_a_refusal(after: State, ending: Ending, victim: str, word: str) -> None:
    assert judge(BEFORE, WANTED, after, ending, victim, CODES).word == word


@pytest.mark.parametrize(
    ("after", "ending", "victim", "why"),
    [
        (BEFORE, SUCCEEDED, "module", "said to have succeeded"),
        (State("A", "C"), KILLED, "controller", "neither"),
        (State("B", "B"), KILLED, "controller", "neither"),
        (State("A", "A"), KILLED, "module", "neither"),
        (BEFORE, FAILED, "registry", "no code"),
        (BEFORE, Ending(2, "some_word"), "outage", "no code"),
        (State("A without a layer", None), REFUSAL, "registry", "neither"),
    ],
)
def test_everything_else_is_wrong(after: State, ending: Ending, victim: str, why: str) -> None:
    verdict = judge(BEFORE, WANTED, after, ending, victim, CODES)
    assert verdict.word == WRONG
    assert why in verdict.why


def test_an_update_in_between_is_the_old_state_with_the_new_one_to_come() -> None:
    before, wanted = State("A", "A"), State("B", "B")
    assert judge(before, wanted, State("A", "B"), FAILED, "tree", CODES).word == OLD
    assert judge(before, wanted, State("B", "A"), FAILED, "tree", CODES).word == WRONG
