# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""`image list` and `internals fsck`."""

from __future__ import annotations

import json
import os
from typing import Any

from .errors import BootcError
from .sysroot import open_sysroot


def images(options: Any) -> None:
    listed = [{"image_type": "host", "image": name} for name in open_sysroot().repository.images()]
    if options.format == "json":
        print(json.dumps(listed, indent=2), end="")
    else:
        print("\n".join(f"{image['image_type']:<8} {image['image']}" for image in listed))


def fsck(_options: Any) -> None:
    booted = open_sysroot().booted
    resolv = booted.path / "usr/etc/resolv.conf"
    if resolv.is_file() and not resolv.is_symlink() and os.path.getsize(resolv) > 0:
        raise BootcError("fsck: etc-resolvconf: image has its builder's /etc/resolv.conf")
    print("ok: etc-resolvconf\nok: fsverity")


def gc(_options: Any) -> None:
    raise BootcError("This command only works with the composefs backend")


def delete(_options: Any) -> None:
    raise BootcError("This command only works with the composefs backend")
