# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on a disk stays there, whatever becomes of its mounts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.device import Device
from ansible_collections.imagemode.bootc.plugins.module_utils._install import mounts
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import CommandFailed, Completed, Runner

pytestmark = pytest.mark.skipif(not os.access("/run", os.W_OK), reason="mounts below /run")

PARTITIONS = [Device(name, f"/dev/{name}", "part", 1 << 30, filesystem="ext4") for name in ("vdb1", "vdb2")]


class Mounts(Runner):
    """Stands in for the commands: what is mounted has a file, and what is unmounted is empty again."""

    def __init__(self, busy: str = "") -> None:
        super().__init__()
        self.busy = busy
        self.mounted: list[Path] = []

    def run(self, argv: Sequence[str], **_more: Any) -> Completed:
        place = Path(argv[-1])
        if argv[0] == "umount" and place.name == self.busy:
            raise CommandFailed(f"umount: {place}: target is busy.")
        if argv[0] == "umount":
            (place / "file").unlink()
            self.mounted.remove(place)
        elif argv[1] == "-t":
            (place / "file").write_text("of the disk")
            self.mounted.append(place)
        return Completed(tuple(argv), 0, "", "", 0.0)


@pytest.fixture(autouse=True)
def _in_this_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "_leave_mount_namespace", lambda: None)


def read(roots: Mapping[str, Path]) -> list[str]:
    return [(root / "file").read_text() for root in roots.values()]


def test_nothing_is_left_of_mounts() -> None:
    before, commands = set(os.listdir("/run")), Mounts()
    assert mounts.with_mounted(commands, PARTITIONS, read) == ["of the disk"] * 2
    assert (commands.mounted, set(os.listdir("/run"))) == ([], before)


def test_files_of_a_disk_that_cannot_be_unmounted_are_not_removed() -> None:
    commands = Mounts(busy="vdb2")
    with pytest.raises(CommandFailed, match="busy"):
        mounts.with_mounted(commands, PARTITIONS, read, writable=True)
    assert [(place.name, (place / "file").read_text()) for place in commands.mounted] == [("vdb2", "of the disk")]
    shutil.rmtree(commands.mounted[0].parent)
