# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the role update switches a host instead of updating it from where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.imagemode.bootc.tests.unit.roles.playing import evaluated

IMAGE = "registry.test/os:1"


def test_an_image_is_followed_in_its_registry_if_it_is_asked_for(tmp_path: Path) -> None:
    def host(transport: str, asked: str | None, image: str = IMAGE, signature: str | None = None) -> dict[str, Any]:
        state = {"image": image, "transport": transport, "signature": signature}
        return {"update_image": asked, "__update_first_look": {"backend": "ostree", "host": state}}

    hosts = {
        "there": host("registry", IMAGE),
        "elsewhere": host("containers-storage", IMAGE),
        "asked-for-nothing": host("containers-storage", ""),
        "directory": host("oci", "", "/run/media/os"),
        "another": host("registry", "registry.test/os:2"),
    }
    assert evaluated(tmp_path, "update", "__update_follows_another | bool", hosts) == {
        "there": False,
        "elsewhere": True,
        "asked-for-nothing": False,
        "directory": False,
        "another": True,
    }
