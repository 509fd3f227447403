# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""`install to-disk`, `to-filesystem`, `to-existing-root`: from the image that this container runs to a disk that boots."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import uuid as uuids
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import COMPOSEFS_MARK, bootloader, disk, installconfig, tree
from .errors import BootcError, context, run
from .reference import Reference
from .repository import Image, Repository
from .sysroot import image_kargs

CAP_SYS_ADMIN = 21
ROOT = Path("/run/bootc/mounts/rootfs")


@dataclass(frozen=True)
class Source:
    """The image to install, as its storage knows it."""

    reference: Reference
    digest: str | None
    url: str
    labels: dict[str, str]


def check_privileges() -> None:
    status = Path("/proc/self/status").read_text()
    effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd")), 16)
    if os.geteuid() != 0 or not effective >> CAP_SYS_ADMIN & 1:
        raise BootcError("Querying root privilege: The container must be executed with full privileges (e.g. --privileged flag)")
    if os.getpid() == 1:
        raise BootcError("This command must be run with the podman --pid=host flag")


def host(*command: str) -> str:
    """Run in the mount namespace of the installing system."""
    return run("nsenter", "-t", "1", "-m", "--", *command)


def source(options: Any) -> Source:
    if options.source_imgref:
        transport, _colon, name = options.source_imgref.partition(":")
        reference = Reference(name.removeprefix("//"), "registry" if transport == "docker" else transport)
        return Source(reference, None, options.source_imgref, {})
    try:
        lines = Path("/run/.containerenv").read_text().splitlines()
    except OSError as error:
        raise BootcError("Either --source-imgref must be defined or this command must be executed inside a podman container.") from error
    env = {key: value.strip('"') for key, _equals, value in (line.partition("=") for line in lines)}
    if env.get("rootless") == "1":
        raise BootcError("Cannot install from rootless podman; this command must be run as root")
    with context("Reading image"):
        inspected = json.loads(host("podman", "image", "inspect", env["imageid"]))[0]
        store = json.loads(host("podman", "info", "--format", "json"))["store"]
    digest = inspected.get("Digest")
    # As bootc does: what was run without a name cannot be found by it. Its composefs backend asks without the digest, and finds an id.
    name = env["image"] if options.composefs_backend else f"{env['image'].partition('@')[0]}@{digest}"
    url = f"containers-storage:[{store['graphDriverName']}@{store['graphRoot']}+/run/containers/storage]{name}"
    return Source(Reference(env["image"]), digest, url, inspected.get("Labels") or {})


def to_disk(options: Any) -> None:
    with context("Installing to disk"):
        disk.query(options.device, loopback=options.via_loopback)
        check_privileges()
        chosen = source(options)
        print(f"Installing image: {chosen.reference.url()}", flush=True)
        if chosen.digest:
            print(f"Digest: {chosen.digest}", flush=True)
        if not options.via_loopback:
            return _install(options, os.path.realpath(options.device), chosen)
        device = run("losetup", "--find", "--partscan", "--show", options.device).strip()
        try:
            _install(options, device, chosen)
        finally:
            subprocess.run(["losetup", "--detach", device], check=False)


def _install(options: Any, device: str, chosen: Source) -> None:
    config = installconfig.load()
    kind = options.filesystem or ((config["filesystem"] or {}).get("root") or {}).get("type")
    identity = str(uuids.uuid4())
    with context("Creating rootfs"):
        if not kind:
            raise BootcError("No root filesystem specified")
        node = disk.clear(device, wipe=options.wipe)
        if (options.block_setup or "direct") not in (config["block"] or ["direct"]):
            raise BootcError("Block setup Tpm2Luks is not enabled in installation config")
        bios, esp, root = disk.partition(device, node, options.root_size, 1024 if options.composefs_backend else 512)
        disk.make_root(root, kind, identity)
    ROOT.mkdir(parents=True, exist_ok=True)
    run("mount", root, str(ROOT))
    try:
        print(f"Creating ESP filesystem\n> mkfs.fat {esp} -n EFI-SYSTEM", flush=True)
        run("mkfs.fat", esp, "-n", "EFI-SYSTEM")
        _populate(options, config, chosen, bootloader.Place(ROOT, f"UUID={identity}", identity, targets=((device, bios, esp),)))
        _trim(ROOT)
        print("Finalizing filesystem root\nUnmounting filesystems", flush=True)
    finally:
        subprocess.run(["umount", "-R", str(ROOT)], check=False)
    print("Installation complete!")


def to_filesystem(options: Any) -> None:
    root = Path(options.root_path)
    with context("Installing to filesystem"):
        check_privileges()
        chosen = source(options)
        print(f"Installing image: {chosen.reference.url()}\nDigest: {chosen.digest}", flush=True)
        if os.stat(root).st_dev == os.stat("/proc/1/root/").st_dev and not options.acknowledge_destructive:
            _warn()
        with context("Verifying empty rootfs"):
            tree.require_empty(root)
        if not os.path.ismount(root):
            raise BootcError(f"Not a mountpoint: {root}")
        place = tree.place(root, options.root_mount_spec)
        _populate(options, installconfig.load(), chosen, place)
        tree.write_fstab(place, options.boot_mount_spec)
        _trim(root)
        if not options.skip_finalize:
            print("Finalizing filesystem root", flush=True)
            run("mount", "-o", "remount,ro", str(root))
    print("Installation complete!")


def to_existing_root(options: Any) -> None:
    root = Path(options.root_path or "/target")
    with context("Installing to filesystem"):
        check_privileges()
        chosen = source(options)
        print(f"Installing image: {chosen.reference.url()}\nDigest: {chosen.digest}", flush=True)
        if not options.acknowledge_destructive:
            _warn()
        if not os.path.ismount(root):
            raise BootcError(f"Not a mountpoint: {root}")
        place = tree.place(root, kernel_argument("root"))
        config = installconfig.load()
        console = kernel_argument("console")
        config["kargs"] = [*config["kargs"], *([f"console={console}"] if console and f"console={console}" not in config["kargs"] else [])]
        if not (root / "ostree/repo").exists():
            tree.empty_boot(root)
        _populate(options, config, chosen, place)
        tree.write_fstab(place, None)
    print("Installation complete!")


def kernel_argument(name: str) -> str | None:
    words = Path("/proc/cmdline").read_text().split()
    values = [word.partition("=")[2] for word in words if word.startswith(f"{name}=")]
    return values[-1] if values else None


def _warn() -> None:
    line = "-" * 28
    print(
        f"{line}\nWARNING: This operation will OVERWRITE THE BOOTED HOST ROOT FILESYSTEM and is NOT REVERSIBLE.\n"
        f"Waiting 20s to continue; interrupt (Control-C) to cancel.\n{line}",
        file=sys.stderr,
        flush=True,
    )
    time.sleep(20)


def _trim(root: Path) -> None:
    print("Trimming root", flush=True)
    subprocess.run(["fstrim", "--quiet-unsupported", "-v", str(root)], check=False)


def _populate(options: Any, config: dict[str, Any], chosen: Source, place: bootloader.Place) -> None:
    image = _deploy(options, config, place, chosen)
    chosen_loader = options.bootloader or "grub"
    if chosen_loader in ("systemd", "grub-cc"):
        raise BootcError("bootupd is required for ostree-based installs")
    if chosen_loader == "grub":
        with context("Installing bootloader") if Path("/usr/lib/bootupd/updates").is_dir() else context():
            bootloader.install(place)
    print(f"Bootloader: {chosen_loader}", flush=True)
    if options.composefs_backend:
        (place.root / COMPOSEFS_MARK).parent.mkdir(exist_ok=True)
        (place.root / COMPOSEFS_MARK).touch()
    else:
        _write_aleph(options, chosen, image, place.root)


def _deploy(options: Any, config: dict[str, Any], place: bootloader.Place, chosen: Source) -> Image:
    root = place.root
    # What that backend ignores without a word: the state root, the kernel arguments of the install configuration, root's keys.
    composefs = options.composefs_backend
    stateroot = "default" if composefs else options.stateroot or config["stateroot"] or "default"
    signature = "containerPolicy" if options.enforce_container_sigpolicy else None
    target = chosen.reference
    if options.target_imgref:
        target = Reference.parse(options.target_imgref, options.target_transport, signature)
    if (root / "ostree/repo").exists():
        print("Reusing extant ostree layout", flush=True)
    else:
        print("Initializing ostree layout", flush=True)
        run("ostree", "admin", "init-fs", "--modern", str(root))
        prefixed = str(place.prefix == "/boot").lower()
        for setting in ("sysroot.readonly=true", f"sysroot.bootprefix={prefixed}"):
            run("ostree", "config", f"--repo={root}/ostree/repo", "set", *setting.split("="))
        bootloader.prepare(root)
    if not (root / "ostree/deploy" / stateroot).exists():
        run("ostree", "admin", "stateroot-init", f"--sysroot={root}", stateroot)
    with context("Creating ostree deployment"):
        commit, image = Repository(str(root)).pull(target, source=chosen.url, digest=chosen.digest, trusted=True)
        started = time.monotonic()
        deleted = options.karg_delete
        brought = [*([] if options.composefs_backend else config["kargs"]), *image_kargs(Path("/"))]
        kargs = [word for word in brought if word not in deleted and word.partition("=")[0] not in deleted]
        kargs = [*([f"root={place.root_spec}"] if place.root_spec else []), *kargs, *options.karg]
        origin = Path("/run/bootc-reference/target.origin")
        origin.parent.mkdir(parents=True, exist_ok=True)
        origin.write_text(f"[origin]\ncontainer-image-reference={target.origin()}\n")
        run(
            "ostree",
            "admin",
            "deploy",
            f"--sysroot={root}",
            "--no-prune",
            f"--stateroot={stateroot}",
            f"--origin-file={origin}",
            "--karg-none",
            *[f"--karg-append={word}" for word in kargs],
            commit,
        )
        print(f"Deploying container image...done ({time.monotonic() - started:.0f} seconds)", file=sys.stderr, flush=True)
    if options.root_ssh_authorized_keys and not composefs:
        with context("Injecting SSH keys"):
            _inject_keys(tree.newest_deployment(root), options.root_ssh_authorized_keys)
    return image


def _inject_keys(deployment: Path, keys: str) -> None:
    try:
        encoded = base64.b64encode(Path(keys).read_bytes()).decode()
    except OSError as error:
        raise BootcError(f"Reading {keys}: {error.strerror} (os error {error.errno})") from error
    name = "etc/tmpfiles.d/bootc-root-ssh.conf"
    home = os.readlink(deployment / "root") if (deployment / "root").is_symlink() else "root"
    (deployment / name).parent.mkdir(parents=True, exist_ok=True)
    (deployment / name).write_text(f"f~ /{home}/.ssh/authorized_keys 600 root root - {encoded}\n")
    print(f"Injected: {name}", flush=True)


def _write_aleph(options: Any, chosen: Source, image: Image, root: Path) -> None:
    aleph = {
        "digest": image.digest,
        "image": chosen.reference.image,
        "kernel": os.uname().release,
        "labels": chosen.labels,
        "selinux": "disabled",
        "target-image": options.target_imgref or chosen.reference.image,
        "timestamp": image.timestamp,
        "version": image.version,
    }
    (root / ".bootc-aleph.json").write_text(json.dumps(aleph))
