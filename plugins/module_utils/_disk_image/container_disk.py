# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container disk: an image whose only file is a disk, as KubeVirt boots machines from it (C(/disk/*.qcow2), owner 107)."""

from __future__ import annotations

import hashlib
import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

from .._reference import digest_of
from .sidecar import sha256

# KubeVirt's QEMU runs as this user and group.
_QEMU = 107
_OCI = "application/vnd.oci.image"


def write(target: Path, disk: Path, architecture: str) -> Path:
    """Write an C(oci-archive), which oci_image_copy brings to a registry.

    :param disk: qcow2
    :param architecture: as images name it, for example C(amd64)
    """
    layer = target.with_name("layer.tar")
    with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as archive:
        folder = tarfile.TarInfo("disk")
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o755, _QEMU, _QEMU
        archive.addfile(folder)
        member = tarfile.TarInfo("disk/disk.qcow2")
        member.size, member.mode, member.uid, member.gid = disk.stat().st_size, 0o440, _QEMU, _QEMU
        with disk.open("rb") as file:
            archive.addfile(member, file)
    disk.unlink()
    digest = f"sha256:{sha256(layer)}"
    config = _encoded({"architecture": architecture, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest]}})
    manifest = _encoded(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _described(config, f"{_OCI}.config.v1+json"),
            # Not compressed: the disk's own holes are not stored, and who pulls it saves the time.
            "layers": [{"mediaType": f"{_OCI}.layer.v1.tar", "digest": digest, "size": layer.stat().st_size}],
        }
    )
    index = _encoded({"schemaVersion": 2, "manifests": [_described(manifest, f"{_OCI}.manifest.v1+json")]})
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in (
            ("oci-layout", _encoded({"imageLayoutVersion": "1.0.0"})),
            ("index.json", index),
            (_blob(config), config),
            (_blob(manifest), manifest),
        ):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, BytesIO(content))
        member = tarfile.TarInfo(f"blobs/{digest.replace(':', '/')}")
        member.size, member.mode = layer.stat().st_size, 0o644
        with layer.open("rb") as file:
            archive.addfile(member, file)
    layer.unlink()
    return target


def _encoded(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _described(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def _blob(content: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"
