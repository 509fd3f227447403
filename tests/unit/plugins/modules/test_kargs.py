# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""bootc_kargs on a host that answers as the recorded one did (recording ostree, kargs-set to kargs-remove).

The staged deployments beside the status samples were serialised by GLib itself.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._kargs import split

HERE = Path(__file__).parents[1] / "module_utils/bootc"
RECORDING = Path(__file__).parents[3] / "reference/recordings/ostree.jsonl"
SAMPLES = json.loads((HERE / "staged-deployments.json").read_text())
MACHINE = ["root=UUID=c223130d-675c-4bb9-a802-57885fb779c4", "rw", "systemd.log_target=console", "console=ttyS0,115200"]
STAGED = "run/ostree/staged-deployment"
SET = "bootc loader-entries set-options-for-source --source ansible"
NEW_OSTREE = {"ostree --version": {"stdout": "libostree:\n Version: '2026.4'\n Git: x\n"}}
OLD_OSTREE = {"ostree --version": {"stdout": "libostree:\n Version: '2025.2'\n"}}


def recorded(name: str, when: str = "after") -> str:
    lines = map(json.loads, RECORDING.read_text().splitlines())
    return json.dumps(next(step[when] for step in lines if step["name"] == name))


def unstaged() -> str:
    """The recorded host before anything was staged."""
    return recorded("kargs-remove", "before")


def install(host: Any, document: str, options: list[str], keys: str = "") -> None:
    """Put a booted deployment and its boot entry below the fake's root."""
    booted = json.loads(document)["status"]["booted"]["ostree"]
    identity = f"{booted['checksum']}.{booted['deploySerial']}"
    deploy = host.root / "sysroot/ostree/deploy/default/deploy"
    (deploy / identity).mkdir(parents=True)
    link = host.root / "sysroot/ostree/boot.1/default/abc/0"
    link.parent.mkdir(parents=True)
    link.symlink_to(f"../../../deploy/default/deploy/{identity}")
    entries = host.root / "boot/loader/entries"
    entries.mkdir(parents=True)
    line = " ".join([*options, "ostree=/ostree/boot.1/default/abc/0"])
    (entries / "ostree-1.conf").write_text(f"title x\noptions {line}\n{keys}")
    (host.root / "proc").mkdir()
    (host.root / "proc/cmdline").write_text(f"BOOT_IMAGE=x {line}\n")


def step(after: str, sample: str) -> dict[str, Any]:
    return {"after": after, "files": {STAGED: SAMPLES[sample]}}


def test_arguments_are_set_once_as_predicted(host: Any) -> None:
    before, after = unstaged(), recorded("kargs-remove")  # the same digest, staged with another serial
    host.set(before, {**NEW_OSTREE, f"{SET} --options quiet foo=bar": step(after, "owned")})
    install(host, before, MACHINE)
    options = {"kargs": ["quiet", "foo=bar"]}
    predicted = host.run("bootc_kargs", check_mode=True, **options)
    assert not any("loader-entries" in call for call in host.calls)
    done, again = (host.run("bootc_kargs", **options) for _run in range(2))
    assert (predicted["changed"], done["changed"], again["changed"]) == (True, True, False)
    for fact in ("after", "commands", "diff", "reboot_required", "method", "reason"):
        assert predicted[fact] == done[fact], fact
    assert done["after"] == {"kargs": [*MACHINE, "quiet", "foo=bar"], "sources": {"ansible": ["quiet", "foo=bar"]}}
    assert done["reboot_required"]
    assert again["reboot_required"]
    assert again["commands"] == []
    assert done["running"][-1].startswith("ostree=")


def test_arguments_are_given_up_once_as_predicted(host: Any) -> None:
    before, after = unstaged(), recorded("kargs-remove")
    host.set(before, {**NEW_OSTREE, SET: step(after, "given-up")})
    install(host, before, [*MACHINE, "quiet", "foo=bar"], "x-options-source-ansible quiet foo=bar\nx-options-source-tuned nohz=on\n")
    predicted, done, again = (host.run("bootc_kargs", check_mode=check, state="absent") for check in (True, False, False))
    assert (predicted["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert predicted["after"] == done["after"] == {"kargs": MACHINE, "sources": {"tuned": ["nohz=on"]}}
    assert done["commands"] == [SET]


def test_another_order_is_no_change(host: Any) -> None:
    host.set(unstaged(), NEW_OSTREE)
    install(host, unstaged(), ["quiet", *MACHINE, "foo=bar"], "x-options-source-ansible quiet foo=bar\n")
    assert host.run("bootc_kargs", kargs=["foo=bar", "quiet"])["changed"] is False


@pytest.mark.parametrize("ostree", [NEW_OSTREE, OLD_OSTREE])
def test_an_argument_that_is_there_in_other_words_is_not_added(host: Any, ostree: dict[str, Any]) -> None:
    """bootc compares as the kernel does (kernel_cmdline/src/bytes.rs), and would add nothing."""
    there, asked = ["systemd.unified_cgroup_hierarchy=1", 'foo="bar"'], ["systemd.unified-cgroup-hierarchy=1", "foo=bar", '"foo=bar"']
    host.set(unstaged(), ostree)
    install(host, unstaged(), [*MACHINE, *there])
    predicted = host.run("bootc_kargs", check_mode=True, kargs=asked)
    assert predicted["after"] == {"kargs": [*MACHINE, *there], "sources": {"ansible": asked[:2]}}
    if ostree is NEW_OSTREE:
        entry = host.root / "boot/loader/entries/ostree-1.conf"
        entry.write_text(entry.read_text() + f"x-options-source-ansible {' '.join(asked[:2])}\n")
    else:
        assert host.run("bootc_kargs", kargs=asked)["changed"]
    again = host.run("bootc_kargs", kargs=asked)
    assert (again["changed"], again["commands"]) == (False, [])
    other = host.run("bootc_kargs", check_mode=True, kargs=["systemd.unified_cgroup_hierarchy=1"])
    assert (other["changed"], other["after"]["sources"]) == (True, {"ansible": ["systemd.unified_cgroup_hierarchy=1"]})


@pytest.mark.parametrize("ostree", [NEW_OSTREE, OLD_OSTREE])
def test_what_another_source_owns_too_stays(host: Any, ostree: dict[str, Any]) -> None:
    """`bootc loader-entries` takes it away, whoever else has it (loader_entries.rs, compute_merged_options)."""
    host.set(unstaged(), ostree)
    owners = {"ansible": ["quiet", "foo=bar"], "tuned": ["nohz=on", "quiet"], "other": ["lost"]}
    install(host, unstaged(), [*MACHINE, "quiet", "foo=bar", "nohz=on"])
    if ostree is NEW_OSTREE:
        entry = host.root / "boot/loader/entries/ostree-1.conf"
        entry.write_text(entry.read_text() + "".join(f"x-options-source-{name} {' '.join(words)}\n" for name, words in owners.items()))
    else:
        record = host.root / "var/lib/imagemode-bootc/kargs.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps(owners))
    result = host.run("bootc_kargs", check_mode=True, state="absent")
    assert result["after"]["sources"]["tuned"] == owners["tuned"]
    if ostree is NEW_OSTREE:
        assert result["after"]["kargs"] == [*MACHINE, "nohz=on", "quiet"]
        assert result["commands"] == [SET, f"{SET.replace('ansible', 'tuned')} --options nohz=on quiet"]
    else:
        assert result["after"]["kargs"] == [*MACHINE, "quiet", "nohz=on"]
        (command,) = result["commands"]
        assert command.endswith(_deploy([*MACHINE, "quiet", "nohz=on"]))


def test_owners_that_libostree_loses_are_noticed(host: Any) -> None:
    host.set(unstaged(), {**NEW_OSTREE, f"{SET} --options quiet foo=bar": step(recorded("kargs-remove"), "unowned")})
    install(host, unstaged(), MACHINE)
    result = host.run("bootc_kargs", kargs=["quiet", "foo=bar"])
    assert (result["error"], result["changed"]) == ("bootc_ignored", True)
    assert result["after"] != result["planned"]


def _deploy(kargs: list[str]) -> str:
    """libostree's command for the recorded host."""
    booted = json.loads(unstaged())["status"]["booted"]["ostree"]
    return f"--karg-none {' '.join(f'--karg-append={word}' for word in kargs)} {booted['checksum']}"


@pytest.mark.parametrize(("version", "ostree"), [("bootc 1.1.6", OLD_OSTREE), ("bootc 1.15.1", NEW_OSTREE), ("bootc 1.16.9", OLD_OSTREE)])
def test_an_older_host_is_staged_by_libostree_and_remembered(host: Any, version: str, ostree: dict[str, Any]) -> None:
    before, after = unstaged(), recorded("kargs-remove")
    install(host, before, MACHINE)
    (host.base / "version").write_text(version)
    host.set(before, ostree)
    predicted = host.run("bootc_kargs", check_mode=True, kargs=["quiet", "foo=bar"])
    (command,) = predicted["commands"]
    assert command.startswith("ostree admin deploy --stage --no-prune --stateroot=default --origin-file=")
    assert command.endswith(_deploy([*MACHINE, "quiet", "foo=bar"]))
    host.set(before, {**ostree, command: step(after, "unowned")})
    done, again = (host.run("bootc_kargs", kargs=["quiet", "foo=bar"]) for _run in range(2))
    assert (predicted["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert predicted["after"] == done["after"]
    assert done["method"] == "ostree"
    record = host.root / "var/lib/imagemode-bootc/kargs.json"
    assert json.loads(record.read_text()) == {"ansible": ["quiet", "foo=bar"]}


def test_a_lost_stage_is_staged_again_without_old_arguments(host: Any) -> None:
    """The source had foo=1, then a crash took the stage with foo=2: foo=1 must not stay beside it."""
    host.set(unstaged(), OLD_OSTREE)
    install(host, unstaged(), [*MACHINE, "foo=1"])
    record = host.root / "var/lib/imagemode-bootc/kargs.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"ansible": ["foo=1", "foo=2"]}')
    planned = host.run("bootc_kargs", check_mode=True, kargs=["foo=2"])
    assert planned["before"]["sources"] == {"ansible": ["foo=1"]}
    assert planned["after"]["kargs"] == [*MACHINE, "foo=2"]


def test_what_was_remembered_is_handed_to_a_newer_bootc(host: Any) -> None:
    before, after = unstaged(), recorded("kargs-remove")
    host.set(
        before,
        {
            **NEW_OSTREE,
            f"{SET} --options foo=1": step(after, "unowned"),
            f"{SET} --options quiet": step(after, "adopted"),
        },
    )
    install(host, before, [*MACHINE, "foo=1"])
    record = host.root / "var/lib/imagemode-bootc/kargs.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"ansible": ["foo=1"]}')
    done = host.run("bootc_kargs", kargs=["quiet"], source="")
    assert done["commands"] == [f"{SET} --options foo=1", f"{SET} --options quiet"]
    assert done["after"] == {"kargs": [*MACHINE, "quiet"], "sources": {"ansible": ["quiet"]}}
    assert json.loads(record.read_text()) == {}
    assert host.run("bootc_kargs", kargs=["quiet"])["changed"] is False


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("composefs", "bootc_unsupported"),
        ("booted-staged-download-only", "bootc_refused"),
        ("layered-incompatible", "host_layered"),
        ("live-iso-read-only", "host_read_only"),
        ("plain-ostree", "host_not_managed"),
    ],
)
def test_hosts_whose_arguments_cannot_be_changed(host: Any, documents: Any, name: str, code: str) -> None:
    host.set(documents(name), NEW_OSTREE)
    result = host.run("bootc_kargs", kargs=["quiet"])
    assert (result["error"], result["changed"]) == (code, False)
    assert result["hint"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kargs": [""]},
        {"kargs": ["a b"]},
        {"kargs": ["ostree=x"]},
        {"kargs": ["a"], "source": "no blanks"},
    ],
)
def test_bad_input(host: Any, documents: Any, options: dict[str, Any]) -> None:
    host.set(documents("booted"))
    assert host.run("bootc_kargs", **options)["error"] == "option_invalid"
    assert host.calls == []


def test_a_boot_entry_that_is_not_there(host: Any) -> None:
    host.set(unstaged(), NEW_OSTREE)
    assert host.run("bootc_kargs", kargs=["quiet"])["error"] == "boot_entry_invalid"


def test_a_command_line_is_split_as_the_kernel_does() -> None:
    assert split('a=1 dyndbg="file x +p; y" b  "c d"=e\n') == ("a=1", 'dyndbg="file x +p; y"', "b", '"c d"=e')


def test_a_booted_deployment_without_a_boot_entry_is_an_error_of_its_own(host: Any) -> None:
    """A staged one tells its arguments itself; that /boot is not mounted shows only then."""
    staged = recorded("kargs-remove")
    host.set(staged, OLD_OSTREE)
    (host.root / "run/ostree").mkdir(parents=True)
    (host.root / STAGED).write_bytes(base64.b64decode(SAMPLES["owned"]))
    assert host.run("bootc_kargs", kargs=["quiet"])["error"] == "boot_entry_invalid"


def test_a_command_that_failed_has_changed_nothing(host: Any) -> None:
    before = unstaged()
    host.set(before, {**NEW_OSTREE, f"{SET} --options quiet": {"rc": 1, "stderr": "error: No space left on device"}})
    install(host, before, MACHINE)
    result = host.run("bootc_kargs", kargs=["quiet"])
    assert (result["error"], result["changed"]) == ("disk_full", False)
