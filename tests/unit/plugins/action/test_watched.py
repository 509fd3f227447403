# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the action of bootc_switch and bootc_upgrade goes on with what the module said."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.action.bootc_switch import ActionModule

LOCKED = {"failed": True, "error": "bootc_locked"}
REFUSED = {"failed": True, "msg": "argument 'lock_timeout' is of type str and we were unable to convert to int"}


def watching(monkeypatch: pytest.MonkeyPatch, lock_timeout: Any, *answers: dict[str, Any], seconds: float = 0) -> dict[str, Any]:
    """:param seconds: since the task began"""
    action: ActionModule = object.__new__(ActionModule)
    action._task = SimpleNamespace(args={"image": "os", "lock_timeout": lock_timeout}, no_log=False)
    action._started = time.monotonic() - seconds
    told = iter(answers)
    monkeypatch.setattr(action, "_execute_module", lambda **_options: next(told), raising=False)
    monkeypatch.setattr(action, "_say", lambda _text: None)
    return action._watch({})


@pytest.mark.parametrize("lock_timeout", [5, "5", 5.0, "5.0", "", None, "soon", "{}"])
@pytest.mark.parametrize("answer", [{"changed": True}, REFUSED])
def test_an_answer_is_the_result_whatever_the_time_limit_is(
    monkeypatch: pytest.MonkeyPatch, lock_timeout: Any, answer: dict[str, Any]
) -> None:
    assert watching(monkeypatch, lock_timeout, answer) is answer


@pytest.mark.parametrize("lock_timeout", [5, "5.0", 5.0])
def test_a_lock_is_waited_for_as_long_as_was_asked(monkeypatch: pytest.MonkeyPatch, lock_timeout: Any) -> None:
    done = {"changed": True}
    assert watching(monkeypatch, lock_timeout, LOCKED, done) is done
    assert watching(monkeypatch, lock_timeout, LOCKED, seconds=6) is LOCKED
    assert watching(monkeypatch, "", LOCKED, done, seconds=6) is done


@pytest.mark.parametrize(("no_log", "said"), [(False, "bootc switch r.test/os:1: running"), (True, "bootc: running")])
def test_a_task_with_no_log_shows_how_far_it_is_and_not_the_command(monkeypatch: pytest.MonkeyPatch, no_log: bool, said: str) -> None:
    action: ActionModule = object.__new__(ActionModule)
    action._task, heard = SimpleNamespace(no_log=no_log), []
    monkeypatch.setattr(action, "_say", heard.append)
    action._show("bootc switch r.test/os:1", "")
    assert heard == [said]
