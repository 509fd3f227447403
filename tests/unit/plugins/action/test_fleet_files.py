# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written on the controller of a fleet: predicted, once, and whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.action.fleet_record import ActionModule as RecordModule
from ansible_collections.imagemode.bootc.plugins.action.fleet_report import ActionModule as ReportModule
from ansible_collections.imagemode.bootc.plugins.action.rollout_state import ActionModule as StateModule
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError


def act(which: type[Any], check_mode: bool = False, **options: Any) -> dict[str, Any]:
    action = which.__new__(which)
    action._task = SimpleNamespace(check_mode=check_mode)
    defaults = {name: option.get("default") for name, option in which.arguments.items()}
    result: dict[str, Any] = action.act({**defaults, **options}, {"inventory_hostname": "web1", "group_names": ["web"]})
    return result


def test_a_report_is_written_once_as_predicted(tmp_path: Path) -> None:
    journal, dest = tmp_path / "fleet.jsonl", tmp_path / "reports/today"
    assert act(RecordModule, check_mode=True, journal=journal)["record"]["host"] == "web1"
    assert not journal.exists()
    act(RecordModule, journal=journal, result="updated")
    for formats in (["json"], ["json", "csv", "html"]):
        options = {"journal": [journal], "dest": dest, "formats": formats, "hosts": ["web1", "web2"]}
        there = sorted(dest.glob("*"))
        predicted = act(ReportModule, check_mode=True, **options)
        assert (predicted["changed"], sorted(dest.glob("*"))) == (True, there)
        assert act(ReportModule, **options) == predicted
        assert sorted(path.name for path in dest.iterdir()) == sorted(f"report.{name}" for name in formats)
        assert not act(ReportModule, **options)["changed"]
    assert {row["host"] for row in json.loads((dest / "report.json").read_text())["rows"]} == {"web1", "web2"}
    act(RecordModule, journal=journal, result="failed")
    assert act(ReportModule, check_mode=True, **options)["changed"]


def test_what_a_host_said_is_in_every_file_though_it_is_no_text(tmp_path: Path) -> None:
    """Ansible makes a byte that is no UTF-8 half of a surrogate pair."""
    act(RecordModule, journal=tmp_path / "fleet.jsonl", result="failed", message="no \udcff text")
    act(ReportModule, journal=[tmp_path / "fleet.jsonl"], dest=tmp_path / "report", formats=["json", "csv", "html"])
    assert "no \\udcff text" in (tmp_path / "report/report.csv").read_text()
    assert not act(ReportModule, journal=[tmp_path / "fleet.jsonl"], dest=tmp_path / "report", formats=["csv"])["changed"]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("dest", ["file", "file/below", "link", "link/below"])
def test_a_place_that_takes_no_report_is_told(tmp_path: Path, dest: str, check_mode: bool) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(ImageModeError) as refused:
        act(ReportModule, check_mode, journal=[tmp_path / "none"], dest=tmp_path / dest)
    assert (refused.value.error, "'dest'" in (refused.value.hint or "")) == ("report_unwritable", True)
    assert str(tmp_path / dest / "report.json") in refused.value.message


def test_a_directory_that_may_not_be_written_to_is_told_in_check_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake says that it may not: to root, who may run this, everything is writable."""
    monkeypatch.setattr(os, "access", lambda place, mode: (place, mode) != (tmp_path, os.W_OK | os.X_OK))
    with pytest.raises(ImageModeError, match="Permission denied") as refused:
        act(ReportModule, check_mode=True, journal=[tmp_path / "none"], dest=tmp_path / "reports/today")
    assert (refused.value.error, list(tmp_path.iterdir())) == ("report_unwritable", [])


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_rollout_that_is_not_there_has_no_state(tmp_path: Path, check_mode: bool) -> None:
    with pytest.raises(ImageModeError) as refused:
        act(StateModule, check_mode, path=tmp_path / "none", state="paused")
    assert (refused.value.error, list(tmp_path.iterdir())) == ("rollout_missing", [])
