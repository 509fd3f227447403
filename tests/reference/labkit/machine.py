# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""Machines: QEMU with named disks that outlive it, a console log, and SSH on a loopback port."""

from __future__ import annotations

import base64
import re
import shlex
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import accel, installer, namespace, process, store
from .say import LabError, progress, run, say

BOOT_ATTEMPTS = 3
CRASH = r"Kernel panic - not syncing.*|traps: systemd\[1\] .*|systemd\[1\]: segfault .*|systemd\[1\]: Freezing execution.*"
FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
SSH_OPTIONS = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
               "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=8"]  # fmt: skip
BUSES = {
    "virtio": "virtio-blk-pci,drive={id},serial={serial}",
    "scsi": "scsi-hd,drive={id},serial={serial}",
    "sata": "ide-hd,bus=sata.{number},drive={id},serial={serial}",
    "nvme": "nvme,drive={id},serial={serial}",
}
UNITS = {"M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# The installer is a medium that is taken out at the first reboot; a machine that was shut down, or panicked, stays off.
ONCE = """#!/bin/sh
rm -f from-disk off
{live} -no-reboot
[ ! -e off ] && ! grep -q 'Kernel panic' console.log || exit 0
mv console.log console-installer.log
touch from-disk
exec {disk}
"""


def where(name: str) -> Path:
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name.startswith("."):
        raise LabError(f"not a machine name: {name}")
    return store.directory("machine", name)


def state(name: str) -> dict[str, Any]:
    found = store.read(where(name) / "machine.json")
    if not found:
        raise LabError(f"there is no machine {name}; `lab machine up {name}` makes one")
    return found


def names() -> list[str]:
    return sorted(path.name for path in (store.CACHE / "machine").glob("*") if path.is_dir())


def lab_key() -> Path:
    key = store.directory("ssh") / "id_ed25519"
    if not key.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", key])
    return key


def parse_disk(text: str) -> dict[str, Any]:
    """SERIAL[:SIZE[:BUS[:FILE]]]; 8 GiB and virtio unless told. FILE sets disks with the same serial apart."""
    serial, size, bus, file = [*text.split(":"), "", "", ""][:4]
    size, bus = size or "8G", bus or "virtio"
    if not serial or bus not in BUSES or size[-1].upper() not in UNITS or not size[:-1].isdigit():
        raise LabError(f"not a disk: {text} (SERIAL[:SIZE[:BUS[:FILE]]], SIZE like 8G, BUS one of {', '.join(BUSES)})")
    return {"serial": serial, "size": int(size[:-1]) * UNITS[size[-1].upper()], "bus": bus, "file": file or serial}


def _disk_arguments(folder: Path, disks: list[dict[str, Any]], first_boot_index: int) -> list[str]:
    arguments: list[str] = []
    if any(disk["bus"] == "scsi" for disk in disks):
        arguments += ["-device", "virtio-scsi-pci"]
    if any(disk["bus"] == "sata" for disk in disks):
        arguments += ["-device", "ahci,id=sata"]
    for number, disk in enumerate(disks):
        drive = f"disk{number}"
        arguments += ["-drive", _drive(folder, disk, drive)]
        device = BUSES[disk["bus"]].format(id=drive, serial=disk["serial"], number=number)
        arguments += ["-device", f"{device},bootindex={first_boot_index + number}"]
    return arguments


def _drive(folder: Path, disk: dict[str, Any], name: str) -> str:
    path = folder / f"disk-{disk.get('file', disk['serial'])}.raw"
    if not path.exists():
        with path.open("wb") as stream:
            stream.truncate(disk["size"])
    # The file outlives a killed QEMU, so the guest's own page cache is all that a "power cut" loses.
    return f"if=none,id={name},file={path},format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap"


def plug(name: str, disks: list[str]) -> None:
    """Put SCSI disks into a machine that is on, and has one already. A boot would look at each of them twice, which takes minutes."""
    for number, disk in enumerate(map(parse_disk, disks)):
        drive = f"plugged{number}"
        monitor(name, f"drive_add 0 {_drive(where(name), disk, drive)}")
        monitor(name, f"device_add {BUSES['scsi'].format(id=drive, serial=disk['serial'])}")


def _credential(keys: str) -> str:
    """tmpfiles.d lines that any systemd, ours or a real image's, reads from the machine's SMBIOS strings."""

    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    hosts = namespace.HOSTS.format(address="10.0.2.2")
    lines = [
        "d /root/.ssh 0700 root root -",
        f"f+~ /root/.ssh/authorized_keys 0600 root root - {encoded(keys)}",
        f"f+~ /etc/hosts 0644 root root - {encoded(hosts)}",
        "d /etc/containers/registries.conf.d 0755 root root -",
        f"f+~ /etc/containers/registries.conf.d/50-lab.conf 0644 root root - {encoded(namespace.INSECURE.format(host='registry.test'))}",
    ]
    return "io.systemd.credential.binary:tmpfiles.extra=" + encoded("\n".join(lines) + "\n")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def up(
    name: str,
    *,
    live: bool,
    disks: list[str],
    memory: int | None,
    keys: list[str],
    firmware: str | None,
    kernel_arguments: str | None = None,
) -> dict[str, Any]:
    """With `kernel_arguments` a live machine is its first disk's own system: the live medium and the lab's keys are not there."""
    folder = where(name)
    old = store.read(folder / "machine.json") or {}
    if process.alive(old.get("process")):
        raise LabError(f"machine {name} is up; `lab machine down {name}` first")
    chosen = [parse_disk(text) for text in disks] or old.get("disks", [])
    if not chosen and not live:
        raise LabError("--from-disk needs a disk: name one with --disk, or install one first")
    public = (lab_key().with_suffix(".pub")).read_text() + "".join(Path(path).read_text() for path in keys)
    described = {
        "live": live,
        "disks": chosen,
        "memory": memory or (4096 if live else 2048),
        "public": public,
        "kernel_arguments": kernel_arguments,
        "firmware": firmware or old.get("firmware") or "bios",
        "port": old.get("port") or _free_port(),
    }
    return _start(name, described)


def _start(name: str, described: dict[str, Any]) -> dict[str, Any]:
    folder = where(name)
    console = folder / "console.log"
    # QEMU wants some text there.
    (folder / "smbios.txt").write_text("-" if described.get("kernel_arguments") else _credential(described["public"]))
    variables = folder / "efi-variables.fd"
    if described["firmware"] == "uefi" and not variables.exists():
        shutil.copyfile(FIRMWARE[1], variables)
    command = _qemu(name, described, live=False)
    if described["live"]:
        script = folder / "once.sh"
        script.write_text(ONCE.format(live=shlex.join(_qemu(name, described, live=True)), disk=shlex.join(command)))
        command = ["sh", str(script)]
    console.write_bytes(b"")
    with (folder / "qemu.log").open("wb") as log:
        child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    time.sleep(0.3)
    if child.poll() is not None:
        raise LabError(f"QEMU ended at once:\n{(folder / 'qemu.log').read_text().strip()}")
    described = {**described, "process": process.identity(child.pid), "console": str(console), "key": str(lab_key())}
    store.write(folder / "machine.json", described)
    return described


def _qemu(name: str, described: dict[str, Any], *, live: bool) -> list[str]:
    folder, medium = where(name), installer.installer()
    command = ["qemu-system-x86_64", "-name", name, "-machine", "pc", *accel.arguments(medium / "vmlinuz"),
               "-m", str(described["memory"]), "-nodefaults", "-display", "none", "-serial", f"file:{folder / 'console.log'}",
               "-monitor", f"unix:{folder / 'monitor'},server,nowait", "-device", "virtio-rng-pci",
               "-smbios", f"type=11,path={folder / 'smbios.txt'}",
               "-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{described['port']}-:22"]  # fmt: skip
    if described["firmware"] == "uefi":
        command += [
            "-drive",
            f"if=pflash,format=raw,readonly=on,file={FIRMWARE[0]}",
            "-drive",
            f"if=pflash,format=raw,file={folder / 'efi-variables.fd'}",
        ]
    if live:
        own = described.get("kernel_arguments")
        command += ["-kernel", str(medium / "vmlinuz"), "-initrd", str(medium / "initrd"), "-append", own or installer.KERNEL_ARGUMENTS]
    if live and not own:
        command += [
            "-drive",
            f"if=none,id=live,file={medium / 'root.squashfs'},format=raw,readonly=on",
            "-device",
            "virtio-blk-pci,drive=live,serial=LIVE",
        ]
    return command + _disk_arguments(folder, described["disks"], 1)


def ssh_command(machine: dict[str, Any], *words: str) -> list[str]:
    return ["ssh", *SSH_OPTIONS, "-i", machine["key"], "-p", str(machine["port"]), "root@127.0.0.1", *words]


def ssh(name: str, *words: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ssh_command(state(name), *words), text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False
    )


def wait(name: str, timeout: float, *, other_boot_than: str | None = None) -> None:
    """Until SSH answers (from another boot than the one given). A guest that crashed is started again, counted, and said so."""
    with progress(f"waiting for machine {name}"):
        for attempt in range(1, BOOT_ATTEMPTS + 1):
            if _answers(name, timeout, other_boot_than):
                return
            if attempt < BOOT_ATTEMPTS:
                say(f"machine {name}: {crashed(name)}; boot attempt {attempt + 1} of {BOOT_ATTEMPTS}")
                kill(name)
                described = state(name)
                _start(name, {**described, "live": described["live"] and not (where(name) / "from-disk").exists()})
    raise LabError(f"machine {name} crashed {BOOT_ATTEMPTS} times; console: {state(name)['console']}")


def _answers(name: str, timeout: float, other_boot_than: str | None) -> bool:
    machine, deadline = state(name), time.monotonic() + timeout
    console = Path(machine["console"])
    while time.monotonic() < deadline:
        if crashed(name):
            return False
        if not process.alive(machine["process"]):
            raise LabError(f"machine {name} is not running; console: {console}")
        try:
            answer = ssh(name, "cat /proc/sys/kernel/random/boot_id", timeout=25)
        except subprocess.TimeoutExpired:
            continue
        if answer.returncode == 0 and answer.stdout.strip() != other_boot_than:
            return True
        time.sleep(1)
    raise LabError(f"machine {name} did not answer in {timeout:.0f} s; end of {console}:\n{tail(console)}")


def crashed(name: str) -> str | None:
    """How the guest has come to an end without being told to: by a panic of its kernel, or the death of its init.

    An emulated processor now and then computes wrongly while the kernel changes its own code, and whatever runs then is lost: its
    first process, too, after which nothing is started or stopped any more, and SSH still answers.

    :returns: the line of its console that says so
    """
    console = where(name) / "console.log"
    said = re.search(CRASH, console.read_text(errors="replace"), re.M) if console.exists() else None
    return said.group(0).strip() if said else None


def tail(console: Path, lines: int = 12) -> str:
    return "\n".join(console.read_text(errors="replace").splitlines()[-lines:])


def down(name: str, timeout: float = 90) -> None:
    """An orderly shutdown: what is staged is finalized on the way."""
    machine = state(name)
    if not process.alive(machine["process"]):
        return
    with progress(f"shutting machine {name} down"):
        (where(name) / "off").touch()
        with suppress(subprocess.TimeoutExpired):
            ssh(name, "systemctl poweroff", timeout=20)
        deadline = time.monotonic() + timeout
        while process.alive(machine["process"]):
            if time.monotonic() > deadline:
                say(f"machine {name} did not power off in {timeout:.0f} s, cutting its power")
                process.stop(machine["process"], hard=True)
            time.sleep(0.2)


def kill(name: str) -> None:
    process.stop((store.read(where(name) / "machine.json") or {}).get("process"), hard=True)


def monitor(name: str, command: str) -> None:
    """Have QEMU carry out a command of its monitor, and wait until it has."""
    prompt = b"(qemu) "
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(str(where(name) / "monitor"))
        said = b""
        for line in (b"", command.encode() + b"\n"):
            stream.sendall(line)
            said = b""
            while not said.endswith(prompt):
                said += stream.recv(4096)


def reset(name: str) -> None:
    """Press the reset button."""
    monitor(name, "system_reset")


def pause(name: str) -> None:
    """No instruction runs and no disk is written to until `resume`."""
    monitor(name, "stop")


def resume(name: str) -> None:
    monitor(name, "cont")


def save(name: str) -> None:
    """Keep the disks of a machine that is off as they are, for `restore`."""
    if process.alive(state(name)["process"]):
        raise LabError(f"machine {name} is up; `lab machine down {name}` first")
    for disk in where(name).glob("disk-*.raw"):
        run(["cp", "--sparse=always", "--reflink=auto", disk, disk.with_suffix(".saved")])


def restore(name: str) -> None:
    """Cut the power, put the disks back as they were saved, and start from them."""
    saved = list(where(name).glob("disk-*.saved"))
    if not saved:
        raise LabError(f"nothing was saved of machine {name}; `lab machine save {name}` does it")
    kill(name)
    for disk in saved:
        run(["cp", "--sparse=always", "--reflink=auto", disk, disk.with_suffix(".raw")])
    up(name, live=False, disks=[], memory=None, keys=[], firmware=None)
    wait(name, timeout=600)


def inventory(name: str) -> dict[str, Any]:
    machine = state(name)
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": machine["port"],
        "ansible_user": "root",
        "ansible_ssh_private_key_file": machine["key"],
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
    }


def remove(name: str) -> None:
    kill(name)
    shutil.rmtree(where(name), ignore_errors=True)
