# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change of a context's files is, beside their content."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint import _cache, _context, read_context
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint._ignore import Rules

# Of setcap(8), "cap_net_bind_service=ep": VFS_CAP_REVISION_2 of linux/capability.h.
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that has been read before, long enough ago for its cache to be trusted."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_cache, "RACY_NS", 0)
    directory = tmp_path / "context"
    (directory / "bin").mkdir(parents=True)
    (directory / "bin/server").write_text("program")
    read_context(directory, Rules())
    return directory


def attribute(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        pytest.skip(f"{name} cannot be set here: {error}")


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [("bin/server", "security.capability", CAPABILITY), ("bin/server", "user.word", b"x"), ("bin", "user.word", b"x")],
    ids=["capability", "of a file", "of a directory"],
)
def test_an_attribute_that_goes_into_the_image_is_a_change(context: Path, path: str, name: str, value: bytes) -> None:
    before = read_context(context, Rules())
    files = dict(before.files())
    attribute(context / path, name, value)
    after = read_context(context, Rules())
    assert before.digest != after.digest
    assert {path for path, line in after.files().items() if line != files[path]} == {path}
    os.removexattr(context / path, name)
    assert read_context(context, Rules()).digest == before.digest


def test_an_attribute_of_the_machine_alone_is_none(context: Path) -> None:
    before = read_context(context, Rules())
    attribute(context / "bin/server", "security.selinux", b"system_u:object_r:bin_t:s0")
    assert read_context(context, Rules()).digest == before.digest


def test_a_file_system_without_attributes_is_read(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(_path: str) -> list[str]:
        raise OSError(95, "Operation not supported")

    before = read_context(context, Rules())
    monkeypatch.setattr(os, "listxattr", unsupported)
    (context / "bin/server").touch()
    assert read_context(context, Rules()).digest == before.digest


def test_what_another_version_remembered_is_not_believed(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    content: Callable[[str], str] = _context._content
    monkeypatch.setattr(_context, "_content", lambda path: opened.append(path) or content(path))
    read_context(context, Rules())
    assert opened == []
    monkeypatch.setattr(_context, "_VERSION", _context._VERSION + 1)
    read_context(context, Rules())
    assert opened == [str(context / "bin/server")]


def test_a_containerfile_in_the_context_counts_on_its_own(context: Path) -> None:
    file = context / "Containerfile"
    file.write_text("FROM scratch\n")
    before = read_context(context, Rules(), file)
    file.write_text("FROM scratch\nLABEL more=1\n")
    assert read_context(context, Rules(), file).digest == before.digest
    assert read_context(context, Rules()).digest != before.digest


def test_what_is_below_an_ignored_directory_is_not_looked_at(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (context / "left/out").mkdir(parents=True)
    (context / "left/in").write_text("x")
    scandir, read = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda path: read.append(os.path.relpath(path, context)) or scandir(path))
    assert read_context(context, Rules("left\n")).count == 2
    assert sorted(read) == [".", "bin"]
    assert read_context(context, Rules("left\n!left/in\n")).count == 3


def test_what_is_remembered_of_contexts_that_are_gone_is_no_more_than_of_some(context: Path, tmp_path: Path) -> None:
    """An archive is unpacked to another place each time."""
    for number in range(2 * _context._KEEP):
        read_context(context.rename(tmp_path / f"context-{number}"), Rules())
        (tmp_path / f"context-{number}").rename(context)
    assert len(list((tmp_path / "cache/imagemode/contexts").iterdir())) == _context._KEEP


def test_a_context_that_is_read_again_and_again_stays_remembered(context: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2 * _context._KEEP):
        (tmp_path / f"other-{number}").mkdir()
        read_context(tmp_path / f"other-{number}", Rules())
        read_context(context, Rules())
    monkeypatch.setattr(_context, "_content", lambda path: pytest.fail(f"{path} was opened"))
    read_context(context, Rules())


@pytest.mark.parametrize("header", ["", "[]", "{}", '{"version": 2}', '{"version": 2, "top": {}, "digest": null, "signature": "x"}'])
def test_a_cache_that_is_damaged_is_none(context: Path, tmp_path: Path, header: str) -> None:
    before = read_context(context, Rules())
    (cache,) = (tmp_path / "cache/imagemode/contexts").iterdir()
    signature = json.loads(cache.read_bytes().split(b"\n")[0])["signature"]
    cache.write_text(header.replace('"x"', f'"{signature}"'))
    assert read_context(context, Rules()) == before
