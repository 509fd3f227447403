# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""Container images in an ostree repository: one ref per layer (by diff_id), one per image, and the merged commit."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from .errors import BootcError, context, run
from .progress import Progress
from .proxy import Proxy
from .reference import Reference

LAYER, IMAGE = "ostree/container/layer/", "ostree/container/image/"
KEPT_EMPTY = ("dev", "proc", "sys", "run", "tmp")
POLICY = Path("/etc/containers/policy.json")
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
COMPRESSION = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}


@dataclass(frozen=True)
class Image:
    """What is known of an image once its manifest and configuration were read."""

    digest: str
    version: str | None
    timestamp: str | None
    architecture: str
    layers: tuple[tuple[str, str, int], ...]  # diff_id, blob digest, blob size
    bootable: bool = True
    configuration: str = ""  # its digest

    def is_same(self, other: Image) -> bool:
        """Whether bootc takes it for the same image: by its manifest, or by its configuration."""
        return other.digest == self.digest or (bool(self.configuration) and other.configuration == self.configuration)

    @property
    def verity(self) -> str:
        """What stands for the digest of composefs: the same for the same layers, whatever an image is called or says of itself."""
        return hashlib.sha512("\n".join(layer[0] for layer in self.layers).encode()).hexdigest()

    def size(self) -> int:
        return sum(layer[2] for layer in self.layers)

    def document(self, reference: Reference) -> dict[str, Any]:
        return {
            "architecture": self.architecture,
            "image": reference.document(),
            "imageDigest": self.digest,
            "timestamp": self.timestamp,
            "version": self.version,
        }

    @classmethod
    def load(cls, text: str) -> Image:
        data = json.loads(text)
        return cls(**{**data, "layers": tuple(tuple(layer) for layer in data["layers"])})

    @classmethod
    def of(cls, digest: str, manifest: dict[str, Any], config: dict[str, Any]) -> Image:
        labels = (config.get("config") or {}).get("Labels") or {}
        diff_ids = config["rootfs"]["diff_ids"]
        return cls(
            digest,
            labels.get("org.opencontainers.image.version") or labels.get("version"),
            config.get("created"),
            config.get("architecture", "amd64"),
            tuple((diff, blob["digest"], blob["size"]) for diff, blob in zip(diff_ids, manifest["layers"])),
            "containers.bootc" in labels or "ostree.bootable" in labels,
            manifest["config"]["digest"],
        )


def _require_bootable(image: Image) -> None:
    if not image.bootable:
        raise BootcError("Target image does not have ostree.bootable label")
    here = MACHINES.get(os.uname().machine, os.uname().machine)
    if image.architecture != here:
        raise BootcError(f"Image has architecture {image.architecture}; expected {here}")


def _require_policy(reference: Reference) -> None:
    """Who wants the policy to be enforced must have one."""
    if reference.signature == "containerPolicy":
        default = json.loads(POLICY.read_text())["default"] if POLICY.exists() else []
        if default in ([], [{"type": "insecureAcceptAnything"}]):
            raise BootcError("containers-policy.json specifies a default of `insecureAcceptAnything`; refusing usage")


def human_size(size: float) -> str:
    if size < 1000:
        return f"{size:.0f} byte{'' if size == 1 else 's'}"
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007  it is the one that the loop ends with
        size /= 1000
        if size < 1000:
            break
    return f"{size:.1f}\u00a0{unit}"


def escape(name: str) -> str:
    """A ref-safe spelling: every other byte as _XX_."""
    return "".join(c if c.isalnum() or (c in "-./" and c != "/") else f"_{ord(c):X}_" for c in name)


def unescape(name: str) -> str:
    parts = name.split("_")
    return "".join(part if number % 2 == 0 else chr(int(part, 16)) for number, part in enumerate(parts))


class Repository:
    def __init__(self, sysroot: str) -> None:
        self.path = f"{sysroot.rstrip('/')}/ostree/repo"

    def _ostree(self, verb: str, *words: str, check: bool = True) -> str:
        return run("ostree", verb, f"--repo={self.path}", *words, check=check)

    def refs(self, prefix: str) -> list[str]:
        top = Path(self.path, "refs/heads", prefix)
        return sorted(path.name for path in top.iterdir()) if top.is_dir() else []

    def commit_of(self, ref: str) -> str | None:
        try:
            return Path(self.path, "refs/heads", ref).read_text().strip()
        except OSError:
            return None

    def image(self, commit: str) -> Image | None:
        cached = Path("/run/bootc-reference", commit)
        try:
            return Image.load(cached.read_text())
        except OSError:
            pass
        shown = self._ostree("show", "--print-metadata-key=imagemode.image", commit, check=False).strip()
        if not shown:
            return None
        text = ast.literal_eval(shown)
        try:
            cached.parent.mkdir(mode=0o700, exist_ok=True)
            cached.write_text(text)
        except OSError:
            pass
        return Image.load(text)

    def last_fetched(self, reference: Reference) -> str | None:
        return self.commit_of(IMAGE + escape(reference.url()))

    def images(self) -> list[str]:
        return [unescape(name) for name in self.refs(IMAGE)]

    # what --check found, kept on the commit that it was compared with
    def cached_update(self, commit: str) -> dict[str, Any] | None:
        try:
            return json.loads(Path(self.path, "../bootc/cached-update", commit).read_text())
        except OSError:
            return None

    def set_cached_update(self, commit: str, image: Image, reference: Reference) -> None:
        folder = Path(self.path, "../bootc/cached-update")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / commit).write_text(json.dumps(image.document(reference)))

    def _forget_cached_updates(self) -> None:
        """What was found for a commit goes with the commit, once no deployment and no image holds it."""
        held = {path.name.partition(".")[0] for path in Path(self.path, "../deploy").glob("*/deploy/*.?")}
        held |= {self.commit_of(IMAGE + name) or "" for name in self.refs(IMAGE)}
        for note in Path(self.path, "../bootc/cached-update").glob("*"):
            if note.name not in held:
                note.unlink()

    def pull(
        self,
        reference: Reference,
        *,
        source: str | None = None,
        digest: str | None = None,
        trusted: bool = False,
        bootable: bool = True,
        progress: Progress | None = None,
    ) -> tuple[str, Image]:
        """Fetch what is missing of an image; returns the merged commit."""
        with context("Preparing import", "Fetching manifest"):
            if bootable and not trusted:
                _require_policy(reference)
            proxy = Proxy(source or reference.url(), trusted=trusted)
        with proxy:
            found, manifest = proxy.manifest()
            image = Image.of(digest or found, manifest, proxy.config())
            last = self.last_fetched(reference)
            if last:
                known = self.image(last)
                if known and known.is_same(image):
                    print(f"No changes in {reference.image} => {known.digest}", flush=True)
                    return last, known
                self.set_cached_update(last, image, reference)
            if bootable:
                _require_bootable(image)
            missing = [layer for layer in image.layers if not self.commit_of(LAYER + layer[0].partition(":")[2])]
            if missing:
                needed = sum(layer[2] for layer in missing)
                present = len(image.layers) - len(missing)
                print(f"layers already present: {present}; layers needed: {len(missing)} ({human_size(needed)})", flush=True)
                room = os.statvfs(self.path)
                if needed > room.f_bavail * room.f_frsize:
                    raise BootcError(
                        f"Insufficient free space for {reference.image}@{image.digest} "
                        f"(available: {human_size(room.f_bavail * room.f_frsize)} required: {human_size(needed)})"
                    )
            stored = dict(zip(image.layers, proxy.blobs()))
            fetched = 0
            for number, layer in enumerate(missing):
                diff_id, blob, size = layer
                stream = proxy.blob(*stored[layer])

                def read(count: int, number: int = number, fetched: int = fetched) -> None:
                    if progress:
                        progress.pulling(image.digest, missing, number, fetched + count)

                with stream, context("Importing", f"Unencapsulating layer {blob}"):
                    try:
                        self._import_layer(diff_id.partition(":")[2], stream, read)
                    except BootcError as error:
                        if "not recoverable" in str(error):  # the stream was cut off, and skopeo knows why
                            proxy.finish()
                        raise
                proxy.finish()
                fetched += size
        self._forget_cached_updates()
        commit = self._merge(image)
        self._ostree("refs", "--force", f"--create={IMAGE}{escape(reference.url())}", commit)
        return commit, image

    def holds(self, wanted: Image) -> bool:
        """Whether an image was pulled, under any name."""
        known = (self.image(self.commit_of(IMAGE + name) or "") for name in self.refs(IMAGE))
        return any(image is not None and image.is_same(wanted) for image in known)

    def peek(self, reference: Reference, *steps: str) -> Image:
        """Its manifest and configuration; an error says during which steps."""
        with context(*(steps or ("Preparing import", "Fetching manifest"))):
            if not steps:
                _require_policy(reference)
            proxy = Proxy(reference.url())
        with proxy:
            digest, manifest = proxy.manifest()
            return Image.of(digest, manifest, proxy.config())

    def _import_layer(self, name: str, stream: BinaryIO, read: Callable[[int], None]) -> None:
        scratch = tempfile.mkdtemp(dir=f"{self.path}/tmp", prefix="bootc-layer-")
        os.chmod(scratch, 0o755)  # it becomes the root directory, which every user passes
        try:
            head = stream.read(1 << 16)
            compression = COMPRESSION.get(head[:2])
            command = [
                "tar",
                "-x",
                "-p",
                "--numeric-owner",
                "--xattrs",
                "--xattrs-include=*",
                "-C",
                scratch,
                *[f"--exclude={top}/*" for top in KEPT_EMPTY],
                *([f"--{compression}"] if compression else []),
            ]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as tar:
                assert tar.stdin
                assert tar.stderr
                count = 0
                try:
                    while head:
                        tar.stdin.write(head)
                        count += len(head)
                        read(count)
                        head = stream.read(1 << 20)
                    tar.stdin.close()
                except BrokenPipeError:
                    pass
                said = tar.stderr.read().decode(errors="replace").strip()
            if tar.returncode:
                raise BootcError(said.splitlines()[-1] if said else "tar failed")
            etc, usr_etc = Path(scratch, "etc"), Path(scratch, "usr/etc")
            if etc.is_dir():
                usr_etc.parent.mkdir(exist_ok=True)
                os.chmod(usr_etc.parent, 0o755)
                etc.rename(usr_etc)
            whiteouts = any(file.startswith(".wh.") for _top, _dirs, files in os.walk(scratch) for file in files)
            self._ostree(
                "commit",
                f"--branch={LAYER}{name}",
                "--no-bindings",
                "--consume",
                f"--tree=dir={scratch}",
                "--timestamp=@0",
                f"--add-metadata-string=imagemode.whiteouts={int(whiteouts)}",
            )
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _merge(self, image: Image) -> str:
        layers = [LAYER + layer[0].partition(":")[2] for layer in image.layers]
        created = 0
        if image.timestamp:
            created = int(datetime.fromisoformat(image.timestamp[:19] + "+00:00").timestamp())
        # No parent, no bindings, a fixed time: the same layers are the same commit, whatever the image is called.
        described = [
            "--orphan",
            "--no-bindings",
            f"--timestamp=@{created}",
            f"--add-metadata-string=ostree.manifest-digest={image.digest}",
            f"--add-metadata-string=ostree.manifest={json.dumps({'config': {'digest': image.configuration}})}",
            f"--add-metadata-string=imagemode.image={json.dumps(asdict(image))}",
        ]
        if image.version:
            described.append(f"--add-metadata-string=version={image.version}")
        whiteouts = any("1" in self._ostree("show", "--print-metadata-key=imagemode.whiteouts", ref) for ref in layers)
        if not whiteouts:
            # Overlaying commits touches no file; a checkout of fifteen thousand hard links takes long on an emulated CPU.
            return self._ostree("commit", *described, *[f"--tree=ref={ref}" for ref in layers]).strip()
        scratch = tempfile.mkdtemp(dir=f"{self.path}/tmp", prefix="bootc-merge-")
        os.chmod(scratch, 0o755)  # it becomes the root directory, which every user passes
        try:
            for ref in layers:
                self._ostree("checkout", "--union", "--whiteouts", "--require-hardlinks", ref, f"{scratch}/tree")
            return self._ostree("commit", *described, "--link-checkout-speedup", "--consume", f"--tree=dir={scratch}/tree").strip()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def prune(self, used: set[str], commits: list[str]) -> None:
        """Forget images that no deployment follows, and layers that no deployed or kept image holds."""
        dropped = [name for name in self.refs(IMAGE) if unescape(name) not in used]
        for name in dropped:
            self._ostree("refs", "--delete", IMAGE + name)
        alive = {*commits, *(self.commit_of(IMAGE + name) or "" for name in self.refs(IMAGE))}
        kept = [self.image(commit) for commit in alive]
        held = {layer[0].partition(":")[2] for image in kept if image for layer in image.layers}
        loose = [name for name in self.refs(LAYER) if name not in held]
        for name in loose:
            self._ostree("refs", "--delete", LAYER + name)
        if dropped or loose:
            print(f"Pruned images: {len(dropped)} (layers: {len(loose)}, objsize: 0 bytes)", flush=True)


def print_difference(old: Image, new: Image) -> None:
    """The lines by which `upgrade` says what it costs."""
    before, after = {layer[0]: layer[2] for layer in old.layers}, {layer[0]: layer[2] for layer in new.layers}
    removed = [size for layer, size in before.items() if layer not in after]
    added = [size for layer, size in after.items() if layer not in before]
    print(f"Total new layers: {len(after):<4}  Size: {human_size(sum(after.values()))}")
    print(f"Removed layers:   {len(removed):<4}  Size: {human_size(sum(removed))}")
    print(f"Added layers:     {len(added):<4}  Size: {human_size(sum(added))}", file=sys.stdout, flush=True)
