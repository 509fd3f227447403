# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# /// script
# dependencies = ["ansible-core>=2.17", "antsibull-nox>=1.10", "nox>=2025.5"]
# ///

"""One entry point for maintainers: `pip install nox`, then `nox --list`.

The sessions of antsibull-nox are told by antsibull-nox.toml; each stage of tests/run.py is a session of its name with `stage-` before it.
`make test`, and so continuous integration, runs both.
"""

from __future__ import annotations

import sys
from pathlib import Path

import antsibull_nox
import nox

TESTS = Path(__file__).resolve().parent / "tests"
sys.path.insert(0, str(TESTS))

from run import STAGES  # noqa: E402

antsibull_nox.load_antsibull_nox_toml()


def add_stage(name: str) -> None:
    def stage(session: nox.Session) -> None:
        session.run(sys.executable, str(TESTS / "run.py"), name, external=True)

    stage.__doc__ = STAGES[name].__doc__ or f"The stage {name} of tests/run.py."
    nox.session(name=f"stage-{name}", default=False, venv_backend="none")(stage)


for name in STAGES:
    if name != "nox":
        add_stage(name)
