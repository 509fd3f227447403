# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which kills a seed means."""

from __future__ import annotations

from ansible_collections.imagemode.bootc.tests.chaos.plan import EARLIEST, LATEST, plan

VICTIMS = {"build": ("module", "registry"), "switch": ("power",)}


def test_a_seed_means_one_plan_whatever_is_asked_of_it() -> None:
    whole = plan(7, 40, VICTIMS)
    assert plan(7, 40, VICTIMS) == whole
    assert plan(7, 11, VICTIMS) == whole[:11], "a kill is replayed without those that come after it"
    assert plan(8, 40, VICTIMS) != whole


def test_each_pair_comes_before_any_comes_again() -> None:
    kills = plan(1, 8, VICTIMS)
    pairs = [(kill.verb, kill.victim) for kill in kills]
    wanted = {("build", "module"), ("build", "registry"), ("switch", "power")}
    assert set(pairs[:3]) == set(pairs[3:6]) == wanted
    assert [kill.number for kill in kills] == list(range(1, 9))


def test_moments_are_shares_of_the_time_that_a_verb_takes() -> None:
    moments = [kill.moment for kill in plan(1, 200, VICTIMS)]
    assert all(EARLIEST <= moment <= LATEST for moment in moments)
    assert min(moments) < 0.1
    assert max(moments) > LATEST - 0.1
