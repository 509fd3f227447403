# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kills at random moments: of modules, connections, controllers, registries and machines, and what is there afterwards.

The same seed makes the same plan; C(--replay) runs one kill of it alone. After a kill there is the old state or the new one, or
the play was refused; and the same play, run again, leads to the new state and leaves nothing behind. Everything else fails.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("fleet", "reference", "e2e")), str(HERE.parent)]

from prepare import LOGS, VENV, prepare

if TYPE_CHECKING:
    from verbs import Verb

SHORT, LONG = 20, 60
# Of the short run: they need no machine.
QUICK = ("build", "push", "switch", "upgrade", "rollback")
# Root's home is the harness's own; so are the mounts of engines.
INSIDE = "mount --bind {base}/passwd /etc/passwd && export HOME={base}/home && exec {command}"


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--count", type=int, help=f"{LONG} unless told, {SHORT} with --short")
    parser.add_argument("--short", action="store_true", help="see once, not twice, that another run repairs")
    parser.add_argument("--only", metavar="VERB", action="append", help="may be given several times")
    parser.add_argument("--replay", metavar="NUMBER", type=int, help="one kill of a plan, which is that of the seed, --short and --only")
    asked = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # what was started is stopped
    if "CHAOS_BASE" in os.environ:
        return run(asked, Path(os.environ["CHAOS_BASE"]))
    prepare()
    base = Path(tempfile.mkdtemp(prefix="chaos-"))
    inside = subprocess.Popen(_inside(base, ["--seed", str(asked.seed), *words]))
    try:
        return inside.wait()
    finally:
        inside.terminate()
        inside.wait()
        shutil.rmtree(base, ignore_errors=True)


def _inside(base: Path, words: list[str]) -> list[str]:
    """:returns: this program in a mount namespace, by the Python that has Ansible"""
    (base / "home").mkdir(mode=0o700)
    lines = Path("/etc/passwd").read_text().splitlines()
    roots = [re.sub(r"^(root:.*:)[^:]*(:[^:]*)$", rf"\1{base}/home\2", line) for line in lines]
    (base / "passwd").write_text("\n".join(roots) + "\n")
    command = shlex.join(["env", f"CHAOS_BASE={base}", str(VENV / "bin/python"), str(HERE / "chaos.py"), *words])
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", INSIDE.format(base=base, command=command)]


def run(asked: argparse.Namespace, base: Path) -> int:
    # These need Ansible.
    from plan import plan
    from trials import Trials

    logs = LOGS / "chaos" / str(asked.seed)  # two runs at a time leave each other alone
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    count = asked.replay or asked.count or (SHORT if asked.short else LONG)
    with ExitStack() as stack:
        verbs = {verb.name: verb for verb in _verbs(base, stack, asked.only or (QUICK if asked.short else None))}
        slow = [name for name, verb in verbs.items() if verb.slow]
        kills = plan(asked.seed, count, {name: verb.victims for name, verb in verbs.items()}, slow)
        kills = kills[-1:] if asked.replay else kills
        print(f"seed {asked.seed}, {len(kills)} kills, logs in {logs}", flush=True)
        trials = Trials(logs, count, thorough=not asked.short)
        for name in dict.fromkeys(kill.verb for kill in kills):
            trials.measure(verbs[name])
        for kill in kills:
            trials.try_out(verbs[kill.verb], kill)
    print(trials.table())
    again = shlex.join(
        [
            "python3",
            "tests/chaos/chaos.py",
            "--seed",
            str(asked.seed),
            *(["--short"] if asked.short else []),
            *(word for verb in asked.only or () for word in ("--only", verb)),
        ]
    )
    for number in trials.failed:
        print(f"once more: {again} --replay {number}")
    print(f"{len(kills) - len(trials.failed)} passed, {len(trials.failed)} failed")
    return int(bool(trials.failed))


def _verbs(base: Path, stack: ExitStack, only: Sequence[str] | None) -> Iterator[Verb]:
    """Of a place that no verb is wanted of, nothing is made."""
    from builder import Build, Builder, Push
    from installer import Install, Installer
    from simulated import Rollback, Simulated, Switch, Upgrade

    kinds: tuple[tuple[type, tuple[type[Verb], ...]], ...] = (
        (Builder, (Build, Push)),
        (Simulated, (Switch, Upgrade, Rollback)),
        (Installer, (Install,)),
    )
    for place, names in kinds:
        wanted = [verb for verb in names if not only or verb.name in only]
        if wanted:
            there = place(base / place.__name__.lower(), base / "home")
            stack.callback(there.stop)
            yield from (verb(there) for verb in wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
