# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module bootc_disk_image on a disk image that was made, in a process of its own; nobody asks a registry, as a digest is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.builders import version
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.recipe import Recipe
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.sidecar import DiskImageFile
from ansible_collections.imagemode.bootc.plugins.module_utils._install.files import PlacedFile
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import Request
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner
from ansible_collections.imagemode.bootc.plugins.modules import bootc_disk_image

DIGEST = "sha256:" + "5" * 64
SECRET = b"a secret of the machine"
CALLED = """
import json, os, sys
from ansible.module_utils import basic
from {module} import main
basic._ANSIBLE_PROFILE = "legacy"
basic._ANSIBLE_ARGS = json.dumps({{"ANSIBLE_MODULE_ARGS": json.loads(sys.argv[1])}}).encode()
main()
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as making a disk image on the host does")


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """:returns: an environment whose programs are there and tell nothing but a version"""
    for name in ("podman", "lsblk", "wipefs", "blockdev", "mount", "losetup", "skopeo"):
        (tmp_path / name).write_text("#!/bin/sh\necho 1.0\n")
        (tmp_path / name).chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}


@pytest.fixture
def file(tmp_path: Path, programs: dict[str, str]) -> DiskImageFile:
    made = DiskImageFile(str(tmp_path / "os.raw"))
    key = PlacedFile("etc/key", SECRET)
    request = Request("registry.test/os:1", generic_image=True, files=(key,))
    tools = {"podman": version(Runner(programs), "podman")}
    recipe = Recipe.of(request, DIGEST, tools, builder="host", format="raw", size="10GiB", appliance=None)
    with made.scratch() as folder:
        (folder / "disk").write_bytes(b"a disk")
        (folder / "disk").chmod(0o600)
        made.put(folder / "disk", recipe, 4096)
    return made


def call(file: DiskImageFile, environment: dict[str, str], *within: str, **options: Any) -> dict[str, Any]:
    files = [{"dest": "/etc/key", "content": SECRET.decode()}]
    asked = {"image": "registry.test/os:1", "digest": DIGEST, "dest": str(file.path), "format": "raw", "files": files, **options}
    done = subprocess.run(
        [*within, sys.executable, "-c", CALLED.format(module=bootc_disk_image.__name__), json.dumps(asked)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_check_mode_tells_that_the_mode_would_change(file: DiskImageFile, programs: dict[str, str]) -> None:
    for check, changed in ((True, True), (True, True), (False, True), (True, False), (False, False)):
        assert call(file, programs, mode="0640", _ansible_check_mode=check)["changed"] is changed
    assert file.path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("size", "changed"), [("10G", False), ("10240 MiB", False), ("10GB", True)])
def test_a_size_is_the_same_however_it_is_written(file: DiskImageFile, programs: dict[str, str], size: str, changed: bool) -> None:
    assert call(file, programs, size=size, _ansible_check_mode=True)["changed"] is changed


@pytest.mark.parametrize("check", [True, False])
def test_a_place_that_takes_no_file_is_told(file: DiskImageFile, programs: dict[str, str], check: bool) -> None:
    away = file.path.parent / "away"
    assert call(file, programs, dest=f"{away}/os.raw", _ansible_check_mode=check)["error"] == "destination_missing"
    away.mkdir()
    read_only = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o ro none {away} && exec "$@"', "sh")
    programs = {**programs, "PATH": os.environ["PATH"]}
    assert call(file, programs, *read_only, dest=f"{away}/os.raw", _ansible_check_mode=check)["error"] == "destination_unwritable"


def test_a_diff_names_files_and_tells_nothing_of_what_is_in_them(file: DiskImageFile, programs: dict[str, str]) -> None:
    same = call(file, programs, _ansible_check_mode=True)
    assert same["changed"] is False
    assert same["diff"]["before"]["files"] == ["/etc/key"]
    other = call(file, programs, _ansible_check_mode=True, files=[{"dest": "/etc/motd", "content": "hello"}])
    assert (other["diff"]["before"]["files"], other["diff"]["after"]["files"]) == (["/etc/key"], ["/etc/motd"])


def test_an_appliance_with_no_name_for_a_file_is_refused_before_anything_is_made(file: DiskImageFile, programs: dict[str, str]) -> None:
    (file.path.parent / "qemu-img").write_text("#!/bin/sh\necho 1.0\n")
    (file.path.parent / "qemu-img").chmod(0o755)
    refused = call(file, programs, format="ova", appliance={"name": "web/1"}, _ansible_check_mode=True)
    assert (refused["failed"], refused.get("error")) == (True, "option_invalid")
