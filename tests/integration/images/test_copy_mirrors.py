# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies to and from where others write, too: signatures of a mirror's own, pinned tags, directories with several platforms."""

from __future__ import annotations

from pathlib import Path

import pytest

from .artifacts import put_image, put_index
from .conftest import LiveRegistry
from .test_copy import PLAIN, Module, copy

BOTH = {"src_registry": PLAIN, "dest_registry": PLAIN}


@pytest.fixture
def name(registry: LiveRegistry, tmp_path: Path) -> str:
    return f"{registry.address}/{tmp_path.name.replace('_', '-')}"


def test_one_platform_of_a_directory_with_several(module: Module, name: str, tmp_path: Path) -> None:
    arm64 = put_image(f"{name}:arm64", architecture="arm64")
    put_index(f"{name}:1", amd64=put_image(f"{name}:amd64"), arm64=arm64)
    copy(module, f"{name}:1", f"dir:{tmp_path}/files", **BOTH)
    assert copy(module, f"dir:{tmp_path}/files", f"oci:{tmp_path}/one:1", platform="linux/arm64")["digest"] == arm64
    assert copy(module, f"dir:{tmp_path}/files", f"docker-archive:{tmp_path}/one.tar:os:1", platform="linux/arm64")["changed"]
    assert copy(module, f"dir:{tmp_path}/files", f"oci:{tmp_path}/none:1", platform="s390x")["error"] == "platform_missing"
