# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The promise of OCI: what one engine built, all others pull and run; CRI-O is in no package source of the machines that run this."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labkit import namespace

from .conftest import LiveRegistry

Module = Callable[..., dict[str, Any]]
SAYS = 'printf "%s %s" "$(read -r line < /etc/motd; echo "$line")" "$GREETING"'


def programs(context: Path) -> None:
    """A shell and what it is linked with: no image has to be fetched."""
    linked = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout
    for file in ["/bin/sh", *re.findall(r"(/\S+) \(", linked)]:
        target = context / "root" / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)


def said(*words: str) -> str:
    """What a command printed that ran where containers run on this machine."""
    argv, environment = namespace.command(list(words))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_image_is_pulled_and_run_by_every_other_engine(
    module: Module, context: Path, registry: LiveRegistry, engine: str, docker: dict[str, str], tmp_path: Path
) -> None:
    programs(context)
    name = f"{registry.address}/promise-by-{engine}:1"
    plain = {"engine": engine, "plain_http": True}
    text = f'FROM scratch\nCOPY root /\nCOPY etc /etc\nENV GREETING=world\nRUN echo ran > /etc/ran\nCMD ["/bin/sh", "-c", {SAYS!r}]\n'
    text = text.replace(repr(SAYS), '"' + SAYS.replace('"', '\\"') + '"')
    built = module("oci_image_build", name=name, context=str(context), content=text, network="host", **plain)
    assert built["changed"], built
    pushed = module("oci_image_push", name=name, **plain)
    image, digest = pushed["image_id"].removeprefix("sha256:"), pushed["digest"]
    pinned = f"{registry.address}/promise-by-{engine}@{digest}"

    subprocess.run(["podman", "rmi", "-f", name], check=False, capture_output=True)
    pulled = subprocess.run(["podman", "pull", "-q", "--tls-verify=false", pinned], check=True, capture_output=True, text=True).stdout
    assert pulled.strip() == image
    assert said("podman", "run", "--rm", "--pull=never", pinned) == "hello world"
    subprocess.run(["buildah", "pull", "-q", "--tls-verify=false", pinned], check=True, capture_output=True)

    dockers = {**os.environ, **docker}
    subprocess.run(["docker", "image", "rm", "-f", name], check=False, capture_output=True, env=dockers)
    subprocess.run(["docker", "pull", "-q", pinned], check=True, capture_output=True, env=dockers)
    shown = subprocess.run(
        ["docker", "image", "inspect", "--format={{.Id}}", pinned], check=True, capture_output=True, text=True, env=dockers
    )
    assert shown.stdout.strip() == f"sha256:{image}"
    ran = subprocess.run(["docker", "run", "--rm", "--network=none", pinned], check=False, capture_output=True, text=True, env=dockers)
    assert ran.stdout.strip() == "hello world", ran.stderr

    # containerd unpacks it itself; its own client sets limits that a machine without cgroup controllers cannot set.
    client = ["ctr", "--namespace", f"promise-{engine}", "images"]
    subprocess.run([*client, "pull", "--plain-http", "--snapshotter=native", pinned], check=True, capture_output=True, env=dockers)
    root = tmp_path / "root"
    root.mkdir()
    mounting = [*client, "mount", "--snapshotter=native", pinned, str(root)]
    subprocess.run(mounting, check=True, capture_output=True, env=dockers)
    try:
        ran = subprocess.run(
            ["chroot", str(root), "/bin/sh", "-c", SAYS],
            check=False,
            capture_output=True,
            text=True,
            env={"GREETING": "world", "PATH": os.environ["PATH"]},
        )
        assert ran.stdout == "hello world", ran.stderr
        assert (root / "etc/ran").read_text() == "ran\n"
    finally:
        subprocess.run([*client, "unmount", str(root)], check=True, capture_output=True, env=dockers)
