# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a reboot is to lead to, and what counts as having got there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.imagemode.bootc.plugins.action import bootc_reboot
from ansible_collections.imagemode.bootc.plugins.action.bootc_reboot import (
    BELIEVED_SECONDS,
    FORGET,
    KEEPALIVE,
    NEXT_ROOT,
    RESETS,
    SETTLE_SECONDS,
    ActionModule,
    RebootRefused,
    _next,
)

A, B, C = ("sha256:" + letter * 64 for letter in "abc")


def info(booted: tuple[str, str], staged: tuple[str, str] | None = None) -> dict[str, Any]:
    """:param booted: digest and identity"""
    slots = {
        name: {"digest": slot[0], "identity": slot[1], "image": "registry.test/os:1", "download_only": False} if slot else None
        for name, slot in (("booted", booted), ("staged", staged))
    }
    host = {**slots, "rollback": None, "rollback_queued": False}
    return {"digest": booted[0], "pending_digest": staged[0] if staged else None, "host": host, "backend": "ostree"}


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


@pytest.mark.parametrize("backend", ["ostree", "bootc"])
def test_a_host_that_came_back_is_looked_at_where_its_backend_finalizes(action: ActionModule, backend: str) -> None:
    before = {**info((A, "one.0"), (B, "two.0")), "backend": {"bootc": "composefs"}.get(backend, backend)}
    with pytest.raises(RebootRefused) as refusal:
        action._prove(B, before, info((A, "one.0")))
    assert f"'journalctl -u {backend}-finalize-staged.service'" in refusal.value.result["hint"]


def test_what_was_rebooted_without_need_may_stay(action: ActionModule) -> None:
    action._prove(A, info((A, "one.0")), info((A, "one.0")))


def test_check_mode_believes_that_the_digest_will_be_staged(action: ActionModule) -> None:
    with pytest.raises(RebootRefused, match="not sha256:bbb"):
        action._expected({"digest": B}, info((A, "one.0")))
    action._task.check_mode = True
    assert action._expected({"digest": B}, info((A, "one.0"))) == B


class Shell:
    """Commands as they were run, and a /run/nextroot."""

    def __init__(self, mounted: bool, failing: str = "nothing") -> None:
        self.mounted, self.ran, self._failing = mounted, list[str](), failing

    def __call__(self, command: str) -> dict[str, Any]:
        if command == NEXT_ROOT:
            return {"rc": 0 if self.mounted else 1, "stdout": "", "stderr": ""}
        self.ran.append(command)
        if self._failing in command:
            return {"rc": 1, "stdout": "", "stderr": f"error: {self._failing}"}
        self.mounted = "umount" not in command
        return {"rc": 0, "stdout": "", "stderr": ""}


def pending(backend: str, what: str) -> dict[str, Any]:
    before = info((A, "one"), (B, "two"))
    before.update(backend=backend, capabilities={"from_downloaded": True, "soft_reboot": True})
    if what == "rollback":
        before["host"].update(rollback=before["host"]["staged"], staged=None, rollback_queued=True)
    return before


@pytest.mark.parametrize("what", ["staged", "rollback"])
@pytest.mark.parametrize("mounted", [False, True])
def test_on_composefs_what_is_pending_is_prepared_and_nothing_else(
    action: ActionModule, monkeypatch: pytest.MonkeyPatch, what: str, mounted: bool
) -> None:
    shell = Shell(mounted)
    monkeypatch.setattr(action, "_command", shell, raising=False)
    assert action._prepare({"soft": "required"}, pending("composefs", what)) is True
    assert [command.partition(";")[0] for command in shell.ran] == [
        "if mountpoint -q /run/nextroot",
        "bootc internals prep-soft-reboot two",
    ]


def test_a_preparation_that_fails_says_why(action: ActionModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action, "_command", Shell(False, "prep-soft-reboot two"), raising=False)
    with pytest.raises(RebootRefused, match="prep-soft-reboot two") as refusal:
        action._prepare({"soft": "required"}, pending("composefs", "staged"))
    assert refusal.value.result["error"] == "soft_reboot_unavailable"
    assert action._prepare({"soft": "auto"}, pending("composefs", "staged")) is False


def test_on_ostree_a_locked_stage_is_not_unlocked_for_a_rollback(action: ActionModule, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(mounted=True)
    monkeypatch.setattr(action, "_command", shell, raising=False)
    before = pending("ostree", "rollback")
    before["host"]["staged"] = {**before["host"]["rollback"], "identity": "three", "download_only": True}
    assert action._prepare({"soft": "required"}, before) is True  # bootc_rollback prepared it
    assert shell.ran == []
    assert action._prepare({"soft": "required"}, pending("ostree", "staged")) is True
    assert shell.ran[-1] == "bootc upgrade --from-downloaded --soft-reboot=required"


@pytest.mark.parametrize(("prepared", "mounted"), [(1, 0), (0, 1)])
@pytest.mark.parametrize("backend", ["ostree", "composefs"])
def test_only_what_was_prepared_and_is_there_is_rebooted_into(
    action: ActionModule, monkeypatch: pytest.MonkeyPatch, backend: str, prepared: int, mounted: int
) -> None:
    """What is at /run/nextroot still after a preparation that failed is another deployment."""

    def command(words: str) -> dict[str, Any]:
        return {"rc": mounted if words == NEXT_ROOT else prepared, "stdout": "", "stderr": "error: no"}

    monkeypatch.setattr(action, "_command", command, raising=False)
    assert action._prepare({"soft": "auto"}, pending(backend, "staged")) is False


@pytest.mark.parametrize(
    ("what", "said"), [("staged", "bootc prepares what is staged already since 1.12.0"), ("rollback", "bootc_rollback did not prepare it")]
)
def test_what_an_older_bootc_did_not_prepare_with_the_stage_is_left_for_a_full_reboot(
    action: ActionModule, monkeypatch: pytest.MonkeyPatch, what: str, said: str
) -> None:
    shell, before = Shell(mounted=False), pending("ostree", what)
    monkeypatch.setattr(action, "_command", shell, raising=False)
    before["capabilities"]["from_downloaded"] = False
    assert action._prepare({"soft": "auto"}, before) is False
    with pytest.raises(RebootRefused, match=f"could not be prepared: nothing is prepared, and {said}$") as refusal:
        action._prepare({"soft": "required"}, before)
    assert (refusal.value.result["error"], shell.ran) == ("soft_reboot_unavailable", [])
    shell.mounted = True  # as bootc did when it staged
    assert action._prepare({"soft": "required"}, before) is True


@pytest.mark.parametrize("stacked", [0, 1, 2])
@pytest.mark.parametrize("backend", ["ostree", "composefs"])
def test_nothing_stays_prepared_before_a_full_reboot(tmp_path: Path, backend: str, stacked: int) -> None:
    """The shell's part of it, with a mountpoint(1) that counts."""
    mounts, calls = tmp_path / "mounts", tmp_path / "calls"
    mounts.write_text(str(stacked))
    programs = {
        "mountpoint": f"test $(cat {mounts}) -gt 0",
        "umount": f"echo umount >> {calls}; echo $(($(cat {mounts}) - 1)) > {mounts}",
        "ostree": f"echo ostree $* >> {calls}; echo 0 > {mounts}",
        "bootc": f"echo bootc $* >> {calls}; exit 2",  # before 1.13.0
    }
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    command = FORGET.format(reset=RESETS[backend])
    done = subprocess.run(["sh", "-c", command], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert done.returncode == 0
    assert mounts.read_text().strip() == "0"
    ran = calls.read_text().splitlines() if calls.exists() else []
    assert ran == ([RESETS[backend], *(["umount"] * stacked if backend == "composefs" else [])] if stacked else [])


def test_the_same_deployment_is_proof_whatever_its_digest_is_called_now(action: ActionModule) -> None:
    """Composefs, from a bootc before 1.16.4 to a newer one: the digest of the configuration, then that of the manifest."""
    action._prove(B, info((A, "one"), (B, "two")), info((C, "two")))
    with pytest.raises(RebootRefused) as refusal:
        action._prove(B, info((A, "one"), (B, "two")), info((C, "one")))
    assert refusal.value.result["rolled_back"] is True
    with pytest.raises(RebootRefused) as refusal:
        action._prove(B, info((A, "one"), (B, "two")), info((C, "three")))
    assert (refusal.value.result["error"], refusal.value.result["rolled_back"]) == ("digest_mismatch", False)


def test_what_bootc_knows_no_digest_of_is_proved_by_its_identity(action: ActionModule) -> None:
    unknown: Any = None
    before = info((A, "one"), (unknown, "two"))
    assert action._expected({"digest": None}, before) is None
    with pytest.raises(RebootRefused, match="does not know"):
        action._expected({"digest": A}, before)
    action._prove(None, before, info((unknown, "two")))
    with pytest.raises(RebootRefused, match="was to boot an image whose digest bootc does not know and came up with an image"):
        action._prove(None, before, info((unknown, "three")))


@pytest.mark.parametrize("soft", [True, False])
def test_how_long_is_waited_and_for_what_is_as_the_task_says(action: ActionModule, soft: bool) -> None:
    """Options that are ansible.builtin.reboot's, with its own defaults where they are unset."""
    asked: list[dict[str, Any]] = []

    def reboot(_name: str, *, task: Any, **_more: Any) -> Any:
        asked.append(task.args)
        return SimpleNamespace(run=lambda **_variables: {"rebooted": True})

    action._task = SimpleNamespace(copy=SimpleNamespace)
    action._shared_loader_obj = SimpleNamespace(action_loader=SimpleNamespace(get=reboot))
    action._connection = action._play_context = action._loader = action._templar = None
    given = {"reboot_timeout": 7, "connect_timeout": 8, "post_reboot_delay": 9, "test_command": "true", "msg": "down"}
    for options in (given, {**given, "connect_timeout": None, "test_command": None}):
        assert action._builtin_reboot(options, soft, {})["rebooted"] is True
        wanted = {name: value for name, value in options.items() if value is not None}
        wanted.update({"reboot_command": "systemctl soft-reboot"} if soft else {})
        assert {name: value for name, value in asked.pop().items() if name != "boot_time_command"} == wanted


@pytest.mark.parametrize(
    ("gone", "error", "said", "hint"),
    [
        (False, "reboot_failed", "Reboot command failed. Error was: ', Call to Reboot failed: Access denied'", "systemd-inhibit --list"),
        (True, "host_not_back", "Timed out waiting for last boot time check (timeout=600)", "'reboot_timeout'"),
    ],
)
def test_a_host_that_does_not_go_down_is_told_from_one_that_does_not_come_back(
    action: ActionModule, monkeypatch: pytest.MonkeyPatch, gone: bool, error: str, said: str, hint: str
) -> None:
    """A fake answers as ansible.builtin.reboot does: no host can be rebooted here."""
    before = {**info((A, "one"), (B, "two")), "reboot_required": True}
    action._task = SimpleNamespace(check_mode=False, args={"digest": B})
    action._connection = SimpleNamespace(transport="simulated")
    monkeypatch.setattr(action, "_info", lambda _variables: before)
    monkeypatch.setattr(action, "_command", lambda _command: {"rc": 0, "stdout": "boot 0", "stderr": ""})
    monkeypatch.setattr(action, "_builtin_reboot", lambda *_words: {"failed": True, "rebooted": gone, "msg": said})
    result: dict[str, Any] = {}
    with pytest.raises(RebootRefused) as refusal:
        action._reboot(result, {})
    assert (refusal.value.result["error"], result["changed"]) == (error, gone)
    assert refusal.value.result["msg"] == f"The host was to boot {B}: {said}"
    assert hint in refusal.value.result["hint"]


def going(action: ActionModule, monkeypatch: pytest.MonkeyPatch, before: dict[str, Any], after: dict[str, Any], **args: Any) -> list[Any]:
    """Have the host go from one state to the other.

    :returns: what will be done to it: the commands, and whether the reboot is a soft one
    """
    done: list[Any] = []
    states = iter([before, after])

    def command(words: str) -> dict[str, Any]:
        done.append(words)
        return {"rc": 0, "stdout": "boot-2 1\n" if any(isinstance(one, bool) for one in done) else "boot-1\n0\n", "stderr": ""}

    action._task = SimpleNamespace(check_mode=False, args=args)
    action._connection = SimpleNamespace(transport="simulated")
    monkeypatch.setattr(action, "_info", lambda _variables: next(states))
    monkeypatch.setattr(action, "_command", command)
    monkeypatch.setattr(action, "_builtin_reboot", lambda _options, soft, _variables: done.append(soft) or {"rebooted": True})
    return done


def came_up(digest: str, identity: str) -> dict[str, Any]:
    return {**info((digest, identity)), "reboot_required": False}


WAITS = {**info((A, "one"), (B, "two")), "reboot_required": True, "soft_reboot_capable": True, "capabilities": {"soft_reboot": True}}


def test_a_reboot_says_where_from_and_where_to(action: ActionModule, monkeypatch: pytest.MonkeyPatch) -> None:
    done = going(action, monkeypatch, WAITS, came_up(B, "two"))
    result: dict[str, Any] = {}
    action._reboot(result, {})
    assert done[0].startswith("if mountpoint -q /run/nextroot"), "nothing may stay prepared"
    assert [one for one in done if isinstance(one, bool)] == [False]
    assert (result["changed"], result["rebooted"], result["soft"], result["digest"]) == (True, True, False, B)
    assert (result["before"], result["after"], result["reboot_required"]) == (WAITS["host"], came_up(B, "two")["host"], False)
    assert result["diff"] == {"before": f"booted: {A}\n", "after": f"booted: {B}\n"}
    assert (result["boot_id"], result["soft_reboots_count"], result["boot_id_kept"]) == ("boot-2", 1, False)


def test_a_reboot_that_leads_nowhere_else_is_told(action: ActionModule, monkeypatch: pytest.MonkeyPatch) -> None:
    going(action, monkeypatch, WAITS, came_up(A, "one"))
    result: dict[str, Any] = {}
    with pytest.raises(RebootRefused) as refusal:
        action._reboot(result, {})
    assert (refusal.value.result["error"], result["changed"], result["digest"]) == ("rolled_back", True, A)
    assert result["diff"] == {"before": f"booted: {A}\n", "after": f"booted: {A}\n"}


def test_what_stays_prepared_before_a_full_reboot_is_warned_of(action: ActionModule, monkeypatch: pytest.MonkeyPatch) -> None:
    warned, alive = list[str](), list[str]()
    action._display = SimpleNamespace(warning=warned.append)
    going(action, monkeypatch, WAITS, came_up(B, "two"))
    monkeypatch.setattr(action, "_keep_alive", lambda: alive.append("asked"))
    monkeypatch.setattr(action, "_forget", lambda _backend: {"rc": 1})
    action._reboot({}, {})
    assert len(warned) == 1
    assert "/run/nextroot cannot be unmounted" in warned[0]
    assert alive == ["asked"]


@pytest.mark.parametrize(
    ("required", "force", "reboots"), [(False, False, False), (False, True, True), (True, False, True), (True, True, True)]
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_host_is_rebooted_when_that_is_needed_or_forced(
    action: ActionModule, monkeypatch: pytest.MonkeyPatch, required: bool, force: bool, reboots: bool, check_mode: bool
) -> None:
    before = {**(WAITS if required else info((A, "one"))), "reboot_required": required}
    done = going(action, monkeypatch, before, came_up(*((B, "two") if required else (A, "one"))), force=force)
    action._task.check_mode = check_mode
    result: dict[str, Any] = {"changed": False, "rebooted": False}
    action._reboot(result, {})
    assert (result["changed"], result["rebooted"]) == (reboots, reboots)
    assert result["digest"] == (B if required else A)
    assert ("diff" in result, result["soft"]) == (reboots, False)
    assert bool(done) is (reboots and not check_mode)


def test_what_check_mode_foretells_is_a_reboot(action: ActionModule, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a full one: nothing is known of an image that is not there yet."""
    before = {**WAITS, **info((A, "one")), "reboot_required": False}
    going(action, monkeypatch, before, before, digest=B, soft="required")
    action._task.check_mode = True
    result: dict[str, Any] = {}
    action._reboot(result, {})
    assert (result["changed"], result["digest"], result["soft"]) == (True, B, False)


def test_the_control_node_is_not_rebooted(action: ActionModule, monkeypatch: pytest.MonkeyPatch) -> None:
    done = going(action, monkeypatch, WAITS, WAITS)
    action._connection.transport = "local"
    with pytest.raises(RebootRefused, match="control node") as refusal:
        action._reboot({}, {})
    assert (refusal.value.result["error"], done) == ("option_invalid", [])


@pytest.mark.parametrize("digest", ["sha256:1", "latest"])
def test_what_is_no_digest_is_refused(action: ActionModule, monkeypatch: pytest.MonkeyPatch, digest: str) -> None:
    going(action, monkeypatch, WAITS, WAITS, digest=digest)
    with pytest.raises(RebootRefused, match="is not a digest") as refusal:
        action._reboot({}, {})
    assert refusal.value.result["error"] == "reference_invalid"


@pytest.mark.parametrize("capable", [True, False])
@pytest.mark.parametrize("ability", [True, False])
@pytest.mark.parametrize("asked", ["never", "auto", "required"])
def test_a_reboot_is_soft_where_host_and_image_allow_it(action: ActionModule, asked: str, capable: bool, ability: bool) -> None:
    before = {**WAITS, "soft_reboot_capable": capable, "capabilities": {"soft_reboot": ability}}
    if asked == "required" and not (capable and ability):
        with pytest.raises(RebootRefused) as refusal:
            action._soft({"soft": asked}, before)
        assert refusal.value.result["error"] == "soft_reboot_unavailable"
        return
    assert action._soft({"soft": asked}, before) is (asked != "never" and capable and ability)


def test_a_soft_reboot_that_cannot_be_prepared_is_a_full_one(action: ActionModule, monkeypatch: pytest.MonkeyPatch) -> None:
    for prepared in (True, False):
        done = going(action, monkeypatch, WAITS, came_up(B, "two"), soft="auto")
        monkeypatch.setattr(action, "_prepare", lambda _options, _before, prepared=prepared: prepared)
        result: dict[str, Any] = {}
        action._reboot(result, {})
        assert ([one for one in done if isinstance(one, bool)], result["soft"]) == ([prepared], prepared)
        assert done[0].startswith("if mountpoint") is not prepared


def test_what_boots_next_is_the_stage_unless_it_is_locked() -> None:
    slots = {name: {"image": name, "download_only": False} for name in ("booted", "staged", "rollback")}
    host = {**slots, "rollback_queued": True}
    assert _next(host)["image"] == "staged"
    host["staged"] = {**slots["staged"], "download_only": True}
    assert _next(host)["image"] == "rollback"
    assert _next({**host, "rollback_queued": False})["image"] == "booted"
    assert _next({**host, "staged": None})["image"] == "rollback"


def test_an_index_that_the_host_follows_by_its_digest_is_what_boots(action: ActionModule) -> None:
    before = info((A, "one"), (B, "two"))
    before["host"]["staged"]["image"] = f"registry.test/os@{C}"
    assert action._expected({"digest": C}, before) == B


@pytest.mark.parametrize(
    ("transport", "given", "asked"),
    [
        ("ssh", {}, KEEPALIVE),
        ("ssh", {"ssh_extra_args": "-v"}, f"-v {KEEPALIVE}"),
        ("ssh", {"ssh_args": "-o ServerAliveInterval=60"}, None),
        ("ssh", {"ssh_common_args": "-o ServerAliveInterval=60"}, None),
        ("paramiko", {}, None),
    ],
)
def test_ssh_notices_a_connection_that_is_dead(action: ActionModule, transport: str, given: dict[str, str], asked: str | None) -> None:
    done: list[str] = []
    action._connection = SimpleNamespace(
        transport=transport,
        get_option=given.get,
        set_option=lambda name, value: done.append(f"{name} {value}"),
        reset=lambda: done.append("reset"),
    )
    action._keep_alive()
    assert done == ([f"ssh_extra_args {asked}", "reset"] if asked else [])


def refused() -> RebootRefused:
    return RebootRefused("bootc_failed", "nothing can be read", "")


@pytest.mark.parametrize(
    ("answers", "seconds", "outcome"),
    [
        (["running"], 600, "boot"),
        (["stopping", "running"], 600, "boot"),
        ([AnsibleError("no connection"), refused(), "degraded"], 600, "boot"),
        (["stopping"] * 99, 60, "it is shutting down"),
        ([AnsibleError("no connection")] * 99, 60, "no connection"),
        ([refused()] * 99, 600, "bootc_failed"),
        ([refused()] * 99, 5, "nothing can be read"),
    ],
)
def test_a_host_that_goes_away_again_is_waited_for(
    action: ActionModule, monkeypatch: pytest.MonkeyPatch, answers: list[Any], seconds: int, outcome: str
) -> None:
    clock, said = SimpleNamespace(now=1000.0), iter(answers)

    def command(_words: str) -> dict[str, Any]:
        answer = next(said)
        if isinstance(answer, Exception):
            raise answer
        return {"rc": 0, "stdout": f"{answer}\n", "stderr": ""}

    action._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp/x"), reset=lambda: None)
    monkeypatch.setattr(action, "_command", command)
    monkeypatch.setattr(action, "_info", lambda _variables: {"digest": B})
    monkeypatch.setattr(action, "_boot", lambda: ("boot", 0))
    monkeypatch.setattr(
        bootc_reboot, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=lambda s: setattr(clock, "now", clock.now + s))
    )
    if outcome == "boot":
        assert action._settled(seconds, {}) == ({"digest": B}, ("boot", 0))
        return
    with pytest.raises(RebootRefused) as refusal:
        action._settled(seconds, {})
    assert refusal.value.result["error"] == (outcome if outcome == "bootc_failed" else "host_not_back")
    assert outcome == "bootc_failed" or outcome in refusal.value.result["msg"]
    assert clock.now - 1000 == (BELIEVED_SECONDS + SETTLE_SECONDS if outcome == "bootc_failed" else seconds)


@pytest.mark.parametrize("error", [None, "host_not_back", "rolled_back"])
def test_a_result_tells_what_came_of_it(action: ActionModule, monkeypatch: pytest.MonkeyPatch, error: str | None) -> None:
    def reboot(result: dict[str, Any], variables: dict[str, Any]) -> None:
        assert variables == {}
        if error:
            result.update(changed=True, rebooted=True)
            raise RebootRefused(error, "It did not come back.", "Look at it.", rolled_back=error == "rolled_back")

    monkeypatch.setattr(bootc_reboot.ActionBase, "run", lambda *_arguments: {})
    monkeypatch.setattr(action, "_reboot", reboot)
    action._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp/x"))
    result = action.run()
    assert result.pop("elapsed") == 0
    told = {"failed": True, "error": error, "msg": "It did not come back.", "hint": "Look at it."} if error else {}
    assert result == {"changed": bool(error), "rebooted": bool(error), "rolled_back": error == "rolled_back", **told}
    assert action._connection._shell.tmpdir == (None if error == "host_not_back" else "/tmp/x"), "what is to be removed there"


@pytest.mark.parametrize(("came", "rolled_back"), [(A, True), (C, False)])
def test_without_an_identity_only_the_digest_is_proof(action: ActionModule, came: str, rolled_back: bool) -> None:
    nothing: Any = None
    before = info((A, nothing), (B, nothing))
    action._prove(B, before, info((B, nothing)))
    with pytest.raises(RebootRefused) as refusal:
        action._prove(B, before, info((came, nothing)))
    result = refusal.value.result
    assert (result["error"], result["rolled_back"]) == ("rolled_back" if rolled_back else "digest_mismatch", rolled_back)
    assert result["msg"] == f"The host was to boot {B} and came up with {came}" + (
        ", the deployment it ran before." if rolled_back else "."
    )


@pytest.mark.parametrize(
    ("said", "boot"),
    [("", ("", None)), ("id\n", ("id", None)), ("id\n\n", ("id", None)), ("id\n3\n", ("id", 3)), ("id\n[not set]\n", ("id", None))],
)
def test_a_boot_is_known_by_its_id_and_its_soft_reboots(
    action: ActionModule, monkeypatch: pytest.MonkeyPatch, said: str, boot: tuple[str, int | None]
) -> None:
    monkeypatch.setattr(
        action, "_low_level_execute_command", lambda _command, sudoable: {"stdout": said, "sudoable": sudoable}, raising=False
    )
    assert action._boot() == boot


def test_a_state_that_cannot_be_read_is_told_as_the_module_tells_it(action: ActionModule, monkeypatch: pytest.MonkeyPatch) -> None:
    answer: dict[str, Any] = {"failed": True, "error": "not_root", "msg": "It needs root.", "hint": "Set 'become: true'."}
    monkeypatch.setattr(action, "_execute_module", lambda **_options: answer, raising=False)
    with pytest.raises(RebootRefused, match="could not be read: It needs root") as refusal:
        action._info({})
    assert (refusal.value.result["error"], refusal.value.result["hint"]) == ("not_root", "Set 'become: true'.")


@pytest.mark.parametrize(("version", "error"), [("1.16.9", "host_not_managed"), (None, "bootc_missing")])
def test_any_host_that_has_deployments_is_rebooted_into_what_is_pending(
    action: ActionModule, monkeypatch: pytest.MonkeyPatch, version: str | None, error: str
) -> None:
    """A classic ostree host, or one that rpm-ostree changed, is switched to its first image, and not managed until that is booted."""
    asked: dict[str, Any] = {}
    answer = {"managed": False, "kind": "ostree", "backend": "ostree", "bootc_version": version}
    monkeypatch.setattr(action, "_execute_module", lambda **options: asked.update(options) or answer, raising=False)
    assert action._info({}) is answer
    assert not asked["module_args"].get("required")
    answer.update(kind="package", backend=None)
    with pytest.raises(RebootRefused, match="kind 'package'") as refusal:
        action._info({})
    assert refusal.value.result["error"] == error


def test_a_host_is_rebooted_from_what_is_no_image(action: ActionModule, monkeypatch: pytest.MonkeyPatch) -> None:
    ostree = {"digest": None, "identity": "one", "image": None, "download_only": False}
    before = {**WAITS, "digest": None, "managed": False, "host": {**WAITS["host"], "booted": ostree}}
    going(action, monkeypatch, before, came_up(B, "two"), digest=B)
    result: dict[str, Any] = {}
    action._reboot(result, {})
    assert (result["changed"], result["digest"], result["diff"]["before"]) == (True, B, "booted: None\n")
