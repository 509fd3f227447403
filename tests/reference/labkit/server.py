# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""A server as a cloud provider hands it out: Debian with its packages on a disk, keys for root, and nothing of images."""

from __future__ import annotations

import tempfile
from pathlib import Path

from . import base, machine, namespace, store
from .say import run

LABEL = "server"
KERNEL_ARGUMENTS = f"root=LABEL={LABEL} rw console=ttyS0,115200 panic=1 quiet systemd.show_status=no"
SIZE, START = "10G", 65  # the root begins at so many MiB
TABLE = """label: gpt
start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649
start=2MiB, size=63MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
start={start}MiB, type=linux
"""
FILES = {
    "etc/hostname": "cloud1\n",
    "etc/hosts": namespace.HOSTS.format(address="10.0.2.2"),
    "etc/systemd/network/80-wired.network": "[Match]\nType=ether\n[Network]\nDHCP=yes\n",
    "etc/containers/registries.conf.d/50-lab.conf": namespace.INSECURE.format(host="registry.test"),
    "etc/backup/secret.key": "a secret of this server\n",
    "srv/data": "of the old system\n",
}


def disk() -> Path:
    """A directory with `disk.raw`."""
    tree, key = base.root(), machine.lab_key().with_suffix(".pub").read_text()

    def make(where: Path) -> None:
        with tempfile.TemporaryDirectory(dir=store.directory("tmp")) as scratch:
            top = Path(scratch) / "root"  # the scratch directory itself is for nobody but root, and so would the new root be
            top.mkdir()
            run(["tar", "-x", "-f", tree / "root.tar", "-C", top, "--numeric-owner"])
            for link in ("home", "mnt", "opt", "root", "srv"):
                (top / link).unlink()
                (top / link).mkdir(mode=0o700 if link == "root" else 0o755)
            # With a link that leads nowhere there, `ostree admin init-fs` aborts.
            (top / "ostree").unlink()
            (top / "sysroot").rmdir()
            for name, text in {**FILES, "root/.ssh/authorized_keys": key}.items():
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                (top / name).write_text(text)
            (top / "boot/old-kernel").write_text("of the old system\n")
            run(["ssh-keygen", "-A", "-f", top])
            for fresh in (top / "etc/ssh").glob("ssh_host_*_key"):
                fresh.chmod(0o600)
            image = where / "disk.raw"
            run(["truncate", "-s", SIZE, image])
            run(["/usr/sbin/sfdisk", "-q", image], input=TABLE.format(start=START))
            run(["mformat", "-i", f"{image}@@2M", "-T", str(63 * 2048), "-h", "16", "-s", "63", "-v", "EFI", "::"])
            blocks = (image.stat().st_size // 1024) - (START + 1) * 1024
            run(["/usr/sbin/mkfs.ext4", "-q", "-L", LABEL, "-d", top, "-E", f"offset={START << 20}", image, str(blocks)])

    return store.artefact("server", store.fingerprint([Path(__file__)], tree.name, key), make)


def up(name: str, serial: str) -> None:
    """Start one from its first disk; after its first reboot it boots what is on that disk by itself."""
    target = machine.where(name) / f"disk-{serial}.raw"
    run(["cp", "--sparse=always", disk() / "disk.raw", target])
    machine.up(name, live=True, disks=[f"{serial}:{SIZE}"], memory=2048, keys=[], firmware=None, kernel_arguments=KERNEL_ARGUMENTS)
