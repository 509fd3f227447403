# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A long task says that it is at work; a short one says nothing, and after its end nobody does."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.plugin_utils import elapsed as module
from ansible_collections.imagemode.bootc.plugins.plugin_utils.elapsed import elapsed


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []

    class Screen:
        def display(self, text: str) -> None:
            said.append(text)

    monkeypatch.setattr(module, "Display", Screen)
    return said


def test_a_short_task_says_nothing(shown: list[str]) -> None:
    with elapsed("host", "at work", first=30):
        pass
    assert shown == []


def test_a_long_task_says_how_long(shown: Any) -> None:
    with elapsed("host", "at work", first=0.01, every=0.01):
        while len(shown) < 2:
            time.sleep(0.01)
    assert shown[0] == "[host] at work, 0 s"
    count = len(shown)
    time.sleep(0.05)
    assert len(shown) == count


def test_a_task_that_fails_is_silent_afterwards(shown: Any) -> None:
    with pytest.raises(RuntimeError), elapsed("host", "at work", first=0.01, every=0.01):
        raise RuntimeError
    count = len(shown)
    time.sleep(0.05)
    assert len(shown) == count
