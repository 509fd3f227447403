# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A canary in every credential option of every module and role, through success and failure at -vvvv: nowhere is it seen.

Which options these are is asked of the argument specifications, so that a new one without a canary fails here.
Run by name, as it takes a while: `python3 tests/run.py canaries`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.imagemode.bootc.tests import specs

from . import test_signatures as signatures
from .canaries import Watch, canary
from .conftest import USER, LiveRegistry

cosign = signatures.cosign
# Each program is run through one that writes down what it was called with: none is too quick to be seen.
RECORDED = ("podman", "buildah", "skopeo", "docker", "gpg", "bootc", "curl", "openssl")
# Roles that need a hypervisor or AWX: tests/integration/vsphere and tests/controller look for theirs.
ELSEWHERE = ("vm", "controller")
PEM_LINE = 2  # of a key in PEM; its content is the secret


class Canaries:
    """Hands out secrets, and remembers them by name."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def __call__(self, name: str, secret: str | None = None) -> str:
        self.secrets[name] = secret or canary()
        return self.secrets[name]


@pytest.fixture
def secret() -> Canaries:
    return Canaries()


@pytest.fixture
def guarded(tmp_path: Path, secret: Canaries) -> Iterator[LiveRegistry]:
    """A registry whose password is a canary."""
    (tmp_path / "guarded").mkdir()
    registry = LiveRegistry(tmp_path / "guarded", htpasswd=True, password=secret("the right password"))
    yield registry
    registry.stop()


@pytest.fixture
def played(tmp_path: Path, secret: Canaries, guarded: LiveRegistry, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a play at -vvvv with everything that keeps something, and returns what was seen where, and the play's results."""
    programs, calls = tmp_path / "recorded", tmp_path / "calls.recorded"
    programs.mkdir()
    for name in RECORDED:
        real = subprocess.run(["which", name], capture_output=True, text=True, check=False).stdout.strip()
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s " {name} "$@" >> {calls}\n' + (f'exec {real} "$@"\n' if real else "exit 1\n"))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    for name, value in {
        "ANSIBLE_HOME": "home",
        "ANSIBLE_LOG_PATH": "ansible.log",
        "ANSIBLE_LOCAL_TEMP": "local",
        "ANSIBLE_REMOTE_TEMP": "remote",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": "facts",
        "TMPDIR": "tmp",
        "HOME": "user",
    }.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    for name in ("tmp", "user"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("ANSIBLE_CACHE_PLUGIN", "ansible.builtin.jsonfile")
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", os.environ["PYTHONPATH"])

    def play(tasks: list[dict[str, Any]], inputs: list[Path], *arguments: str) -> tuple[list[str], dict[str, Any]]:
        (tmp_path / "play").mkdir(exist_ok=True)
        kept = tmp_path / "play/results.json"
        names = [entry["register"] for entry in tasks if "register" in entry]
        # Without the facts about the environment, which hold a secret that is in it: docs/howto/secrets.md says so.
        document = [
            {
                "hosts": "localhost",
                "gather_facts": True,
                "gather_subset": ["all", "!env"],
                "tasks": [
                    *tasks,
                    {
                        "name": "Keep all results as facts",
                        "ansible.builtin.set_fact": {"kept": {name: f"{{{{ {name} }}}}" for name in names}, "cacheable": True},
                    },
                    {
                        "name": "Tell the test",
                        "ansible.builtin.copy": {"content": "{{ kept | to_json }}", "dest": str(kept), "mode": "0600"},
                        "check_mode": False,
                    },
                ],
            }
        ]
        (tmp_path / "play/play.yml").write_text(yaml.safe_dump(document))
        words = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            "localhost,",
            "-c",
            "local",
            "-vvvv",
            "--diff",
            *arguments,
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            str(tmp_path / "play/play.yml"),
        ]
        with Watch(tmp_path, secret.secrets, [tmp_path / "play/play.yml", guarded.base / "htpasswd", *inputs]) as watch:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            watch.look("the output", (done.stdout + done.stderr).encode())
            watch.files()
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        assert (tmp_path / "ansible.log").exists()
        assert list((tmp_path / "facts").iterdir())
        return sorted(watch.seen), json.loads(kept.read_text())

    return play


def task(module: str, register: str, /, **options: Any) -> dict[str, Any]:
    return {"name": register, f"imagemode.bootc.{module}": options, "register": register, "ignore_errors": True}


def role(which: str, name: str, part: str = "main", environment: dict[str, str] | None = None, **variables: Any) -> dict[str, Any]:
    """A role that may fail, in a block of its own."""
    return {
        "name": name,
        "vars": variables,
        "environment": environment or {},
        "block": [
            {"name": name, "ansible.builtin.include_role": {"name": f"imagemode.bootc.{which}", "tasks_from": part}},
        ],
        "rescue": [{"name": f"{name} failed", "ansible.builtin.debug": {"var": "ansible_failed_result"}}],
    }


def host_that_answers(base: Path, image: str) -> dict[str, str]:
    """:returns: the environment in which this machine is taken for a bootc host that runs an image"""
    text = (specs.ROOT / "tests/unit/plugins/module_utils/bootc/status/booted.json").read_text()
    (base / "host").mkdir()
    (base / "host/status.json").write_text(text.replace("quay.io/example/os:latest", image))
    script = f'#!/bin/sh\n[ "$1" = --version ] && exec echo bootc 1.16.9\nexec cat {base}/host/status.json\n'
    (base / "host/bootc").write_text(script)
    (base / "host/bootc").chmod(0o755)
    return {"PATH": f"{base}/host:{os.environ['PATH']}"}


def key_pair(folder: Path, secret: Canaries, name: str) -> tuple[str, str]:
    """:returns: the text of an encrypted signing key, and its passphrase"""
    passphrase = secret(f"{name}: passphrase")
    subprocess.run(
        ["cosign", "generate-key-pair", f"--output-key-prefix={folder / name}"],
        check=True,
        capture_output=True,
        env={**os.environ, "COSIGN_PASSWORD": passphrase},
    )
    text = (folder / f"{name}.key").read_text()
    secret(f"{name}: key", text.splitlines()[PEM_LINE])
    return text, passphrase


def credentials_of(tasks: list[dict[str, Any]], secrets: set[str]) -> set[tuple[str, str]]:
    """:returns: module and option, for every option that has a canary"""
    found: set[tuple[str, str]] = set()

    def walk(module: str, value: Any, path: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for name, item in value.items():
                walk(module, item, (*path, name))
        elif isinstance(value, list):
            for item in value:
                walk(module, item, path)
        elif isinstance(value, str) and any(secret in value for secret in secrets):
            found.add((module, ".".join(path)))

    for entry in tasks:
        for module, options in entry.items():
            if module.startswith("imagemode.bootc."):
                walk(module.removeprefix("imagemode.bootc."), options, ())
    return found


def test_modules_keep_their_secrets(
    tmp_path: Path, secret: Canaries, guarded: LiveRegistry, played: Any, context: Path, cosign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = {"username": USER, "password": secret.secrets["the right password"], "plain_http": True}

    def wrong(of: str) -> dict[str, Any]:
        return {**right, "password": secret(f"{of}: password"), "retries": 0}

    image = f"{guarded.address}/os:1"
    installs: dict[str, dict[str, Any]] = {
        "bootc_install": {"wipe_confirm": "nobody"},
        "bootc_install_existing_root": {"wipe_confirm": "nobody"},
        "bootc_disk_image": {"dest": str(tmp_path / "disk.qcow2")},
    }
    (context / "Containerfile").write_text("FROM scratch\nCOPY etc /etc\n")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/secret").write_text(secret("oci_image_build: secrets.file"))
    monkeypatch.setenv("BUILD_SECRET", secret("oci_image_build: secrets.env"))
    login = {"auths": {guarded.address: {"auth": signatures.base64.b64encode(f"{USER}:{right['password']}".encode()).decode()}}}
    (tmp_path / "in/auth.json").write_text(json.dumps(login))
    (tmp_path / "in/sbom.json").write_text('{"spdxVersion": "SPDX-2.3"}')
    key, passphrase = key_pair(tmp_path / "in", secret, "content")
    _text, other = key_pair(tmp_path / "in", secret, "file")
    plain = subprocess.run(["openssl", "genpkey", "-algorithm=ed25519"], check=True, capture_output=True, text=True)
    secret("plain: key", plain.stdout.splitlines()[1])
    build: dict[str, Any] = {
        "name": image,
        "context": str(context),
        "secrets": [
            {"id": "a", "value": secret("oci_image_build: secrets.value")},
            {"id": "b", "file": str(tmp_path / "in/secret")},
            {"id": "c", "env": "BUILD_SECRET"},
        ],
    }
    good = [
        task("oci_image_build", "built", **build, **right),
        task("oci_image_push", "pushed", name=image, **right),
        task("oci_image_info", "asked", name=image, attached=True, tags=True, **right),
        task("oci_image_info", "asked_by_file", name=image, auth_file=str(tmp_path / "in/auth.json"), plain_http=True),
        task("oci_image_copy", "copied", src=image, dest=f"{guarded.address}/copy:1", src_registry=right, dest_registry=right),
        task("oci_image_copy", "carried", src=image, dest=f"oci:{tmp_path}/stick:1", src_registry=right),
        task("oci_image_sbom", "attached", name=image, src=str(tmp_path / "in/sbom.json"), **right),
        task("oci_image_sign", "signed", name=image, key_content=key, passphrase=passphrase, **right),
        task("oci_image_sign", "signed_by_file", name=image, key=str(tmp_path / "in/file.key"), passphrase=other, **right),
        task("oci_image_sign", "signed_by_pki", name=image, key_content=plain.stdout, **right),
        task("oci_image_verify", "verified", name=image, key_files=[str(tmp_path / "in/content.pub")], **right),
        task(
            "bootc_auth",
            "logged_in",
            registry=guarded.address,
            username=USER,
            password=right["password"],
            path=str(tmp_path / "out/auth.json"),
            verify=False,
        ),
    ]
    bad = [
        task("oci_image_build", "not_built", **{**build, "content": "FROM scratch\nRUN nothing\n"}, **wrong("oci_image_build")),
        task("oci_image_push", "not_pushed", name=image, to=[f"{guarded.address}/os:2"], **wrong("oci_image_push")),
        task("oci_image_info", "not_asked", name=image, **wrong("oci_image_info")),
        task(
            "oci_image_copy",
            "not_copied",
            src=image,
            dest=f"{guarded.address}/other:1",
            src_registry=wrong("src"),
            dest_registry=wrong("dest"),
        ),
        task("oci_image_sbom", "not_attached", name=image, src=str(tmp_path / "in/sbom.json"), **wrong("oci_image_sbom")),
        task("oci_image_sign", "not_signed", name=image, key_content=key, passphrase=secret("oci_image_sign: passphrase"), **right),
        task("oci_image_sign", "not_allowed", name=image, key_content=key, passphrase=passphrase, **wrong("oci_image_sign")),
        task("oci_image_verify", "not_verified", name=image, key_files=[str(tmp_path / "in/file.pub")], **wrong("oci_image_verify")),
        task(
            "bootc_auth",
            "not_logged_in",
            registry=guarded.address,
            username=USER,
            password=secret("bootc_auth: password"),
            path=str(tmp_path / "out/auth.json"),
        ),
        # In check mode, on a machine that must stay what it is.
        *(
            {
                **task(
                    module,
                    f"not_{module}",
                    image=f"{guarded.address}/none:1",
                    registry_username=USER,
                    **needed,
                    registry_password=secret(f"{module}: registry_password"),
                    target_registry_username=USER,
                    target_registry_password=secret(f"{module}: target_registry_password"),
                    files=[{"dest": "/etc/secret", "content": secret(f"{module}: files.content")}],
                ),
                "check_mode": True,
            }
            for module, needed in installs.items()
        ),
    ]
    wanted = {(option.owner, option.name) for option in specs.options(specs.modules()) if option.spec.get("no_log")}
    canaries = {*secret.secrets.values(), key, plain.stdout}
    assert wanted - credentials_of(bad, canaries) <= {("oci_image_sign", "key_content")}, "a credential option fails without a canary"
    assert {pair for pair in wanted if pair[0] not in installs} - credentials_of(good, canaries) == set(), "and one that succeeds"
    seen, results = played([*good, *bad], [tmp_path / "in", tmp_path / "out/auth.json"])
    assert {name: result.get("msg") for name, result in results.items() if result.get("failed") and not name.startswith("not_")} == {}
    assert [name for name, result in results.items() if name.startswith("not_") and not result.get("failed")] == []
    calls = (tmp_path / "calls.recorded").read_text() + (tmp_path / "calls").read_text()
    assert [name for name, text in secret.secrets.items() if text in calls] == []
    assert seen == []


def test_roles_keep_their_secrets(
    tmp_path: Path, secret: Canaries, guarded: LiveRegistry, played: Any, context: Path, cosign: Path
) -> None:
    (tmp_path / "in").mkdir()
    right = {"username": USER, "password": secret.secrets["the right password"], "plain_http": True}
    image = f"{guarded.address}/role/os:1"
    (context / "Containerfile").write_text("FROM scratch\nCOPY etc /etc\n")
    key, passphrase = key_pair(tmp_path / "in", secret, "role")
    from_image: dict[str, Any] = {
        "image_name": image,
        "image_context": str(context),
        "image_lint": False,
        "image_registry_options": right,
        "image_sign": {"key_content": key, "passphrase": passphrase},
        "image_secrets": [{"id": "a", "value": secret("image: image_secrets")}],
    }
    host = {"image": image, "transport": "registry", "booted": {"architecture": "amd64"}}
    journal = str(tmp_path / "journal")
    wrong = {
        name: {**right, "retries": 0, "password": secret(f"{name}: password")}
        for name in ("image", "update", "report", "rollout", "registry")
    }
    answers = host_that_answers(tmp_path, image)
    loaded = {"__registry_name": guarded.address, "registry_username": USER}
    plays = [
        role("image", "image_good", **from_image),
        role("image", "image_bad", **{**from_image, "image_tags": ["2"], "image_registry_options": wrong["image"]}),
        role("image", "image_unsigned", **{**from_image, "image_sign": {"key_content": key, "passphrase": secret("image: passphrase")}}),
        *(
            role(
                "update",
                f"update_{name}",
                "resolve",
                update_registry_options=options,
                __update_first_look={"host": host, "architecture": "amd64"},
            )
            for name, options in (("good", right), ("bad", wrong["update"]))
        ),
        *(
            role(
                "report",
                f"report_{name}",
                "look",
                answers,
                report_image=f"{image[:-1]}{tag}",
                report_registry_options=options,
                report_directory=journal,
            )
            for name, tag, options in (("good", "1", right), ("bad", "3", wrong["report"]))
        ),
        *(
            role(
                "rollout",
                f"rollout_{name}",
                "plan",
                rollout_image=f"{image[:-1]}{tag}",
                rollout_registry_options=options,
                rollout_hosts="localhost",
                rollout_directory=journal,
            )
            for name, tag, options in (("good", "1", right), ("bad", "4", wrong["rollout"]))
        ),
        role(
            "registry",
            "registry_good",
            "images",
            **loaded,
            registry_password=right["password"],
            registry_images=[{"src": image, "dest": "loaded:1", "src_registry": right}],
        ),
        role(
            "registry",
            "registry_bad",
            "images",
            **loaded,
            registry_password=secret("registry: registry_password"),
            registry_images=[{"src": image, "dest": "loaded:2", "src_registry": wrong["registry"]}],
        ),
    ]
    checked = [
        role(
            "host",
            "host_check",
            host_pull_check=False,
            host_auth=[{"registry": guarded.address, "username": USER, "password": secret("host: host_auth")}],
            host_certificates=[{"registry": "nobody", "ca": "CA", "client_cert": "CERT", "client_key": secret("host: client_key")}],
            host_proxy_http=f"http://user:{secret('host: host_proxy_http')}@proxy:1",
            host_proxy_https=f"http://user:{secret('host: host_proxy_https')}@proxy:1",
        ),
        *(
            role(
                which,
                f"{which}_check",
                **{
                    f"{which}_image": f"{guarded.address}/none:1",
                    f"{which}_wipe_confirm": "nobody",
                    **({"bare_metal_disk": {"serial": "none"}} if which == "bare_metal" else {}),
                    f"{which}_registry_username": USER,
                    f"{which}_registry_password": secret(f"{which}: registry_password"),
                    f"{which}_target_registry_username": USER,
                    f"{which}_target_registry_password": secret(f"{which}: target_registry_password"),
                    f"{which}_files": [{"dest": "/etc/secret", "content": secret(f"{which}: files")}],
                },
            )
            for which in ("bare_metal", "takeover")
        ),
        # Nobody answers there.
        role(
            "bare_metal",
            "bmc_check",
            bare_metal_image=f"{guarded.address}/none:1",
            bare_metal_disk={"serial": "none"},
            bare_metal_bmc_host="127.0.0.1",
            bare_metal_bmc_port="9",
            bare_metal_bmc_retries=1,
            bare_metal_bmc_delay=1,
            bare_metal_bmc_username=USER,
            bare_metal_bmc_password=secret("bare_metal: bare_metal_bmc_password"),
        ),
    ]
    given = {name for entry in (*plays, *checked) for name in entry["vars"]}
    wanted = {option.name for option in specs.options(specs.roles()) if option.spec.get("no_log") and option.owner not in ELSEWHERE}
    assert wanted - given == set()
    inputs = [tmp_path / "in"]
    seen, _results = played(plays, inputs)
    log = (tmp_path / "ansible.log").read_text()
    failed = sorted(name for name in (entry["name"] for entry in plays) if f"TASK [{name} failed]" in log)
    assert failed == ["image_bad", "image_unsigned", "registry_bad", "report_bad", "rollout_bad", "update_bad"], log[-3000:]
    assert seen == []
    assert played(checked, inputs, "--check")[0] == []
