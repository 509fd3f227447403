# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure what a large fleet costs its controller: `python3 bench/load.py [converge] [update] [rollout]`.

Hosts are simulated (tests/fleet). CPU of the controller is counted, not time, so that what else the machine does matters little.
`converge` and `update` take some minutes, `rollout` of 200 hosts that all run on this machine the better part of an hour.
What was measured is kept in bench/results, with a description of the machine.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "fleet")]

import growth
from prepare import ROOT, enter, environment
from record import Result, keep

HOSTS, FORKS, FLEET, WAVES, SHARE = 1000, 50, 200, 5, 0.05
UPDATED = 40


def converge(base: Path) -> Iterator[Result]:
    yield from growth.converge(base, HOSTS, FORKS, (1.2, 1024, 1))


def update(base: Path) -> Iterator[Result]:
    """A rollout in which every host is updated; what runs on the hosts, which are on this machine, is taken off."""
    from fleet import IMAGE, NEW, Fleet
    from load import PING, cost

    fleet = Fleet(base, UPDATED)

    def seconds(playbook: str, **options: object) -> float:
        """The controller's, for each host."""
        before = fleet.cpu()
        return (cost(fleet, playbook, 10, **options).cpu + before - fleet.cpu()) / UPDATED

    ping = seconds(PING)
    waves = [{"name": "all", "size": "100%"}]
    updated = seconds("imagemode.bootc.rollout", rollout_image=IMAGE, rollout_digest=NEW, rollout_waves=waves)
    what = f"rollout of {UPDATED} hosts in one wave"
    yield Result(what, "hosts not updated", UPDATED - list(fleet.digests().values()).count(NEW), 0)
    yield Result("", "seconds of the controller's CPU a host", updated)
    yield Result("", "of a ping", ping)


def rollout(base: Path) -> Iterator[Result]:
    """Five per cent of the hosts fail, and the rule allows four per cent of those that were tried, from the second wave on."""
    from fleet import IMAGE, NEW, Fleet
    from load import faults

    wrong = faults(FLEET, SHARE)
    fleet = Fleet(base, FLEET, wrong)
    size = FLEET // WAVES
    rc, output = fleet.play(
        "imagemode.bootc.rollout",
        forks=20,
        rollout_image=IMAGE,
        rollout_digest=NEW,
        rollout_download=False,
        rollout_waves=[{"name": f"wave{number + 1}", "size": str(size)} for number in range(WAVES)],
        rollout_halt={"failures": "6"},
        rollout_report="report",
        update_health_commands=["healthy"],
        update_health_retries=1,
        update_health_delay=1,
        update_reboot_timeout=300,
        update_connect_timeout=5,
    )
    rows = json.loads((base / "report/report.json").read_text())["rows"]
    tried = [row for row in rows if row["result"]]
    # The sixth host that fails ends the rollout with its wave.
    last = sorted(wrong)[5]
    expected = (int(last.removeprefix("host")) // size + 1) * size
    print(f"   {len(wrong)} hosts with faults: {dict(Counter(row['state'] for row in rows))}", flush=True)
    halted = rc != 0 and "halted" in output
    if not halted:
        print(output[-3000:])
    what = f"rollout of {FLEET} hosts in {WAVES} waves"
    yield Result(what, "hosts tried, but for those expected", abs(len(tried) - expected) if halted else FLEET, 0)
    yield Result("", "hosts left unreported", FLEET - len(rows), 0)


def main(names: list[str]) -> int:
    parts = {"converge": converge, "update": update, "rollout": rollout}
    if set(names) - set(parts):
        print(f"There are: {', '.join(parts)}.", file=sys.stderr)
        return 2
    enter()
    results: list[Result] = []
    for name in names or parts:
        base = Path(tempfile.mkdtemp(prefix="imagemode-load-"))
        try:
            for result in parts[name](base / "fleet"):
                results.append(result)
                print(result, flush=True)
        finally:
            shutil.rmtree(base, ignore_errors=True)
    print(f"kept in {keep(results, ROOT / 'bench/results', environment()).relative_to(ROOT)}", flush=True)
    return int(not all(result.good for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
