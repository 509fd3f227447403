# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Putting onto an installed disk what was asked for and bootc left out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .errors import InstallIncomplete
from .installed import Installed, parse_entry, with_options
from .keys import DROP_IN, drop_in
from .plan import Plan

_LABEL = "security.selinux"


def repair(roots: Mapping[str, Path], installed: Installed, plan: Plan, keys: tuple[str, ...]) -> None:
    """Write into mounted file systems.

    :param roots: where each partition is mounted for writing, by its path
    :raises InstallIncomplete: there is no place to put it
    """
    if plan.keys:
        path = roots[installed.device] / installed.etc / DROP_IN
        path.parent.mkdir(mode=0o755, exist_ok=True)
        if keys:
            _replace(path, drop_in(keys))
        elif path.exists():
            path.unlink()
    if plan.missing_arguments:
        if installed.entry is None or installed.entry_device is None:
            raise InstallIncomplete(
                f"Kernel arguments are missing on the disk ({' '.join(plan.missing_arguments)}), and no boot entry takes them.",
                hint="The image may boot a unified kernel image: put the arguments into the image.",
            )
        path = roots[installed.entry_device] / installed.entry.path
        text = path.read_text()
        options = " ".join([parse_entry(str(path), text).options, *plan.missing_arguments]).strip()
        _replace(path, with_options(text, options))


def _replace(path: Path, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        _copy_label(path if path.exists() else path.parent, Path(temporary))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _copy_label(source: Path, target: Path) -> None:
    # Files made from a system without SELinux would have no label, and one with SELinux could not read them.
    with suppress(OSError):  # the disk's file system has no labels
        os.setxattr(target, _LABEL, os.getxattr(source, _LABEL))
