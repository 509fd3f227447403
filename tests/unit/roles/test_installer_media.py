# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role installer_media foretells of an image that is not there yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play


def test_an_image_that_would_be_pulled_is_foretold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/podman").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/told\n')
    (tmp_path / "bin/podman").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    options = {"installer_media_image": "registry.test/installer:2", "installer_media_directory": str(tmp_path)}
    plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.installer_media"]}]
    tmp_path.chmod(0o755)
    rc, output = play(tmp_path, plays, {"builder": options}, "--check")
    assert rc == 0, output
    assert "changed=1" in output
    assert (tmp_path / "told").read_text() == "image ls --quiet --no-trunc registry.test/installer:2\n"
