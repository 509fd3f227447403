# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's signature policy, on a tree of the next Debian: its skopeo verifies sigstore signatures, and as a proxy, as bootc asks it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible
import pytest

from . import test_signatures as signatures
from .conftest import LiveRegistry

Module = Callable[..., dict[str, Any]]
PASSPHRASE = signatures.PASSPHRASE
PLAIN = signatures.PLAIN
cosign = signatures.cosign
debian = signatures.debian
gpg = signatures.gpg
image = signatures.image
key = signatures.key
make_key = signatures.make_key
TREE = Path(__file__).resolve().parents[6]


class Host:
    """Modules run where the policy is for; its files are in a folder of the test's."""

    def __init__(self, folder: Path, registry: str) -> None:
        self.policy, self.registries_d = folder / "containers/policy.json", folder / "containers/registries.d"
        # skopeo looks there before /etc/containers.
        conf = folder / ".config/containers/registries.conf"
        conf.parent.mkdir(parents=True)
        self.environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": "/mnt/tree:/mnt/ansible"}
        conf.write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')

    def run(self, which: str, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": check_mode, "_ansible_diff": True, **options}}
        words = debian.command(
            ["python3", "-m", f"ansible_collections.imagemode.bootc.plugins.modules.{which}"],
            {str(TREE): "tree", str(Path(ansible.__file__).parents[1]): "ansible"},
        )
        done = subprocess.run(words, input=json.dumps(arguments), env=self.environment, capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        assert lines, done.stderr or done.stdout
        result: dict[str, Any] = json.loads(lines[-1])
        return result

    def set(self, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        return self.run("bootc_signature_policy", check_mode, path=str(self.policy), registries_d=str(self.registries_d), **options)

    def pull(self, name: str) -> str:
        """What skopeo says; C("") if it pulls."""
        words = [
            "skopeo",
            f"--policy={self.policy}",
            f"--registries.d={self.registries_d}",
            "copy",
            f"docker://{name}",
            f"dir:{self.policy.parent}/pulled",
        ]
        done = subprocess.run(debian.command(words, {}), env=self.environment, capture_output=True, text=True, check=False)
        return done.stderr if done.returncode else ""


@pytest.fixture
def host(tmp_path: Path, registry: LiveRegistry) -> Host:
    return Host(tmp_path, registry.address)


def test_a_policy_is_set_as_predicted_once_and_keeps_the_rest(
    module: Module, host: Host, image: str, key: Path, registry: LiveRegistry
) -> None:
    mine = {"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {"example.com": [{"type": "reject"}]}}}
    host.policy.parent.mkdir()
    host.policy.write_text(json.dumps(mine))
    module("oci_image_sign", name=image, key=str(key), **PLAIN)
    options: dict[str, Any] = {
        "default": "reject",
        "image": image,
        "scopes": [{"scope": registry.address, "type": "sigstore", "keys": [key.with_suffix(".pub").read_text()]}],
    }
    predicted = host.set(check_mode=True, **options)
    assert json.loads(host.policy.read_text()) == mine
    done = host.set(**options)
    same = ("changed", "checked_digest", "enforceable", "diff")
    assert [predicted.get(field) for field in same] == [done.get(field) for field in same], (predicted, done)
    assert (done["changed"], done["enforceable"]) == (True, True)
    assert done["checked_digest"] == module("oci_image_info", name=image, **PLAIN)["digest"]
    document = json.loads(host.policy.read_text())
    assert document["transports"]["docker"]["example.com"] == [{"type": "reject"}]
    assert document["transports"]["containers-storage"] == {"": [{"type": "insecureAcceptAnything"}]}
    assert not host.set(**options)["changed"]
    assert host.pull(image) == ""
    gone = host.set(scopes=[{"scope": registry.address, "state": "absent"}], check_image=False)
    assert gone["changed"]
    assert registry.address not in json.loads(host.policy.read_text())["transports"]["docker"]
    assert host.pull(image) != ""


def test_a_policy_that_would_lock_the_host_out_is_not_set(
    module: Module, host: Host, image: str, key: Path, registry: LiveRegistry, tmp_path: Path
) -> None:
    options: dict[str, Any] = {
        "image": image,
        "scopes": [{"scope": registry.address, "type": "sigstore", "keys": [key.with_suffix(".pub").read_text()]}],
    }
    other = make_key(tmp_path, "other")
    for _unsigned in (True, False):
        refused = host.set(**options)
        assert (refused["error"], refused["changed"], host.policy.exists()) == ("signature_refused", False, False), refused
        assert host.set(check_mode=True, **options)["error"] == "signature_refused"
        module("oci_image_sign", name=image, key=str(other), **PLAIN)
    assert host.set(check_image=False, **options)["changed"]
    assert "signature" in host.pull(image)


def test_either_of_two_keys_will_do(module: Module, host: Host, image: str, key: Path, registry: LiveRegistry, tmp_path: Path) -> None:
    module("oci_image_sign", name=image, key=str(key), **PLAIN)
    keys = [path.with_suffix(".pub").read_text() for path in (make_key(tmp_path, "next"), key)]
    assert host.set(image=image, scopes=[{"scope": image.rpartition(":")[0], "type": "sigstore", "keys": keys}])["checked_digest"]


def test_signatures_by_gnupg(module: Module, host: Host, image: str, gpg: Any, registry: LiveRegistry, tmp_path: Path) -> None:
    _fingerprint, public, private = gpg("signer@example.com")
    _other, other, _private = gpg("other@example.com")
    lookaside = tmp_path / "lookaside"
    scope = {"scope": registry.address, "type": "gpg", "lookaside": f"file://{lookaside}"}
    assert host.set(image=image, scopes=[{**scope, "keys": [public]}])["error"] == "signature_refused"
    module("oci_image_sign", name=image, type="gpg", key_content=private, passphrase=PASSPHRASE, lookaside=str(lookaside), **PLAIN)
    assert host.set(image=image, scopes=[{**scope, "keys": [other]}])["error"] == "signature_refused"
    assert host.set(image=image, scopes=[{**scope, "keys": [other, public]}])["checked_digest"]
    assert host.pull(image) == ""


@pytest.mark.parametrize(
    ("scope", "error"),
    [
        ({"scope": "x.example", "type": "sigstore"}, "signature_policy_invalid"),
        ({"scope": "x.example", "type": "reject", "keys": ["x"]}, "signature_policy_invalid"),
        ({"scope": "x.example"}, "signature_policy_invalid"),
        ({"scope": "docker://x.example", "type": "reject"}, "signature_policy_invalid"),
        ({"scope": "*.example", "type": "gpg", "keys": ["x"]}, "signature_policy_invalid"),
        ({"scope": "{registry}", "type": "sigstore", "keys": ["nonsense"]}, "signature_policy_invalid"),
    ],
)
def test_bad_input(host: Host, registry: LiveRegistry, scope: dict[str, Any], error: str) -> None:
    scope = {**scope, "scope": scope["scope"].format(registry=registry.address)}
    result = host.set(image=f"{registry.address}/os:1", scopes=[scope])
    assert (result.get("error"), result["changed"], host.policy.exists()) == (error, False, False), result


def test_what_is_no_policy_is_not_touched(host: Host) -> None:
    host.policy.parent.mkdir()
    host.policy.write_text("{")
    assert host.set(default="reject")["error"] == "signature_policy_invalid"
    assert host.policy.read_text() == "{"


def test_a_pull_is_tried_as_bootc_does_it(module: Module, host: Host, image: str) -> None:
    good = host.run("bootc_pull_check", image=image)
    assert (good["pullable"], good["digest"], good["auth_file"]) == (True, module("oci_image_info", name=image, **PLAIN)["digest"], None)
    missing = host.run("bootc_pull_check", image=f"{image}-nothing", required=False)
    assert (missing["pullable"], missing["error"], missing.get("failed", False)) == (False, "image_missing", False)
    assert host.run("bootc_pull_check", image=f"{image}-nothing")["failed"]
