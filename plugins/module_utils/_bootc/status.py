# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C(bootc status --json --format-version=1) as frozen data.

Every key is optional: fields came with releases from 0.1.1 to 1.16.7 (contract.md 2.2), and the
composefs backend leaves out C(type), C(store), C(ostree) and C(image.version) (verified.md, "Different").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .errors import StatusInvalid
from .version import Version

API_VERSION = "org.containers.bootc/v1"

# Up to this release bootc says the opposite of what is queued for some boot entries of composefs, by their kind and the boot loader:
# it looks whether the first entry is the booted one, and takes the last for the first, or lacks the "not" (`get_composefs_status` in
# bootc_composefs/status.rs). Both are mended after it (bootc-dev/bootc, pull request 2406).
_QUEUE_INVERTED_UNTIL: Version = (1, 16, 9)
_QUEUE_INVERTED_SINCE: Mapping[tuple[str, str], Version] = {
    ("bls", "grub"): (1, 11, 0),
    ("uki", "systemd"): (1, 12, 0),
    ("uki", "grub-cc"): (1, 12, 0),
}

# It came with 1.12.0; before, bootc asked the registry for the digest of each deployment on composefs.
_KEY_OF_1_12 = "downloadOnly"


@dataclass(frozen=True)
class Source:
    """Where a deployment comes from: C(ImageReference) of the status document.

    :ivar image: the image as the host spells it
    :ivar transport: C(registry), C(oci), …
    :ivar signature: C(None) (not verified), C(containerPolicy), C(insecure), or C(ostreeRemote:NAME)
    """

    image: str
    transport: str = "registry"
    signature: str | None = None


@dataclass(frozen=True)
class Image:
    """An image that a deployment was made of, or a cached update.

    :ivar digest: digest of this platform's manifest, never of an index (contract.md 3); empty if bootc does not know it
    :ivar version: from a label; C(None) on composefs
    :ivar timestamp: RFC 3339
    """

    source: Source
    digest: str
    version: str | None = None
    timestamp: str | None = None
    architecture: str | None = None


@dataclass(frozen=True)
class Deployment:
    """One bootable state of the host: C(BootEntry) of the status document.

    :ivar image: C(None) if the deployment is no container image, or was changed by layering (I(incompatible))
    :ivar download_only: staged, but locked: not applied at the next boot
    :ivar identity: what tells it from others with the same digest: ostree checksum.serial, or composefs verity. It outlives the boot
    :ivar bootloader: C(grub), C(grub-cc), C(systemd) or C(none); C(None) on ostree
    """

    image: Image | None
    cached_update: Image | None = None
    incompatible: bool = False
    pinned: bool = False
    soft_reboot_capable: bool = False
    download_only: bool = False
    stateroot: str | None = None
    identity: str | None = None
    bootloader: str | None = None
    composefs: bool = False

    def as_dict(self) -> dict[str, Any]:
        """:returns: flat and JSON-serialisable, the shape that the modules return"""
        image = self.image
        return {
            "image": image.source.image if image else None,
            "transport": image.source.transport if image else None,
            "signature": image.source.signature if image else None,
            "digest": self.digest,
            "version": image.version if image else None,
            "timestamp": image.timestamp if image else None,
            "architecture": image.architecture if image else None,
            "download_only": self.download_only,
            "pinned": self.pinned,
            "incompatible": self.incompatible,
            "soft_reboot_capable": self.soft_reboot_capable,
            "stateroot": self.stateroot,
            "identity": self.identity,
            "bootloader": self.bootloader,
            "cached_update_digest": (self.cached_update.digest or None) if self.cached_update else None,
        }

    @property
    def digest(self) -> str | None:
        """C(None) also where bootc does not know it; see L(_digest)."""
        return (self.image.digest or None) if self.image else None

    @property
    def source(self) -> Source | None:
        return self.image.source if self.image else None


@dataclass(frozen=True)
class Host:
    """The state of a host.

    :ivar spec: what the host follows: the staged image's source if something is staged, else the booted one's
    :ivar rollback_queued: the next boot goes to I(rollback)
    :ivar usr_overlay: C(readWrite) or C(readOnly) if an overlay is mounted on /usr
    :ivar usr_overlay_persistent: it outlives a reboot (`ostree admin unlock --hotfix`)
    """

    spec: Source | None
    staged: Deployment | None
    booted: Deployment | None
    rollback: Deployment | None
    other: tuple[Deployment, ...] = ()
    rollback_queued: bool = False
    usr_overlay: str | None = None
    usr_overlay_persistent: bool = False
    read_only: bool = False

    @property
    def managed(self) -> bool:
        """Whether the host runs a bootc image. C(type) cannot tell: it is absent on composefs."""
        return self.booted is not None and self.booted.image is not None

    @property
    def layered(self) -> bool:
        return self.booted is not None and self.booted.incompatible

    @property
    def backend(self) -> str | None:
        """C(ostree), C(composefs), or C(None) for a host that bootc does not manage."""
        if self.booted is None:
            return None
        return "composefs" if self.booted.composefs else "ostree"

    @property
    def pending(self) -> Deployment | None:
        """The deployment that the next boot goes to, if it is another than the booted one."""
        if self.staged and not self.staged.download_only:
            return self.staged
        return self.rollback if self.rollback_queued else None

    @property
    def going_back(self) -> bool:
        """Whether the next boot is a queued rollback: one is, and nothing is staged that would boot before it."""
        return self.rollback_queued and (self.staged is None or self.staged.download_only)

    @property
    def reboot_required(self) -> bool:
        return self.pending is not None

    def as_dict(self) -> dict[str, Any]:
        """:returns: JSON-serialisable, the shape that the modules return as C(before), C(after) and C(host)"""
        return {
            "managed": self.managed,
            "backend": self.backend,
            "image": self.spec.image if self.spec else None,
            "transport": self.spec.transport if self.spec else None,
            "signature": self.spec.signature if self.spec else None,
            "booted": self.booted.as_dict() if self.booted else None,
            "staged": self.staged.as_dict() if self.staged else None,
            "rollback": self.rollback.as_dict() if self.rollback else None,
            "other": [deployment.as_dict() for deployment in self.other],
            "rollback_queued": self.rollback_queued,
            "reboot_required": self.reboot_required,
            "usr_overlay": self.usr_overlay,
            "read_only": self.read_only,
        }


def parse_status(text: str, version: Callable[[], Version] = lambda: _QUEUE_INVERTED_UNTIL) -> Host:
    """Read the output of C(bootc status --json --format-version=1).

    Up to 1.6.0 bootc prints "Waiting for sysroot lock…" on standard output before the document
    (contract.md 1.0), so reading starts at the first brace.

    :param version: of the bootc that printed it; called where the document alone does not tell what it means
    :raises StatusInvalid: the text is cut off, or no status document of version 1
    """
    start = text.find("{")
    try:
        document = json.JSONDecoder().raw_decode(text[start:])[0] if start >= 0 else None
    except ValueError as error:
        raise StatusInvalid(
            f"'bootc status' printed a document that is cut off or damaged: {error}.",
            hint="Run 'bootc status --json' on the host and look at its output.",
            stdout=text[-400:],
        ) from None
    if not isinstance(document, dict):
        raise StatusInvalid(
            "'bootc status' printed no status document.",
            hint="Run 'bootc status --json' on the host and look at its output.",
            stdout=text[-400:],
        )
    api_version = document.get("apiVersion")
    if api_version not in (API_VERSION, "org.containers.bootc/v1alpha1") or document.get("kind") != "BootcHost":
        raise StatusInvalid(
            f"'bootc status' printed a document of kind {document.get('kind')!r}, version {api_version!r}; "
            f"this collection reads BootcHost {API_VERSION!r}.",
            hint="Update the collection, or the bootc on the host.",
        )
    try:
        return _host(document, version)
    except (KeyError, TypeError, AttributeError) as error:
        raise StatusInvalid(
            f"'bootc status' printed a document without the expected fields: {error!r}.",
            hint="Update the collection, or the bootc on the host.",
        ) from None


def _host(document: Mapping[str, Any], version: Callable[[], Version]) -> Host:
    spec: Mapping[str, Any] = document.get("spec") or {}
    status: Mapping[str, Any] = document.get("status") or {}
    overlay = status.get("usrOverlay")
    staged = _deployment(status.get("staged"))
    return Host(
        # Before 1.16.3 composefs names the booted image there while another is staged (contract.md 2.2).
        spec=staged.source if staged and staged.source else _source(spec.get("image")),
        staged=staged,
        booted=_deployment(status.get("booted")),
        rollback=_deployment(status.get("rollback")),
        other=tuple(entry for entry in map(_deployment, status.get("otherDeployments") or ()) if entry),
        rollback_queued=_rollback_queued(status, version),
        usr_overlay=overlay["accessMode"] if overlay else None,
        usr_overlay_persistent=overlay is not None and overlay.get("persistence") == "persistent",
        read_only=bool(status.get("readOnly")),
    )


def _rollback_queued(status: Mapping[str, Any], version: Callable[[], Version]) -> bool:
    if not status.get("rollback"):
        return False
    return bool(status.get("rollbackQueued")) != _queue_inverted(status.get("booted") or {}, version)


def _queue_inverted(booted: Mapping[str, Any], version: Callable[[], Version]) -> bool:
    composefs: Mapping[str, Any] = booted.get("composefs") or {}
    entries = str(composefs.get("bootType")).lower(), str(composefs.get("bootloader")).lower()
    if entries == ("bls", "systemd"):  # with 1.11.0 alone: the first key came with it, the second with 1.12.0
        return "bootDigest" in composefs and _KEY_OF_1_12 not in booted
    since = _QUEUE_INVERTED_SINCE.get(entries)
    return since is not None and since <= version() <= _QUEUE_INVERTED_UNTIL


def _source(entry: Mapping[str, Any] | None) -> Source | None:
    if not entry:
        return None
    signature = entry.get("signature")
    if isinstance(signature, dict):  # {"ostreeRemote": NAME}: a string or an object with one key
        signature = ":".join(next(iter(signature.items())))
    return Source(entry["image"], entry.get("transport") or "registry", signature)


def _image(entry: Mapping[str, Any] | None) -> Image | None:
    if entry is None:
        return None
    source = _source(entry["image"])
    if source is None:
        raise KeyError("image")
    return Image(source, _digest(entry["imageDigest"]), entry.get("version"), entry.get("timestamp"), entry.get("architecture"))


def _digest(text: str) -> str:
    """Of a composefs deployment that bootc made before 1.16.0, 1.16.4 and newer tell the hash of a manifest that they wrote anew, without
    an algorithm (bootc_composefs/status.rs, get_imginfo): no registry knows that.

    :returns: nothing for such a one
    """
    return text if ":" in text else ""


def _deployment(entry: Mapping[str, Any] | None) -> Deployment | None:
    if not entry:
        return None
    ostree: Mapping[str, Any] = entry.get("ostree") or {}
    composefs: Mapping[str, Any] = entry.get("composefs") or {}
    identity = f"{ostree['checksum']}.{ostree.get('deploySerial', 0)}" if ostree else composefs.get("verity")
    image = _image(entry.get("image"))
    return Deployment(
        image=replace(image, digest="") if image and composefs and _KEY_OF_1_12 not in entry else image,
        cached_update=_image(entry.get("cachedUpdate")),
        incompatible=bool(entry.get("incompatible")),
        pinned=bool(entry.get("pinned")),
        soft_reboot_capable=bool(entry.get("softRebootCapable")),
        download_only=bool(entry.get("downloadOnly")),
        stateroot=ostree.get("stateroot"),
        identity=identity,
        bootloader=str(composefs["bootloader"]).lower() if composefs.get("bootloader") else None,
        composefs=bool(composefs),
    )
