# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A context that is an archive, unpacked by any Python that runs modules."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._build_files import context_directory
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError


@pytest.fixture(params=["with filters", "without"])
def _python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":  # as 3.11.2 of Debian 12
        unpack = tarfile.TarFile.extractall

        def extractall(archive: tarfile.TarFile, path: Any = ".", members: Any = None, *, numeric_owner: bool = False) -> None:
            unpack(archive, path, members, numeric_owner=numeric_owner)

        monkeypatch.setattr(tarfile.TarFile, "extractall", extractall)


def packed(folder: Path, *entries: tuple[str, dict[str, Any]]) -> str:
    path = folder / "context.tar"
    with tarfile.open(path, "w") as archive:
        for name, more in entries:
            member = tarfile.TarInfo(name)
            content = more.pop("content", b"")
            member.size = len(content)
            for field, value in more.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(content))
    return str(path)


@pytest.mark.usefixtures("_python")
def test_an_archive_is_a_context(tmp_path: Path) -> None:
    path = packed(
        tmp_path,
        ("app", {"type": tarfile.DIRTYPE, "mode": 0o555}),
        ("app/Containerfile", {"content": b"FROM scratch\n", "mode": 0o4777}),
        ("app/link", {"type": tarfile.SYMTYPE, "linkname": "/etc/hostname"}),
        ("/app/more", {"content": b"more"}),
    )
    with context_directory(path) as directory:
        file = directory / "app/Containerfile"
        assert (file.read_text(), file.stat().st_mode & 0o7777) == ("FROM scratch\n", 0o755)
        assert (str((directory / "app/link").readlink()), (directory / "app/more").read_text()) == ("/etc/hostname", "more")


@pytest.mark.usefixtures("_python")
@pytest.mark.parametrize(
    "entries",
    [
        [("../out", {"content": b"x"})],
        [("to", {"type": tarfile.SYMTYPE, "linkname": ".."}), ("to/out", {"content": b"x"})],
        [("secret", {"type": tarfile.LNKTYPE, "linkname": "../out"})],
    ],
    ids=["name", "link", "hard link"],
)
def test_nothing_of_an_archive_leads_out_of_the_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: list[tuple[str, dict[str, Any]]]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = packed(tmp_path, *entries)
    with pytest.raises(OptionError, match="leads out"), context_directory(path):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["context.tar"]
