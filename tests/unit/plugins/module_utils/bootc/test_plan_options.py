# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of switch, upgrade and rollback on both backends, from recorded and sample states."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import BootcError, DigestMismatch, classify
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.plan import Follow, GoBack, Plan, Remote, Update, footprint
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.planner import plan_rollback, plan_switch, plan_upgrade
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import Host, Source, parse_status
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.version import Capabilities, parse_version

RECORDINGS = Path(__file__).parents[4] / "reference" / "recordings"
BACKENDS = ("ostree", "composefs")
NEW = "sha256:" + "7" * 64


def sample(name: str) -> Host:
    return parse_status((Path(__file__).parent / "status" / f"{name}.json").read_text())


def recorded(backend: str, name: str, when: str = "before") -> Host:
    for line in (RECORDINGS / f"{backend}.jsonl").read_text().splitlines():
        step = json.loads(line)
        if step["name"] == name:
            return parse_status(json.dumps(step[when]))
    raise AssertionError(f"{backend} has no step {name}")


def booted(backend: str) -> Host:
    """A host with a booted and a rollback deployment, and nothing pending."""
    host = sample("booted-rollback") if backend == "ostree" else recorded("composefs", "usr-overlay")
    assert host.backend == backend
    return replace(host, staged=None, rollback_queued=False)


def commands(plan: Plan) -> list[str]:
    return [" ".join(word for word in step if word != "--") for step in plan.steps]


def asked(planner: Any, host: Host, want: Any, digest: str = NEW) -> Plan:
    plan: Plan = planner(host, want)
    return planner(host, want, Remote(digest)) if plan.ask else plan


def tagged(host: Host, tag: str) -> str:
    assert host.spec
    return f"{host.spec.image.rpartition(':')[0]}:{tag}"


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_tag_is_followed_by_a_switch(backend: str) -> None:
    host = booted(backend)
    plan = asked(plan_upgrade, host, Update(tag="next"))
    assert commands(plan) == [f"bootc switch {tagged(host, 'next')}"]
    assert plan.after.spec == Source(tagged(host, "next"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_tag_that_is_followed_is_an_upgrade(backend: str) -> None:
    host = booted(backend)
    assert host.spec
    plan = asked(plan_upgrade, host, Update(tag=host.spec.image.rpartition(":")[2]))
    assert commands(plan) == ["bootc upgrade"]


def test_another_tag_counts_while_something_is_staged_on_composefs() -> None:
    host = recorded("composefs", "upgrade-tag")
    assert host.staged
    plan = asked(plan_upgrade, host, Update(tag="next"))
    assert commands(plan) == [f"bootc switch {tagged(host, 'next')}"]


def test_a_pinned_host_goes_on_with_the_tag() -> None:
    host = booted("ostree")
    pinned = replace(host, spec=Source(f"registry.test/os@{NEW}"))
    plan = plan_upgrade(pinned, Update())
    assert (commands(plan), plan.ask) == ([], None), "nobody has to be asked"
    assert commands(asked(plan_upgrade, pinned, Update(tag="2"))) == ["bootc switch registry.test/os:2"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_tag_is_downloaded_without_being_applied(backend: str) -> None:
    plan = asked(plan_upgrade, booted(backend), Update(tag="next", download_only=True))
    assert commands(plan) == ["bootc upgrade --tag next --download-only"]
    assert plan.after.staged
    assert plan.after.staged.download_only
    assert not plan.after.reboot_required
    assert Capabilities((1, 15, 0)).need_for(plan.steps[0]) is None
    with pytest.raises(BootcError, match=r"1\.15\.0"):
        Capabilities((1, 14, 0)).need_for(plan.steps[0])


def test_another_tag_that_composefs_would_ignore_is_refused() -> None:
    with pytest.raises(BootcError) as refusal:
        asked(plan_upgrade, recorded("composefs", "upgrade-tag"), Update(tag="next", download_only=True))
    assert refusal.value.error == "bootc_unsupported"


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_tag_with_the_booted_image_downloads_nothing(backend: str) -> None:
    host = booted(backend)
    assert host.booted
    assert host.booted.digest
    assert commands(asked(plan_upgrade, host, Update(tag="next", download_only=True), host.booted.digest)) == []


def test_a_directory_has_no_tags() -> None:
    with pytest.raises(BootcError, match="no tags"):
        plan_upgrade(replace(booted("ostree"), spec=Source("/media/os", "oci")), Update(tag="2"))


def test_another_tag_keeps_the_signature_policy() -> None:
    signed = replace(booted("ostree"), spec=Source("registry.test/os:1", signature="containerPolicy"))
    assert commands(asked(plan_upgrade, signed, Update(tag="2"))) == ["bootc switch --enforce-container-sigpolicy registry.test/os:2"]
    remote = sample("ostree-remote-signature")
    with pytest.raises(BootcError) as refusal:
        plan_upgrade(remote, Update(tag="2"))
    assert refusal.value.error == "bootc_unsupported"


def test_what_is_the_rollback_deployment_is_not_applied_by_a_download_on_composefs() -> None:
    host = booted("composefs")
    assert host.rollback
    assert host.rollback.digest
    plan = asked(plan_upgrade, host, Update(download_only=True), host.rollback.digest)
    assert commands(plan) == []
    assert not plan.after.reboot_required


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_was_downloaded_and_lost_in_a_crash_is_told_of(backend: str) -> None:
    host = booted(backend)
    assert host.booted
    assert host.booted.digest
    for idle in (host, replace(host, rollback_queued=True)):
        assert commands(plan_upgrade(idle, Update(from_downloaded=True))) == []
    assert commands(plan_upgrade(host, Update(from_downloaded=True, digest=host.booted.digest))) == []
    with pytest.raises(BootcError) as refused:
        plan_upgrade(host, Update(from_downloaded=True, digest=NEW))
    assert refused.value.error == "no_staged_deployment"


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_the_image_that_was_downloaded_is_applied(backend: str) -> None:
    host = asked(plan_upgrade, booted(backend), Update(download_only=True)).after
    for digest in (None, NEW):
        plan = plan_upgrade(host, Update(from_downloaded=True, digest=digest))
        assert commands(plan) == ["bootc upgrade --from-downloaded"]
        assert plan.after.reboot_required
    with pytest.raises(DigestMismatch, match=f"staged deployment is {NEW}"):
        plan_upgrade(host, Update(from_downloaded=True, digest="sha256:" + "8" * 64))


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_pinned_or_of_another_stateroot_is_staged_again_where_that_can_be(backend: str) -> None:
    host = booted(backend)
    assert host.rollback
    assert host.rollback.image
    image = replace(host.rollback.image, digest=NEW)
    host = replace(host, other=(replace(host.rollback, image=image, pinned=True, stateroot="another"),))
    if backend == "ostree":
        assert commands(asked(plan_upgrade, host, Update())) == ["bootc upgrade"]
        return
    with pytest.raises(BootcError, match=f"pinned deployment of this host is the image {NEW}") as refused:
        asked(plan_upgrade, host, Update())
    assert refused.value.error == "bootc_unsupported"
    with pytest.raises(BootcError, match="pinned deployment"):
        plan_upgrade(host, Update(), Remote("sha256:" + "8" * 64, same=(NEW,)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive", "containers-storage", "dir", "docker-daemon"])
def test_every_transport_is_named_and_kept(backend: str, transport: str) -> None:
    source = Source("/media/os", transport)
    plan = asked(plan_switch, booted(backend), Follow(source))
    assert commands(plan) == [f"bootc switch --transport {transport} /media/os"]
    assert commands(plan_switch(plan.after, Follow(source))) == []


def test_a_signature_policy_is_not_recorded_on_composefs() -> None:
    host = booted("composefs")
    assert host.spec
    assert commands(plan_switch(host, Follow(Source(host.spec.image, signature="containerPolicy")))) == []
    wanted = Follow(Source(tagged(host, "next"), signature="containerPolicy"))
    plan = asked(plan_switch, host, wanted)
    assert commands(plan) == [f"bootc switch --enforce-container-sigpolicy {tagged(host, 'next')}"]
    assert plan.after.spec == Source(tagged(host, "next"))
    assert "does not record" in plan.warnings[0]
    again = plan_switch(plan.after, wanted)
    assert (commands(again), again.warnings) == ([], ())


def test_a_signature_policy_is_set_and_given_up_by_switching() -> None:
    host = booted("ostree")
    assert host.spec
    signed = asked(plan_switch, host, Follow(Source(host.spec.image, signature="containerPolicy"), retain=True, soft_reboot="auto"))
    assert commands(signed) == [f"bootc switch --enforce-container-sigpolicy --retain --soft-reboot=auto {host.spec.image}"]
    back = asked(plan_switch, signed.after, Follow(Source(host.spec.image)), "sha256:" + "8" * 64)
    assert commands(back) == [f"bootc switch {host.spec.image}"]
    assert not signed.warnings
    assert "verified its image by 'containerPolicy'" in back.warnings[0]


def test_only_a_switch_that_gives_verification_up_is_warned_of() -> None:
    signed = replace(booted("ostree"), spec=Source("registry.test/os:1", signature="containerPolicy"))
    for host, signature, warned in ((signed, None, 1), (signed, "containerPolicy", 0), (booted("ostree"), None, 0)):
        assert len(asked(plan_switch, host, Follow(Source("registry.test/os:2", signature=signature))).warnings) == warned
    host = booted("composefs")
    assert host.booted
    assert host.booted.digest
    here = asked(plan_switch, host, Follow(Source(tagged(host, "next"), signature="containerPolicy")), host.booted.digest)
    assert "does not record" not in str(here.warnings), "nothing is pulled"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tag_that_is_not_the_digest_is_not_switched_to(backend: str) -> None:
    host = booted(backend)
    with pytest.raises(DigestMismatch) as refused:
        asked(plan_switch, host, Follow(Source("registry.test/os:2"), digest=NEW), "sha256:" + "8" * 64)
    assert refused.value.details["registry_digest"] == "sha256:" + "8" * 64
    assert commands(asked(plan_switch, host, Follow(Source("registry.test/os:2"), digest=NEW))) == ["bootc switch registry.test/os:2"]
    for want in (Update(digest=NEW), Update(digest=NEW, tag="next"), Update(digest=NEW, tag="next", download_only=True)):
        with pytest.raises(DigestMismatch):
            asked(plan_upgrade, host, want, "sha256:" + "8" * 64)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("want", [Update(), Update(download_only=True), Update(digest="sha256:" + "8" * 64)])
def test_what_is_newer_than_what_is_staged_is_staged(backend: str, want: Update) -> None:
    host, newer = with_stage(backend), "sha256:" + "8" * 64
    assert host.staged
    assert host.staged.digest == NEW
    plan = asked(plan_upgrade, host, want, newer)
    assert commands(plan) == ["bootc upgrade --download-only" if want.download_only else "bootc upgrade"]
    assert plan.after.staged
    assert (plan.after.staged.digest, plan.after.staged.download_only) == (newer, want.download_only)


def test_another_tag_is_downloaded_beside_a_stage_on_ostree() -> None:
    plan = asked(plan_upgrade, with_stage("ostree"), Update(tag="next", download_only=True), "sha256:" + "8" * 64)
    assert commands(plan) == ["bootc upgrade --tag next --download-only"]


@pytest.mark.parametrize("locked", [True, False])
def test_another_tag_with_the_staged_image_is_locked_once(locked: bool) -> None:
    host = with_stage("ostree")
    assert host.booted
    assert host.booted.digest
    assert host.staged
    host = replace(host, staged=replace(host.staged, download_only=locked))
    plan = asked(plan_upgrade, host, Update(tag="next", download_only=True))
    assert commands(plan) == ([] if locked else ["bootc upgrade --tag next --download-only"])
    assert plan.after.staged
    assert plan.after.staged.download_only
    here = asked(plan_upgrade, host, Update(tag="next", download_only=True), host.booted.digest)
    assert (commands(here), here.after) == ([], host), "what is staged is not in the way"


@pytest.mark.parametrize(
    ("host", "error"),
    [
        (sample("not-booted-or-container"), "host_not_managed"),
        (replace(booted("ostree"), read_only=True), "host_read_only"),
        (replace(booted("composefs"), read_only=True), "host_read_only"),
    ],
)
def test_nothing_is_planned_for_a_host_that_bootc_does_not_change(host: Host, error: str) -> None:
    for ask in (
        lambda: plan_switch(host, Follow(Source("registry.test/os:1")), Remote(NEW)),
        lambda: plan_upgrade(host, Update(), Remote(NEW)),
        lambda: plan_rollback(host, GoBack()),
        lambda: plan_rollback(host, GoBack(queued=False)),
    ):
        with pytest.raises(BootcError) as refused:
            ask()
        assert refused.value.error == error


def test_a_host_that_rpm_ostree_changed_is_not_upgraded() -> None:
    with pytest.raises(BootcError, match="layered packages") as refused:
        plan_upgrade(sample("layered-incompatible"), Update())
    assert refused.value.error == "host_layered"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_digest_is_followed_and_then_the_tag_again(backend: str) -> None:
    host = booted(backend)
    assert host.spec
    assert host.booted
    assert host.booted.digest
    tag, name = host.spec.image, host.spec.image.rpartition(":")[0]
    pinned = asked(plan_switch, host, Follow(Source(f"{name}@{NEW}")))
    assert commands(pinned) == [f"bootc switch {name}@{NEW}"]
    assert commands(plan_switch(pinned.after, Follow(Source(f"{name}@{NEW}")))) == []
    running = replace(pinned.after, booted=pinned.after.staged, staged=None, rollback=host.booted)
    back = asked(plan_switch, running, Follow(Source(tag)), "sha256:" + "8" * 64)
    assert commands(back) == [f"bootc switch {tag}"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tag_beside_a_digest_is_left_out(backend: str) -> None:
    host = booted(backend)
    written = Follow(Source(f"registry.test:5000/os:2@{NEW}"))
    plan = asked(plan_switch, host, written)
    assert commands(plan) == [f"bootc switch registry.test:5000/os@{NEW}"]
    assert commands(plan_switch(plan.after, written)) == []
    # A bootc that stages it as it is written (on ostree since 1.2.0) keeps it so in what the host follows.
    elsewhere = replace(plan.after, spec=written.source)
    assert commands(plan_switch(elsewhere, Follow(Source(f"registry.test:5000/os:3@{NEW}")))) == []
    assert commands(asked(plan_switch, elsewhere, Follow(Source("registry.test:5000/os:2")), "sha256:" + "8" * 64)) != []


@pytest.mark.parametrize(
    ("backend", "expected"), [("ostree", ["ostree admin undeploy 0"]), ("composefs", ["bootc rollback", "bootc rollback"])]
)
def test_a_stage_is_dropped_when_the_booted_image_is_wanted(backend: str, expected: list[str]) -> None:
    host = booted(backend)
    assert host.booted
    assert host.booted.digest
    staged = asked(plan_upgrade, host, Update()).after
    plan = plan_upgrade(staged, Update(digest=host.booted.digest))
    assert commands(plan) == expected
    assert footprint(plan.after) == footprint(host)


def with_stage(backend: str, **more: Any) -> Host:
    """A host on which an update is staged."""
    return replace(asked(plan_upgrade, booted(backend), Update()).after, **more)


def test_the_only_other_deployment_of_a_composefs_host_is_dropped_by_its_identity() -> None:
    host = with_stage("composefs", rollback=None)
    assert host.booted
    assert host.booted.digest
    assert host.staged
    host = replace(host, staged=replace(host.staged, identity="verity"))
    assert commands(plan_upgrade(host, Update(digest=host.booted.digest))) == ["bootc delete-deployment verity"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stage_beside_a_queued_rollback_goes_with_it(backend: str) -> None:
    """Taking the rollback back drops the stage, and the first `bootc rollback` does no more than that."""
    host = with_stage(backend, rollback_queued=True)
    assert host.booted
    assert host.booted.digest
    assert host.rollback
    queued = plan_rollback(host, GoBack())
    assert commands(queued) == ["bootc rollback", "bootc rollback"]
    assert (queued.after.staged, queued.after.rollback_queued, queued.warnings) == (None, True, ("The staged deployment is thrown away.",))
    dropped = plan_upgrade(host, Update(digest=host.booted.digest))
    assert commands(dropped) == ["bootc rollback"]
    assert footprint(dropped.after) == footprint(booted(backend))
    with pytest.raises(BootcError, match="classic ostree commit"):
        plan_upgrade(replace(host, rollback=replace(host.rollback, image=None)), Update(digest=host.booted.digest))


def test_a_host_whose_stage_is_dropped_follows_what_it_runs_again() -> None:
    """On ostree, where the tag that is followed came to be the booted image."""
    host = booted("ostree")
    assert host.booted
    assert host.booted.digest
    assert host.booted.source
    switched = asked(plan_switch, host, Follow(Source(tagged(host, "next")))).after
    plan = asked(plan_upgrade, switched, Update(), host.booted.digest)
    assert (commands(plan), plan.after) == (["ostree admin undeploy 0"], host)
    assert plan.warnings == (
        f"The host follows '{host.booted.source.image}' again, which is this image; switch it to '{tagged(host, 'next')}' once more.",
    )
    assert asked(plan_upgrade, with_stage("ostree"), Update(), host.booted.digest).warnings == ()


@pytest.mark.parametrize("backend", BACKENDS)
def test_who_insists_on_a_digest_hears_that_the_host_has_another(backend: str) -> None:
    host = booted(backend)
    assert host.spec
    assert host.booted
    assert host.booted.digest
    same = Remote(NEW, same=(host.booted.digest,))
    plan = plan_switch(host, Follow(host.spec, digest=NEW), same)
    assert (commands(plan), len(plan.warnings)) == ([], 1)
    assert f"has {host.booted.digest}, not {NEW}" in plan.warnings[0]
    assert plan_switch(host, Follow(host.spec), same).warnings == ()
    assert commands(plan_upgrade(host, Update(digest=host.booted.digest))) == []
    locked = asked(plan_upgrade, host, Update(download_only=True)).after
    other = "sha256:" + "8" * 64
    plan = plan_upgrade(locked, Update(digest=other, download_only=True), Remote(other, same=(NEW,)))
    assert (commands(plan), len(plan.warnings)) == ([], 1)
    assert f"has {NEW}, not {other}" in plan.warnings[0]
    if backend == "composefs":
        pinned = plan_switch(host, Follow(Source(f"{host.spec.image.rpartition(':')[0]}@{NEW}")), same)
        assert str(same.same[0]) in str(pinned.warnings)
        assert host.rollback
        assert host.rollback.digest
        back = plan_upgrade(host, Update(digest=other), Remote(other, same=(host.rollback.digest,)))
        assert (commands(back), len(back.warnings)) == (["bootc rollback"], 1)
        assert f"has {host.rollback.digest}, not {other}" in back.warnings[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_upgrade_takes_no_rollback_back_that_somebody_queued(backend: str) -> None:
    host = booted(backend)
    assert host.booted
    assert host.booted.digest
    newest = host.booted.digest
    queued = replace(host, rollback_queued=True)
    plan = asked(plan_upgrade, queued, Update(), newest)
    assert (commands(plan), footprint(plan.after)) == ([], footprint(queued))
    assert plan.warnings == ("A rollback is queued: the next boot goes to the rollback deployment.",)
    assert asked(plan_upgrade, host, Update(), newest).warnings == ()
    assert commands(asked(plan_upgrade, queued, Update(digest=newest), newest)) == ["bootc rollback"]


def test_a_switch_to_the_booted_image_takes_a_queued_rollback_back_on_composefs() -> None:
    host = booted("composefs")
    assert host.booted
    assert host.booted.digest
    plan = asked(plan_switch, replace(host, rollback_queued=True), Follow(Source(tagged(host, "next"))), host.booted.digest)
    assert (commands(plan), footprint(plan.after)) == (["bootc rollback"], footprint(host))
    assert "goes on following that name" in plan.warnings[0]


def test_what_is_staged_under_another_name_is_not_staged_again_on_composefs() -> None:
    host = with_stage("composefs")
    plan = asked(plan_switch, host, Follow(Source(tagged(host, "next"))))
    assert (commands(plan), plan.after) == ([], host)
    assert "goes on following that name" in plan.warnings[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_switch_to_the_digest_that_was_downloaded_applies_it(backend: str) -> None:
    host = asked(plan_upgrade, booted(backend), Update(download_only=True)).after
    assert host.spec
    assert host.staged
    for want, expected in (
        (Follow(host.spec, digest=NEW), []),
        (Follow(host.spec, digest=NEW, soft_reboot="auto"), ["--soft-reboot=auto"]),
    ):
        plan = asked(plan_switch, host, want)
        assert commands(plan) == [" ".join(["bootc upgrade --from-downloaded", *expected])]
        assert plan.after == replace(host, staged=replace(host.staged, download_only=False))
        assert plan_switch(plan.after, want).steps == ()


def test_what_was_downloaded_under_another_name_is_applied_on_composefs() -> None:
    host = asked(plan_upgrade, booted("composefs"), Update(download_only=True)).after
    plan = asked(plan_switch, host, Follow(Source(tagged(host, "next"))))
    assert commands(plan) == ["bootc upgrade --from-downloaded"]
    assert plan.after.reboot_required
    assert "goes on following that name" in plan.warnings[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_rollback_is_queued_once_and_cancelled_once(backend: str) -> None:
    host = booted(backend)
    queued = plan_rollback(host, GoBack(soft_reboot="auto"))
    assert commands(queued) == ["bootc rollback --soft-reboot=auto" if backend == "ostree" else "bootc rollback"]
    assert commands(plan_rollback(queued.after, GoBack())) == []
    cancelled = plan_rollback(queued.after, GoBack(queued=False))
    assert commands(cancelled) == ["bootc rollback"]
    assert footprint(cancelled.after) == footprint(host)
    assert queued.warnings == cancelled.warnings == ()
    assert commands(plan_rollback(host, GoBack(queued=False))) == []
    if backend == "ostree":
        with pytest.raises(BootcError, match=r"1\.7\.0"):
            Capabilities((1, 6, 0)).need_for(queued.steps[0])


def by(loader: str, said: bool, *, boot_type: str = "Uki", rollback: bool = True, version: str = "1.16.9") -> Host:
    """A composefs host.

    :param loader: its boot loader
    :param said: its C(rollbackQueued)
    :param version: of its bootc
    """
    status: dict[str, Any] = json.loads((Path(__file__).parent / "status" / "composefs.json").read_text())
    status["status"]["rollbackQueued"] = said
    release = parse_version(f"bootc {version}")
    for slot in ("booted", "rollback"):
        status["status"][slot]["composefs"].update(bootType=boot_type, bootloader=loader)
        if release < (1, 12, 0):
            del status["status"][slot]["downloadOnly"]
        if release < (1, 11, 0):
            del status["status"][slot]["composefs"]["bootDigest"]
    if not rollback:
        status["status"]["rollback"] = None
    return parse_status(json.dumps(status), lambda: release)


@pytest.mark.parametrize(
    ("boot_type", "loader", "version"),
    [
        ("Uki", "systemd", "1.12.0"),
        ("Uki", "Systemd", "1.12.1"),
        ("Uki", "systemd", "1.16.9"),
        ("Uki", "grub-cc", "1.16.3"),
        ("Bls", "Grub", "1.11.0"),
        ("Bls", "grub", "1.15.2"),
        ("Bls", "grub", "1.16.9"),
        ("Bls", "Systemd", "1.11.0"),
    ],
)
def test_some_hosts_say_the_opposite_of_what_is_queued(boot_type: str, loader: str, version: str) -> None:
    """bootc_composefs/status.rs of those releases."""
    host, queued = (by(loader, said, boot_type=boot_type, version=version) for said in (True, False))
    assert (host.going_back, host.reboot_required, queued.going_back) == (False, False, True)
    assert commands(plan_rollback(host, GoBack())) == ["bootc rollback"]
    assert commands(plan_rollback(queued, GoBack())) == []
    assert commands(plan_rollback(queued, GoBack(queued=False))) == ["bootc rollback"]


@pytest.mark.parametrize(
    ("boot_type", "loader", "version"),
    [
        ("Uki", "grub", "1.16.9"),
        ("Uki", "Systemd", "1.11.0"),
        ("Uki", "systemd", "1.16.10"),
        ("Uki", "grub-cc", "1.17.0"),
        ("Bls", "Grub", "1.10.0"),
        ("Bls", "grub", "1.16.10"),
        ("Bls", "Systemd", "1.12.0"),
        ("Bls", "systemd", "1.16.9"),
        ("Bls", "grub-cc", "1.16.9"),
    ],
)
def test_what_is_queued_is_believed_where_it_is_true(boot_type: str, loader: str, version: str) -> None:
    assert by(loader, True, boot_type=boot_type, version=version).rollback_queued
    assert not by(loader, False, boot_type=boot_type, version=version).rollback_queued


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize(("boot_type", "loader"), [("Uki", "systemd"), ("Bls", "grub")])
def test_nothing_is_queued_without_a_rollback_deployment(said: bool, boot_type: str, loader: str) -> None:
    host = by(loader, said, boot_type=boot_type, rollback=False)
    assert not host.rollback_queued
    assert not host.reboot_required


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_rollback_is_next_although_an_update_was_downloaded(backend: str) -> None:
    host = booted(backend)
    assert host.booted
    assert host.booted.image
    locked = replace(host.booted, image=replace(host.booted.image, digest=NEW), download_only=True)
    host = replace(host, staged=locked, rollback_queued=True)
    assert host.reboot_required
    assert commands(plan_rollback(host, GoBack())) == []
    plan = plan_rollback(host, GoBack(queued=False))
    assert commands(plan) == ["bootc rollback"]
    assert not plan.after.reboot_required
    assert plan.warnings
    assert host.spec
    assert commands(plan_switch(host, Follow(host.spec))) == ["bootc rollback"]
    # What was downloaded has another tag, and to take the rollback back would throw it away.
    following = Source(tagged(host, "next"))
    host = replace(host, spec=following, staged=replace(locked, image=replace(host.booted.image, source=following, digest=NEW)))
    plan = plan_switch(host, Follow(following))
    assert (commands(plan), len(plan.warnings)) == ([], 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_digest_that_no_deployment_has_is_told_of(backend: str) -> None:
    host = booted(backend)
    assert host.rollback
    assert "digest of an index" in plan_rollback(host, GoBack(away_from=NEW)).warnings[0]
    assert plan_rollback(host, GoBack(away_from=host.rollback.digest)).warnings == ()


@pytest.mark.parametrize(("incompatible", "what"), [(True, "rpm-ostree changed"), (False, "classic ostree commit")])
def test_what_is_no_container_image_is_not_rolled_back_to(incompatible: bool, what: str) -> None:
    host = booted("ostree")
    assert host.booted
    assert host.rollback
    host = replace(host, rollback=replace(host.rollback, image=None, incompatible=incompatible))
    queued = replace(host, rollback_queued=True)
    assert host.spec
    for ask in (
        lambda: plan_rollback(host, GoBack()),
        lambda: plan_rollback(host, GoBack(digest=NEW)),
        lambda: plan_rollback(queued, GoBack(queued=False)),
        lambda: plan_switch(queued, Follow(host.spec)),  # type: ignore[arg-type]
    ):
        with pytest.raises(BootcError, match=what) as refusal:
            ask()
        assert refusal.value.error == ("host_layered" if incompatible else "no_rollback_deployment")
    assert commands(plan_rollback(host, GoBack(digest=host.booted.digest))) == []
    assert classify("error: Rolling back: Rollback is not container image based")[0] == "no_rollback_deployment"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_rollback_goes_to_the_digest_that_is_asked_for_or_nowhere(backend: str) -> None:
    host = booted(backend)
    assert host.booted
    assert host.booted.digest
    assert host.rollback
    for want in (GoBack(digest=host.rollback.digest), GoBack(away_from=host.booted.digest)):
        assert commands(plan_rollback(host, want)) == ["bootc rollback"]
    with pytest.raises(BootcError, match=f"is {host.rollback.digest}, not {NEW}") as refusal:
        plan_rollback(host, GoBack(digest=NEW))
    assert refusal.value.error == "digest_mismatch"
    assert commands(plan_rollback(replace(host, rollback_queued=True), GoBack(digest=host.booted.digest))) == ["bootc rollback"]
    with pytest.raises(BootcError) as refusal:
        plan_rollback(replace(host, rollback=None), GoBack())
    assert refusal.value.error == "no_rollback_deployment"


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_image_is_left_for_itself(backend: str) -> None:
    host = booted(backend)
    assert host.booted
    assert host.booted.digest
    with pytest.raises(BootcError) as refusal:
        plan_rollback(replace(host, rollback=host.booted), GoBack(away_from=host.booted.digest))
    assert refusal.value.error == "no_rollback_deployment"


def test_what_rpm_ostree_staged_is_not_upgraded() -> None:
    document = json.loads((Path(__file__).parent / "status" / "booted-staged.json").read_text())
    document["status"]["staged"].update(image=None, incompatible=True)
    document["spec"]["image"] = None  # what bootc makes of it
    host = parse_status(json.dumps(document))
    assert not host.layered
    for want in (Update(), Update(digest=NEW), Update(tag="2")):
        with pytest.raises(BootcError, match="staged") as refusal:
            plan_upgrade(host, want)
        assert refusal.value.error == "host_layered"
    assert commands(asked(plan_switch, host, Follow(Source("registry.test/os:2")))) == ["bootc switch registry.test/os:2"]


def test_a_host_follows_what_is_staged_also_where_bootc_does_not_say_so() -> None:
    """Composefs before bootc 1.16.3 (contract.md 2.2)."""
    document = next(
        step["before"]
        for step in map(json.loads, (RECORDINGS / "composefs.jsonl").read_text().splitlines())
        if step["before"]["status"].get("staged")
    )
    staged = document["status"]["staged"]["image"]["image"]
    document["spec"]["image"] = {**staged, "image": "registry.test/old:1"}
    host = parse_status(json.dumps(document))
    assert host.spec == Source(staged["image"], staged["transport"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_upgrade_keeps_the_name_as_the_host_spells_it(backend: str) -> None:
    host = replace(booted(backend), spec=Source("registry.test/os"))
    plan = asked(plan_switch, host, Follow(Source("registry.test/os:latest"), digest=NEW))
    assert commands(plan) == ["bootc upgrade"]
    assert plan.after.spec == plan.after.staged.source == host.spec  # type: ignore[union-attr]


def test_another_tag_in_local_storage_is_followed_too() -> None:
    host = replace(booted("ostree"), spec=Source("localhost/os:1", "containers-storage"))
    assert commands(asked(plan_upgrade, host, Update(tag="2"))) == ["bootc switch --transport containers-storage localhost/os:2"]
    assert commands(asked(plan_upgrade, host, Update(tag="1"))) == ["bootc upgrade"]
    assert commands(asked(plan_upgrade, host, Update(tag="2", download_only=True))) == ["bootc upgrade --tag 2 --download-only"]


def test_the_daemon_of_docker_needs_a_newer_bootc() -> None:
    step = asked(plan_switch, booted("ostree"), Follow(Source("os:1", "docker-daemon"))).steps[0]
    assert Capabilities((1, 11, 0)).need_for(step) is None
    with pytest.raises(BootcError, match=r"1\.11\.0"):
        Capabilities((1, 10, 0)).need_for(step)


@pytest.mark.parametrize("queued", [True, False])
def test_a_rollback_deployment_that_rpm_ostree_changed_is_told_of(queued: bool) -> None:
    layered = sample("layered-incompatible")
    host = replace(layered, rollback=layered.booted, rollback_queued=not queued)
    for booted_too in (host, replace(host, booted=layered.rollback)):
        with pytest.raises(BootcError) as refusal:
            plan_rollback(booted_too, GoBack(queued=queued))
        assert refusal.value.error == "host_layered"
    assert commands(plan_rollback(replace(layered, rollback_queued=not queued), GoBack(queued=queued))) == ["bootc rollback"]


def test_a_digest_without_an_algorithm_is_none() -> None:
    """Composefs deployments from before bootc 1.16.0, as 1.16.4 and newer tell of them."""
    document = json.loads((Path(__file__).parent / "status/composefs.json").read_text())
    document["status"]["booted"]["image"]["imageDigest"] = "7" * 64
    host = parse_status(json.dumps(document))
    assert host.managed
    assert host.booted
    assert host.booted.digest is None
    assert host.as_dict()["booted"]["digest"] is None
    assert commands(asked(plan_upgrade, replace(host, staged=None), Update())) == ["bootc upgrade"]


def test_a_host_is_told_whole() -> None:
    """What modules return as `before`, `after` and `host`."""
    told = sample("switch-sigpolicy-staged").as_dict()
    staged, slots = told["staged"], ("booted", "staged", "rollback", "other")
    assert {key: value for key, value in told.items() if key not in slots} == {
        "managed": True,
        "backend": "ostree",
        "image": "quay.io/example/os:2.0",
        "transport": "registry",
        "signature": "containerPolicy",
        "rollback_queued": False,
        "reboot_required": True,
        "usr_overlay": None,
        "read_only": False,
    }
    assert staged == {
        "image": "quay.io/example/os:2.0",
        "transport": "registry",
        "signature": "containerPolicy",
        "digest": "sha256:" + "d" * 64,
        "version": "2.0",
        "timestamp": None,
        "architecture": "amd64",
        "download_only": False,
        "pinned": False,
        "incompatible": False,
        "soft_reboot_capable": False,
        "stateroot": "default",
        "identity": "4" * 64 + ".0",
        "bootloader": None,
        "cached_update_digest": None,
    }
    assert (told["rollback"], told["other"]) == (None, [])
    booted = sample("cached-update").as_dict()["booted"]
    assert (booted["cached_update_digest"], booted["timestamp"]) == ("sha256:" + "b" * 64, "2026-08-01T00:00:00Z")
    layered = sample("layered-incompatible").as_dict()
    assert (layered["managed"], layered["image"], layered["booted"]["image"], layered["booted"]["incompatible"]) == (
        False,
        None,
        None,
        True,
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"apiVersion":"org.containers.bootc/v1","kind":"BootcHost","status":{"booted":nu',
        '{"apiVersion":"org.containers.bootc/v1","kind":"SomethingElse"}',
        '{"apiVersion":"org.containers.bootc/v2","kind":"BootcHost"}',
    ],
)
def test_what_is_no_status_is_not_taken_for_a_host_without_bootc(text: str) -> None:
    with pytest.raises(BootcError) as refused:
        parse_status(text)
    assert refused.value.error == "bootc_status_invalid"
