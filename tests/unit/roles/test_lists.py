# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that are lists, written as text, as surveys and people do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import evaluated, play


def test_tags_of_an_image_are_a_list_or_a_text(tmp_path: Path) -> None:
    wanted = ["registry.example.com:5000/os:stable", "registry.example.com:5000/os:1.2", "quay.io/os:1"]
    written: dict[str, Any] = {
        "list": ["stable", 1.2, "quay.io/os:1"],
        "text": " stable,1.2  quay.io/os:1\n",
        "json": '["stable", "1.2", "quay.io/os:1"]',
        "nothing": "",
        "null": None,
    }
    hosts = {name: {"image_name": "registry.example.com:5000/os:0", "image_tags": tags} for name, tags in written.items()}
    assert evaluated(tmp_path, "image", "__image_references", hosts) == {
        **dict.fromkeys(("list", "text", "json"), wanted),
        "nothing": [],
        "null": [],
    }


@pytest.mark.parametrize(
    ("role", "option", "expression"),
    [
        ("vm", "vm_keys", "__vm_wanted['keys']"),
        ("vm", "vm_keys", "__vm_image_inputs['keys']"),
        ("takeover", "takeover_root_ssh_authorized_keys", "__takeover_root_ssh_authorized_keys"),
        ("bare_metal", "bare_metal_root_ssh_authorized_keys", "__bare_metal_root_ssh_authorized_keys"),
        ("installer_media", "installer_media_root_ssh_authorized_keys", "__installer_media_root_ssh_authorized_keys"),
    ],
)
def test_a_text_of_keys_is_one_key_on_each_line(tmp_path: Path, role: str, option: str, expression: str) -> None:
    keys = ["ssh-ed25519 AAAAC3 one, of two", "ssh-ed25519 AAAAC4 two"]
    written: dict[str, Any] = {"list": keys, "text": "\n".join(keys) + "\n", "one": keys[0], "null": None}
    hosts = {name: {"vm_driver": "virtualbox", option: value} for name, value in written.items()}
    assert evaluated(tmp_path, role, expression, hosts) == {"list": keys, "text": keys, "one": keys[:1], "null": []}


@pytest.mark.parametrize(
    ("role", "expression"),
    [
        ("vm", "__vm_image_inputs.kernel_arguments"),
        ("takeover", "__takeover_kernel_arguments"),
        ("bare_metal", "__bare_metal_kernel_arguments"),
        ("installer_media", "__installer_media_kernel_arguments"),
    ],
)
def test_a_text_of_kernel_arguments_is_not_cut_at_its_commas(tmp_path: Path, role: str, expression: str) -> None:
    arguments = ["video=HDMI-A-1:1920x1080,rotate=90", "quiet"]
    texts = {"text": "\n".join(arguments), "json": json.dumps(arguments), "one": arguments[0]}
    written: dict[str, Any] = {"list": arguments, **texts, "null": None}
    hosts = {name: {"vm_driver": "qemu", f"{role}_kernel_arguments": value} for name, value in written.items()}
    wanted = {**dict.fromkeys(("list", "text", "json"), arguments), "one": arguments[:1], "null": []}
    assert evaluated(tmp_path, role, expression, hosts) == wanted


@pytest.mark.parametrize(
    ("role", "expression"),
    [
        ("image", "__image_platforms"),
        ("image", "__image_test_tasks"),
        ("image", "__image_test_playbooks"),
        ("image", "__image_sboms"),
        ("image", "__image_sbom_generate"),
        ("builder", "__builder_registries_named"),
        ("report", "__report_more_journals"),
    ],
)
def test_one_entry_as_text_is_a_list_of_it(tmp_path: Path, role: str, expression: str) -> None:
    option = {"__builder_registries_named": "builder_search_registries"}.get(expression, expression[2:])
    assert evaluated(tmp_path, role, expression, {"one": {option: "/one"}, "none": {option: None}}) == {"one": ["/one"], "none": []}


def test_what_a_host_needs_is_a_list_one_entry_or_json(tmp_path: Path) -> None:
    entry = {"registry": "registry.test:5000", "scope": "registry.test", "type": "reject"}
    written: dict[str, Any] = {"list": [entry], "one": entry, "json": json.dumps([entry])}
    options = ("host_certificates", "host_signature_policy", "host_auth", "host_mirrors")
    hosts = {name: dict.fromkeys(options, value) for name, value in written.items()}
    expression = "[__host_certificates, __host_signature_policy, __host_auth, __host_mirrors, __host_certified]"
    found = [[entry]] * 4 + [["registry.test:5000"]]
    assert evaluated(tmp_path, "host", expression, hosts) == dict.fromkeys(written, found)


@pytest.mark.parametrize(
    ("role", "options", "expression"),
    [
        ("rollout", ("rollout_waves", "rollout_budgets"), "[__rollout_waves, __rollout_budgets]"),
        ("registry", ("registry_images",), "[__registry_images]"),
    ],
)
def test_waves_budgets_and_images_are_a_list_one_entry_or_json(
    tmp_path: Path, role: str, options: tuple[str, ...], expression: str
) -> None:
    entry = {"name": "all", "batch": "10%"}
    written: dict[str, Any] = {"list": [entry], "one": entry, "json": json.dumps([entry]), "none": None, "empty": ""}
    hosts = {name: dict.fromkeys(options, value) for name, value in written.items()}
    found = {name: [[entry] if written[name] else []] * len(options) for name in written}
    assert evaluated(tmp_path, role, expression, hosts) == found


def test_formats_of_a_report_are_a_list_words_or_json(tmp_path: Path) -> None:
    written: dict[str, Any] = {"list": ["json", "csv"], "words": "json, csv", "json": '["json", "csv"]', "one": "csv", "empty": ""}
    hosts = {name: {"report_formats": value} for name, value in written.items()}
    two, one, all_of_them = ["json", "csv"], ["csv"], ["json", "csv", "html"]
    assert evaluated(tmp_path, "report", "__report_formats", hosts) == {
        "list": two,
        "words": two,
        "json": two,
        "one": one,
        "empty": all_of_them,
    }


def test_a_certificate_is_for_a_registry_that_has_a_name(tmp_path: Path) -> None:
    certified: dict[str, list[Any]] = {
        "good": [{"registry": "registry.test:5000"}, {"registry": "[::1]:5000"}],
        "none": [{"ca": "PEM"}],
        "text": ["registry.test"],
        "above": [{"registry": ".."}],
    }
    tasks = [{"ansible.builtin.include_role": {"name": "imagemode.bootc.host", "tasks_from": "certificates"}}]
    hosts = {name: {"host_certificates": value} for name, value in certified.items()}
    _rc, output = play(tmp_path, [{"hosts": "all", "gather_facts": False, "tasks": tasks}], hosts, "--check")
    told = {name for name in hosts if f"fatal: [{name}]: FAILED! => " in output}
    assert told == {"none", "text", "above"}, output
    assert output.count("A registry in host_certificates is none") >= len(told)
