# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a live system, each with what goes into it: kernel, initramfs, root, settings, what boots them, and a CD of all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .._engine import LocalImage
from .._errors import ImageModeError
from .._runner import Runner
from . import boot, cpio, live, settings
from .shelf import Part
from .tree import Kernel, kernel, mounted

# Raised when the same inputs give other files than before.
FORMAT = 1
NETWORK = "netboot"
_RESCUE = ("grub-mkrescue", "grub2-mkrescue")
_PLATFORMS = {"bios": "i386-pc", "uefi": "x86_64-efi"}


class CdUnavailable(ImageModeError):
    """What makes a CD that boots is not installed."""

    error = "command_missing"


@dataclass(frozen=True)
class Wanted:
    """A live system as it is asked for.

    :ivar keys: root's SSH keys on every machine
    :ivar cd: name of the CD's file, or C(None) for none
    :ivar url: where the files for network boot will be found, or C(None)
    """

    image: LocalImage
    kernel_arguments: tuple[str, ...]
    keys: tuple[str, ...]
    hosts: tuple[settings.Host, ...]
    cd: str | None
    url: str | None

    @property
    def arguments(self) -> tuple[str, ...]:
        return (*live.KERNEL_ARGUMENTS, *self.kernel_arguments)


class Medium:
    """Makes what is wanted. The image is mounted while a file is made of it, and only then."""

    def __init__(self, runner: Runner, wanted: Wanted, directory: Path) -> None:
        self._runner, self._wanted, self._directory = runner, wanted, directory

    def firmware(self) -> tuple[str, ...]:
        """:returns: the kinds of firmware that will boot the CD: C(bios), C(uefi)"""
        tops = [Path(top) for top in ("/usr/lib/grub", "/usr/share/grub2", "/usr/lib/grub2")]
        return tuple(name for name, platform in _PLATFORMS.items() if any((top / platform).is_dir() for top in tops))

    def require_tools(self) -> None:
        """:raises CdUnavailable: a CD is wanted, and nothing here makes one"""
        if self._wanted.cd is None:
            return
        lacking = [name for name in ("xorriso", "mformat") if not self._runner.find(name)]
        if not self._rescue():
            lacking.append(_RESCUE[0])
        if lacking or not self.firmware():
            raise CdUnavailable(
                f"A CD that boots cannot be made here: {', '.join(lacking) or 'GRUB for BIOS or UEFI'} is not installed.",
                hint="Install xorriso, mtools and GRUB's tools and files (Debian: grub-common, grub-pc-bin, grub-efi-amd64-bin; Fedora: "
                "grub2-tools-extra, grub2-pc-modules, grub2-efi-x64-modules).",
            )

    def parts(self) -> tuple[Part, ...]:
        """:returns: every file, those first that others are made of"""
        wanted = self._wanted
        entries = {f"{live.SETTINGS}/{path}": entry for path, entry in settings.archive(wanted.hosts, wanted.keys).items()}
        image = {"image": wanted.image.id, "format": FORMAT}
        initramfs = [f"{NETWORK}/{name}" for name in boot.INITRAMFS]
        parts = [
            Part(f"{NETWORK}/{boot.KERNEL}", {**image, "what": "kernel"}, self._kernel),
            Part(initramfs[0], {**image, "what": "initramfs"}, self._initramfs),
            Part(initramfs[1], {**image, "what": "root", "added": _texts(live.initramfs(()))}, self._root),
            Part(initramfs[2], {"format": FORMAT, "entries": _texts(entries)}, lambda path: _archive(path, entries)),
        ]
        made_of = {part.name: part.key for part in parts}
        if wanted.url:
            parts.append(_text("boot.ipxe", boot.ipxe(wanted.arguments, wanted.url)))
            parts.append(_text("grub.cfg", boot.network_menu(wanted.arguments, wanted.url)))
        if wanted.cd:
            inputs = {"format": FORMAT, "made_of": made_of, "menu": boot.menu(wanted.arguments), "firmware": self.firmware()}
            parts.append(Part(wanted.cd, inputs, self._cd))
        return tuple(parts)

    def _kernel(self, path: Path) -> None:
        with self._taken() as (_root, found):
            shutil.copyfile(found.kernel, path)

    def _initramfs(self, path: Path) -> None:
        with self._taken() as (_root, found):
            shutil.copyfile(found.initramfs, path)

    def _root(self, path: Path) -> None:
        squashed = path.with_name(f"{path.name}.squashfs")
        try:
            with self._taken() as (root, found):
                left_out = ["boot", "sysroot/ostree", *(str(file.relative_to(root)) for file in (found.kernel, found.initramfs))]
                # What the installer runs is read once: time counts more than the last bytes.
                squash = ["mksquashfs", str(root), str(squashed), "-noappend", "-quiet", "-no-progress"]
                self._runner.run([*squash, "-comp", "zstd", "-Xcompression-level", "6", "-e", *left_out])
                _archive(path, {**live.initramfs(found.modules), live.ROOT: cpio.file(squashed)})
        finally:
            squashed.unlink(missing_ok=True)

    def _cd(self, path: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self._directory, prefix=".cd-") as scratch:
            top = Path(scratch)
            (top / "live").mkdir()
            (top / "boot/grub").mkdir(parents=True)
            for name in (boot.KERNEL, *boot.INITRAMFS):
                os.link(self._directory / NETWORK / name, top / "live" / name)
            (top / "boot/grub/grub.cfg").write_text(boot.menu(self._wanted.arguments))
            self._runner.run([str(self._rescue()), "-o", str(path), str(top), "--", "-volid", "LIVE"])

    def _rescue(self) -> str | None:
        return next(filter(self._runner.find, _RESCUE), None)

    @contextmanager
    def _taken(self) -> Iterator[tuple[Path, Kernel]]:
        with mounted(self._runner, self._wanted.image) as root:
            yield root, kernel(root)


def _text(name: str, text: str) -> Part:
    def make(path: Path) -> None:
        path.write_text(text)

    return Part(f"{NETWORK}/{name}", {"text": text}, make)


def _archive(path: Path, entries: dict[str, cpio.Entry]) -> None:
    with path.open("wb") as out:
        cpio.write(out, entries)


def _texts(entries: dict[str, cpio.Entry]) -> dict[str, Sequence[object]]:
    """Entries as JSON can say them; none of these is a copy of a file."""
    return {path: (entry.mode, entry.content.decode()) for path, entry in entries.items() if isinstance(entry.content, bytes)}
