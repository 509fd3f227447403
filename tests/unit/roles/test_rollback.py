# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom the role rollback reboots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.imagemode.bootc.tests.unit.roles.playing import evaluated

BAD, GOOD, NEXT = ("sha256:" + letter * 64 for letter in "abc")


def queued(booted: str, queued: bool, staged: dict[str, Any] | None = None, image: str = "registry.test/os:1") -> dict[str, Any]:
    """What bootc_rollback returns."""
    after = {"booted": {"digest": booted, "image": image}, "rollback_queued": queued, "staged": staged}
    return {"after": after, "reboot_required": queued or staged is not None}


def test_a_host_that_is_left_alone_is_not_rebooted(tmp_path: Path) -> None:
    staged = {"digest": NEXT, "download_only": False}
    index = "sha256:" + "d" * 64
    cases = {
        "goes": (queued(BAD, True), BAD, True),
        "goes-by-index": (queued(BAD, True, image=f"registry.test/os@{index}"), index, True),
        "goes-anyway": (queued(BAD, True, {**staged, "download_only": True}), "", True),
        "left-with-an-update": (queued(GOOD, False, staged), BAD, False),
        "left-with-a-rollback": (queued(GOOD, True), BAD, False),
        "there-with-an-update": (queued(GOOD, False, staged), "", False),
    }
    hosts = {name: {"__rollback_queued": answer, "rollback_away_from": away} for name, (answer, away, _goes) in cases.items()}
    assert evaluated(tmp_path, "rollback", "__rollback_goes_back | bool", hosts) == {name: case[2] for name, case in cases.items()}
