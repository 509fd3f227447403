# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the registry has a newer image for the host, and how much of it the host lacks.

The registry is asked with skopeo, as bootc would. `bootc upgrade --check` is not used: it can stage an update, or
deny one that there is (recordings composefs and ostree, check-after-dlonly-reboot).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from .._reference import Reference, digest_of
from .client import Bootc
from .errors import BootcError
from .status import Host, Source


def ask_registry(bootc: Bootc, host: Host) -> dict[str, Any] | None:
    """Ask the registry for what the host follows.

    :returns: the digests of the image there, whether it is booted or staged, and its layers and bytes, in total and what the
        booted image lacks (C(None) where the registry has lost one of the two); C(None) if the host follows no image
    :raises BootcError: the registry cannot be reached or does not have the image
    """
    source = host.spec
    if source is None:
        return None
    remote, running = bootc.remote(source, host), host.booted
    booted = remote.is_in(running)
    found: dict[str, Any] = {
        "image": source.image,
        "digest": remote.pullable,
        "index_digest": remote.index,
        "booted": booted,
        "staged": remote.is_in(host.staged),
    }
    there = _layers(bootc, source, remote.pullable)
    here = there if booted or running is None else _layers(bootc, running.source, running.digest)
    lacking = None if there is None or here is None else {digest: size for digest, size in there.items() if digest not in here}
    for name, layers in (("total", there), ("new", lacking)):
        found[f"layers_{name}"] = None if layers is None else len(layers)
        found[f"bytes_{name}"] = None if layers is None else sum(layers.values())
    return found


def _layers(bootc: Bootc, source: Source | None, digest: str | None) -> dict[str, int] | None:
    """Digest → bytes, compressed as the registry holds them, of the manifest with this digest."""
    if source is None or digest is None:
        return None
    if source.transport == "registry":
        source = replace(source, image=str(Reference.parse(source.image).with_digest(digest)))
    try:
        raw = bootc.manifest(source)
        # Where a name cannot hold a digest (a directory, local storage), it may be another image by now.
        return {layer["digest"]: int(layer["size"]) for layer in json.loads(raw)["layers"]} if digest_of(raw.encode()) == digest else None
    except (BootcError, ValueError, KeyError, TypeError):
        return None  # an old image may be gone from the registry; only the sizes are not known then
