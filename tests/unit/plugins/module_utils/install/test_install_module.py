# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module that installs does around the installation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.sidecar import DiskImageFile
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image_module import DiskImageModule
from ansible_collections.imagemode.bootc.plugins.module_utils._install.plan import Plan
from ansible_collections.imagemode.bootc.plugins.module_utils._install_module import InstallModule


class Began(Exception):
    """Code of the image would run now."""


class Options:
    """A module with a secret in its files, and no password."""

    def __init__(self) -> None:
        self.params = {"registry_password": None, "target_registry_password": None, "format": "raw", "timeout": 60}
        self.forgotten = False

    def forget_file(self) -> None:
        self.forgotten = True

    def fetched(self, _source: Any) -> Any:
        raise Began

    def build(self, _folder: Path) -> Any:
        raise Began


def test_the_file_of_the_task_is_gone_before_code_of_the_image_runs(tmp_path: Path) -> None:
    disk, image = Options(), Options()
    with pytest.raises(Began):
        InstallModule._run(disk, None, None, Plan("install", ""), "x86_64")  # type: ignore[arg-type]
    with pytest.raises(Began):
        DiskImageModule._build(image, DiskImageFile(str(tmp_path / "os.raw")), None, image)  # type: ignore[arg-type]
    assert disk.forgotten
    assert image.forgotten
