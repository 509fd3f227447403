# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do with a disk: pure, from what is on it and what is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .. import _kargs as kargs
from .._disk.device import Device
from .._disk.hints import describe
from .._reference import same_reference
from .errors import DiskHasData, DiskHasOtherImage, arguments_sealed
from .image import Request
from .installed import Installed
from .stamp import Stamp


@dataclass(frozen=True)
class Plan:
    """What will be done.

    :ivar verb: C(none), C(repair) (kernel arguments, SSH keys or files are put there) or C(install)
    :ivar reason: in words
    :ivar wipe: the disk holds something that goes
    :ivar missing_arguments: kernel arguments to add
    :ivar keys: whether root's SSH keys are to be written
    :ivar files: paths of the files that are to be written
    """

    verb: str
    reason: str
    wipe: bool = False
    missing_arguments: tuple[str, ...] = ()
    keys: bool = False
    files: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return self.verb != "none"


def plan(
    disk: Device,
    contents: Sequence[str],
    installed: Installed | None,
    request: Request,
    digests: frozenset[str],
    *,
    confirmed: bool,
    confirmation: str,
    stamp: Stamp | None = None,
) -> Plan:
    """Decide.

    :param contents: what is on the disk, in words; empty if nothing is
    :param installed: the bootc installation on it
    :param digests: every digest of the wanted image; empty if not known
    :param confirmed: wiping this disk was confirmed
    :param confirmation: what I(wipe_confirm) must be to confirm it
    :param stamp: the one on the disk
    :raises DiskHasOtherImage: another installation is there, and wiping it was not confirmed
    :raises DiskHasData: something else is there, and wiping it was not confirmed
    """
    if stamp is not None and stamp.resumable(disk):
        return Plan("install", f"an installation of {stamp.image} to {disk.path} was interrupted; it is made anew", wipe=bool(contents))
    if not contents and installed is None:
        return Plan("install", f"{disk.path} is empty")
    believed = stamp is not None and stamp.holds(disk, request.target, digests)
    if installed is None and believed and sealed(disk) and request.block_setup != "direct":
        return Plan("none", f"{disk.path} is encrypted; by its stamp it holds this image already")
    other = [] if installed is None else differences(installed, request, digests)
    if installed is not None and believed and installed.entry is None and not contradictions(installed, request, digests):
        # Which of its deployments is started is not known, so nothing is added to any.
        return Plan("none", f"what {disk.path} boots cannot be told; by its stamp it holds this image already")
    if installed is not None and (not other or (believed and not contradictions(installed, request, digests))):
        return additions(installed, request)
    what = f"an installation that differs: {'; '.join(other)}" if installed is not None else "; ".join(contents)
    if confirmed:
        return Plan("install", f"{disk.path} holds {what}; wiping it is confirmed", wipe=True)
    kind = DiskHasData if installed is None else DiskHasOtherImage
    raise kind(
        f"{describe(disk)} is not empty. It holds {what}.",
        hint=f"If all of that may be lost, set 'wipe_confirm: \"{confirmation}\"'; else choose another disk."
        + ("" if installed is None else " To bring a machine that runs from it to another image, use bootc_switch there."),
        disk=disk.facts(),
        contents=list(contents),
        installed=installed.facts() if installed is not None else None,
        wipe_confirm_needed=confirmation,
    )


def differences(installed: Installed, request: Request, digests: frozenset[str]) -> list[str]:
    """:returns: in what the installation is another one than the wanted, or may be one, in words"""
    return [*contradictions(installed, request, digests), *unread(installed)]


def unread(installed: Installed) -> list[str]:
    """:returns: what nothing on the disk tells, or not in a way that is understood, in words"""
    found = []
    if installed.digest is None and installed.config is None:
        found.append("digest not known")  # composefs before bootc 1.12.0 (state.rs)
    if installed.image is None:
        found.append("what it follows not known")
    # Entries of ostree are always there, whatever the boot loader; for composefs, each boot loader has its own form.
    if installed.entry is None and installed.backend == "composefs":
        found.append("no boot entry that is known to start it")
    return found


def contradictions(installed: Installed, request: Request, digests: frozenset[str]) -> list[str]:
    """:returns: in what the installation is another one than the wanted for sure, or not complete, in words"""
    found = []
    if installed.digest is not None and installed.digest not in digests:
        found.append(f"digest {installed.digest}, not {' or '.join(sorted(digests)) or 'that of the image'}")
    if installed.digest is None and installed.config is not None:
        found.append(f"image {installed.config}, of a digest that is not known")
    if installed.image is not None and not same_reference(installed.image, request.target):
        found.append(f"it follows {installed.image}, not {request.target}")
    if installed.image is not None and (installed.transport or "registry") != request.transport:
        found.append(f"by transport {installed.transport}, not {request.transport}")
    if request.composefs is not None and request.composefs != (installed.backend == "composefs"):
        found.append(f"backend {installed.backend}")
    # The composefs backend of bootc 1.16.9 ignores the option.
    if request.stateroot is not None and installed.backend == "ostree" and request.stateroot != installed.stateroot:
        found.append(f"stateroot {installed.stateroot}, not {request.stateroot}")
    if request.block_setup == "tpm2-luks":
        found.append("it is not encrypted, and block_setup is tpm2-luks")  # or it could not have been read
    if request.filesystem is not None and installed.filesystem not in (None, request.filesystem):
        found.append(f"its file system is {installed.filesystem}, not {request.filesystem}")
    if installed.entry is None and installed.backend != "composefs":
        found.append("no boot entry starts it: an unfinished installation")
    return found


def additions(installed: Installed, request: Request, image_arguments: Sequence[str] = ()) -> Plan:
    """What bootc left out, or an interrupted run did not get to: both are added without installing anew.

    :param image_arguments: kernel arguments of the image's install configuration, if known
    :raises OptionError: kernel arguments for a unified kernel image
    """
    there = installed.kernel_arguments
    if installed.entry is not None and installed.entry.uki and request.kernel_arguments:
        raise arguments_sealed()
    missing = () if there is None else kargs.missing([*image_arguments, *request.kernel_arguments], there)
    keys = request.root_keys is not None and set(request.root_keys) != set(installed.root_keys)
    if not missing and not keys and not installed.lacking:
        return Plan("none", f"{installed.device} holds this image already")
    words = [f"kernel arguments {' '.join(missing)}"] if missing else []
    words += ["root's SSH keys"] if keys else []
    words += [f"/{path} as asked" for path in installed.lacking]
    reason = f"{installed.device} holds this image already, without {', '.join(words)}"
    return Plan("repair", reason, missing_arguments=missing, keys=keys, files=installed.lacking)


def sealed(disk: Device) -> bool:
    """:returns: whether an encrypted partition hides what is installed"""
    return any(partition.content == "crypto_LUKS" for partition in disk.partitions)
