# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Layouts that are unpacked or written on the way to an archive end with their run, or with the next one there."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._layout import packed, replacement, unpacked

HOLD = """
import pathlib, sys, time
from ansible_collections.imagemode.bootc.plugins.module_utils import _layout
with getattr(_layout, sys.argv[1])(pathlib.Path(sys.argv[2])) as place:
    ((place if place.is_dir() else place.parent) / "begun").write_text("half a layout")
    print(place, flush=True)
    time.sleep(60)
"""


def write(directory: Path) -> None:
    (directory / "blobs").mkdir()
    for name in ("oci-layout", "index.json"):
        (directory / name).write_text("{}")


@contextmanager
def held(how: str, archive: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that is at work."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, how, str(archive)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.parametrize(("how", "again"), [("packed", packed), ("replacement", replacement), ("unpacked", unpacked)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_leaves_nothing_that_the_next_one_does_not_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, again: Callable[[Path], AbstractContextManager[Path]], number: signal.Signals
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    archive = tmp_path / "os.tar"
    with packed(archive) as directory:
        write(directory)
    before = archive.read_bytes()
    with held(how, archive) as process:
        process.send_signal(number)
        process.wait(10)
    left = [file.name for file in tmp_path.iterdir() if file != archive]
    assert bool(left) is (number == signal.SIGKILL)
    assert archive.read_bytes() == before
    with again(archive) as place:
        if how == "packed":
            write(place)
        elif how == "replacement":
            place.write_bytes(before)
    assert [file.name for file in tmp_path.iterdir() if file != archive] == []
    assert archive.read_bytes() == before


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageModeError, match="cannot be written"), packed(tmp_path / "gone" / "os.tar"):
        pytest.fail("there is no such directory")
