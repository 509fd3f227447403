# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No option that holds a secret goes without no_log, of any module or role, those to come included."""

from __future__ import annotations

import re

from ansible_collections.imagemode.bootc.tests import specs

NAMES = re.compile(r"(^|_)(pass(word|phrase|wd)?|secrets?|tokens?|credentials?|auth|keys?|pin)(_|$)")
# Roles take dictionaries whose entries no specification names: what their text says counts.
TOLD = re.compile(r"password|passphrase|secret|C\((?:client_key|src_registry)\)")
# What sounds like one and is none, and why.
PLACE, PUBLIC, NAME = "the name of a file; the secret is in it", "public keys", "a name"
NONE = {
    ("*", "auth_file"): PLACE,
    ("*", "client_key"): PLACE,
    ("*", "auth_namespace"): "the part of a registry that a password is for",
    ("*", "root_ssh_authorized_keys"): PUBLIC,
    ("oci_image_build", "secrets"): "a list; what is secret in it is said below",
    ("oci_image_sign", "key"): PLACE,
    ("oci_image_verify", "keys"): PUBLIC,
    ("oci_image_verify", "key_files"): PUBLIC,
    ("bootc_signature_policy", "scopes.keys"): PUBLIC,
    ("bare_metal", "bare_metal_auth_file"): PLACE,
    ("bare_metal", "bare_metal_root_ssh_authorized_keys"): PUBLIC,
    ("takeover", "takeover_root_ssh_authorized_keys"): PUBLIC,
    ("registry", "registry_tls_key"): PLACE,
    ("registry", "registry_htpasswd"): "the name of a file with hashes",
    ("host", "host_auth_verify"): "a boolean",
    ("host", "host_signature_policy"): PUBLIC,
    ("vm", "vm_keys"): PUBLIC,
    ("vm", "vm_auth_file"): PLACE,
    ("installer_media", "installer_media_root_ssh_authorized_keys"): PUBLIC,
    ("installer_media", "installer_media_kickstarts.root_ssh_authorized_keys"): PUBLIC,
    ("controller", "controller_project.credential"): NAME,
    ("controller", "controller_update_secrets"): "a boolean",
    ("takeover", "takeover_keep_root_ssh_keys"): "a boolean",
    ("takeover", "takeover_keep_host_keys"): "a boolean",
}


def excused(option: specs.Option) -> bool:
    return (option.owner, option.name) in NONE or ("*", option.path[-1]) in NONE or option.spec.get("type") == "bool"


def test_secrets_of_modules_are_not_logged() -> None:
    found = [option for option in specs.options(specs.modules()) if NAMES.search(option.path[-1])]
    assert {option.path[-1] for option in found} >= {"password", "passphrase", "key_content", "registry_password"}
    assert [str(option) for option in found if not option.spec.get("no_log") and not excused(option)] == []


def test_secrets_of_roles_are_not_logged() -> None:
    found = [
        option
        for option in specs.options(specs.roles())
        if NAMES.search(option.path[-1]) or TOLD.search(str(option.spec.get("description")))
    ]
    assert {option.name for option in found} >= {"host_auth", "image_secrets", "update_registry_options"}
    assert [str(option) for option in found if not option.spec.get("no_log") and not excused(option)] == []


def test_an_excuse_that_is_needed_no_more_goes() -> None:
    there = {(option.owner, option.name) for owners in (specs.modules(), specs.roles()) for option in specs.options(owners)}
    names = {option.path[-1] for option in specs.options(specs.modules())}
    assert [key for key in NONE if key not in there and not (key[0] == "*" and key[1] in names)] == []
