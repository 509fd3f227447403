# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container is removed however often its run is asked to end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

HOLD = """
import sys, time
from types import SimpleNamespace
from ansible_collections.imagemode.bootc.plugins.module_utils._engine import _container
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

class Slow(_container.Container):
    def _start(self, image, seconds, own_command):
        return ["true"]

    def _inside(self):
        return []

    def _remove(self):
        return ["sh", "-c", "touch begun; sleep 1; touch removed"]

_container._KINDS["slow"] = Slow
engine = SimpleNamespace(program="slow", id_argument=str)
with _container.container(engine, Runner(), SimpleNamespace(id="0"), "none", 60):
    print("there", flush=True)
    time.sleep(60)
"""


def test_a_second_signal_does_not_keep_a_container_from_being_removed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout
        assert process.stdout.readline() == "there\n"
        process.terminate()
        while not (tmp_path / "begun").exists():
            time.sleep(0.02)
        process.terminate()
        assert process.wait(10) == 128 + signal.SIGTERM
    assert (tmp_path / "removed").exists()
