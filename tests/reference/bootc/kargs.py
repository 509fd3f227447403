# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""`loader-entries set-options-for-source`: kernel arguments by who owns them."""

from __future__ import annotations

import re
from typing import Any

from .errors import BootcError, context
from .sysroot import open_sysroot


def command(options: Any) -> None:
    sysroot = open_sysroot()
    with context("Setting options for source"):
        if not re.fullmatch(r"[A-Za-z0-9_-]+", options.source):
            raise BootcError("Source name must contain only alphanumeric characters, hyphens, and underscores")
        base = sysroot.staged or sysroot.booted
        reference = base.reference()
        if reference is None:
            raise BootcError("No image source specified")
        sources = sysroot.karg_sources(base)
        if sources.get(options.source) == options.options:
            return
        kargs = list(base.kargs)
        for word in (sources.pop(options.source, None) or "").split():
            if word in kargs:
                kargs.remove(word)
        if options.options is not None:
            sources[options.source] = options.options
            kargs += options.options.split()
        sysroot.stage(base.checksum, reference, base=base, kargs=kargs, sources=sources)
        sysroot.touch()
