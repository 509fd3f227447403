# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""What the conformance run needs: five images that differ by one small layer, and a machine that has booted the first.

There is a machine, and a registry, for each backend of bootc that the reference host can answer as.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import base, machine, namespace, packages, registry, store
from .say import progress, run, say

NAME, SERIAL = "conformance", "CONFORMANCE"
NAMES = {"ostree": NAME, "composefs": "composefs"}
REPOSITORY = f"{registry.address(NAME)}/os"
CONTAINERFILE = """FROM {base}
LABEL org.opencontainers.image.version="{version}"
RUN echo {version} > /usr/share/conformance
"""
# A guest that crashes has told nothing of what is tested.
ATTEMPTS = 3
LOOK_SECONDS = 2
# What a host refuses, by tag. The first two are refused before a layer is fetched.
FAULTY = {
    "unlabelled": "FROM scratch\nCOPY Containerfile /\n",
    "foreign": "FROM scratch\nCOPY Containerfile /\nLABEL containers.bootc=1\n",
    "conflict": "FROM {base}\nRUN mkdir /etc/conformance && touch /etc/conformance/file\n",
}
AGAIN = "FROM {image}\nLABEL again=1\n"
INSTALL = (
    "podman pull -q {image} && podman run --rm --network=none --privileged --pid=host --ipc=host "
    "--security-opt label=type:unconfined_t -v /var/lib/containers:/var/lib/containers -v /dev:/dev {image} "
    "bootc install to-disk {backend} --filesystem ext4 --target-imgref {image} --karg console=ttyS0,115200 "
    "/dev/disk/by-id/virtio-{serial}"
)
# The composefs backend ignores the kernel arguments that the image brings.
BACKEND = {"ostree": "", "composefs": "--composefs-backend --karg rw --karg panic=1"}
# A real bootc has systemd-boot there, which needs UEFI; the stand-in has GRUB under either backend.
REAL_COMPOSEFS = " --bootloader systemd"


def _in_lab(*words: str) -> None:
    arguments, environment = namespace.command(list(words))
    run(arguments, log=store.directory("log") / "conformance.log", env={**os.environ, **environment})


def push_images(repository: str, versions: str, *, faulty: bool = False) -> None:
    """Images that differ by one small layer, and `one`, which is `1`; those of FAULTY, and `again`, the last one with another label."""
    chosen = base.base()
    files = {version: CONTAINERFILE.format(base=chosen, version=version) for version in versions}
    if faulty:
        files |= {tag: text.format(base=chosen) for tag, text in FAULTY.items()}
        files["again"] = AGAIN.format(image=f"{repository}:{versions[-1]}")
    with progress(f"building and pushing {len(files)} images"), tempfile.TemporaryDirectory(dir=store.directory("tmp")) as scratch:
        for tag, text in files.items():
            (Path(scratch) / "Containerfile").write_text(text)
            platform = ["--platform=linux/arm64"] if tag == "foreign" else []
            _in_lab("podman", "build", "-q", "--format=oci", "--pull=never", *platform, f"--tag={repository}:{tag}", scratch)
            _in_lab("podman", "push", "-q", "--tls-verify=false", f"{repository}:{tag}")
        _in_lab("podman", "rmi", *[f"{repository}:{tag}" for tag in files])
        _in_lab(
            "skopeo",
            "copy",
            "-q",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            f"docker://{repository}:1",
            f"docker://{repository}:one",
        )


def push_image(image: str, containerfile: str, *options: str) -> None:
    """Build an image, push it, and forget it."""
    with tempfile.TemporaryDirectory(dir=store.directory("tmp")) as scratch:
        (Path(scratch) / "Containerfile").write_text(containerfile)
        _in_lab("podman", "build", "-q", "--format=oci", "--pull=never", f"--tag={image}", scratch)
        _in_lab("podman", "push", "-q", "--tls-verify=false", *options, image)
        _in_lab("podman", "rmi", image)


def repository(flavour: str) -> str:
    return f"{registry.address(NAMES[flavour])}/os"


def install(flavour: str) -> None:
    name = NAMES[flavour]
    machine.remove(name)
    real = bool(flavour == "composefs" and base.chosen())
    machine.up(name, live=True, disks=[f"{SERIAL}:10G"], memory=None, keys=[], firmware="uefi" if real else None)
    machine.wait(name, timeout=600)
    with progress(f"installing machine {name}"):
        backend = BACKEND[flavour] + (REAL_COMPOSEFS if real else "")
        command = INSTALL.format(image=f"{repository(flavour)}:1", serial=SERIAL, backend=backend)
        run(machine.ssh_command(machine.state(name), command), log=store.directory("log") / "conformance.log", stdin=subprocess.DEVNULL)
    machine.down(name)
    machine.save(name)
    machine.up(name, live=False, disks=[], memory=None, keys=[], firmware=None)
    machine.wait(name, timeout=600)


def host(flavour: str = "ostree") -> None:
    """A registry with the images, and a machine that has booted the first."""
    packages.packages(install=True)
    registry.remove(NAMES[flavour])
    registry.up(NAMES[flavour])
    push_images(repository(flavour), "12345", faulty=True)
    install(flavour)


def run_here(arguments: list[str], *, flavour: str, keep: bool) -> int:
    """Run the conformance program against a machine of the lab, with its other options as given."""
    host(flavour)
    name = NAMES[flavour]
    made = machine.state(name)
    options = [*machine.SSH_OPTIONS, "-i", made["key"], "-p", str(made["port"])]
    words = [
        sys.executable,
        str(store.REFERENCE / "conformance.py"),
        "--host",
        "root@127.0.0.1",
        "--plain-http",
        f"--repository={repository(flavour)}",
        "--faults",
        f"--reinstall={store.REFERENCE / 'lab'} machine restore {name}",
        *[f"--ssh-option={word}" for word in options],
        *arguments,
    ]
    command, environment = namespace.command(words)
    for attempt in range(1, ATTEMPTS + 1):
        with subprocess.Popen(command, env=environment) as runner:
            while runner.poll() is None and not machine.crashed(name):
                time.sleep(LOOK_SECONDS)
            said = machine.crashed(name)
            if said:
                runner.terminate()
        done = runner.returncode
        if not said or attempt == ATTEMPTS:
            break
        say(f"machine {name}: {said}; from the beginning, attempt {attempt + 1} of {ATTEMPTS}")
        machine.restore(name)
    if done:
        say(f"machine {name} is left for you to look at; `lab machine remove {name}` removes it")
    elif not keep:
        machine.remove(name)
        registry.remove(name)
    return done
