# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a platform may be written as."""

from __future__ import annotations

import platform

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import Platform, PlatformMissing, need_platform


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux", "linux/arm64"),
        ("Windows", "windows/arm64"),
        *((text, "linux/amd64") for text in ("x86_64", "x86-64", "X86_64", "linux/amd64/v1")),
        *((text, "linux/386") for text in ("i386", "i686")),
        *((text, "linux/arm/v7") for text in ("armhf", "armv7l")),
        *((text, "linux/arm/v6") for text in ("armel", "armv6l")),
        ("powerpc64le", "linux/ppc64le"),
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


@pytest.mark.parametrize(
    ("configuration", "platform", "fits"),
    [
        ({"os": "linux", "architecture": "amd64"}, "linux/amd64", True),
        ({"architecture": "amd64"}, "linux/amd64", True),
        ({"os": "windows", "architecture": "amd64"}, "linux/amd64", False),
        ({"os": "linux", "architecture": "amd64"}, "linux/arm64", False),
        ({"os": "linux", "architecture": "arm", "variant": "v7"}, "linux/arm/v6", False),
        ({"os": "linux", "architecture": "arm"}, "linux/arm/v6", True),
        ({}, "linux/arm64", True),
    ],
)
def test_an_image_without_an_index_is_for_the_platform_that_it_says(configuration: dict[str, str], platform: str, fits: bool) -> None:
    if fits:
        need_platform("sha256:1", configuration, Platform.parse(platform))
        return
    with pytest.raises(PlatformMissing, match=f"not for {platform}, and there is no index"):
        need_platform("sha256:1", configuration, Platform.parse(platform))
