# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading an installation from mounted file systems; only files are looked at, nothing of the disk is run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .. import _kargs as kargs
from .files import Deployed, PlacedFile, inside, lacking
from .installed import BootEntry, Installed, aleph_digest, commit_digest, parse_aleph, parse_entry, parse_imginfo, parse_menu, parse_origin
from .keys import DROP_IN, from_drop_in, home_in

# On the root file system when there is no separate /boot, else at the top of /boot or of the ESP; this may be mounted on the root.
_ENTRY_PLACES = ("boot/loader/entries", "loader/entries", "boot/efi/loader/entries", "efi/loader/entries")
_MENUS = ("boot/grub2/user.cfg", "grub2/user.cfg")


def read(roots: Mapping[str, Path], files: Iterable[PlacedFile] = (), var: Path | None = None) -> Installed | None:
    """Find the installation on one disk.

    :param roots: where each partition is mounted, by its path
    :param files: that were asked for
    :param var: where C(/var) is, if it is a file system of its own
    :returns: what the default boot entry starts, or C(None) if there is no bootc installation
    """
    entries = _entries(roots)
    for device, root in roots.items():
        found = _composefs(root, entries) or _ostree(root, entries)
        if found:
            found = replace(found, device=device)
            drop_in = _text(root / found.etc / DROP_IN)
            return replace(
                found,
                kernel_arguments=kargs.split(found.entry.options) if found.entry and not found.entry.uki else None,
                root_keys=from_drop_in(drop_in),
                root_home=_root_home((root / found.etc).parent) or home_in(drop_in),
                lacking=lacking(deployed(found, roots, var), files),
            )
    return None


def deployed(found: Installed, roots: Mapping[str, Path], var: Path | None = None) -> Deployed:
    """:returns: where the parts of the deployment are"""
    root = roots[found.device]
    etc = root / found.etc
    return Deployed(etc, var or root / found.var, (etc, etc.parent / "usr/lib"))


def _entries(roots: Mapping[str, Path]) -> Sequence[tuple[str, BootEntry]]:
    """:returns: partition and entry, the one that is booted first"""
    found: list[tuple[str, BootEntry]] = []
    on_esp: list[tuple[str, BootEntry]] = []
    menu: list[tuple[str, BootEntry]] = []
    for device, root in roots.items():
        for place in _ENTRY_PLACES:
            # A directory with capitals is on an ESP only; on a /boot it is "efi".
            entries = on_esp if os.path.isdir((root / place).parents[1] / "EFI") else found
            for path in _files(root / place):
                entries.append((device, parse_entry(f"{place}/{path.name}", _text(path))))
        for place in _MENUS:
            menu += [(device, entry) for entry in parse_menu(place, _text(root / place))]
    # systemd-boot and ostree's grub generator both start the highest version; a menu is in its order.
    for entries in (found, on_esp):
        entries.sort(key=lambda item: (_version_key(item[1].version), _version_key(item[1].path)), reverse=True)
    # systemd-boot takes the lowest sort-key first, and entries without one last (Boot Loader Specification, "Sorting").
    on_esp.sort(key=lambda item: (not item[1].sort_key, item[1].sort_key))
    return [*found, *on_esp, *menu]


def _files(directory: Path) -> list[Path]:
    """:returns: the entries in a directory; none where it cannot be looked into, as below an automount of an ESP that is not there"""
    try:
        return [path for path in directory.iterdir() if path.suffix == ".conf"]
    except OSError:
        return []


def _ostree(root: Path, entries: Sequence[tuple[str, BootEntry]]) -> Installed | None:
    deployments = {
        path: path.parent / f"{path.name}.origin"
        for path in sorted((root / "ostree" / "deploy").glob("*/deploy/*.*"))
        if path.is_dir() and not path.is_symlink()
    }
    if not deployments:
        return None
    chosen, entry_device, entry = None, None, None
    for device, candidate in entries:
        link = kargs.value("ostree", candidate.options)
        target = inside(root, link) if link else None
        if target in deployments:
            chosen, entry_device, entry = target, device, candidate
            break
    deployment = chosen or next(iter(deployments))
    origin = parse_origin(_text(deployments[deployment]))
    aleph = parse_aleph(_text(root / ".bootc-aleph.json"))
    # The aleph tells what was installed, the commit what is there now.
    digest = commit_digest(_commit(root, deployment.name.partition(".")[0])) or aleph_digest(aleph)
    if origin.image is None:
        return None  # a plain ostree system
    return Installed(
        backend="ostree",
        image=origin.image,
        transport=origin.transport,
        digest=digest,
        stateroot=deployment.parent.parent.name,
        etc=str((deployment / "etc").relative_to(root)),
        var=str((deployment.parents[1] / "var").relative_to(root)),
        entry_device=entry_device,
        entry=entry,
    )


def _composefs(root: Path, entries: Sequence[tuple[str, BootEntry]]) -> Installed | None:
    directories = sorted((root / "state" / "deploy").glob("*"))
    deployments = {path.name: path for path in directories if (path / f"{path.name}.origin").is_file()}
    if not deployments:
        return None
    chosen, entry_device, entry = None, None, None
    for device, candidate in entries:
        if candidate.verity in deployments:
            chosen, entry_device, entry = deployments[candidate.verity], device, candidate
            break
    deployment = chosen or next(iter(deployments.values()))
    origin = parse_origin(_text(deployment / f"{deployment.name}.origin"))
    return Installed(
        backend="composefs",
        image=origin.image,
        transport=origin.transport,
        digest=origin.digest,
        config=parse_imginfo(_text(deployment / f"{deployment.name}.imginfo")),
        stateroot="default",
        etc=str((deployment / "etc").relative_to(root)),
        var="state/os/default/var",
        entry_device=entry_device,
        entry=entry,
    )


def _root_home(deployment: Path) -> str | None:
    """:returns: where C(/root) leads; C(None) in deployments of composefs, which are no files on the disk"""
    home = inside(deployment, "root") if os.path.lexists(deployment / "root") else None
    return f"/{home.relative_to(deployment)}" if home else None


def _commit(root: Path, checksum: str) -> bytes:
    try:
        return (root / "ostree/repo/objects" / checksum[:2] / f"{checksum[2:]}.commit").read_bytes()
    except OSError:
        return b""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _version_key(text: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", text))
