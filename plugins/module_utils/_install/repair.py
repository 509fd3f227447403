# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Putting onto an installed disk what was asked for and bootc left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import InstallIncomplete
from .files import PlacedFile, place, write
from .installed import Installed, parse_entry, with_options
from .keys import DROP_IN, HOME, drop_in
from .layout import deployed
from .plan import Plan

_ROOT = (0, 0)


def repair(
    roots: Mapping[str, Path],
    installed: Installed,
    plan: Plan,
    keys: tuple[str, ...],
    files: Sequence[PlacedFile] = (),
    var: Path | None = None,
) -> None:
    """Write into mounted file systems.

    :param roots: where each partition is mounted for writing, by its path
    :param files: all that were asked for
    :param var: where C(/var) is, if it is a file system of its own
    :raises InstallIncomplete: there is no place to put it
    """
    if plan.keys:
        path = roots[installed.device] / installed.etc / DROP_IN
        if keys:
            write(path, drop_in(keys, installed.root_home or HOME).encode(), 0o644, _ROOT)
        elif path.exists():
            path.unlink()
    if plan.files:
        place(deployed(installed, roots, var), files)
    if plan.missing_arguments:
        if installed.entry is None or installed.entry_device is None or installed.entry.uki:
            raise InstallIncomplete(
                f"Kernel arguments are missing on the disk ({' '.join(plan.missing_arguments)}), and no boot entry takes them.",
                hint="The image may boot a unified kernel image: put the arguments into the image.",
            )
        path = roots[installed.entry_device] / installed.entry.path
        text = path.read_text()
        options = " ".join([parse_entry(str(path), text).options, *plan.missing_arguments]).strip()
        write(path, with_options(text, options).encode(), 0o644, _ROOT)
