# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The output of a build is shown as it comes: each line once, and whole."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.imagemode.bootc.plugins.action import oci_image_build


class Shown:
    """Stands in for Ansible's display."""

    verbosity = 1

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self) -> Shown:
        return self

    def v(self, line: str, host: str | None) -> None:
        self.lines.append(line)


class Steps(threading.Event):
    """Says that it goes on as often as something is written, and then that it is complete."""

    def __init__(self, log: Path, *parts: bytes) -> None:
        super().__init__()
        self._log, self._parts = log, list(parts)

    def wait(self, timeout: float | None = None) -> bool:
        if not self._parts:
            return True
        with self._log.open("ab") as file:
            file.write(self._parts.pop(0))
        return False


def test_each_line_is_shown_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shown()
    monkeypatch.setattr(oci_image_build, "Display", shown)
    parts = (b"STEP 1/2\nfetch", b"ing \xc3", b"\xa4\n", b"", b"STEP 2/2\nno line break")
    oci_image_build.show(tmp_path / "log", Steps(tmp_path / "log", *parts), "builder")
    assert shown.lines == ["STEP 1/2", "fetching \u00e4", "STEP 2/2", "no line break"]


def test_a_build_that_says_nothing_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shown()
    monkeypatch.setattr(oci_image_build, "Display", shown)
    oci_image_build.show(tmp_path / "log", Steps(tmp_path / "log"), "builder")
    assert shown.lines == []


@pytest.mark.parametrize("no_log", [False, True])
def test_a_task_that_hides_its_result_shows_no_output(monkeypatch: pytest.MonkeyPatch, no_log: bool) -> None:
    monkeypatch.setattr(oci_image_build, "Display", Shown())
    action = object.__new__(oci_image_build.ActionModule)
    action._connection = SimpleNamespace(become=None, transport="local")
    action._task = SimpleNamespace(args={}, async_val=0, no_log=no_log)
    assert action._followed() is not no_log
