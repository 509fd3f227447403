# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes into a disk image, as data: two images with the same recipe are the same image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .._install.image import Request

# Raised whenever this code makes another file from the same inputs.
REVISION = 1


@dataclass(frozen=True)
class Recipe:
    """Everything that went into a disk image, or will.

    :ivar digest: of the image's manifest for its platform
    :ivar inputs: all the rest; secrets as hashes
    """

    digest: str
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, request: Request, digest: str, tools: Mapping[str, str], **file: Any) -> Recipe:
        """:param tools: program or medium → its version
        :param file: how the file is made: C(builder), C(format), C(size)…
        """
        system = asdict(request)
        system["files"] = {f"/{one.path}": _content(one.content, one.mode, one.owner, one.group) for one in request.files}
        system["root_keys"] = sorted(request.root_keys) if request.root_keys is not None else None
        # As it will be read back: a tuple is a list then.
        return cls(digest, json.loads(json.dumps({"revision": REVISION, "tools": dict(tools), **system, **file})))

    def differences(self, other: Recipe, digests: frozenset[str]) -> list[str]:
        """:param digests: every digest of the wanted image
        :returns: in what the other one, which was made, differs from this one, in words
        """
        found = [] if other.digest in digests else [f"digest {other.digest}, not {' or '.join(sorted(digests))}"]
        for name in sorted({*self.inputs, *other.inputs}):
            old, new = other.inputs.get(name), self.inputs.get(name)
            if old != new:
                found.append(f"{name}" if name in ("files", "root_keys") else f"{name} {old}, not {new}")
        return found


def _content(content: bytes, *more: object) -> str:
    return hashlib.sha256(b"\0".join([content, *(str(word).encode() for word in more)])).hexdigest()
