# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""The base image: a Debian root by mmdebstrap, made bootable by a Containerfile."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from . import namespace, store
from .say import LabError, progress, run

IMAGE = store.REFERENCE / "image"
SUITE = "trixie"
TAG = "localhost/imagemode/reference-base"


def mirror() -> str:
    """The package mirror that this machine itself uses."""
    for attempt in range(2):
        if attempt:  # origins are known once the lists were fetched
            run(["apt-get", "update", "-q"])
        listed = run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)"]).stdout
        debian = [line.split()[2] for line in listed.splitlines() if line.startswith("Debian Debian ")]
        if debian:
            return debian[0]
    raise LabError("no Debian mirror in this machine's apt configuration; set DEBIAN_MIRROR")


def packages(*lists: Path) -> str:
    lines = [line for path in lists for line in path.read_text().split("\n")]
    return ",".join(line for line in lines if line and not line.startswith("#"))


def root(*more: Path) -> Path:
    """A directory with `root.tar`: a plain Debian tree, which the base image and, with `more` packages, the installer are made of."""
    lists = [IMAGE / "packages.txt", *more]
    inputs = [*lists, IMAGE / "slim.dpkg", IMAGE / "prepare-root.sh"]

    def make(where: Path) -> None:
        options = [f"--dpkgopt={line}" for line in (IMAGE / "slim.dpkg").read_text().splitlines() if line.startswith("path-")]
        run(
            [
                "mmdebstrap",
                "--variant=minbase",
                "--mode=root",
                f"--include={packages(*lists)}",
                *options,
                '--aptopt=APT::Install-Recommends "false"',
                # A mirror that is a frozen snapshot has Release files past their date.
                '--aptopt=Acquire::Check-Valid-Until "false"',
                f"--customize-hook={IMAGE / 'prepare-root.sh'}",
                SUITE,
                where / "root.tar",
                os.environ.get("DEBIAN_MIRROR") or mirror(),
            ],
            log=store.directory("log") / "mmdebstrap.log",
            env={**os.environ, "INITRD": "No", "TMPDIR": str(store.directory("tmp"))},
        )

    return store.artefact("root", store.fingerprint(inputs, SUITE), make)


def exists(image: str) -> bool:
    return subprocess.run(["podman", "image", "exists", image], check=False).returncode == 0


def chosen() -> str | None:
    """The image that somebody named, with a bootc of its own."""
    return os.environ.get("BASE_IMAGE") or None


def base() -> str:
    """Load the base image into local storage and return its reference; BASE_IMAGE names another one."""
    named = chosen()
    if named:
        if not exists(named):
            with progress(f"pulling {named}"):
                arguments, environment = namespace.command(["podman", "pull", "-q", named])
                run(arguments, env=environment)
        return named
    tree = root()
    inputs = [IMAGE / "files", IMAGE / "Containerfile", store.REFERENCE / "bootc"]
    key = store.fingerprint(inputs, tree.name)
    tagged, plain = f"{TAG}:{key}", f"localhost/imagemode/debian-root:{tree.name}"
    if not exists(tagged):
        with progress("building the base image"):
            if not exists(plain):
                run(["podman", "import", "-q", tree / "root.tar", plain])
            context = store.directory("context")
            shutil.rmtree(context)
            skip = shutil.ignore_patterns("__pycache__")
            shutil.copytree(IMAGE / "files", context / "files", symlinks=True, ignore=skip)
            shutil.copytree(store.REFERENCE / "bootc", context / "bootc", ignore=skip)
            run(["podman", "build", "--format=oci", "--layers", "--pull=never", f"--build-arg=DEBIAN_ROOT={plain}",
                 f"--tag={tagged}", f"--file={IMAGE / 'Containerfile'}", context],
                log=store.directory("log") / "base-build.log", env={**os.environ, **namespace.engine_environment()})  # fmt: skip
    run(["podman", "tag", tagged, f"{TAG}:latest"])
    return f"{TAG}:latest"


def forget(*prefixes: str) -> None:
    """Remove images from local storage: those of the lab, or those whose names begin with one of `prefixes`."""
    listed = run(["podman", "images", "--format", "{{.Repository}}:{{.Tag}}"]).stdout.split()
    for name in listed:
        if name.startswith(prefixes or ("localhost/imagemode/", "registry.test:")):
            subprocess.run(["podman", "rmi", "-f", name], capture_output=True, check=False)
