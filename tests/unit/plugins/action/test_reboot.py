# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a reboot is to lead to, and what counts as having got there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.action.bootc_reboot import ActionModule, RebootRefused

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def info(booted: tuple[str, str], staged: tuple[str, str] | None = None) -> dict[str, Any]:
    """:param booted: digest and identity"""
    slots = {
        name: {"digest": slot[0], "identity": slot[1], "image": "registry.test/os:1", "download_only": False} if slot else None
        for name, slot in (("booted", booted), ("staged", staged))
    }
    host = {**slots, "rollback": None, "rollback_queued": False}
    return {"digest": booted[0], "pending_digest": staged[0] if staged else None, "host": host}


@pytest.fixture
def action() -> ActionModule:
    made: ActionModule = object.__new__(ActionModule)
    made._task = SimpleNamespace(check_mode=False)
    made._display = SimpleNamespace(warning=lambda text: None)
    return made


def test_the_same_image_with_other_kernel_arguments_has_to_boot(action: ActionModule) -> None:
    before = info((A, "one.0"), (A, "two.0"))
    action._prove(A, before, info((A, "two.0")))
    with pytest.raises(RebootRefused) as refusal:
        action._prove(A, before, info((A, "one.0")))
    assert refusal.value.result["rolled_back"] is True


def test_what_was_rebooted_without_need_may_stay(action: ActionModule) -> None:
    action._prove(A, info((A, "one.0")), info((A, "one.0")))


def test_check_mode_believes_that_the_digest_will_be_staged(action: ActionModule) -> None:
    with pytest.raises(RebootRefused, match="not sha256:bbb"):
        action._expected({"digest": B}, info((A, "one.0")))
    action._task.check_mode = True
    assert action._expected({"digest": B}, info((A, "one.0"))) == B
