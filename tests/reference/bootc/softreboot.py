# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""/run/nextroot: the staged deployment, put together so that `systemctl soft-reboot` comes back on it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .errors import BootcError, run
from .sysroot import Sysroot

NEXT = Path("/run/nextroot")


def prepare(sysroot: Sysroot, *, required: bool) -> None:
    staged = sysroot.staged
    assert staged is not None
    if not sysroot.soft_reboot_capable(staged):
        if required:
            raise BootcError("Soft reboot was required but staged deployment is not soft-reboot capable")
        return
    print("Staged deployment is soft-reboot capable, preparing for soft-reboot...", flush=True)
    identity, stateroot = staged.id, staged.stateroot
    # Mounts made here must be seen by the system manager, so leave the private mount namespace; and only a
    # finalized deployment has its /etc, so finalize now instead of at the shutdown that will not come.
    inside = ["nsenter", "-t", "1", "-m", "--"]
    run(*inside, "systemctl", "stop", "ostree-finalize-staged.service")
    deployment = f"/sysroot/ostree/deploy/{stateroot}/deploy/{identity}"
    script = f"""
set -e
if mountpoint -q {NEXT}; then umount -R -l {NEXT}; fi
mkdir -p {NEXT}
mount --make-private --bind {deployment} {NEXT}
mount --bind {NEXT}/etc {NEXT}/etc && mount -o remount,bind,rw {NEXT}/etc
mount --bind {NEXT}/usr {NEXT}/usr && mount -o remount,bind,ro {NEXT}/usr
mount --rbind /sysroot/ostree/deploy/{stateroot}/var {NEXT}/var
mount --bind /sysroot {NEXT}/sysroot
mount --bind /sysroot/boot {NEXT}/boot
"""
    done = subprocess.run([*inside, "sh", "-c", script], text=True, capture_output=True, check=False)
    if done.returncode:
        raise BootcError(f"Preparing for soft-reboot: {done.stderr.strip()}")
