# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""The booted system's deployments, read from and changed through libostree's own command."""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomllib

from . import is_composefs
from .errors import BootcError, run
from .reference import Reference
from .repository import Image, Repository

LINE = re.compile(r"^[* ] (?P<stateroot>\S+) (?P<checksum>[0-9a-f]{64})\.(?P<serial>\d+)(?P<marks>.*)$")
STAGED, LOCKED = Path("/run/ostree/staged-deployment"), Path("/run/ostree/staged-deployment-locked")
STAGED_RECORD = Path("/run/bootc-reference/staged.json")
LOCK, INNER_LOCK = "/sysroot/ostree/lock", "/run/bootc-reference/lock"
KARG_SOURCES = Path("/sysroot/ostree/bootc/karg-sources.json")


@dataclass
class Deployment:
    stateroot: str
    checksum: str
    serial: int
    booted: bool
    staged: bool
    pinned: bool = False
    unlocked: str | None = None
    kargs: list[str] = field(default_factory=list)
    bootcsum: str | None = None

    @property
    def id(self) -> str:
        return f"{self.checksum}.{self.serial}"

    @property
    def path(self) -> Path:
        return Path(f"/sysroot/ostree/deploy/{self.stateroot}/deploy/{self.id}")

    def reference(self) -> Reference | None:
        try:
            text = self.path.with_name(self.path.name + ".origin").read_text()
        except OSError:
            text = STAGED.read_bytes().decode(errors="replace") if self.staged else ""
        found = re.search(r"^container-image-reference=([^\n\0]+)", text, re.MULTILINE)
        return Reference.from_origin(found[1]) if found else None


class Sysroot:
    def __init__(self) -> None:
        self.repository = Repository("/sysroot")
        self.reload()

    def reload(self) -> None:
        self.deployments: list[Deployment] = []
        for line in run("ostree", "admin", "status").splitlines():
            match = LINE.match(line)
            if match:
                waiting = any(mark in match["marks"] for mark in ("(staged", "(finalization locked"))
                self.deployments.append(
                    Deployment(match["stateroot"], match["checksum"], int(match["serial"]), line.startswith("*"), waiting)
                )
            elif self.deployments and "Pinned: yes" in line:
                self.deployments[-1].pinned = True
            elif self.deployments and "Unlocked:" in line:
                self.deployments[-1].unlocked = line.partition("Unlocked:")[2].strip()
        self._read_loader()

    def _read_loader(self) -> None:
        for entry in Path("/boot/loader/entries").glob("*.conf"):
            options = next((line.split()[1:] for line in entry.read_text().splitlines() if line.startswith("options ")), [])
            target = next((word.removeprefix("ostree=") for word in options if word.startswith("ostree=")), "")
            try:
                name = os.path.basename(os.readlink(f"/sysroot{target}"))
            except OSError:
                continue
            for deployment in self.deployments:
                if deployment.id == name:
                    deployment.kargs = [word for word in options if not word.startswith("ostree=")]
                    deployment.bootcsum = target.split("/")[-2]
        staged = self.staged
        if staged:
            try:
                record = json.loads(STAGED_RECORD.read_text())
            except (OSError, ValueError):
                record = {}
            if record.get("id") == staged.id:
                staged.kargs, staged.bootcsum = record["kargs"], record["bootcsum"]

    @property
    def booted(self) -> Deployment:
        for deployment in self.deployments:
            if deployment.booted:
                return deployment
        raise BootcError("System not booted via bootc")

    @property
    def staged(self) -> Deployment | None:
        return next((d for d in self.deployments if d.staged), None)

    @property
    def rollback(self) -> Deployment | None:
        return next((d for d in self.deployments if not d.staged and not d.booted and d.stateroot == self.booted.stateroot), None)

    @property
    def rollback_queued(self) -> bool:
        written = [d for d in self.deployments if not d.staged]
        return bool(self.rollback and written.index(self.rollback) < written.index(self.booted))

    @property
    def locked(self) -> bool:
        return self.staged is not None and LOCKED.exists()

    def lock(self, locked: bool) -> None:
        run("ostree", "admin", "lock-finalization", *([] if locked else ["--unlock"]))

    def current_reference(self) -> Reference | None:
        """What `spec.image` names: the staged image, else the booted one."""
        return (self.staged or self.booted).reference()

    def image(self, deployment: Deployment | None) -> Image | None:
        return self.repository.image(deployment.checksum) if deployment else None

    def karg_sources(self, deployment: Deployment) -> dict[str, str]:
        try:
            return dict(json.loads(KARG_SOURCES.read_text()).get(deployment.id, {}))
        except (OSError, ValueError):
            return {}

    def stage(
        self,
        commit: str,
        reference: Reference,
        *,
        base: Deployment | None = None,
        kargs: list[str] | None = None,
        sources: dict[str, str] | None = None,
        locked: bool = False,
    ) -> Deployment:
        """Stage a deployment of `commit` that follows `reference`; kernel arguments are those of `base` unless given."""
        base = base or self.booted
        if kargs is None:
            kargs = merged_kargs(base.kargs, image_kargs(base.path), self._commit_kargs(commit))
        if sources is None:
            sources = self.karg_sources(base)
        with tempfile.NamedTemporaryFile("w", suffix=".origin", dir="/run") as origin:
            origin.write(f"[origin]\ncontainer-image-reference={reference.origin()}\n")
            origin.flush()
            run(
                "ostree",
                "admin",
                "deploy",
                "--stage",
                "--no-prune",
                f"--stateroot={self.booted.stateroot}",
                f"--origin-file={origin.name}",
                "--karg-none",
                *[f"--karg-append={word}" for word in kargs],
                *(["--lock-finalization"] if locked else []),
                commit,
            )
        self.reload()
        staged = self.staged
        if staged is None:
            raise BootcError("Staging: nothing was staged")
        staged.kargs = kargs
        staged.bootcsum = self._bootcsum(staged)
        STAGED_RECORD.parent.mkdir(mode=0o700, exist_ok=True)
        STAGED_RECORD.write_text(json.dumps({"id": staged.id, "kargs": kargs, "bootcsum": staged.bootcsum}))
        self._record_sources(staged, sources)
        image = self.image(staged)
        if image and not is_composefs():
            Path("/run/reboot-required").write_text(f"bootc: Reboot required for image: {image.digest}\n")
        return staged

    def _bootcsum(self, staged: Deployment) -> str | None:
        """The booted deployment's, when the kernel and the initramfs are the same objects."""

        def files(path: Path) -> list[tuple[int, int]]:
            found = sorted(path.glob("usr/lib/modules/*/vmlinuz")) + sorted(path.glob("usr/lib/modules/*/initramfs.img"))
            return [(os.stat(file).st_dev, os.stat(file).st_ino) for file in found]

        return self.booted.bootcsum if files(staged.path) == files(self.booted.path) else None

    def _commit_kargs(self, commit: str) -> list[str]:
        listed = run(
            "ostree", "ls", f"--repo={self.repository.path}", "--nul-filenames-only", commit, "/usr/lib/bootc/kargs.d", check=False
        )
        words: list[str] = []
        for name in sorted(name for name in listed.split("\0") if name.endswith(".toml")):
            words += parse_kargs(run("ostree", "cat", f"--repo={self.repository.path}", commit, name))
        return words

    def _record_sources(self, deployment: Deployment, sources: dict[str, str]) -> None:
        try:
            known: dict[str, Any] = json.loads(KARG_SOURCES.read_text())
        except (OSError, ValueError):
            known = {}
        here = {d.id for d in self.deployments}
        known = {key: value for key, value in known.items() if key in here}
        known[deployment.id] = sources
        KARG_SOURCES.parent.mkdir(parents=True, exist_ok=True)
        KARG_SOURCES.write_text(json.dumps(known))

    def drop_staged(self) -> None:
        if self.staged:
            run("ostree", "admin", "undeploy", "0")
            self.reload()

    def make_default(self, deployment: Deployment) -> None:
        run("ostree", "admin", "set-default", str(self.deployments.index(deployment)))
        self.reload()

    def prune(self) -> None:
        used = {reference.url() for d in self.deployments if (reference := d.reference())}
        self.repository.prune(used, [d.checksum for d in self.deployments])

    def soft_reboot_capable(self, deployment: Deployment) -> bool:
        booted = self.booted
        return deployment.booted or (
            deployment.bootcsum is not None and deployment.bootcsum == booted.bootcsum and sorted(deployment.kargs) == sorted(booted.kargs)
        )

    def touch(self) -> None:
        """What bootc-status-updated.path watches."""
        folder = Path("/sysroot/ostree/bootc")
        folder.mkdir(exist_ok=True)
        os.utime(folder)


def parse_kargs(text: str) -> list[str]:
    data = tomllib.loads(text)
    machines = data.get("match-architectures")
    return list(data.get("kargs", [])) if not machines or os.uname().machine in machines else []


def image_kargs(root: Path) -> list[str]:
    return [word for file in sorted(root.glob("usr/lib/bootc/kargs.d/*.toml")) for word in parse_kargs(file.read_text())]


def merged_kargs(current: list[str], old: list[str], new: list[str]) -> list[str]:
    """The machine's arguments, without what the old image brought and the new does not, and with what the new adds."""
    kept = list(current)
    for word in old:
        if word not in new and word in kept:
            kept.remove(word)
    return kept + [word for word in new if word not in old]


def require_root() -> None:
    if os.geteuid() != 0:
        raise BootcError("Querying root privilege: This command must be executed as the root user")


def in_container() -> bool:
    return "container" in os.environ or os.path.exists("/run/.containerenv") or os.path.exists("/.dockerenv")


def is_booted() -> bool:
    return os.path.exists("/run/ostree-booted")


def wait_for_lock() -> None:
    """Until nobody holds the lock of the sysroot, as every command does that only reads."""
    try:
        with open(LOCK, "rb") as file:
            _lock(file.fileno(), fcntl.F_RDLCK)
    except FileNotFoundError:
        pass


def take_lock() -> None:
    """Hold it until the end of this process. libostree's own commands, which run meanwhile, get another file to lock."""
    _lock(os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600), fcntl.F_WRLCK)
    Path(INNER_LOCK).parent.mkdir(mode=0o700, exist_ok=True)
    Path(INNER_LOCK).touch()
    run("mount", "--bind", INNER_LOCK, LOCK)


def _lock(descriptor: int, kind: int) -> None:
    whole = struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, whole)
    except OSError:
        print("Waiting for sysroot lock...", file=sys.stderr, flush=True)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, whole)


def open_sysroot() -> Sysroot:
    """For commands that change something: in a mount namespace of its own, where /sysroot is writable."""
    if in_container():
        raise BootcError("Initializing storage: Preparing for write: Detected container; this command requires a booted host system.")
    if not is_booted():
        raise BootcError("Initializing storage: System not booted via bootc")
    try:
        require_root()
    except BootcError as error:
        raise BootcError(f"Initializing storage: Preparing for write: {error}") from error
    os.unshare(os.CLONE_NEWNS)
    subprocess.run(["mount", "--make-rslave", "/"], check=True)
    run("mount", "-o", "remount,rw", "/sysroot")
    take_lock()
    return Sysroot()
