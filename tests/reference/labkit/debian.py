# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""A tree of the next Debian, for what the machine's own is too old: cosign, and a skopeo that verifies what it signed."""

from __future__ import annotations

import os
from pathlib import Path

from . import base, store
from .say import run

INCLUDED = ("ca-certificates", "cosign", "gnupg", "python3", "skopeo", "systemd")


def root() -> Path:
    """The directory of the tree."""
    without = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")]

    def make(where: Path) -> None:
        run(
            [
                "mmdebstrap",
                "--variant=minbase",
                "--mode=root",
                f"--include={','.join(INCLUDED)}",
                *without,
                '--aptopt=APT::Install-Recommends "false"',
                '--aptopt=Acquire::Check-Valid-Until "false"',
                base.SUITE,
                where / "root",
                os.environ.get("DEBIAN_MIRROR") or base.mirror(),
            ],
            log=store.directory("log") / "debian.log",
        )

    return store.artefact("debian", store.fingerprint([], base.SUITE, *INCLUDED), make) / "root"


def command(words: list[str], binds: dict[str, str]) -> list[str]:
    """The argument list that runs `words` in the tree, with its own /tmp being that of the machine.

    `binds` are directories of this machine, and where they are to be seen.
    """
    tree = root()
    script = [
        "set -e",
        f"mount -t proc proc '{tree}/proc'",
        f"mount --bind /dev '{tree}/dev'",
        f"mount --bind /tmp '{tree}/tmp'",
        f"mount -t tmpfs tmpfs '{tree}/mnt'",
    ]
    for source, name in binds.items():
        script.append(f"mkdir '{tree}/mnt/{name}' && mount --bind '{source}' '{tree}/mnt/{name}'")
    script.append(f"exec chroot '{tree}' \"$@\"")
    return ["unshare", "-m", "sh", "-c", "\n".join(script), "debian", *words]
