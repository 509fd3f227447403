# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles write of registries, read as a pull reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import RegistriesConf, Source
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import evaluated, play

ROLES = Path(__file__).resolve().parents[3] / "roles"
# What is written of a mirror, and where a pull of quay.test/os:1 goes.
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "itself": ({"prefix": "quay.test"}, ["near.test/os:1", "quay.test/os:1"]),
    "elsewhere": ({"prefix": "quay.test", "location": "inside.test/quay"}, ["near.test/os:1", "inside.test/quay/os:1"]),
    # Of many names there is no location that would be right for each.
    "many": ({"prefix": "*.test"}, ["near.test/os:1", "quay.test/os:1"]),
    "unset": ({"prefix": "*.test", "location": ""}, ["near.test/os:1", "quay.test/os:1"]),
    "many-elsewhere": ({"prefix": "*.test", "location": "inside.test"}, ["near.test/os:1", "inside.test/os:1"]),
    "digests": ({"prefix": "quay.test", "mirrors": [{"location": "near.test", "pull_from": "digest-only"}]}, ["quay.test/os:1"]),
    "tags": (
        {"prefix": "quay.test", "mirrors": [{"location": "near.test", "pull_from": "tag-only"}, {"location": "far.test", "pull_from": ""}]},
        ["near.test/os:1", "far.test/os:1", "quay.test/os:1"],
    ),
}
MIRRORS = [{"ansible.builtin.include_role": {"name": "imagemode.bootc.host", "tasks_from": "mirrors"}}]


def sources(folder: Path, written: str) -> list[Source]:
    (folder / "registries.conf").write_text(written)
    locations = [line for line in written.splitlines() if line.startswith("location")]
    assert not any("*" in line for line in locations), "which containers/image takes for a name"
    return list(RegistriesConf.read([folder / "registries.conf"]).sources(Reference.parse("quay.test/os:1")))


def test_where_the_pulls_of_a_host_go(tmp_path: Path) -> None:
    template = f"lookup('ansible.builtin.template', '{ROLES}/host/templates/registries.conf.j2')"
    hosts = {name: {"host_mirrors": [{"mirrors": [{"location": "near.test"}], **mirror}]} for name, (mirror, _wanted) in CASES.items()}
    written = evaluated(tmp_path, "host", template, hosts)
    found = {name: [str(source.reference) for source in sources(tmp_path, text)] for name, text in written.items()}
    assert found == {name: wanted for name, (_mirror, wanted) in CASES.items()}


def test_what_no_mirror_is_for_is_refused_before_the_file_is_written(tmp_path: Path) -> None:
    words: dict[str, Any] = {"good": "digest-only", "unset": "", "null": None, "wrong": "digests", "several": "all, tag-only"}
    hosts = {
        name: {"host_mirrors": [{"prefix": "a.test"}, {"prefix": "quay.test", "mirrors": [{"location": "near.test", "pull_from": word}]}]}
        for name, word in words.items()
    }
    _rc, output = play(tmp_path, [{"hosts": "all", "gather_facts": False, "tasks": MIRRORS}], hosts, "--check")
    checked = output.partition("Make the directory")[0]
    assert {name for name in hosts if f"fatal: [{name}]: FAILED! => " in checked} == {"wrong", "several"}, output
    assert "is digests; it is all, digest-only or tag-only" in checked


def test_all_registries_of_a_domain_may_be_insecure_on_a_builder(tmp_path: Path) -> None:
    file = ROLES / "builder/templates/registries.conf.j2"
    template = f"lookup('ansible.builtin.template', '{file}', template_vars={{'ansible_managed': ''}})"
    hosts = {name: {"builder_insecure_registries": name} for name in ("quay.test", "*.test", "other.test")}
    written = evaluated(tmp_path, "builder", template, hosts)
    assert {name: sources(tmp_path, text)[0].insecure for name, text in written.items()} == {
        "quay.test": True,
        "*.test": True,
        "other.test": False,
    }
