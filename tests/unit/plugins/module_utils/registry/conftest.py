# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scripted registry for a test, and no waiting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import _http as http_module

from .scripted import ScriptedRegistry, found, manifest


@pytest.fixture
def server() -> Iterator[ScriptedRegistry]:
    """It has one image, whatever it is asked for."""
    registry = ScriptedRegistry(lambda seen: found(manifest()))
    yield registry
    registry.close()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The client's waits, which do not take time here; and no proxy of the machine's."""
    asked: list[float] = []
    monkeypatch.setattr(http_module.time, "sleep", asked.append)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return asked
