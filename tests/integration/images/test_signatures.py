# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signatures by real keys in a real registry: made once, told truly, and what a host's policy says of them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import PASSWORD, USER, LiveRegistry

sys.path.append(str(Path(__file__).resolve().parents[2] / "reference"))
from labkit import debian, golang

Module = Callable[..., dict[str, Any]]
PLAIN = {"plain_http": True}
PASSPHRASE = "p4ssphrase-canary"


@pytest.fixture(autouse=True, params=["cosign-2", "cosign-3"])
def cosign(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A real cosign, Debian's and the next one, which writes down what it was called with."""
    try:
        program = Path(f"{debian.root()}/usr/bin/cosign") if request.param == "cosign-2" else golang.tool("cosign")
    except golang.GoMissing as error:
        pytest.skip(str(error))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "cosign").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nexec {program} "$@"\n')
    (programs / "cosign").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("COSIGN_PASSWORD", PASSPHRASE)
    return tmp_path / "calls"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path, "key")


def make_key(folder: Path, name: str) -> Path:
    subprocess.run(["cosign", "generate-key-pair", f"--output-key-prefix={folder / name}"], check=True, capture_output=True)
    return folder / f"{name}.key"


@pytest.fixture
def gpg(tmp_path: Path) -> Iterator[Callable[[str], tuple[str, str, str]]]:
    """Makes a key with a passphrase: its fingerprint, the public and the private key."""
    environment = {**os.environ, "GNUPGHOME": f"/tmp/g{os.getpid()}"}  # the agent's socket wants a short path
    Path(environment["GNUPGHOME"]).mkdir(mode=0o700)

    def run(*words: str) -> str:
        argv = ["gpg", "--batch", "--pinentry-mode=loopback", f"--passphrase={PASSPHRASE}", *words]
        return subprocess.run(argv, env=environment, check=True, capture_output=True, text=True).stdout

    def make(name: str) -> tuple[str, str, str]:
        run("--quick-gen-key", name, "rsa2048", "sign", "never")
        listed = run("--with-colons", "--list-keys", name)
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        return fingerprint, run("--armor", "--export", fingerprint), run("--armor", "--export-secret-keys", fingerprint)

    yield make
    subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=False)
    subprocess.run(["rm", "-rf", environment["GNUPGHOME"]], check=False)


@pytest.fixture
def image(module: Module, context: Path, registry: LiveRegistry, tmp_path: Path) -> str:
    name = f"{registry.address}/{tmp_path.name.replace('_', '-')}:1"
    module("oci_image_build", name=name, context=str(context), **PLAIN)
    assert "digest" in module("oci_image_push", name=name, **PLAIN)
    return name


@pytest.fixture
def index(image: str) -> str:
    """Two platforms under one name."""
    name = f"{image.rpartition(':')[0]}:index"
    for words in (
        ["manifest", "create", "two:1"],
        ["manifest", "add", "--tls-verify=false", "--arch=arm64", "two:1", f"docker://{image}"],
        ["manifest", "push", "--tls-verify=false", "--all", "two:1", f"docker://{name}"],
        ["manifest", "rm", "two:1"],
    ):
        subprocess.run(["podman", *words], check=True, capture_output=True)
    return name


def sign(module: Module, name: str, **options: Any) -> dict[str, Any]:
    """Check mode, the run, and the run again, which agree."""
    predicted = module("oci_image_sign", check_mode=True, name=name, **options)
    done = module("oci_image_sign", name=name, **options)
    assert done.get("error") == predicted.get("error"), (predicted, done)
    if "error" not in done:
        same = ("changed", "digest", "fingerprint", "signed", "diff")
        assert [predicted[field] for field in same] == [done[field] for field in same]
        again = module("oci_image_sign", name=name, **options)
        assert (again["changed"], again["signed"], again["digest"]) == (False, [], done["digest"])
    return done


def accepts(name: str, requirement: dict[str, Any], store: dict[str, Any], folder: Path) -> str:
    """What skopeo says to a pull by this requirement on a host; C("") if it pulls."""
    policy = {"default": [{"type": "reject"}], "transports": {"docker": {name.partition("/")[0]: [requirement]}}}
    (folder / "policy.json").write_text(json.dumps(policy))
    (folder / "registries.d").mkdir(exist_ok=True)
    (folder / "registries.d/x.yaml").write_text(json.dumps({"docker": {name.partition("/")[0]: store}}))
    words = ["skopeo", f"--policy={folder}/policy.json", f"--registries.d={folder}/registries.d", "copy", "--src-tls-verify=false",
             f"docker://{name}", f"dir:{folder}/pulled"]  # fmt: skip
    done = subprocess.run(debian.command(words, {}), capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def by_key(public: str, kind: str = "sigstoreSigned") -> dict[str, Any]:
    more = {"keyType": "GPGKeys"} if kind == "signedBy" else {}
    return {"type": kind, "keyData": base64.b64encode(public.encode()).decode(), "signedIdentity": {"type": "matchRepository"}, **more}


def test_hosts_accept_what_was_signed_and_nothing_else(module: Module, image: str, key: Path, tmp_path: Path, cosign: Path) -> None:
    attachments = {"use-sigstore-attachments": True}
    wanted = by_key(key.with_suffix(".pub").read_text())
    assert "no signature exists" in accepts(image, wanted, attachments, tmp_path)
    other = make_key(tmp_path, "other")
    sign(module, image, key=str(other), **PLAIN)
    assert "signature verification failed" in accepts(image, wanted, attachments, tmp_path)
    done = sign(module, image, key_content=key.read_text(), passphrase=PASSPHRASE, **PLAIN)
    assert (done["changed"], done["public_key"]) == (True, key.with_suffix(".pub").read_text())
    assert accepts(image, wanted, attachments, tmp_path) == ""
    assert "PRIVATE KEY" not in cosign.read_text()
    assert PASSPHRASE not in cosign.read_text()


def test_the_index_and_every_platform_are_signed(module: Module, index: str, key: Path, tmp_path: Path) -> None:
    only = sign(module, index, key=str(key), parts="index", **PLAIN)
    assert [item["platform"] for item in only["signed"]] == ["index"]
    keys = {"keys": [key.with_suffix(".pub").read_text()]}
    half = module("oci_image_verify", name=index, required=False, **keys, **PLAIN)
    assert (half["verified"], half["error"]) == (False, "signature_missing")
    assert [item["verified"] for item in half["signatures"]] == [True, False]
    rest = sign(module, index, key=str(key), **PLAIN)
    assert [item["platform"] for item in rest["signed"]] == ["linux/arm64"]
    whole = module("oci_image_verify", name=index, **keys, **PLAIN)
    assert whole["verified"], whole
    assert {signer["fingerprint"] for item in whole["signatures"] for signer in item["signers"]} == {rest["fingerprint"]}


def test_it_is_told_who_signed_what(module: Module, image: str, key: Path, tmp_path: Path) -> None:
    other = make_key(tmp_path, "other")
    files = [str(other.with_suffix(".pub")), str(key.with_suffix(".pub"))]
    look: dict[str, Any] = {"name": image, "key_files": files, **PLAIN}
    missing = module("oci_image_verify", **look)
    assert (missing["error"], missing["verified"], missing["failed"]) == ("signature_missing", False, True)
    done = sign(module, image, key=str(key), **PLAIN)
    told = module("oci_image_verify", **look)
    repository = image.rpartition(":")[0]
    assert told["signatures"][0]["signers"] == [{"fingerprint": done["fingerprint"], "identity": repository}], told
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", files[1], "-outform", "der"], check=True, capture_output=True).stdout
    summed = subprocess.run(["sha256sum"], input=der, check=True, capture_output=True).stdout.decode().split()[0]
    assert done["fingerprint"] == f"sha256:{summed}"
    wrong = module("oci_image_verify", name=image, key_files=files[:1], **PLAIN)
    assert wrong["error"] == "signature_invalid"
    assert module("oci_image_verify", name=image, keys=["nonsense"], **PLAIN)["error"] == "signing_key_invalid"


def test_a_mirror_that_signs_its_copies_keeps_its_signature(module: Module, image: str, tmp_path: Path) -> None:
    """By docs/signing.md; what oci_image_copy puts together is one manifest that cosign verifies for each signer, and adds to."""
    mirror = f"{image.rpartition(':')[0]}/mirror:1"
    keys = [make_key(tmp_path, name) for name in ("first", "own", "second", "third")]
    places = [image, mirror, image, mirror]
    for key, place in zip(keys, places):
        assert module("oci_image_sign", name=place, key=str(key), **PLAIN)["changed"]
        module("oci_image_copy", src=image, dest=mirror, src_registry=PLAIN, dest_registry=PLAIN)
    assert not module("oci_image_copy", src=image, dest=mirror, src_registry=PLAIN, dest_registry=PLAIN)["changed"]
    for repository in (image, mirror):
        public = [str(key.with_suffix(".pub")) for key, place in zip(keys, places) if place == repository]
        verified = module("oci_image_verify", name=mirror, identity=repository, key_files=public, **PLAIN)
        assert len({signer["fingerprint"] for signer in verified["signatures"][0]["signers"]}) == 2, verified


def test_a_signature_for_another_repository_does_not_count(module: Module, image: str, key: Path) -> None:
    sign(module, image, key=str(key), **PLAIN)
    mirror = f"{image.rpartition(':')[0]}-mirror:1"
    module("oci_image_copy", src=image, dest=mirror, src_registry=PLAIN, dest_registry=PLAIN)
    keys = {"key_files": [str(key.with_suffix(".pub"))]}
    assert module("oci_image_verify", name=mirror, **keys, **PLAIN)["error"] == "signature_invalid"
    assert module("oci_image_verify", name=mirror, identity=image, **keys, **PLAIN)["verified"]
    assert sign(module, mirror, key=str(key), **PLAIN)["changed"]
    assert module("oci_image_verify", name=mirror, **keys, **PLAIN)["verified"]


def make_pki_key(folder: Path, *algorithm: str) -> None:
    subprocess.run(["openssl", "req", "-x509", *algorithm, "-nodes", "-days", "2", "-subj", "/CN=signer",
                    "-addext", "subjectAltName=email:signer@example.com", "-addext", "extendedKeyUsage=codeSigning",
                    "-addext", "keyUsage=digitalSignature", "-keyout", f"{folder}/pki.key", "-out", f"{folder}/pki.crt"],
                   check=True, capture_output=True)  # fmt: skip


def test_keys_of_a_pki_sign_with_their_certificate(module: Module, image: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    # The cosign of Debian 13 imports no other kind of key than Ed25519, and with cosign 3 nothing verifies what that kind signs.
    if "cosign-3" in request.node.name:
        make_pki_key(tmp_path, "-newkey", "ed25519")
        refused = module("oci_image_sign", name=image, key=f"{tmp_path}/pki.key", **PLAIN)
        assert refused["error"] == "signing_failed"
        assert "Ed25519" in refused["hint"]
        make_pki_key(tmp_path, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    else:
        make_pki_key(tmp_path, "-newkey", "ed25519")
    done = sign(module, image, key=f"{tmp_path}/pki.key", certificate=f"{tmp_path}/pki.crt", **PLAIN)
    assert module("oci_image_verify", name=image, keys=[done["public_key"]], **PLAIN)["verified"], done
    tag = f"{done['digest'].replace(':', '-')}.sig"
    raw = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{image.rpartition(':')[0]}:{tag}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "dev.sigstore.cosign/certificate" in json.loads(raw)["layers"][-1]["annotations"]


def test_a_registry_with_tls_and_a_password(module: Module, image: str, guarded_registry: LiveRegistry, key: Path, cosign: Path) -> None:
    name = f"{guarded_registry.address}/signed:1"
    access = {"ca_path": f"{guarded_registry.base}/ca.crt", "username": USER, "password": PASSWORD}
    module("oci_image_copy", src=image, dest=name, src_registry=PLAIN, dest_registry=access)
    assert sign(module, name, key=str(key), **access)["changed"]
    assert module("oci_image_verify", name=name, key_files=[str(key.with_suffix(".pub"))], **access)["verified"]
    assert PASSWORD not in cosign.read_text()


def test_a_transparency_log_is_asked_when_it_is_wanted(module: Module, image: str, key: Path, cosign: Path) -> None:
    """Nobody is there: what is not in the log is not signed, and what is signed without one does not count as if it were."""
    log = "http://127.0.0.1:1"
    logged = {"transparency_log": True, "transparency_log_url": log}
    refused = module("oci_image_sign", name=image, key=str(key), **logged, **PLAIN)
    assert (refused.get("failed"), refused["changed"]) == (True, False), refused
    calls = [line.split() for line in cosign.read_text().splitlines() if line.startswith("sign ") and "--help" not in line]
    assert {"--tlog-upload=true", f"--rekor-url={log}"} <= set(calls[-1])
    assert sign(module, image, key=str(key), **PLAIN)["changed"], "nothing was stored"
    public = {"name": image, "key_files": [str(key.with_suffix(".pub"))], **PLAIN}
    assert module("oci_image_verify", **public)["verified"]
    assert module("oci_image_verify", transparency_log=True, **public).get("failed")


def test_gnupg_signs_into_a_lookaside_directory(module: Module, index: str, gpg: Any, tmp_path: Path) -> None:
    fingerprint, public, private = gpg("signer@example.com")
    _other, other_public, _private = gpg("other@example.com")
    lookaside = tmp_path / "lookaside"
    store = {"lookaside": f"file://{lookaside}"}
    options = {"type": "gpg", "lookaside": str(lookaside), **PLAIN}
    assert "no signature exists" in accepts(index.replace(":index", ":1"), by_key(public, "signedBy"), store, tmp_path)
    done = sign(module, index, key_content=private, passphrase=PASSPHRASE, **options)
    assert (done["fingerprint"], len(done["signed"])) == (fingerprint, 2)
    assert module("oci_image_verify", name=index, keys=[public], **options)["verified"]
    assert module("oci_image_verify", name=index, keys=[other_public], **options)["error"] == "signature_invalid"
    plain = index.replace(":index", ":1")
    assert accepts(plain, by_key(public, "signedBy"), store, tmp_path) == ""
    assert accepts(plain, by_key(other_public, "signedBy"), store, tmp_path) != ""
    elsewhere = {**options, "lookaside": f"{tmp_path}/new"}
    wrong = module("oci_image_sign", name=index, key_content=private, passphrase="wrong", **elsewhere)
    assert (wrong["error"], wrong["changed"]) == ("signing_key_invalid", False), wrong
    # The same key where GnuPG has it, by the name that people know it by.
    home = sign(module, index, key="signer@example.com", gpg_home=f"/tmp/g{os.getpid()}", passphrase=PASSPHRASE, **elsewhere)
    assert (home["fingerprint"], len(home["signed"])) == (fingerprint, 2)
    assert module("oci_image_verify", name=index, keys=[public], **elsewhere)["verified"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "option_invalid"),
        ({"key": "/nowhere"}, "signing_key_invalid"),
        ({"key_content": "nonsense"}, "signing_key_invalid"),
        ({"key": "{key}", "passphrase": "wrong"}, "signing_key_invalid"),
        ({"key": "{key}", "lookaside": "/srv"}, "option_invalid"),
        ({"key": "{key}", "certificate_chain": "/srv/x"}, "option_invalid"),
        ({"type": "gpg", "key": "nobody"}, "option_invalid"),
        ({"type": "gpg", "key": "nobody@example.com", "lookaside": "/srv"}, "signing_key_invalid"),
        ({"key": "{key}", "name": "127.0.0.1:1/os:1"}, "registry_unreachable"),
        ({"key": "{key}", "name": "{image}-no-such-tag"}, "image_missing"),
    ],
)
def test_bad_input(module: Module, image: str, key: Path, options: dict[str, str], error: str) -> None:
    given = {name: value.format(key=key, image=image) for name, value in options.items()}
    result = module("oci_image_sign", **{"name": image, "retries": 0, **PLAIN, **given})
    assert (result.get("error"), result["changed"]) == (error, False), result
    assert PASSPHRASE not in json.dumps({name: value for name, value in result.items() if name != "invocation"})


def test_a_cosign_that_cannot_write_what_hosts_read_is_refused(module: Module, image: str, key: Path, tmp_path: Path) -> None:
    """The stand-in refuses an option as a later cosign may."""
    real = (tmp_path / "programs/cosign").read_text()
    refusal = "echo 'Error: unknown flag: --sign-container-identity' >&2; exit 1"
    (tmp_path / "programs/cosign").write_text(real.replace("\n", f'\ncase "$*" in *--sign-container-identity*) {refusal};; esac\n', 1))
    assert module("oci_image_sign", name=image, key=str(key), **PLAIN)["error"] == "cosign_unsupported"


def test_the_role_image_attaches_and_signs_what_it_pushes_once(
    module: Module, context: Path, registry: LiveRegistry, key: Path, tmp_path: Path
) -> None:
    name = f"{registry.address}/{tmp_path.name}:1"  # another one for each cosign
    sbom = tmp_path / "os.spdx.json"
    sbom.write_text(json.dumps({"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "os", "packages": []}))
    inventory = {"builder": {"hosts": {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}}
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    other = f"{registry.address}/{tmp_path.name}-too:stable"
    options = {
        "image_name": name,
        "image_context": str(context),
        "image_lint": False,
        "image_registry_options": PLAIN,
        "image_tags": ["latest", other],
        "image_sboms": [str(sbom)],
        "image_sign": {"key": str(key)},
    }
    words = ["ansible-playbook", "-i", str(tmp_path / "inventory.json"), "imagemode.bootc.build", "-e", json.dumps(options)]
    environment = {**os.environ, "ANSIBLE_HOME": str(tmp_path / "home")}
    changed = []
    for _round in (1, 2):
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert PASSPHRASE not in done.stdout
        changed.append(int(done.stdout.rpartition("changed=")[2].split()[0]))
    assert changed == [4, 0], "built, pushed, attached, signed"
    for pushed in (name, name.replace(":1", ":latest"), other):
        verified = module("oci_image_verify", name=pushed, key_files=[str(key.with_suffix(".pub"))], **PLAIN)
        assert verified["verified"], verified
        attached = module("oci_image_info", name=pushed, attached=True, **PLAIN)["attached"]
        assert sorted(one["kind"] for one in attached) == ["sbom", "signature"]
