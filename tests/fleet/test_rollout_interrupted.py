# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A controller that dies in the middle of a rollout, at moments of all kinds: the next run goes on where it was."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fleet import NEW, OLD, Fleet
from rollouts import OPTIONS, ROLLOUT, document, rollout

WAVES = [{"name": "canary", "size": 1}, {"name": "rest"}]
MOMENTS: dict[str, Callable[[Fleet], bool]] = {
    "planned": lambda fleet: (fleet.base / "rollout/rollout.json").exists(),
    "booted": lambda fleet: fleet.digests()["host0000"] == NEW,
    "second wave": lambda fleet: NEW in list(fleet.digests().values())[1:],
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_it_goes_on_where_it_was(tmp_path: Path, moment: str) -> None:
    fleet = Fleet(tmp_path / "fleet", 3)
    fleet.kill(ROLLOUT, lambda: MOMENTS[moment](fleet), **OPTIONS, rollout_waves=WAVES)
    there = {name: fleet.state(name)["boot_id"] for name, digest in fleet.digests().items() if digest == NEW}
    rc, output = rollout(fleet, rollout_digest="sha256:" + "c" * 64)
    assert rc == 0, output
    assert set(fleet.digests().values()) == {NEW}
    assert document(fleet)["state"] == "done"
    assert {name: fleet.state(name)["boot_id"] for name in there} == there, "nobody boots twice"


def test_a_wave_that_goes_back_goes_all_the_way(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 3, {"host0002": "unhealthy"})
    options: dict[str, Any] = {
        "rollout_waves": [{"name": "all"}],
        "rollout_budgets": [{"max_unavailable": 1}],
        "rollout_on_halt": "rollback",
    }

    def half_way_back() -> bool:
        state = fleet.state("host0000")
        return state["booted"]["digest"] == OLD and (state["rollback"] or {}).get("digest") == NEW

    fleet.kill(ROLLOUT, half_way_back, **{**OPTIONS, **options})
    assert list(fleet.digests().values()) == [OLD, NEW, OLD], "it was killed in the middle"
    boots = fleet.state("host0002")["boot_id"]
    rc, output = rollout(fleet, **options)
    assert rc != 0
    assert "the wave in which it halted goes back" in output
    assert set(fleet.digests().values()) == {OLD}
    assert fleet.state("host0002")["boot_id"] == boots, "it is not tried again before that"
    fleet.set_fault("host0002", None)
    rc, output = rollout(fleet, **options)
    assert rc == 0, output
    assert set(fleet.digests().values()) == {NEW}
