# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""libvirt's daemon with state of its own: the machine's own one, if there is one, is not seen and not touched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from . import process, store
from .say import LabError

PACKAGES = {
    "/usr/sbin/libvirtd": "libvirt-daemon-system",
    "/usr/bin/virsh": "libvirt-clients",
    "/usr/lib/python3/dist-packages/libvirt.py": "python3-libvirt",
    "/usr/lib/python3/dist-packages/lxml": "python3-lxml",
}
DAEMON = """\
for name in etc run var; do mkdir -p "$1/$name"; done
mkdir -p /etc/libvirt /run/libvirt /var/lib/libvirt
mount --bind "$1/etc" /etc/libvirt; mount --bind "$1/run" /run/libvirt; mount --bind "$1/var" /var/lib/libvirt
exec libvirtd --config /etc/libvirt/libvirtd.conf --pid-file "$1/libvirtd.pid"
"""
CONFIGURATION = {
    "libvirtd.conf": """\
unix_sock_dir = "{folder}"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:file:{folder}/libvirtd.log"
""",
    # No log daemon, no cgroups, no namespaces: a test machine may have none of them.
    "qemu.conf": """\
security_driver = "none"
user = "root"
group = "root"
stdio_handler = "file"
cgroup_controllers = []
namespaces = []
remember_owner = 0
""",
}


def uri_of(folder: Path) -> str:
    return f"qemu+unix:///system?socket={folder}/libvirt-sock"


def start(folder: Path) -> str:
    """Start a daemon whose state is in this directory, which is there; its URI."""
    uri = uri_of(folder)
    (folder / "etc").mkdir(exist_ok=True)
    for name, text in CONFIGURATION.items():
        (folder / "etc" / name).write_text(text.format(folder=folder))
    with (folder / "daemon.log").open("wb") as log:
        child = subprocess.Popen(
            ["unshare", "-m", "sh", "-ec", DAEMON, "libvirtd", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    store.write(folder / "daemon.json", {"process": process.identity(child.pid)})
    deadline = time.monotonic() + 60
    while subprocess.run(["virsh", "-c", uri, "uri"], capture_output=True, check=False).returncode:
        if child.poll() is not None or time.monotonic() > deadline:
            raise LabError(f"libvirtd does not run; see {folder}/daemon.log and libvirtd.log")
        time.sleep(0.3)
    return uri


def stop(folder: Path) -> None:
    """Stop it, and every machine that it runs."""
    uri = uri_of(folder)
    words = ["virsh", "-c", uri, "list", "--name"]
    listed = subprocess.run(words, capture_output=True, text=True, check=False) if folder.exists() else None
    for name in listed.stdout.split() if listed and listed.returncode == 0 else ():
        subprocess.run(["virsh", "-c", uri, "destroy", name], capture_output=True, check=False)
    process.stop((store.read(folder / "daemon.json") or {}).get("process"))


def up() -> str:
    """Start the one that the lab's own machines are on; its URI."""
    down()
    return start(store.directory("libvirt"))


def down() -> None:
    folder = store.CACHE / "libvirt"
    stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


def clean(folder: Path) -> None:
    """Stop it, and the machines of QEMU without libvirt that have their directories in `folder`, which is removed."""
    down()
    for monitor in folder.glob("*/monitor"):
        told = monitor.with_name("qemu.pid")
        pid = told.read_text().strip() if told.exists() else ""
        running = Path(f"/proc/{pid}/cmdline")
        if pid and running.exists() and str(monitor) in running.read_text(errors="replace"):
            os.kill(int(pid), signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
