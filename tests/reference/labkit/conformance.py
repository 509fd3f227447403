# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""What the conformance run needs: five images that differ by one small layer, and a machine that has booted the first."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from . import base, machine, namespace, packages, registry, store
from .say import progress, run, say

NAME, SERIAL = "conformance", "CONFORMANCE"
REPOSITORY = f"{registry.address(NAME)}/os"
CONTAINERFILE = """FROM {base}
LABEL org.opencontainers.image.version="{version}"
RUN echo {version} > /usr/share/conformance
"""
INSTALL = ("podman pull -q {image} && podman run --rm --network=none --privileged --pid=host --ipc=host --security-opt label=type:unconfined_t "
           "-v /var/lib/containers:/var/lib/containers -v /dev:/dev {image} "
           "bootc install to-disk --filesystem ext4 --target-imgref {image} --karg console=ttyS0,115200 /dev/disk/by-id/virtio-{serial}")


def _in_lab(*words: str) -> None:
    arguments, environment = namespace.command(list(words))
    run(arguments, log=store.directory("log") / "conformance.log", env={**os.environ, **environment})


def push_images(repository: str, versions: str) -> None:
    """Images that differ by one small layer, and `one`, which is `1`."""
    chosen = base.base()
    with progress(f"building and pushing {len(versions)} images"), tempfile.TemporaryDirectory(dir=store.directory("tmp")) as scratch:
        for version in versions:
            (Path(scratch) / "Containerfile").write_text(CONTAINERFILE.format(base=chosen, version=version))
            image = f"{repository}:{version}"
            _in_lab("podman", "build", "-q", "--format=oci", "--pull=never", f"--tag={image}", scratch)
            _in_lab("podman", "push", "-q", "--tls-verify=false", image)
            _in_lab("podman", "rmi", image)
        _in_lab("skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", f"docker://{repository}:1", f"docker://{repository}:one")


def install() -> None:
    machine.remove(NAME)
    machine.up(NAME, live=True, disks=[f"{SERIAL}:10G"], memory=None, keys=[], firmware=None)
    machine.wait(NAME, timeout=600)
    with progress(f"installing machine {NAME}"):
        run(machine.ssh_command(machine.state(NAME), INSTALL.format(image=f"{REPOSITORY}:1", serial=SERIAL)),
            log=store.directory("log") / "conformance.log", stdin=subprocess.DEVNULL)
    machine.down(NAME)
    machine.up(NAME, live=False, disks=[], memory=None, keys=[], firmware=None)
    machine.wait(NAME, timeout=600)


def host() -> None:
    """A registry with the images, and a machine that has booted the first."""
    packages.packages(install=True)
    registry.remove(NAME)
    registry.up(NAME)
    push_images(REPOSITORY, "12345")
    install()


def run_here(arguments: list[str], *, keep: bool) -> int:
    """Run the conformance program against a machine of the lab, with its other options as given."""
    host()
    made = machine.state(NAME)
    options = [*machine.SSH_OPTIONS, "-i", made["key"], "-p", str(made["port"])]
    words = [sys.executable, str(store.REFERENCE / "conformance.py"), "--host", "root@127.0.0.1", "--plain-http", f"--repository={REPOSITORY}",
             *[f"--ssh-option={word}" for word in options], *arguments]
    command, environment = namespace.command(words)
    done = subprocess.call(command, env=environment)
    if done:
        say(f"machine {NAME} is left for you to look at; `lab machine remove {NAME}` removes it")
    elif not keep:
        machine.remove(NAME)
        registry.remove(NAME)
    return done
