# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is mounted at /run/nextroot is what boots next, or nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import BootcError
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.plan import Follow, GoBack, Plan, Update
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.planner import plan_rollback, plan_switch, plan_upgrade
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.soft_reboot import with_next_root
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import Host, Source
from ansible_collections.imagemode.bootc.tests.unit.plugins.module_utils.bootc.test_plan_options import (
    BACKENDS,
    NEW,
    asked,
    booted,
    commands,
)

FORGET = {"ostree": "ostree admin prepare-soft-reboot --reset", "composefs": "umount --recursive --lazy /run/nextroot"}
OTHER = Follow(Source("registry.test/other:1"))


def capable(backend: str) -> Host:
    """A host whose deployments can all be reached by a soft reboot."""
    host = booted(backend)
    assert host.rollback
    return replace(host, rollback=replace(host.rollback, soft_reboot_capable=True))


def staged(host: Host) -> Host:
    assert host.rollback
    assert host.rollback.image
    return replace(host, staged=replace(host.rollback, image=replace(host.rollback.image, digest=NEW), identity="new"))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("wanted", [None, "auto"])
def test_what_was_prepared_is_forgotten_before_something_else_is_staged(backend: str, wanted: str | None) -> None:
    host = staged(capable(backend))
    plan = asked(plan_switch, host, replace(OTHER, soft_reboot=wanted), "sha256:" + "8" * 64)
    assert commands(with_next_root(host, plan, wanted, mounted=True)) == [FORGET[backend], *commands(plan)]
    assert commands(with_next_root(host, plan, wanted, mounted=False)) == commands(plan)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_was_prepared_is_forgotten_with_a_rollback_that_is_taken_back(backend: str) -> None:
    host = replace(capable(backend), rollback_queued=True)
    plan = plan_rollback(host, GoBack(queued=False))
    assert commands(with_next_root(host, plan, None, mounted=True)) == [FORGET[backend], "bootc rollback"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_prepared_and_pending_is_left_alone(backend: str) -> None:
    host = staged(capable(backend))
    assert host.spec
    plan = plan_switch(host, Follow(host.spec, soft_reboot="auto"))
    assert with_next_root(host, plan, "auto", mounted=True) == plan == Plan(plan.reason, host)


@pytest.mark.parametrize(
    ("backend", "command"),
    [("ostree", "ostree admin prepare-soft-reboot 0"), ("composefs", "bootc internals prep-soft-reboot new")],
)
def test_a_stage_that_is_there_is_prepared(backend: str, command: str) -> None:
    host = staged(capable(backend))
    plan = asked(plan_upgrade, host, Update(soft_reboot="auto"))
    assert commands(with_next_root(host, plan, "auto", mounted=False)) == [command]
    assert commands(with_next_root(host, plan, None, mounted=False)) == []
    assert host.staged
    other_kernel = replace(host, staged=replace(host.staged, soft_reboot_capable=False))
    plan = asked(plan_upgrade, other_kernel, Update(soft_reboot="auto"))
    assert commands(with_next_root(other_kernel, plan, "auto", mounted=False)) == []


@pytest.mark.parametrize("wanted", ["auto", "required"])
def test_a_rollback_is_prepared_on_composefs_whose_rollback_does_not(wanted: str) -> None:
    host = capable("composefs")
    assert host.rollback
    plan = with_next_root(host, plan_rollback(host, GoBack(soft_reboot=wanted)), wanted, mounted=False)
    assert commands(plan) == ["bootc rollback", f"bootc internals prep-soft-reboot {host.rollback.identity}"]
    ostree = capable("ostree")
    plan = with_next_root(ostree, plan_rollback(ostree, GoBack(soft_reboot=wanted)), wanted, mounted=False)
    assert commands(plan) == [f"bootc rollback --soft-reboot={wanted}"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_locked_stage_is_not_prepared_nor_dropped_for_the_rollback(backend: str) -> None:
    host = staged(capable(backend))
    assert host.staged
    host = replace(host, staged=replace(host.staged, download_only=True), rollback_queued=True)
    plan = plan_rollback(host, GoBack(soft_reboot="auto"))
    assert commands(with_next_root(host, plan, "auto", mounted=False)) == (
        [] if backend == "ostree" else [f"bootc internals prep-soft-reboot {host.rollback.identity}"]  # type: ignore[union-attr]
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("locked", [False, True])
def test_a_required_soft_reboot_is_required_of_what_is_staged_already(backend: str, locked: bool) -> None:
    host = staged(capable(backend))
    assert host.spec
    assert host.staged
    host = replace(host, staged=replace(host.staged, download_only=locked))
    tries = [(plan_upgrade, Update()), (plan_upgrade, Update(from_downloaded=True))]
    if not locked:
        tries += [(plan_upgrade, Update(digest=NEW)), (plan_switch, Follow(host.spec))]
    for planner, want in tries:
        for mounted in (False, True):
            assert with_next_root(host, asked(planner, host, want), "required", mounted)
            other = replace(host, staged=replace(host.staged, soft_reboot_capable=False))  # type: ignore[type-var]
            assert with_next_root(other, asked(planner, other, want), "auto", mounted)
            with pytest.raises(BootcError) as refusal:
                with_next_root(other, asked(planner, other, want), "required", mounted)
            assert refusal.value.error == "soft_reboot_unavailable"
    new = asked(plan_switch, host, OTHER, "sha256:" + "8" * 64)
    assert with_next_root(host, new, "required", mounted=False) == new, "only bootc knows, once it has staged"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_rollback_with_another_kernel_is_not_queued_for_a_required_soft_reboot(backend: str) -> None:
    host = capable(backend)
    assert host.rollback
    host = replace(host, rollback=replace(host.rollback, soft_reboot_capable=False))
    with pytest.raises(BootcError) as refusal:
        with_next_root(host, plan_rollback(host, GoBack(soft_reboot="required")), "required", mounted=False)
    assert refusal.value.error == "soft_reboot_unavailable"
