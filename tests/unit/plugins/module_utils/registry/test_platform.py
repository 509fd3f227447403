# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a platform may be written as."""

from __future__ import annotations

import platform

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import Platform


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux", "linux/arm64"),
        ("Windows", "windows/arm64"),
        ("x86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("arm", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("s390x", "linux/s390x"),
        ("freebsd/riscv64", "freebsd/riscv64"),
    ],
)
def test_a_platform_is_written_in_one_way(text: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert str(Platform.parse(text)) == expected


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "linux/linux", "arm64/v8", "linux/arm46", "beos"])
def test_what_is_no_platform_is_told(text: str) -> None:
    with pytest.raises(OptionError) as error:
        Platform.parse(text)
    assert f"'{text}' is not a platform" in error.value.message
    assert error.value.hint
