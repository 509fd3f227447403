# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opening an image as bootc does, with an image proxy that takes its time."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import BootcError
from ansible_collections.imagemode.bootc.plugins.module_utils._policy import open_image

DIGEST = "sha256:" + "a" * 64
PROXY = f"""#!{sys.executable} -SE
import json, socket, sys, time
(number,) = [word.partition("=")[2] for word in sys.argv if word.startswith("--sockfd=")]
connection = socket.socket(fileno=int(number))
while request := connection.recv(65536):
    time.sleep(0.1)
    value = "{DIGEST}" if json.loads(request)["method"] == "GetManifest" else 1
    connection.send(json.dumps({{"success": True, "value": value, "error": ""}}).encode())
"""


@pytest.fixture(autouse=True)
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "skopeo").write_text(PROXY)
    (tmp_path / "skopeo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.mark.parametrize("timeout", [0, 60])
def test_a_registry_may_take_its_time_and_without_a_limit_any(timeout: float) -> None:
    assert open_image("registry.test/os:1", timeout=timeout).digest == DIGEST


def test_an_answer_that_does_not_come_in_time_is_told() -> None:
    with pytest.raises(BootcError) as refused:
        open_image("registry.test/os:1", timeout=0.01)
    assert refused.value.error == "command_timeout"
