# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image as it must be to become an operating system; all of this is known before a disk is written to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import _kargs as kargs
from .._bootc.errors import Unsupported
from .._bootc.version import Version, parse_version
from .._disk.device import Device
from .._disk.guard import DiskTooSmall, require_size
from .._disk.size import human
from .._errors import ImageModeError, OptionError
from .._instance import oci_architecture
from .._runner import Runner
from .errors import BootloaderMissing, ImageNotBootable, arguments_sealed
from .files import PlacedFile

MIB = 1024**2
# bootc 1.16.9, contract.md 5.2: BIOS boot, EFI system (the kernels of composefs live there), /boot beside LUKS.
_BIOS_BOOT = 1 * MIB
_ESP = 512 * MIB
_ESP_COMPOSEFS = 1024 * MIB
_BOOT_BESIDE_LUKS = 510 * MIB
# What a file system and the deployment's second copies (kernel, /etc) take beyond the image's own size.
OVERHEAD_PERCENT = 10

# (attribute of Request, bootc that has it): contract.md 1.7.
_SINCE: tuple[tuple[str, Version], ...] = (
    ("composefs", (1, 10, 0)),
    ("bound_images", (1, 1, 3)),
)
# Before 1.13.0 the option was among those of the composefs backend, which ostree takes, too (install.rs).
_BOOTLOADERS_SINCE: Mapping[str, Version] = {"grub": (1, 10, 0), "systemd": (1, 10, 0), "none": (1, 13, 0), "grub-cc": (1, 16, 3)}
# Before, the composefs backend wants fs-verity of every file system; of those that bootc makes, xfs has none (prepare_install).
_COMPOSEFS_XFS_SINCE: Version = (1, 14, 0)


@dataclass(frozen=True)
class Request:
    """What was asked for, beside the image and the disk; C(None) leaves it to the image.

    :ivar target: reference that the installed machine will follow
    :ivar root_size: bytes
    :ivar root_keys: root's SSH keys; C(None) if nothing was asked
    :ivar bound_images: what becomes of the images that the image names: C(stored), C(pull) or C(skip)
    :ivar root_mount_spec: how the kernel finds the root, for directories; so does I(boot_mount_spec) for C(/boot)
    :ivar files: of the machine, in C(/etc) and C(/var)
    :ivar network_program: that reads the network configuration among them
    """

    target: str
    transport: str = "registry"
    filesystem: str | None = None
    root_size: int | None = None
    bootloader: str | None = None
    kernel_arguments: tuple[str, ...] = ()
    root_keys: tuple[str, ...] | None = None
    stateroot: str | None = None
    composefs: bool | None = None
    generic_image: bool = False
    block_setup: str | None = None
    bound_images: str | None = None
    root_mount_spec: str | None = None
    boot_mount_spec: str | None = None
    files: tuple[PlacedFile, ...] = ()
    network_program: str | None = None


@dataclass(frozen=True)
class Image:
    """An image in Podman's storage.

    :ivar digests: every digest it is known by: of the platform's manifest, and of an index it was pulled through
    :ivar architecture: as in the image's configuration, for example C(amd64)
    :ivar size: bytes, unpacked
    """

    id: str
    digest: str
    digests: frozenset[str]
    architecture: str
    size: int
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Image:
        """:param document: one element of C(podman image inspect)"""
        named = (name.partition("@")[2] for name in document.get("RepoDigests") or ())
        digest = document.get("Digest") or ""
        return cls(
            id=document["Id"],
            digest=digest,
            digests=frozenset(one for one in (digest, *named) if one),
            architecture=document.get("Architecture") or "",
            size=int(document.get("Size") or 0),
            labels=document.get("Labels") or {},
        )


@dataclass(frozen=True)
class Abilities:
    """What the image's own installer can do, asked of the image itself.

    :ivar version: of the image's bootc
    :ivar configuration: C(bootc install print-configuration --all)
    :ivar kernels: kernel versions with kernel and initramfs
    :ivar vmlinuz: kernel versions with a kernel, as bootc counts them
    :ivar ukis: unified kernel images that bootc takes (kernel.rs, find_uki_path): none of those that a package brings beside the modules
    :ivar bootupd: bootupd and its boot loader files are there
    :ivar systemd_boot: systemd-boot's EFI binary is there
    :ivar grub_cc: GRUB for the composefs backend is there
    :ivar programs: those of the installer's programs that are there
    :ivar firmwares: for which bootupd has a boot loader: C(EFI), C(BIOS); empty if it does not say
    :ivar bound: images that belong to the image ("logically bound")
    :ivar transient_etc: backends with which the image makes C(/etc) anew at every boot: C(ostree), C(composefs)
    :ivar root_home: where C(/root) leads; empty if it is not there
    """

    version: Version
    configuration: Mapping[str, Any]
    kernels: tuple[str, ...] = ()
    ukis: tuple[str, ...] = ()
    bootupd: bool = False
    systemd_boot: bool = False
    grub_cc: bool = False
    programs: frozenset[str] = frozenset()
    firmwares: frozenset[str] = frozenset()
    bound: tuple[str, ...] = ()
    transient_etc: frozenset[str] = frozenset()
    root_home: str = ""
    vmlinuz: tuple[str, ...] = ()

    @property
    def filesystem(self) -> str | None:
        """The image's default root file system."""
        root = (self.configuration.get("filesystem") or {}).get("root") or {}
        value = root.get("type") or self.configuration.get("root-fs-type")
        return str(value) if value else None

    def block_setup(self, request: Request) -> str:
        """What is between the disk and the root: unasked, the first that the image names (config.rs, get_block_setup)."""
        return request.block_setup or str((self.configuration.get("block") or ["direct"])[0])

    @property
    def kernel_arguments(self) -> tuple[str, ...]:
        """The image's, without those that it deletes (C(karg-deletes), bootc 1.15.1)."""
        return kargs.without(self.configuration.get("karg-deletes") or (), self.configuration.get("kargs") or ())


# Printed as "key<TAB>value" lines. Only a POSIX shell is needed; what is not there prints nothing.
PROBE = r"""
say() { printf '%s\t%s\n' "$1" "$2"; }
say bootc "$(bootc --version 2>&1)"
say configuration "$(bootc install print-configuration --all 2>/dev/null || bootc install print-configuration 2>/dev/null)"
for directory in /usr/lib/modules/*; do
  [ ! -L "$directory" ] && [ -e "$directory/vmlinuz" ] && say vmlinuz "${directory##*/}"
  [ -e "$directory/vmlinuz" ] && [ -e "$directory/initramfs.img" ] && say kernel "${directory##*/}"
done
for file in /boot/EFI/Linux/*.efi; do [ -e "$file" ] && say uki "$file"; done
for file in /usr/lib/systemd/boot/efi/systemd-boot*.efi*; do [ -e "$file" ] && say systemd_boot "$file"; done
[ -e /usr/lib/grub-cc/grub-cc.efi ] && say grub_cc yes
for file in /usr/lib/bootupd/updates/*; do [ -e "$file" ] && say updates "$file"; done
for program in bootupctl sfdisk wipefs mkfs.fat mkfs.ext4 mkfs.xfs mkfs.btrfs cryptsetup systemd-cryptenroll NetworkManager; do
  command -v "$program" >/dev/null 2>&1 && say program "$program"
done
[ -e /usr/lib/systemd/systemd-networkd ] && say program systemd-networkd
say root_home "$(readlink -m /root 2>/dev/null)"
for file in /usr/lib/bootc/bound-images.d/*; do
  [ -e "$file" ] && while read -r line; do case $line in Image=*) say bound "${line#Image=}" ;; esac; done < "$file"
done
tell() { [ -e "$2" ] && while read -r line || [ -n "$line" ]; do say "$1" "$line"; done < "$2"; }
tell root_ostree /usr/lib/ostree/prepare-root.conf
tell root_ostree /etc/ostree/prepare-root.conf
tell root_composefs /usr/lib/composefs/setup-root-conf.toml
"""


def parse_probe(text: str) -> Abilities:
    """Read what C(PROBE) printed.

    :raises ImageNotBootable: there is no working bootc in the image
    """
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _tab, value = line.partition("\t")
        found.setdefault(key, []).append(value)
    said = (found.get("bootc") or [""])[0]
    try:
        version = parse_version(said)
        configuration = json.loads((found.get("configuration") or [""])[0] or "{}")
    except (ImageModeError, ValueError):
        raise ImageNotBootable(
            f"The image has no bootc that can install it: 'bootc --version' in it says {said.strip()!r}.",
            hint="Build it from a bootc base image.",
        ) from None
    programs = frozenset(found.get("program", ()))
    return Abilities(
        version=version,
        configuration=configuration,
        kernels=tuple(found.get("kernel", ())),
        ukis=tuple(found.get("uki", ())),
        bootupd="bootupctl" in programs and bool(found.get("updates")),
        systemd_boot=bool(found.get("systemd_boot")),
        grub_cc=bool(found.get("grub_cc")),
        programs=programs,
        firmwares=frozenset(name for name in ("EFI", "BIOS") for file in found.get("updates", ()) if file.endswith(f"/{name}.json")),
        bound=tuple(found.get("bound", ())),
        transient_etc=frozenset(backend for backend in ("ostree", "composefs") if _transient_etc(found.get(f"root_{backend}", ()))),
        vmlinuz=tuple(found.get("vmlinuz", ())),
        root_home=(found.get("root_home") or [""])[0],
    )


def _transient_etc(lines: Iterable[str]) -> bool:
    """:param lines: of ostree-prepare-root's configuration (libostree 2026.4: that in /etc counts more), or of bootc's in TOML (1.16.9,
    crates/initramfs: C(mount) counts more than C(transient))
    """
    section, values = "", {}
    for line in lines:
        text = line.partition("#")[0].strip()
        if text.startswith("["):
            section = f"{text.strip('[] ')}."
        key, _equals, value = text.partition("=")
        values[f"{section}{key.strip()}"] = value.strip().strip("\"'")
    kind = values.get("etc.mount") or ("transient" if values.get("etc.transient") in ("true", "1") else "")
    return kind == "transient"


def require_bootable(image: Image, machine: str) -> None:
    """Check what Podman knows of the image, before anything of it is run.

    :param machine: C(uname -m)
    :raises ImageNotBootable: it is an application's image, or one for another architecture
    """
    if not any(image.labels.get(label) for label in ("containers.bootc", "ostree.bootable")):
        raise ImageNotBootable(
            "The image has neither the label 'containers.bootc' nor 'ostree.bootable': it is not an operating system.",
            hint="Check the image's name; build it from a bootc base image.",
        )
    expected = oci_architecture(machine)
    if image.architecture and image.architecture != expected:
        raise ImageModeError(
            f"The image is for {image.architecture}, this machine is {expected} ({machine}).",
            error="architecture_mismatch",
            hint=f"Publish the image for {expected}, for example with 'platforms' when building it.",
        )


def require_installable(abilities: Abilities, request: Request, firmware: str | None = None, *, formats: bool = True) -> None:
    """Check what bootc itself would find out only after the disk is wiped (recordings/install.jsonl).

    :param firmware: of the machine that the disk is for: C(uefi) or C(bios)
    :param formats: bootc makes partitions and file systems
    :raises ImageModeError: a subclass tells what is missing in the image
    """
    _require_versions(abilities, request)
    if not abilities.kernels and not abilities.ukis:
        raise ImageNotBootable(
            "The image has no kernel: neither /usr/lib/modules/VERSION/{vmlinuz,initramfs.img} nor a unified kernel image.",
            hint="Install a kernel in the image's build; 'bootc container lint' finds this.",
        )
    if len(abilities.vmlinuz) > 1 and not abilities.ukis:
        raise ImageNotBootable(
            f"The image has several kernels in /usr/lib/modules, and bootc installs one: {', '.join(abilities.vmlinuz)}.",
            hint="Remove all but one in the image's build; 'bootc container lint' finds this.",
        )
    if abilities.ukis and request.composefs is False:
        raise OptionError(
            "The image boots a unified kernel image, for which bootc takes its composefs backend; 'composefs_backend: false' is ignored.",
            hint="Leave 'composefs_backend' out.",
        )
    if abilities.ukis and request.kernel_arguments:
        raise arguments_sealed()
    if (request.composefs or abilities.ukis) and request.stateroot not in (None, "default"):
        raise OptionError(
            f"'stateroot: {request.stateroot}' is ignored by bootc's composefs backend, which knows 'default' only.",
            hint="Leave 'stateroot' out.",
        )
    _require_lasting_etc(abilities, request)
    _require_bootloader(abilities, request)
    _require_firmware(abilities, request, firmware)
    if request.network_program is not None and request.network_program not in abilities.programs:
        raise ImageNotBootable(
            f"The network is to be set up by {request.network_program}, which is not in the image.",
            hint="Set 'network_renderer' to what the image has, or install it in the image's build.",
            missing=[request.network_program],
        )
    if not formats:
        return
    allowed = abilities.configuration.get("block") or ["direct"]
    if request.block_setup is not None and request.block_setup not in allowed:
        raise ImageModeError(
            f"The image does not allow the block set-up '{request.block_setup}', only {', '.join(allowed)}.",
            error="block_setup_unsupported",
            hint=f'Add it to the image: block = ["{request.block_setup}"] under [install] in /usr/lib/bootc/install/*.toml.',
        )
    filesystem = request.filesystem or abilities.filesystem
    if filesystem is None:
        raise ImageModeError(
            "Neither the option 'filesystem' nor the image says which file system the root gets.",
            error="filesystem_missing",
            hint="Set 'filesystem', or [install.filesystem.root] type in the image's /usr/lib/bootc/install/*.toml.",
        )
    if filesystem == "xfs" and (request.composefs or abilities.ukis) and abilities.version < _COMPOSEFS_XFS_SINCE:
        raise too_old("The composefs backend on xfs", abilities.version, _COMPOSEFS_XFS_SINCE, "set 'filesystem' to ext4 or btrfs")
    needed = ["sfdisk", "wipefs", "mkfs.fat", f"mkfs.{filesystem}"]
    if abilities.block_setup(request) == "tpm2-luks":
        if request.files:
            raise OptionError(
                "'hostname', 'network', 'files' and credentials cannot be put onto an encrypted root, and the image's is (tpm2-luks).",
                hint="Put them into the image, or set 'block_setup: direct', if the image allows that.",
            )
        needed += ["cryptsetup", "systemd-cryptenroll"]
    lacking = [program for program in needed if program not in abilities.programs]
    if lacking:
        raise ImageNotBootable(
            f"bootc installs with programs that the image lacks: {', '.join(lacking)}.",
            hint="Install them in the image's build (fdisk, dosfstools, e2fsprogs, xfsprogs, btrfs-progs, cryptsetup).",
            missing=lacking,
        )


def require_bound_images(abilities: Abilities, request: Request, runner: Runner) -> None:
    """:raises ImageModeError: C(bound_image_missing): bootc copies them from Podman's storage, and would find out after the wipe"""
    if request.bound_images not in (None, "stored"):
        return
    lacking = [name for name in abilities.bound if runner.run(["podman", "image", "exists", name], check=False).rc != 0]
    if lacking:
        raise ImageModeError(
            f"Images that belong to the image are not in Podman's storage: {', '.join(lacking)}.",
            error="bound_image_missing",
            hint="Pull them there first, or set 'bound_images' to 'pull' or 'skip'.",
            missing=lacking,
        )


def require_room(image: Image, abilities: Abilities, request: Request, disk: Device) -> None:
    """:raises DiskTooSmall: the image does not fit on the disk, or not into I(root_size), or that not on the disk"""
    composefs = bool(request.composefs or abilities.ukis)
    around = _BIOS_BOOT + (_ESP_COMPOSEFS if composefs else _ESP)
    around += _BOOT_BESIDE_LUKS if abilities.block_setup(request) == "tpm2-luks" else 0
    root = image.size * (100 + OVERHEAD_PERCENT) // 100
    if request.root_size is not None:
        if request.root_size < root:
            raise DiskTooSmall(
                f"'root_size' is {human(request.root_size)}; the image needs about {human(root)}.",
                hint="Raise 'root_size', and leave room for updates: a second image of the same size.",
                needed=root,
            )
        # bootc cuts a root that does not fit to the disk without a word.
        require_size(disk, around + request.root_size, f"'root_size' {human(request.root_size)}, boot partitions {human(around)}")
    require_size(disk, around + root, f"image {human(image.size)} and {OVERHEAD_PERCENT} %, boot partitions {human(around)}")


def _require_versions(abilities: Abilities, request: Request) -> None:
    gates = [(name, since) for name, since in _SINCE if getattr(request, name)]
    if request.bootloader:
        gates.append(("bootloader", _BOOTLOADERS_SINCE[request.bootloader]))
    for name, since in gates:
        if abilities.version < since:
            option = "composefs_backend" if name == "composefs" else name
            raise too_old(f"'{option}: {getattr(request, name)}'", abilities.version, since, f"leave '{option}' out")


def too_old(what: str, version: Version, since: Version, otherwise: str) -> Unsupported:
    """
    :param what: is asked for
    :param version: of the image's bootc
    :param otherwise: what can be done where it stays as it is
    """
    needed, there = (".".join(map(str, one)) for one in (since, version))
    return Unsupported(
        f"{what} needs bootc {needed} or newer in the image; it has {there}.",
        hint=f"Update bootc in the image, or {otherwise}.",
        bootc_version=there,
        bootc_version_needed=needed,
    )


def _require_lasting_etc(abilities: Abilities, request: Request) -> None:
    backend = "composefs" if request.composefs or abilities.ukis else "ostree"
    lost = [f"/{file.path}" for file in request.files if file.path.startswith("etc/")]
    lost += ["root's SSH keys"] if request.root_keys else []
    if backend in abilities.transient_etc and lost:
        raise ImageModeError(
            f"The image makes /etc anew at every boot ([etc] transient), and this would be lost: {', '.join(lost)}.",
            error="etc_transient",
            hint="Put it into the image, or give it to the machine as systemd credentials (SMBIOS), and leave these options out or set them"
            " to false.",
            lost=lost,
        )


def _require_firmware(abilities: Abilities, request: Request, firmware: str | None) -> None:
    bootloader = request.bootloader or abilities.configuration.get("bootloader")
    if firmware is None or bootloader == "none" or request.generic_image:
        return
    systemd_boot = bootloader == "systemd" or (bootloader is None and not abilities.bootupd)
    there = frozenset(["EFI"]) if systemd_boot else abilities.firmwares
    wanted = "EFI" if firmware == "uefi" else "BIOS"
    if there and wanted not in there:
        raise BootloaderMissing(
            f"This machine was started by {'UEFI' if firmware == 'uefi' else 'legacy BIOS'} firmware, and the image has a boot loader"
            f" for {', '.join(sorted(there))} only.",
            error="firmware_mismatch",
            hint="Start the machine in the other mode (firmware setup), or build that boot loader into the image;"
            " for a disk of another machine set 'generic_image: true'.",
            firmware=firmware,
        )


def _require_bootloader(abilities: Abilities, request: Request) -> None:
    bootloader = request.bootloader or abilities.configuration.get("bootloader")
    if request.composefs or abilities.ukis:
        if bootloader == "none":
            raise OptionError("'bootloader: none' cannot be had with the composefs backend.", hint="Leave 'bootloader' out.")
        there, wanted = {
            None: (abilities.bootupd or abilities.systemd_boot, "bootupd or systemd-boot"),
            "systemd": (abilities.systemd_boot, "systemd-boot"),
            # bootupd installs, and its GRUB is replaced then (bootc 1.16.9, setup_composefs_boot).
            "grub-cc": (abilities.bootupd and abilities.grub_cc, "bootupd and /usr/lib/grub-cc/grub-cc.efi"),
        }.get(bootloader, (abilities.bootupd, "bootupd"))
    else:
        if bootloader == "none":
            return
        # Without composefs, others are not installed even so: "bootupd is required for ostree-based installs".
        there, wanted = abilities.bootupd and bootloader in (None, "grub"), "bootupd"
    if not there:
        asked = f" '{bootloader}'" if bootloader else ""
        raise BootloaderMissing(
            f"The image cannot install a boot loader{asked}: that needs {wanted}, which is not in it.",
            hint="Build it into the image, or set 'bootloader: none' and bring your own boot loader (ostree backend).",
            bootloader=bootloader,
        )
