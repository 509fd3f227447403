# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units, a part of sanity, and integration on every ansible-core that is supported: `python3 tests/matrix.py [CORE…]`.

A Python that is not on this machine is named and left out. Hosts and builders may have an older Python than controllers: what runs there
is tested on it with the last ansible-core that runs there as a controller.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from prepare import CACHE, COLLECTION, TREE, environment, prepare, say

SANITY = ("compile", "import", "validate-modules", "action-plugin-docs", "runtime-metadata", "yamllint")
ON_HOSTS = ("tests/unit/plugins/module_utils", "tests/unit/plugins/modules")


@dataclass(frozen=True)
class Row:
    core: str
    python: str
    units: tuple[str, ...] = ("tests/unit",)
    sanity: tuple[str, ...] = SANITY


ROWS = (
    Row("2.15", "3.9", ON_HOSTS, ()),
    Row("2.17", "3.11"),
    Row("2.18", "3.11"),
    Row("2.19", "3.11"),
    Row("2.20", "3.12"),
    Row("2.20", "3.13", sanity=()),
    Row("2.21", "3.12"),
    Row("2.21", "3.13", sanity=()),
)


def interpreter(version: str) -> str | None:
    """:returns: a Python of this version; those of pyenv are looked at, too"""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    return str(found[-1]) if found else shutil.which(f"python{version}")


def run(row: Row, python: str) -> bool:
    """:returns: whether all passed"""
    base = CACHE / "matrix" / f"{row.core}-{row.python}"
    programs = base / "venv/bin"
    if not (programs / "pytest").exists():
        subprocess.run([python, "-m", "venv", "--clear", str(base / "venv")], check=True)
        needed = [f"ansible-core~={row.core}.0", "jmespath", "pytest", "pyyaml", "requests", "cryptography"]
        subprocess.run([str(programs / "pip"), "install", "--quiet", *needed], check=True)
    bootstrap = base / "home/.ansible/test/cache"
    bootstrap.mkdir(parents=True, exist_ok=True)
    # ansible-test downloads a pip bootstrap script; Python's own ensurepip serves where that cannot be reached.
    for name in ("get_pip_24_2.py", "get_pip_25_2.py", "get_pip_23_1_2.py"):
        (bootstrap / name).write_text("import ensurepip\nensurepip.bootstrap(upgrade=True, default_pip=True)\n")
    variables = environment(PATH=f"{programs}:{os.environ['PATH']}", PYTHONPATH=str(TREE), HOME=str(base / "home"))
    commands = [[str(programs / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *row.units]]
    ansible_test = ["--venv", "--python", row.python, "--color", "no"]
    if row.sanity:
        commands.append(["ansible-test", "sanity", *ansible_test, *(word for test in row.sanity for word in ("--test", test))])
        commands.append(["ansible-test", "integration", *ansible_test, "--allow-destructive", "--allow-root"])
    done = [subprocess.run(command, cwd=COLLECTION, env=variables, stdin=subprocess.DEVNULL, check=False) for command in commands]
    return not any(command.returncode for command in done)


def main() -> int:
    prepare()
    wanted = sys.argv[1:]
    passed = failed = 0
    for row in ROWS:
        if wanted and row.core not in wanted:
            continue
        python = interpreter(row.python)
        if python is None:
            say(f"ansible-core {row.core}: there is no Python {row.python} here; left out")
            continue
        say(f"ansible-core {row.core} on Python {row.python}")
        good = run(row, python)
        say(f"ansible-core {row.core} on Python {row.python}: {'passed' if good else 'FAILED'}")
        passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
