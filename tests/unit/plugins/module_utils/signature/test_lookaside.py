# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory of GnuPG's signatures, as a web server is to read it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._signature import Lookaside

IMAGE = Reference.parse(f"registry.test/team/os@sha256:{'0' * 64}")


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_web_server_finds_the_signatures_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    (tmp_path / "www").mkdir(mode=0o750)
    lookaside, before = Lookaside(tmp_path / "www/signatures"), os.umask(umask)
    try:
        for content in (b"one", b"two"):
            lookaside.add(IMAGE, content)
    finally:
        os.umask(before)
    assert lookaside.signatures(IMAGE) == (b"one", b"two")
    made = {path.relative_to(tmp_path): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert made.pop(Path("www")) == 0o750, "which was there"
    assert set(made.values()) == {0o755, 0o644}
    folder = tmp_path / f"www/signatures/team/os@sha256={'0' * 64}"
    assert sorted(file.name for file in folder.iterdir()) == ["signature-1", "signature-2"]


def test_signers_at_the_same_time_take_no_place_from_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All have looked before the first one wrote."""
    lookaside, contents = Lookaside(tmp_path / "signatures"), (b"one", b"two", b"three")
    with monkeypatch.context() as patch:
        patch.setattr(Lookaside, "signatures", lambda *_words: ())
        for content in contents:
            lookaside.add(IMAGE, content)
    assert lookaside.signatures(IMAGE) == contents
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(contents)


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_words: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    lookaside = Lookaside(tmp_path)
    for content in (b"one", b"two"):
        lookaside.add(IMAGE, content)
    assert lookaside.signatures(IMAGE) == (b"one", b"two")
