# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is installed on a disk, as data; and the files that tell it."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from .. import _kargs as kargs

# Before the fs-verity digest in the name of a unified kernel image (bootc 1.14.0, composefs_consts.rs); older ones are named by it alone.
_UKI_PREFIX = "bootc_composefs-"


@dataclass(frozen=True)
class BootEntry:
    """An entry of the boot loader (Boot Loader Specification, type 1; or of GRUB's menu).

    :ivar path: file, relative to the root of its file system
    :ivar options: kernel arguments as one line
    :ivar version: what the newest entry has most of
    :ivar sort_key: by which systemd-boot sorts before the version; GRUB does not read it
    :ivar uki: path of a unified kernel image on the ESP; its kernel arguments are in it
    """

    path: str
    options: str
    version: str = ""
    uki: str = ""
    sort_key: str = ""

    @property
    def verity(self) -> str:
        """Which deployment of composefs it starts."""
        if self.uki:
            return PurePosixPath(self.uki).stem.removeprefix(_UKI_PREFIX)
        return (kargs.value("composefs", self.options) or "").lstrip("?")  # "?": verity is not enforced


@dataclass(frozen=True)
class Installed:
    """A bootc installation on a disk: what its default boot entry starts.

    :ivar backend: C(ostree) or C(composefs)
    :ivar image: the reference that C(bootc upgrade) will follow
    :ivar transport: how it is reached, C(registry) for most
    :ivar digest: digest of the platform's manifest, or C(None) if nothing on the disk tells
    :ivar config: id of the image, which is the digest of its configuration, where the disk tells that and no digest
    :ivar kernel_arguments: of the default entry; C(None) if they cannot be read: there is none, or they are in a unified kernel image
    :ivar root_keys: root's SSH keys that are put in place at boot
    :ivar device: the partition that holds the deployment
    :ivar etc: the deployment's C(/etc), relative to that partition's root
    :ivar entry_device: the partition that holds the boot entries, or C(None) if there are none
    :ivar entry: the default entry, or C(None): the disk will not boot by itself
    :ivar var: the deployment's C(/var), relative to the partition's root
    :ivar filesystem: type of the partition's file system, or C(None) if that is not known
    :ivar root_home: path of root's home on the machine, without links on the way; C(None) if nothing on the disk tells
    :ivar lacking: of the files that were asked for, those that are not there as asked
    """

    backend: str
    image: str | None
    transport: str | None
    digest: str | None
    stateroot: str
    kernel_arguments: tuple[str, ...] | None = ()
    root_keys: tuple[str, ...] = ()
    device: str = ""
    etc: str = ""
    entry_device: str | None = None
    entry: BootEntry | None = None
    var: str = ""
    filesystem: str | None = None
    root_home: str | None = None
    config: str | None = None
    lacking: tuple[str, ...] = ()

    def known_as(self, config: str, digest: str) -> Installed:
        """:param config: id of an image; I(digest) is that of its manifest
        :returns: with that digest, if it is that image
        """
        return replace(self, digest=digest) if self.digest is None and self.config == config else self

    def facts(self) -> dict[str, Any]:
        """:returns: for results; keys are counted, not shown"""
        return {
            "backend": self.backend,
            "image": self.image,
            "transport": self.transport,
            "digest": self.digest,
            "stateroot": self.stateroot,
            "kernel_arguments": None if self.kernel_arguments is None else list(self.kernel_arguments),
            "root_ssh_keys": len(self.root_keys),
            "device": self.device,
        }


@dataclass(frozen=True)
class Origin:
    """Where a deployment came from: its C(.origin) file.

    :ivar digest: only composefs writes it here, from bootc 1.16.0 on
    """

    image: str | None
    transport: str | None
    digest: str | None


def parse_origin(text: str) -> Origin:
    """Read an origin file, an ini file with C([origin] container-image-reference)."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        return Origin(None, None, None)
    transport, image = parse_image_url(parser.get("origin", "container-image-reference", fallback="") or "")
    return Origin(image, transport, parser.get("image", "manifest_digest", fallback="") or None)


def parse_imginfo(text: str) -> str | None:
    """Read C(VERITY.imginfo), which bootc 1.12.0 to 1.15.2 wrote beside the origin instead of a digest: manifest and configuration.

    :returns: id of the image, as Podman has it
    """
    try:
        digest = json.loads(text)["manifest"]["config"]["digest"]
    except (ValueError, KeyError, TypeError):
        return None
    return image_id(digest) if isinstance(digest, str) else None


def image_id(digest: str) -> str:
    """:param digest: of an image's configuration
    :returns: its id, as Podman has it
    """
    return digest.removeprefix("sha256:")


def parse_image_url(text: str) -> tuple[str | None, str | None]:
    """Read ostree-container's references, for example C(ostree-unverified-registry:NAME), C(ostree-image-signed:docker://NAME).

    :returns: transport and image, C((None, None)) if the text is not one
    """
    scheme, colon, rest = text.strip().partition(":")
    if scheme in ("ostree-remote-registry", "ostree-remote-image"):
        _remote, colon, rest = rest.partition(":")
    if not colon or not rest:
        return None, None
    if scheme in ("ostree-unverified-registry", "ostree-remote-registry"):
        return "registry", rest
    if scheme not in ("ostree-unverified-image", "ostree-image-signed", "ostree-remote-image"):
        rest = text.strip()
    transport, colon, name = rest.partition(":")
    if not colon:
        return None, None
    if transport in ("docker", "registry"):
        return "registry", name[2:] if name.startswith("//") else name
    return transport, name


def parse_aleph(text: str) -> dict[str, Any]:
    """Read C(.bootc-aleph.json): what was installed first. It is not rewritten by upgrades.

    :returns: the document, C({}) if it is not one
    """
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def aleph_digest(aleph: Mapping[str, Any]) -> str | None:
    digest = aleph.get("digest")
    return digest if isinstance(digest, str) and digest else None


def commit_digest(commit: bytes) -> str | None:
    """Find C(ostree.manifest-digest) in the metadata of an ostree commit.

    A commit object is a serialised GVariant: the key, a NUL, padding, the value. ostree-ext writes the key into every
    commit made from an image, so this tells what an upgraded disk holds, without needing the ostree program.
    """
    match = re.search(rb"ostree\.manifest-digest\x00+(sha256:[0-9a-f]{64})\x00", commit)
    return match.group(1).decode() if match else None


def parse_entry(path: str, text: str) -> BootEntry:
    """Read a boot loader entry: C(options) lines may be several."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _blank, value = line.strip().partition(" ")
        found.setdefault(key, []).append(value.strip())
    # "uki" or "efi": by the version of systemd, and "efi" for grub-cc (bls_config.rs).
    uki = (found.get("uki") or found.get("efi") or [""])[-1]
    version, sort_key = ((found.get(key) or [""])[-1] for key in ("version", "sort-key"))
    return BootEntry(path, " ".join(found.get("options", ())), version, uki, sort_key)


def parse_menu(path: str, text: str) -> list[BootEntry]:
    """Read GRUB's C(user.cfg), where bootc writes menu entries for unified kernel images (boot.rs, write_grub_uki_menuentry).

    :returns: its entries, the one that is booted first
    """
    return [BootEntry(path, "", uki=uki) for uki in re.findall(r"^\s*chainloader\s+(\S+)", text, re.MULTILINE)]


def with_options(text: str, options: str) -> str:
    """:returns: the entry's text with these kernel arguments"""
    lines = [line for line in text.splitlines() if not re.match(r"\s*options(\s|$)", line)]
    return "\n".join([*lines, f"options {options}"]) + "\n"
