# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and addresses of machines that a live system knows: a line break makes another of them, or another file."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path
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


@pytest.mark.skipif(not shutil.which("systemd-tmpfiles"), reason="needs systemd-tmpfiles")
@pytest.mark.parametrize("home", [None, "var/roothome"])
def test_keys_of_all_machines_are_there_before_the_first_connection(tmp_path: Path, home: str | None) -> None:
    """In image mode /root is a link, and what makes its target may come later than what is named /root."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVuaXQ operator"
    for name, entry in settings.archive((), [key]).items():
        if stat.S_ISREG(entry.mode):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(entry.content)
    (tmp_path / "var").mkdir()
    if home:
        (tmp_path / "root").symlink_to(home)
    script = (tmp_path / "etc/live/settings").read_text()
    script = script.replace("/etc/live", f"{tmp_path}/etc/live").replace("-m /root", f"-m {tmp_path}/root")
    script = script.replace("systemd-tmpfiles", f"systemd-tmpfiles --root={tmp_path}")
    subprocess.run(["sh", "-ec", script], check=True)
    keys = tmp_path / (home or "root") / ".ssh/authorized_keys"
    assert keys.read_text() == f"{key}\n"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (keys.parent.parent, keys.parent, keys)] == [0o700, 0o700, 0o600]
