# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was signed or verified is what the result names, though the tag is moved meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import Access, PlatformMissing, Registry
from ansible_collections.imagemode.bootc.plugins.module_utils._signature import subjects

from .scripted import INDEX, MANIFEST, Answer, ScriptedRegistry, Seen, digest, found, manifest

SIGNED, OTHER = manifest(), manifest(layers=(b"another",))
KEY = "-----BEGIN PUBLIC KEY-----\nQUJD\n-----END PUBLIC KEY-----\n"
# Of a cosign only what the modules ask: its options, a key, and good signatures.
COSIGN = """#!/bin/sh
case "$*" in verify*--key=*) [ -z "$REFUSAL" ] || { echo "$REFUSAL" >&2; exit 1; };; esac
case "$*" in *--help*) exit 0;; public-key*) printf '%s' "$KEY"; exit 0;; esac
printf '[{"critical": {"identity": {"docker-reference": "%s"}}}]' "$IDENTITY"
"""


@pytest.fixture
def run(tmp_path: Path, server: ScriptedRegistry) -> Callable[..., dict[str, Any]]:
    (tmp_path / "cosign").write_text(COSIGN)
    (tmp_path / "cosign").chmod(0o755)

    def run(module: str, **options: Any) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", f"ansible_collections.imagemode.bootc.plugins.modules.{module}"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {"name": f"{server.address}/os:1", "plain_http": True, **options}}),
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "IDENTITY": f"{server.address}/os", "KEY": KEY},
            capture_output=True,
            text=True,
            check=False,
        )
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    return run


@pytest.mark.parametrize(("module", "options"), [("oci_image_verify", {"keys": [KEY]}), ("oci_image_sign", {"key": "kms://signing"})])
def test_a_tag_that_moves_after_the_look_is_not_what_was_looked_at(
    server: ScriptedRegistry, run: Callable[..., dict[str, Any]], module: str, options: dict[str, Any]
) -> None:
    def script(seen: Seen) -> Answer:
        return found(SIGNED if len(server.seen) == 1 else OTHER)

    server.script = script
    result = run(module, **options)
    assert (result.get("digest"), result.get("changed")) == (digest(SIGNED), False), result


@pytest.mark.parametrize("key", ["hashivault://signing", "pkcs11:token=signing;object=release", "env://SIGNING"])
def test_a_key_that_is_no_file_is_for_cosign_to_find(run: Callable[..., dict[str, Any]], key: str) -> None:
    assert run("oci_image_sign", key=key).get("fingerprint"), key
    assert run("oci_image_sign", key="signing.key")["error"] == "signing_key_invalid"


def test_a_key_in_der_is_told_what_to_do_with(run: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "key.der").write_bytes(b"\x30\x82\xff")
    refused = run("oci_image_sign", key=str(tmp_path / "key.der"))
    assert (refused.get("error"), "PEM" in refused.get("hint", "")) == ("signing_key_invalid", True), refused


def test_what_cosign_cannot_do_has_a_next_step(run: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFUSAL", "Error: GET https://r.test/v2/: UNAUTHORIZED: authentication required")
    refused = run("oci_image_verify", keys=[KEY])
    assert (refused["error"], refused["msg"].endswith("authentication required")) == ("registry_unauthorized", True), refused
    assert "password" in refused["hint"]


def index(*platforms: tuple[str, str]) -> bytes:
    entries = [
        {"mediaType": MANIFEST, "digest": digest(SIGNED), "size": len(SIGNED), "platform": {"os": os, "architecture": architecture}}
        for os, architecture in platforms
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [("all", ["index", "linux/amd64"]), ("index", ["index"]), ("platforms", ["linux/amd64"])],
)
def test_the_parts_of_an_index_that_are_signed_are_those_that_were_asked_for(
    server: ScriptedRegistry, parts: str, wanted: list[str]
) -> None:
    body = index(("linux", "amd64"), ("unknown", "unknown"))
    registry, reference = Registry(Access(plain_http=True), lambda _reference: None), Reference.parse(f"{server.address}/os:1")
    server.script = lambda seen: found(body, INDEX)
    top, found_parts = subjects(registry, reference, parts)
    assert (top, [one.platform for one in found_parts]) == (digest(body), wanted)
    assert [one.digest for one in found_parts] == [digest(body) if one == "index" else digest(SIGNED) for one in wanted]


@pytest.mark.parametrize("parts", ["all", "index", "platforms"])
def test_an_image_without_an_index_is_signed_itself(server: ScriptedRegistry, parts: str) -> None:
    server.script = lambda seen: found(SIGNED)
    registry = Registry(Access(plain_http=True), lambda _reference: None)
    top, (one,) = subjects(registry, Reference.parse(f"{server.address}/os:1"), parts)
    assert (top, one.digest, one.platform) == (digest(SIGNED), digest(SIGNED), "")


def test_one_manifest_for_two_platforms_is_signed_once(server: ScriptedRegistry) -> None:
    body = index(("linux", "amd64"), ("linux", "386"))
    server.script = lambda seen: found(body, INDEX)
    registry = Registry(Access(plain_http=True), lambda _reference: None)
    top, wanted = subjects(registry, Reference.parse(f"{server.address}/os:1"), "all")
    assert (top, [one.digest for one in wanted]) == (digest(body), [digest(body), digest(SIGNED)])


def test_an_index_of_attestations_only_has_no_platform_to_sign(server: ScriptedRegistry, run: Callable[..., dict[str, Any]]) -> None:
    server.script = lambda seen: found(index(("unknown", "unknown")), INDEX)
    with pytest.raises(PlatformMissing):
        subjects(Registry(Access(plain_http=True), lambda _reference: None), Reference.parse(f"{server.address}/os:1"), "platforms")
    assert run("oci_image_verify", keys=[KEY], parts="platforms")["error"] == "platform_missing"


def test_a_document_is_made_of_a_platform_and_no_attestation(server: ScriptedRegistry, run: Callable[..., dict[str, Any]]) -> None:
    """As buildx adds them to each index."""
    server.script = lambda seen: found(index(("linux", "amd64"), ("unknown", "unknown")), INDEX)
    refused = run("oci_image_sbom", generate="spdx-json")
    assert (refused["error"], refused["hint"]) == ("option_invalid", "Set 'platform': linux/amd64.")
