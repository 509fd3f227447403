# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk image made inside of a throw-away machine: no privilege is needed here, and this kernel need not know the image's file systems.

A live system boots in QEMU with three disks: its own root, the target, and one with the image. The code of this collection
that installs to disks is sent there over SSH and does it; the machine has no network and is killed afterwards.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from .._errors import ImageModeError
from .._install.image import Request
from .._machine.credentials import root_keys
from .._machine.qemu import ENTERPRISE, PLATFORMS, processor
from .._runner import CommandFailed, Runner
from .._scratch import private_directory
from . import inside
from .inside import SCRATCH, TARGET, Job

# Where to look for a live system that nobody named.
DIRECTORIES = ("/var/lib/imagemode/installer", "/usr/share/imagemode/installer", "/srv/imagemode/installer")
KERNELS = ("vmlinuz", "kernel", "linux")
INITRDS = ("initrd", "initrd.img", "initramfs.img")
ROOTS = ("root.squashfs", "squashfs.img", "rootfs.img")
ARGUMENTS = "root=/dev/vda rootfstype=squashfs ro systemd.volatile=overlay enforcing=0 quiet panic=1"
_BOOT_ATTEMPTS = 3
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_GIB = 1 << 30


class MachineFailed(ImageModeError):
    """The throw-away machine did not start, or cannot be reached."""

    error = "machine_failed"


@dataclass(frozen=True)
class Medium:
    """A live system with Podman, Python 3.9 and an SSH server; its systemd is 252 or newer and takes keys from SMBIOS.

    :ivar iso: a bootable image, or C("")
    :ivar kernel: else a kernel, with I(initrd) and the read-only I(root)
    :ivar arguments: for the kernel
    :ivar memory: MiB
    :ivar accelerator: C(kvm) or C(tcg)
    :ivar timeout: seconds to wait for its SSH server
    """

    iso: str = ""
    kernel: str = ""
    initrd: str = ""
    root: str = ""
    arguments: str = ARGUMENTS
    memory: int = 4096
    cpus: int = 2
    accelerator: str = "tcg"
    timeout: float = 600

    @classmethod
    def find(cls, options: Mapping[str, Any]) -> Medium:
        """:raises ImageModeError: C(live_medium_missing)"""
        shared: dict[str, Any] = {
            "arguments": options.get("arguments") or ARGUMENTS,
            "memory": options.get("memory") or 4096,
            "cpus": options.get("cpus") or 2,
            "accelerator": _accelerator(options.get("accelerator") or "auto"),
            "timeout": options.get("boot_timeout") or 600,
        }
        if options.get("iso"):
            return cls(iso=_there(options["iso"]), **shared)
        if options.get("kernel"):
            named: dict[str, Any] = {name: _there(options.get(name) or "") for name in ("kernel", "initrd", "root")}
            return cls(**named, **shared)
        looked = [options["directory"]] if options.get("directory") else DIRECTORIES
        for directory in map(Path, looked):
            found: dict[str, Any] = {
                name: next((str(directory / one) for one in names if (directory / one).exists()), "")
                for name, names in (("kernel", KERNELS), ("initrd", INITRDS), ("root", ROOTS))
            }
            if all(found.values()):
                return cls(**found, **shared)
        raise ImageModeError(
            f"No live system was found in {', '.join(map(str, looked))}: kernel ({', '.join(KERNELS)}), "
            f"initrd ({', '.join(INITRDS)}) and root ({', '.join(ROOTS)}) are looked for.",
            error="live_medium_missing",
            hint="Name one with 'live': its 'directory', or 'kernel', 'initrd' and 'root', or an 'iso'.",
        )

    def version(self) -> str:
        """:returns: what tells this medium from another one, without reading it"""
        files = [self.iso] if self.iso else [self.kernel, self.initrd, self.root]
        return " ".join(f"{os.path.basename(path)}:{os.stat(path).st_size}:{os.stat(path).st_mtime_ns}" for path in files)


class ThrowAwayMachine:
    """A running one.

    :param folder: for its disks; big
    :param private: for its key and console
    """

    def __init__(self, runner: Runner, medium: Medium, disks: Sequence[str], private: Path) -> None:
        self._runner = runner
        self._medium = medium
        self._disks = disks
        self._private = private
        self._console = private / "console.log"
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """:raises MachineFailed: it does not answer"""
        key = self._private / "key"
        self._runner.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "throw-away", "-f", str(key)])
        command = self._command(key.with_suffix(".pub").read_text().strip())
        for attempt in range(1, _BOOT_ATTEMPTS + 1):
            self._port = _free_port()
            with (self._private / "qemu.log").open("wb") as log:
                self._process = subprocess.Popen(  # ended by stop()
                    [word.replace("@PORT@", str(self._port)) for word in command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_end_with_parent(),
                )
            if self._answers():
                return
            if attempt == _BOOT_ATTEMPTS or not self._panicked():
                raise self._failed(f"ended before its SSH server answered ({attempt} of {_BOOT_ATTEMPTS} attempts)")

    def stop(self) -> None:
        """What it wrote is in its files: the system in it has synchronised its disks."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def ssh(self, command: str, text: str, timeout: float | None = None) -> str:
        """:param text: standard input
        :returns: standard output
        :raises CommandFailed: it failed
        """
        return self._runner.run([*self._ssh(), command], stdin=text, timeout=timeout, parsed=True).stdout

    def ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def console(self, lines: int = 15) -> str:
        """:returns: the end of what its serial port showed"""
        if not self._console.exists():
            return ""
        return "\n".join(self._console.read_text(errors="replace").splitlines()[-lines:])

    def _ssh(self) -> list[str]:
        return [
            "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=8",
            "-o", "IdentitiesOnly=yes", "-i", str(self._private / "key"), "-p", str(self._port), "root@127.0.0.1",
        ]  # fmt: skip

    def _command(self, key: str) -> list[str]:
        platform = PLATFORMS.get(os.uname().machine)
        program = self._runner.find(platform.program) or shutil.which(ENTERPRISE) if platform else None
        if platform is None or program is None:
            raise ImageModeError(
                f"QEMU is not installed on this machine ({platform.program if platform else os.uname().machine}).",
                error="command_missing",
                hint="Install it (qemu-system-x86, qemu-kvm), or set another 'builder'.",
            )
        return machine_command(program, platform.machine, platform.console, self._medium, self._disks, self._private, key)

    def _answers(self) -> bool:
        deadline = time.monotonic() + self._medium.timeout
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                return False
            if self._runner.run([*self._ssh(), "true"], check=False, timeout=60).rc == 0:
                return True
            time.sleep(1)
        raise self._failed(f"did not answer over SSH within {self._medium.timeout:g} seconds")

    def _panicked(self) -> bool:
        return self._console.exists() and b"Kernel panic" in self._console.read_bytes()

    def _failed(self, what: str) -> MachineFailed:
        said = (self._private / "qemu.log").read_text(errors="replace").strip()
        return MachineFailed(
            f"The throw-away machine {what}. {said or self.console(3)}".strip(),
            hint="'live' must name a system with an SSH server whose systemd (252 or newer) takes root's keys from SMBIOS; "
            "give it more 'memory' or 'boot_timeout', or another 'accelerator'.",
            console=self.console(),
        )


def machine_command(program: str, machine: str, console: str, medium: Medium, disks: Sequence[str], private: Path, key: str) -> list[str]:
    """:param disks: paths of the target and of the disk with the image
    :returns: QEMU's command line; C(@PORT@) stands for the port of its SSH server
    """
    argv = [
        program, "-name", "imagemode-install", "-machine", machine, *processor(medium.accelerator, medium.cpus), "-m", str(medium.memory),
        "-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{private / 'console.log'}", "-device", "virtio-rng-pci",
        "-smbios", f"type=11,value={root_keys([key])}",
        # Nothing goes out of it: the image is on its disk.
        "-nic", "user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:@PORT@-:22",
    ]  # fmt: skip
    if medium.iso:
        argv += [
            "-drive",
            f"if=none,id=live,media=cdrom,readonly=on,format=raw,file={medium.iso}",
            "-device",
            "virtio-scsi-pci",
            "-device",
            "scsi-cd,drive=live,bootindex=0",
        ]
    else:
        argv += [
            "-kernel",
            medium.kernel,
            "-initrd",
            medium.initrd,
            "-append",
            f"{medium.arguments} console={console}",
            "-drive",
            f"if=none,id=live,readonly=on,format=raw,file={medium.root}",
            "-device",
            "virtio-blk-pci,drive=live,serial=imagemode-live",
        ]
    for serial, path in zip((TARGET, SCRATCH), disks):
        # What is written is worth nothing until all of it is: the host's cache may hold it. A full disk is an error, not a pause.
        argv += [
            "-drive",
            f"if=none,id={serial},format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap,file={path}",
            "-device",
            f"virtio-blk-pci,drive={serial},serial={serial},werror=report,rerror=report",
        ]
    return argv


def install(
    runner: Runner, medium: Medium, request: Request, image: Path, digest: str | None, raw: Path, size: int, timeout: float
) -> dict[str, Any]:
    """Make a raw disk.

    :param image: directory with the image's files (C(dir:)); removed as soon as it is on a disk
    :param digest: that the image must have
    :param raw: the file to make, of I(size) bytes
    :returns: what L(inside.run) found
    :raises ImageModeError: the machine failed, or what happened inside did
    """
    with raw.open("xb") as file:
        file.truncate(size)
    scratch = _scratch_disk(runner, image, raw.with_name("scratch.raw"))
    job = Job(request, digest, timeout)
    with private_directory() as private, _running(ThrowAwayMachine(runner, medium, [str(raw), str(scratch)], private)) as machine:
        machine.ssh("base64 -d > /run/imagemode.zip", base64.b64encode(own_code()).decode(), timeout=300)
        try:
            said = machine.ssh(f"PYTHONPATH=/run/imagemode.zip exec python3 -m {inside.__name__}", job.encode(), timeout=3 * timeout)
            answer = json.loads(said.strip().splitlines()[-1])
        except (CommandFailed, ValueError, IndexError) as error:
            what = "ended while it installed" if machine.ended() else "could not install"
            raise MachineFailed(
                f"The throw-away machine {what}: {error.details.get('stderr') if isinstance(error, CommandFailed) else error}",
                hint="The live system needs Python 3.9 and Podman; look at its console for a lack of memory.",
                console=machine.console(),
            ) from error
    scratch.unlink()
    if "failure" in answer:
        failure = dict(answer["failure"])
        raise ImageModeError(failure.pop("msg"), error=failure.pop("error"), hint=failure.pop("hint", None), **failure)
    return dict(answer)


@contextmanager
def _running(machine: ThrowAwayMachine) -> Iterator[ThrowAwayMachine]:
    try:
        machine.start()
        yield machine
    finally:
        machine.stop()


def _end_with_parent() -> Callable[[], None]:
    """:returns: what a child calls before it becomes a program that must not outlive this process, whatever ends it"""
    libc, parent = ctypes.CDLL(None), os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before that
            os.kill(os.getpid(), signal.SIGKILL)

    return ask


def _scratch_disk(runner: Runner, image: Path, path: Path) -> Path:
    """A disk with the image on it, and room for Podman to unpack it; mkfs.ext4 fills it, so nobody mounts anything here."""
    packed = sum(one.stat().st_size for one in image.iterdir())
    with path.open("xb") as file:
        file.truncate(8 * _GIB + 8 * packed)
    top = image.parent / "scratch"
    top.mkdir()
    image.rename(top / inside.IMAGE)
    runner.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=1,root_owner=0:0", "-d", str(top), str(path)])
    shutil.rmtree(top)
    return path


def own_code() -> bytes:
    """:returns: this collection's module_utils as a zip that Python can import from"""
    # …/ansible_collections/imagemode/bootc/plugins/module_utils/_disk_image/machine.py
    loader = getattr(globals().get("__spec__"), "loader", None)
    archive = getattr(loader, "archive", None)
    if archive:  # Ansible has packed the module and what it needs
        return Path(archive).read_bytes()
    top = Path(__file__).resolve().parents[6]
    rooms = Path(__file__).resolve().parents[1]
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for parent in list(rooms.relative_to(top).parents)[:-1]:
            packed.writestr(f"{parent}/__init__.py", "")
        packed.writestr(f"{rooms.relative_to(top)}/__init__.py", "")
        for file in rooms.rglob("*.py"):
            packed.write(file, file.relative_to(top))
    return content.getvalue()


def _there(path: str) -> str:
    if not path or not os.path.isfile(path):
        raise ImageModeError(
            f"The live system's file '{path}' is not on this machine.",
            error="live_medium_missing",
            hint="Set 'live.kernel', 'live.initrd' and 'live.root', or 'live.iso', to files on the machine that the task runs on.",
        )
    return path


def _accelerator(asked: str) -> str:
    if asked != "auto":
        return asked
    return "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
