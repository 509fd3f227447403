# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and addresses of machines that a live system knows: a line break makes another of them, or another file."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._media import settings

MAC = "52:54:00:12:34:56"


def test_a_machine_has_a_name_and_addresses() -> None:
    (host,) = settings.hosts([{"name": "web1.example", "macs": [MAC.replace(":", "-")]}], "networkmanager")
    assert (host.name, host.macs) == ("web1.example", (MAC,))


@pytest.mark.parametrize("option", [{"name": "web1\n", "macs": [MAC]}, {"name": "web1", "macs": [f"{MAC}\n"]}])
def test_a_line_break_is_no_part_of_them(option: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        settings.hosts([option], "networkmanager")
