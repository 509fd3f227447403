# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What went into a build, as one hash with parts that say in words what changed."""

from __future__ import annotations

from ._cache import cache_directory, lock
from ._containerfile import (
    Base,
    BaseInvalid,
    ContainerfileInvalid,
    bases,
    here_document,
    lower_stages,
    mounts_files,
    stage_name,
    write_platforms,
)
from ._context import Context, ContextMissing, read_context
from ._fingerprint import LABEL, PARTS_LABEL, Fingerprint, Inputs, from_labels, reasons, take
from ._ignore import IgnoreInvalid, ignore_file
from ._remember import recall_files, remember_files

__all__ = [
    "LABEL",
    "PARTS_LABEL",
    "Base",
    "BaseInvalid",
    "ContainerfileInvalid",
    "Context",
    "ContextMissing",
    "Fingerprint",
    "IgnoreInvalid",
    "Inputs",
    "bases",
    "cache_directory",
    "from_labels",
    "here_document",
    "ignore_file",
    "lock",
    "lower_stages",
    "mounts_files",
    "read_context",
    "reasons",
    "recall_files",
    "remember_files",
    "stage_name",
    "take",
    "write_platforms",
]
