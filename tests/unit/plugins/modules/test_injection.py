# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text that a shell, a program's options or a file's lines could take for more than text, in every option of every module.

It is refused, or reaches programs as one word that cannot be taken for an option. Which options there are is asked of the argument
specifications. Modules run on the fake host; what they start is written down, and programs but the fakes all fail.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible_collections.imagemode.bootc.plugins.module_utils import _host_module
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc import boot_entry, job, lock
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._install import files, network
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference, ReferenceInvalid
from ansible_collections.imagemode.bootc.tests import specs

MARK = "imagemode-evil"
SHELL = f"$(touch {MARK});`touch {MARK}`|touch {MARK}&'\""
EVIL = (f"--{MARK}={SHELL}", f"x{SHELL}\n--{MARK}\n[{MARK}]")
WORDS = ("str", "path", "raw", None)
PROGRAMS = ("podman", "buildah", "docker", "cosign", "gpg", "lsblk", "findmnt", "mount", "umount", "wipefs", "blkid", "losetup", "sfdisk")
# Options after which the next word is a word of its own.
SWITCHES = {"--quiet", "--raw", "--no-tags", "--check", "--json", "--rm", "--wipe", "--force", "--detach", "--apply", "--all", "--batch"}

IMAGE, AWAY = "registry.test/os:1", {"name": "127.0.0.1:9/os:1", "retries": 0}
# What each module needs to get going, in a directory of its own.
NEEDED: dict[str, dict[str, Any]] = {
    "bootc_auth": {"registry": "registry.test", "username": "u", "password": "p", "path": "auth.json", "verify": False},
    "bootc_container_lint": {"name": IMAGE},
    "bootc_disk_image": {"image": IMAGE, "dest": "disk.qcow2"},
    "bootc_installer_media": {"image": IMAGE, "directory": "context"},
    "bootc_install": {"image": IMAGE, "disk": {"serial": "none"}, "_ansible_check_mode": True},
    "bootc_install_existing_root": {"image": IMAGE, "wipe_confirm": "nobody", "_ansible_check_mode": True},
    "bootc_kargs": {"kargs": ["quiet"]},
    "bootc_signature_policy": {"default": "reject", "path": "policy.json", "registries_d": "registries.d", "check_image": False},
    "bootc_switch": {"image": "registry.test/other:1"},
    "oci_image_build": {"name": IMAGE, "context": "context"},
    "oci_image_copy": {"src": "oci:layout:1", "dest": "oci:copy:1"},
    "oci_image_info": AWAY,
    "oci_image_push": AWAY,
    "oci_image_sbom": {**AWAY, "src": "sbom.json"},
    "oci_image_sign": {**AWAY, "key": "cosign.key"},
    "oci_image_test": {"name": IMAGE, "tests": [{"command": "true"}]},
    "oci_image_verify": {**AWAY, "keys": ["-----BEGIN PUBLIC KEY-----"]},
}
# What starts no program, or none before a registry or a layout has answered: transports and joined options keep their text there.
QUIET = {"bootc_auth", "bootc_signature_policy", "oci_image_copy", "oci_image_info", "oci_image_sbom", "oci_image_sign", "oci_image_verify"}
NESTED: dict[str, dict[str, Any]] = {
    "files": {"dest": "/etc/x", "content": "x"},
    "network": {"interface": "eth0", "dhcp": True},
    "secrets": {"id": "a", "value": "v"},
    "scopes": {"scope": "registry.test", "type": "reject"},
}


def cases(module: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """:returns: the option's name, and all options with the text in that one"""
    needed = NEEDED.get(module, {})
    for option in specs.options({module: specs.modules()[module]}):
        spec, listed = option.spec, option.spec.get("type") == "list"
        kind = spec.get("elements") if listed else spec.get("type")
        if spec.get("choices") or spec.get("options") or kind not in (*WORDS, "dict"):
            continue
        for text in EVIL:
            value: Any = {"a": text, text: "a"} if kind == "dict" else text
            value = [value] if listed else value
            if len(option.path) > 1:
                above = option.path[0]
                entry = {**NESTED.get(above, {}), option.path[1]: value}
                value = [entry] if specs.modules()[module][above].get("type") == "list" else entry
            yield option.name, {**needed, option.path[0]: value}


def run(module: Any, options: dict[str, Any], base: Path) -> tuple[str, list[list[str]]]:
    """Run a module in a child of this process.

    :returns: what it printed, and the commands that it started
    """
    child = os.fork()
    if child == 0:
        try:
            for descriptor in (1, 2):
                os.dup2(os.open(base / "output", os.O_CREAT | os.O_WRONLY | os.O_TRUNC), descriptor)
            os.chdir(base / "work")
            os.environ.update(PATH=f"{base}/bin", FAKE_HOST=str(base), HOME=str(base / "work"))
            job.DIRECTORY, lock.PATH, _host_module.PATIENCE_SECONDS = f"{base}/job", f"{base}/ostree/lock", 0.1
            boot_entry.ROOT = f"{base}/root"
            _write_down(base / "started")
            basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode()
            basic._ANSIBLE_PROFILE = "legacy"
            sys.stdin = open(os.devnull)  # noqa: SIM115
            module.main()
        except SystemExit:
            pass
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.waitpid(child, 0)
    started = (base / "started").read_text().splitlines() if (base / "started").exists() else []
    (base / "started").unlink(missing_ok=True)
    return (base / "output").read_text(errors="replace"), [json.loads(line) for line in started]


def _write_down(log: Path) -> None:
    start = subprocess.Popen.__init__

    def recorded(self: Any, args: Any, *more: Any, **options: Any) -> None:
        words = [os.fsdecode(word) for word in ([args] if isinstance(args, (str, bytes)) else args)]
        with log.open("a") as file:
            file.write(json.dumps(["sh", "-c", *words] if options.get("shell") else words) + "\n")
        start(self, args, *more, **options)

    subprocess.Popen.__init__ = recorded  # type: ignore[method-assign]


def taken_for_more(words: Sequence[str]) -> bool:
    """Whether a program would see an option, or a shell a command, in the text."""
    if Path(words[0]).name in ("sh", "bash") and len(words) > 2 and words[1].startswith("-") and MARK in words[2]:
        return True
    for number, word in enumerate(words):
        before = words[number - 1] if number else ""
        is_value = before.startswith("--") and "=" not in before and before not in SWITCHES
        if word.startswith(f"--{MARK}") and "--" not in words[:number] and not is_value:
            return True
    return False


@pytest.fixture
def base(host: Any, documents: Callable[[str], str]) -> Path:
    host.set(documents("booted"), {}, {})
    path: Path = host.base
    for program in PROGRAMS:
        (path / "bin" / program).write_text("#!/bin/sh\nexit 1\n")
        (path / "bin" / program).chmod(0o755)
    (path / "bin/env").symlink_to("/usr/bin/env")
    (path / "work/context").mkdir(parents=True)
    (path / "work/context/Containerfile").write_text("FROM scratch\n")
    (path / "work/sbom.json").write_text('{"spdxVersion": "SPDX-2.3"}')
    (path / "work/cosign.key").write_text("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    return path


@pytest.mark.parametrize("name", [path.stem for path in sorted((specs.ROOT / "plugins/modules").glob("*.py"))])
def test_text_stays_text(name: str, base: Path) -> None:
    module = importlib.import_module(f"ansible_collections.imagemode.bootc.plugins.modules.{name}")
    if not hasattr(module, "main"):
        pytest.skip("runs on the controller, as an action, and starts nothing")
    output, begun = run(module, dict(NEEDED.get(name, {})), base)
    assert "Traceback" not in output, output
    assert "_invalid" not in output, "without the text it gets going"
    assert bool(begun) == (name not in QUIET)
    for option, options in cases(name):
        output, started = run(module, options, base)
        assert "Traceback" not in output, f"{option}: {output[-1500:]}"
        assert [words for words in started if taken_for_more(words)] == [], option
        assert list(base.rglob(MARK)) == [], option


def test_what_would_be_seen() -> None:
    """That the test above can fail."""
    text = EVIL[0]
    assert taken_for_more(["podman", "pull", text])
    assert taken_for_more(["podman", "pull", "--quiet", text])
    assert taken_for_more(["sh", "-c", f"echo {text}"])
    assert not taken_for_more(["skopeo", "inspect", "--", text])
    assert not taken_for_more(["podman", "build", "--target", text])


@pytest.mark.parametrize(
    "text",
    [
        "--help",
        "a b",
        "a;b",
        "$(a)",
        "a\nb",
        "registry.test/os:1\n",
        "registry.test/os:-1",
        "../os",
        "a'b",
        "",
    ],
)
def test_a_reference_has_no_room_for_it(text: str) -> None:
    with pytest.raises(ReferenceInvalid):
        Reference.parse(text)


LINK = {"interface": "eth0", "addresses": ["192.0.2.1/24"], "dhcp": False}


@pytest.mark.parametrize("renderer", ["networkmanager", "systemd-networkd"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"interface": "eth0\n"},
        {"interface": "../x"},
        {"interface": None, "mac": "52:54:00:12:34:56\n"},
        {"addresses": ["192.0.2.1/24\nDNS=x"]},
        {"gateways": ["192.0.2.1\n[Route]"]},
        {"dns": ["192.0.2.1\n"]},
        {"search": ["example.com\n[Match]"]},
        {"search": ["a;b"]},
        {"search": ["a b"]},
    ],
)
def test_a_network_file_has_no_room_for_it(wrong: dict[str, Any], renderer: str) -> None:
    with pytest.raises(OptionError):
        network.files([{**LINK, **wrong}], renderer)


@pytest.mark.parametrize("name", ["a\n", "a b", "-a", "a\nb", "a/b"])
def test_a_host_name_has_no_room_for_it(name: str) -> None:
    with pytest.raises(OptionError):
        files.hostname(name)
