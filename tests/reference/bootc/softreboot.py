# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""/run/nextroot: the staged deployment, put together so that `systemctl soft-reboot` comes back on it.

The deployment stays staged until the shutdown finalizes it, as with bootc; only then it has an /etc. The rest is
therefore done once ostree-finalize-staged.service has stopped: `python3 -m bootc.softreboot STATEROOT DEPLOYMENT`.
With `INDEX` or `--reset` it is `ostree admin prepare-soft-reboot`.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from .errors import BootcError, run
from .sysroot import Deployment, Sysroot

NEXT = Path("/run/nextroot")
BOOTED = Path("/run/ostree-booted")
FINISH = Path("/run/systemd/system/ostree-finalize-staged.service.d/soft-reboot.conf")
UNMOUNT = f"while mountpoint -q {NEXT}; do umount -R -l {NEXT}; done"
FINISHING = """[Service]
ExecStopPost=/usr/bin/nsenter --target=1 --mount env PYTHONPATH={path} python3 -m bootc.softreboot {stateroot} {deployment}
"""


def prepare(sysroot: Sysroot, *, required: bool) -> None:
    staged = sysroot.staged
    assert staged is not None
    if not sysroot.soft_reboot_capable(staged):
        if required:
            raise BootcError("Soft reboot was required but staged deployment is not soft-reboot capable")
        return
    print("Staged deployment is soft-reboot capable, preparing for soft-reboot...", flush=True)
    _prepare(staged)


def command(_options: Any) -> None:
    raise BootcError("soft-reboot only implemented for composefs")


def prepare_chosen(sysroot: Sysroot, deployment: Deployment) -> None:
    if not sysroot.soft_reboot_capable(deployment):
        raise BootcError("Cannot soft-reboot to deployment with a different kernel state")
    _prepare(deployment)


def _prepare(deployment: Deployment) -> None:
    try:
        _mount_where_everybody_sees_it(deployment.path)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BootcError(f"Preparing for soft-reboot: {error}") from error
    FINISH.parent.mkdir(parents=True, exist_ok=True)
    FINISH.write_text(FINISHING.format(path=Path(__file__).parents[1], stateroot=deployment.stateroot, deployment=deployment.id))
    run("systemctl", "daemon-reload")
    run("systemctl", "start", FINISH.parent.name.removesuffix(".d"))  # with a stage it runs; with a rollback it may not


def admin(what: str) -> None:
    if what == "--reset":
        return reset()
    sysroot = Sysroot()
    prepare_chosen(sysroot, sysroot.deployments[int(what)])


def reset() -> None:
    _where_everybody_sees_it(UNMOUNT)
    print("Cleared soft reboot queued state")


def _mount_where_everybody_sees_it(deployment: Path) -> None:
    _where_everybody_sees_it(f"{UNMOUNT}\nmkdir -p {NEXT}\nmount --make-private --bind {deployment} {NEXT}")


def _where_everybody_sees_it(script: str) -> None:
    """Not in the private mount namespace of a command that changes something, but in the system manager's."""
    subprocess.run(["nsenter", "--target=1", "--mount", "sh", "-e", "-c", script], check=True)


def finish(stateroot: str, deployment: str) -> None:
    """Give the finalized deployment what ostree-prepare-root gives a booted one; without an /etc it was dropped meanwhile."""
    FINISH.unlink()
    if not NEXT.is_mount():  # taken back meanwhile
        return
    top = Path("/sysroot/ostree/deploy", stateroot)
    if not (top / "deploy" / deployment / "etc").is_dir():
        subprocess.run(["umount", "-R", "-l", str(NEXT)], check=True)
        return
    script = f"""set -e
mount --bind {NEXT}/etc {NEXT}/etc && mount -o remount,bind,rw {NEXT}/etc
mount --bind {NEXT}/usr {NEXT}/usr && mount -o remount,bind,ro {NEXT}/usr
mount --rbind {top}/var {NEXT}/var && mount -o remount,bind,rw {NEXT}/var
mount --bind /sysroot {NEXT}/sysroot
mount --bind /sysroot/boot {NEXT}/boot
"""
    subprocess.run(["sh", "-c", script], check=True)
    old, new = (path.stat() for path in (Path("/"), top / "deploy" / deployment))
    # libostree finds the booted deployment by the device and inode that its initramfs left here.
    BOOTED.write_bytes(BOOTED.read_bytes().replace(struct.pack("<QQ", old.st_dev, old.st_ino), struct.pack("<QQ", new.st_dev, new.st_ino)))


if __name__ == "__main__":
    try:
        (admin if len(sys.argv) == 2 else finish)(*sys.argv[1:])
    except BootcError as failed:
        raise SystemExit(f"error: {failed}") from None
