# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A password that is a part of a digest or of a disk's name does not make another digest or disk of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils import _install_module
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.scan import Scanner
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image import formats
from ansible_collections.imagemode.bootc.plugins.module_utils._install.source import Source, Wanted, manifest_digests
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

DIGEST = "sha256:" + "51" * 32
DISK = {"name": "vdb1", "kname": "vdb1", "path": "/dev/vdb1", "type": "disk", "size": 1111}
MARK = {"device": "vdb1", "offset": "0x1", "type": "ext4", "uuid": "u-1"}
IMAGE = {"Id": "1", "Digest": DIGEST, "RepoDigests": [], "Architecture": "amd64", "Size": 1}
SAYS: dict[str, Any] = {
    "lsblk": {"blockdevices": [DISK]},
    "wipefs": {"signatures": [MARK]},
    "podman": [IMAGE],
    "qemu-img": {"virtual-size": 1111},
}


def source(runner: Runner) -> Source:
    return Source(runner, Wanted.parse("registry.test/os:1", None), validate_certs=True, timeout=60)


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda runner: Scanner(runner).devices()[0].path, "/dev/vdb1"),
        (lambda runner: Scanner(runner).examine(Scanner(runner).devices()[0]).signatures[0].uuid, "u-1"),
        (lambda runner: source(runner).local("os").digest, DIGEST),
        (lambda runner: source(runner).remote_digests(None, "x86_64"), manifest_digests('{"schemaVersion": 1}\n', "amd64")),
        (lambda runner: formats.virtual_size(runner, Path("disk")), 1111),
    ],
    ids=["lsblk", "wipefs", "podman", "skopeo", "qemu-img"],
)
def test_what_programs_tell_as_data_is_not_masked(tmp_path: Path, read: Callable[[Runner], Any], expected: Any) -> None:
    for program, said in {**SAYS, "skopeo": {"schemaVersion": 1}, "udevadm": {}}.items():
        (tmp_path / program).write_text(f"#!/bin/sh\ncat << 'END'\n{json.dumps(said)}\nEND\n")
        (tmp_path / program).chmod(0o755)
    assert read(Runner({"PATH": f"{tmp_path}:{os.environ['PATH']}"}, secrets=["1"])) == expected


CALLED = """
import json, sys
from ansible.module_utils import basic
from {room} import InstallModule
basic._ANSIBLE_PROFILE = "legacy"
basic._ANSIBLE_ARGS = json.dumps({{"ANSIBLE_MODULE_ARGS": {options!r}}}).encode()
module = InstallModule({{}})
assert [file.content for file in module.asked().files] == [b"51", b"a long secret"], "files lost their content"
module.exit_json(digest={digest!r}, said="a long secret, and pass")
"""


def test_what_is_in_files_is_shown_nowhere_and_changes_no_digest() -> None:
    files = [{"dest": "/etc/short", "content": "51"}, {"dest": "/etc/long", "content": "a long secret"}]
    options = {"image": "registry.test/os:1", "files": files, "registry_username": "me", "registry_password": "pass"}
    script = CALLED.format(room=_install_module.__name__, options=options, digest=DIGEST)
    done = subprocess.run([sys.executable, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert result["digest"] == DIGEST
    assert result["said"] == "********, and ********"
    assert "51" not in done.stdout.replace(DIGEST, "")
    assert "a long secret" not in done.stdout
