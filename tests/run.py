# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the project's checks: `python3 tests/run.py check` (two minutes), `… test`, or stages by name.

`test` takes its stages in the order of CHAINS, and does not begin one that would not be over within IMAGEMODE_TEST_MINUTES
(70; 0 is without an end): it says at the end which these were. On two cores under emulation all but the last two fit into an hour.
Those that take long, or are new, are run by name only: modules, layouts, faults, takeover, metal, many, vm, vsphere,
matrix, site, canaries.

Everything that it makes is under .cache/ (IMAGEMODE_CACHE): a Python environment, a copy of the collection where
ansible-test wants it, and one log for each stage. It needs Python 3.11 with venv; a real run needs root and installs
the Debian packages that are missing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "reference"))

from budget import Budget
from labkit import machine, packages
from labkit.say import LabError
from prepare import CACHE, COLLECTION, LOGS, ROOT, TREE, environment, prepare, say

HEARTBEAT_SECONDS = 20


@dataclass
class Count:
    """:ivar names: of what failed, as its runner wrote it"""

    passed: int = 0
    failed: int = 0
    names: tuple[str, ...] = ()


def main(arguments: Sequence[str]) -> int:
    everything = "test" in (arguments or ["test"])
    wanted: list[str] = []
    for argument in arguments:
        wanted += {"check": CHECK, "test": []}.get(argument, [argument])
    unknown = [name for name in wanted if name not in STAGES]
    if unknown:
        print(f"No such stage: {', '.join(unknown)}. There are: check, test, {', '.join(STAGES)}.", file=sys.stderr)
        return 2
    prepare()
    os.environ["IMAGEMODE_PREPARED"] = "1"
    minutes = float(os.environ.get("IMAGEMODE_TEST_MINUTES") or 70) if everything else 0
    budget = Budget(60 * minutes, USUAL_SECONDS)
    left: list[str] = []

    def in_time(names: Sequence[str]) -> list[Count]:
        """A chain, as far as there is time for it."""
        counts = []
        for name in names:
            if not budget.fits(name):
                left.append(name)
                continue
            started = time.monotonic()
            counts.append(stage(name))
            budget.took(name, time.monotonic() - started)
        return counts

    first, chains = (["tools"], CHAINS) if everything else (wanted, ())
    counts = [stage(name) for name in first]
    if not counts[0].failed:
        # A machine under emulation keeps one core busy, and two cores are what there is.
        with ThreadPoolExecutor(2) as pool:
            counts += chain.from_iterable(pool.map(in_time, chains))
    if left:
        say(f"No time was left for: {' '.join(left)}. Run them by `python3 tests/run.py {' '.join(left)}`.")
    failed = sum(count.failed for count in counts)
    for name in chain.from_iterable(count.names for count in counts):
        print(name)
    print(f"{sum(count.passed for count in counts)} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def stage(name: str) -> Count:
    """Run a stage with its output in a log, and a sign of life while it runs."""
    log = LOGS / f"{name}.log"
    say(f"{name}: started, log in {log.relative_to(ROOT) if log.is_relative_to(ROOT) else log}")
    started = time.monotonic()
    finished = threading.Event()

    def heartbeat() -> None:
        while not finished.wait(HEARTBEAT_SECONDS):
            lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
            say(f"{name}: {time.monotonic() - started:.0f} s, {lines[-1][:110] if lines else ''}")

    beat = threading.Thread(target=heartbeat, daemon=True)
    beat.start()
    with log.open("w") as output:
        rc = STAGES[name](output.fileno())
        lost = machine.crashed(MACHINES[name]) if rc and name in MACHINES else None
        if lost:
            say(f"{name}: machine {MACHINES[name]}: {lost}; once more")
            output.seek(0)
            output.truncate()
            rc = STAGES[name](output.fileno())
    finished.set()
    text = log.read_text(errors="replace")
    count = tally(name, text, rc)
    say(f"{name}: {'passed' if not count.failed else 'FAILED'} in {time.monotonic() - started:.0f} s")
    if count.failed:
        print("\n".join(text.splitlines()[-40:]), flush=True)
    return count


def tally(name: str, text: str, rc: int) -> Count:
    """What a runner counted, by its closing line; a stage without one counts as one."""
    closing = next((line for line in reversed(text.splitlines()) if re.search(r"\b\d+ (passed|failed)", line)), "")
    counted = {word: int(number) for number, word in re.findall(r"\b(\d+) (passed|failed|error)", closing)}
    passed, failed = counted.get("passed", 0), counted.get("failed", 0) + counted.get("error", 0)
    if rc != 0 and failed == 0:
        failed = 1
    if rc == 0 and passed == 0:
        passed = 1
    names = re.findall(r"^(?:FAILED|ERROR) (\S+)", text, re.M) or [f"see {LOGS / name}.log"]
    return Count(passed, failed, tuple(f"{name} failed: {what}" for what in names) if failed else ())


def run(argv: Sequence[str], output: int, cwd: Path = COLLECTION, **variables: str) -> int:
    return subprocess.run(
        list(argv), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, env=environment(**variables)
    ).returncode


def ruff(output: int) -> int:
    return run(["ruff", "check"], output) or run(["ruff", "format", "--check"], output)


def mypy(output: int) -> int:
    package = "ansible_collections.imagemode.bootc.plugins.module_utils"
    return run(["mypy", "--config-file", str(COLLECTION / "pyproject.toml"), "-p", package], output, cwd=TREE, MYPYPATH=str(TREE))


def units(output: int) -> int:
    return run(["python", "-m", "pytest", "-q", "tests/unit"], output, PYTHONPATH=str(TREE))


def quick(output: int) -> int:
    """Those units that start no Ansible: most of them, in a minute."""
    return run(["python", "-m", "pytest", "-q", *PURE], output, PYTHONPATH=str(TREE))


def images(output: int) -> int:
    """Build, push, info and signatures on a real registry with real engines."""
    return tools(output) or run(
        ["python", "-m", "pytest", "-q", "tests/integration/images"], output, PYTHONPATH=str(TREE), IMAGEMODE_CACHE=str(CACHE)
    )


def canaries(output: int) -> int:
    """A secret in every credential option, and a look at every place where one could turn up."""
    words = ["python", "-m", "pytest", "-q", "tests/integration/images/all_canaries.py"]
    return tools(output) or run(words, output, PYTHONPATH=str(TREE), IMAGEMODE_CACHE=str(CACHE))


def fleet(output: int) -> int:
    """Rollouts over simulated hosts, and the report in a browser, which is installed on Debian."""
    with suppress(LabError):
        packages.packages(True, {"chromium": "chromium"})
    return run(["python", "-m", "pytest", "-q", "tests/fleet"], output, PYTHONPATH=str(TREE))


def controller(output: int) -> int:
    """The role of that name against a fake AWX, and what an execution environment needs."""
    return run(["python", "-m", "pytest", "-q", "tests/controller"], output, PYTHONPATH=str(TREE))


def tools(output: int) -> int:
    """What is missing on a Debian machine is installed; elsewhere it is named."""
    return run([str(ROOT / "tests/reference/lab"), "packages", "--install"], output)


def lint(output: int) -> int:
    """ansible-lint, production profile, without asking Galaxy."""
    return run(["ansible-lint", "--offline", "--profile", "production", "--strict"], output)


def integration(output: int) -> int:
    """The targets of ansible-test; they use this machine's own engines and a registry of their own."""
    return tools(output) or ansible_test(output, "integration", "--allow-destructive", "--allow-root")


def sanity(output: int) -> int:
    return ansible_test(output, "sanity")


def ansible_test(output: int, *words: str) -> int:
    home = CACHE / "home"
    # ansible-test downloads a pip bootstrap script; Python's own ensurepip serves where that cannot be reached.
    bootstrap = home / ".ansible/test/cache/get_pip_24_2.py"
    bootstrap.parent.mkdir(parents=True, exist_ok=True)
    bootstrap.write_text("import ensurepip\nensurepip.bootstrap(upgrade=True, default_pip=True)\n")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return run(["ansible-test", *words, "--venv", "--python", version, "--color", "no"], output, HOME=str(home))


def archive(output: int) -> int:
    """What Galaxy gets: the same from the same files, and playbooks run from it."""
    return run(["python", "-m", "pytest", "-q", "tests/release"], output, cwd=ROOT)


def nox(output: int) -> int:
    """Licences, documentation and YAML, by antsibull-nox. Its session `build-import-check`, Galaxy's importer, takes minutes."""
    sessions = ["lint", "docs-check", "license-check", "extra-checks"]
    return run(["nox", "--envdir", str(CACHE / "nox"), "--reuse-venv", "yes", "--session", *sessions], output)


def matrix(output: int) -> int:
    """Units, a part of sanity and integration on every ansible-core that is supported, with the Pythons that are there."""
    return run([sys.executable, str(ROOT / "tests/matrix.py")], output, cwd=ROOT)


def site(output: int) -> int:
    """The documentation, without a warning."""
    return run([sys.executable, str(ROOT / "tests/site.py")], output, cwd=ROOT)


def lab(output: int) -> int:
    """What the machines are made of, before anybody needs it."""
    command = str(ROOT / "tests/reference/lab")
    return tools(output) or run([command, "base"], output) or run([command, "installer"], output)


def demo(output: int) -> int:
    """The whole road; its steps are counted as tests."""
    return run([sys.executable, str(ROOT / "tests/e2e/demo.py")], output, cwd=ROOT)


def guards(output: int) -> int:
    """What bootc_install refuses, does and repairs, and what power cuts leave of it."""
    return run([sys.executable, str(ROOT / "tests/e2e/guards.py")], output, cwd=ROOT)


def layouts(output: int) -> int:
    """Dangerous disks, real ones: each is refused, and all are as they were."""
    return run([sys.executable, str(ROOT / "tests/e2e/guards.py"), "layouts"], output, cwd=ROOT)


def faults(output: int) -> int:
    """Killed installers, a disk that is gone, and what boots in the end."""
    return run([sys.executable, str(ROOT / "tests/e2e/guards.py"), "faults"], output, cwd=ROOT)


def takeover(output: int) -> int:
    """A server with packages becomes one that runs an image."""
    return run([sys.executable, str(ROOT / "tests/e2e/takeover.py")], output, cwd=ROOT)


def bmc(output: int) -> int:
    """What BMCs are told, and what is made of one that is busy, forgets or lies."""
    return tools(output) or run(["python", "-m", "pytest", "-q", "tests/integration/metal"], output, PYTHONPATH=str(TREE))


def chaos(output: int) -> int:
    """A few kills, the same each time; `make chaos` makes more of them, others each time, and looks closer."""
    return tools(output) or run(["python", str(ROOT / "tests/chaos/chaos.py"), "--short", "--seed", "1"], output, cwd=ROOT)


def vsphere(output: int) -> int:
    """A machine on govmomi's simulator of vSphere by the role vm."""
    return tools(output) or run(["python", "-m", "pytest", "-q", "tests/integration/vsphere"], output, PYTHONPATH=str(TREE))


def metal(output: int) -> int:
    """Machines with BMCs become machines that run an image: by a medium, and from the network."""
    return run([sys.executable, str(ROOT / "tests/e2e/metal.py")], output, cwd=ROOT)


def many(output: int) -> int:
    """Ten machines installed at once."""
    return run([sys.executable, str(ROOT / "tests/e2e/many.py")], output, cwd=ROOT)


def vm(output: int) -> int:
    """A disk image made in a throw-away machine, and virtual machines from it on QEMU and libvirt."""
    return run([sys.executable, str(ROOT / "tests/e2e/vm.py")], output, cwd=ROOT)


def conformance(output: int) -> int:
    """The recorded steps of a real host on the reference host; the machine is left for `day2`, where that is named too."""
    keep = ["--keep"] if "day2" in sys.argv[1:] else []
    return run([str(ROOT / "tests/reference/conformance"), *keep], output, cwd=ROOT)


def modules(output: int) -> int:
    """The same steps asked of the modules."""
    return run([str(ROOT / "tests/reference/conformance"), "--modules"], output, cwd=ROOT)


def composefs(output: int) -> int:
    """The recorded steps of the other backend, asked of the modules; `tests/reference/conformance --flavour composefs` runs commands."""
    return run([str(ROOT / "tests/reference/conformance"), "--flavour", "composefs", "--modules"], output, cwd=ROOT)


def day2(output: int) -> int:
    """Refusals, predictions and proofs on a booted host."""
    return run([sys.executable, str(ROOT / "tests/e2e/day2.py")], output, cwd=ROOT)


STAGES: dict[str, Callable[[int], int]] = {
    "tools": tools,
    "lab": lab,
    "ruff": ruff,
    "mypy": mypy,
    "quick": quick,
    "units": units,
    "images": images,
    "lint": lint,
    "canaries": canaries,
    "archive": archive,
    "nox": nox,
    "site": site,
    "matrix": matrix,
    "sanity": sanity,
    "integration": integration,
    "fleet": fleet,
    "controller": controller,
    "demo": demo,
    "guards": guards,
    "layouts": layouts,
    "faults": faults,
    "takeover": takeover,
    "bmc": bmc,
    "chaos": chaos,
    "vsphere": vsphere,
    "metal": metal,
    "many": many,
    "vm": vm,
    "conformance": conformance,
    "modules": modules,
    "day2": day2,
    "composefs": composefs,
}
# Each is run in its order, two at the same time: first what others stand on, beside what needs no machine, then the longest;
# what is short fills the end.
# `composefs` and `day2` are for machines with KVM or many cores, where there is time for them.
CHAINS = (
    ("lab", "demo"),
    ("ruff", "mypy", "units", "sanity"),
    ("conformance",),
    ("images",),
    ("guards",),
    ("fleet",),
    ("integration",),
    ("controller", "bmc", "chaos"),
    ("lint", "archive", "nox"),
    ("composefs",),
    ("day2",),
)
# With another stage beside it, on two cores without KVM.
USUAL_SECONDS = {
    "lab": 200,
    "demo": 1100,
    "ruff": 5,
    "mypy": 40,
    "units": 700,
    "sanity": 300,
    "conformance": 1300,
    "images": 1200,
    "fleet": 1000,
    "integration": 200,
    "controller": 150,
    "bmc": 260,
    "chaos": 400,
    "guards": 900,
    "lint": 60,
    "archive": 40,
    "nox": 90,
    "composefs": 3000,
    "day2": 5000,
}
# A guest that crashes under emulation has told nothing of what is tested; `conformance` itself begins again then.
MACHINES = {"demo": "metal", "guards": "guards", "layouts": "guards", "faults": "guards", "takeover": "takeover", "day2": "conformance"}
PURE = ("tests/unit/plugins/module_utils", "tests/unit/plugins/filter", "tests/unit/test_architecture.py", "tests/unit/test_links.py")
CHECK = ["ruff", "mypy", "quick", "lint"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
