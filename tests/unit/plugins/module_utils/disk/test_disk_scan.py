# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel shows of block devices, while some of them come and go."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk import scan


def test_a_device_that_goes_meanwhile_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another disk image is made at the same time: its loop device is listed, and then cannot be read any more."""
    monkeypatch.setattr(scan, "SYSFS", tmp_path)
    (tmp_path / "vdb/holders/dm-0").mkdir(parents=True)
    (tmp_path / "vdc").mkdir()
    (tmp_path / "vdc/holders").write_text("no directory: as little can be listed as one that is gone")
    for name in ("loop0", "loop1", "loop2"):
        (tmp_path / name / "loop").mkdir(parents=True)
    (tmp_path / "loop0/loop/backing_file").write_text("/dev/vdb\n")
    (tmp_path / "loop1/loop/backing_file").mkdir()
    (tmp_path / "loop2/loop/backing_file").write_text("/srv/disk.raw\n")
    assert scan.loop_files() == {"loop0": "/dev/vdb", "loop2": "/srv/disk.raw"}
    assert scan.holders() == {"vdb": ("dm-0", "loop0")}


def test_a_disk_is_known_by_every_link_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vdb").touch()
    for name in ("by-id/virtio-TARGET01", "by-diskseq/7", "by-path/pci-0000:00:05.0", "by-uuid/0f2b6a1c"):
        link = tmp_path / "disk" / name
        link.parent.mkdir(parents=True)
        link.symlink_to(tmp_path / "vdb")
    monkeypatch.setattr(scan, "Path", lambda *parts: Path(*(str(part).replace("/dev/disk", f"{tmp_path}/disk") for part in parts)))
    (found,) = scan.links().values()
    assert sorted(found) == ["by-diskseq/7", "by-id/virtio-TARGET01", "by-path/pci-0000:00:05.0", "by-uuid/0f2b6a1c"]


@pytest.mark.parametrize("said", ["", "lsblk: unknown column: WWN", "{}", '{"blockdevices": [{}]}', "[]"])
def test_a_list_of_disks_that_is_none_is_an_error(said: str) -> None:
    """No disk is chosen from half of what there is."""
    runner: Any = SimpleNamespace(find=lambda _program: None, run=lambda _argv, **_options: SimpleNamespace(stdout=said))
    with pytest.raises(scan.ScanFailed) as refused:
        scan.Scanner(runner).devices()
    assert (refused.value.error, "util-linux" in (refused.value.hint or "")) == ("disk_scan_failed", True)
