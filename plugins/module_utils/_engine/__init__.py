# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Container engines behind one small interface: Podman, Buildah, Docker."""

from __future__ import annotations

from .._reference import named_by_id
from ._build import BuildFailed, BuildRequest, BuildResult, RegistryAccess
from ._choose import CHOICES, EngineMissing, EngineUnsupported, choose_engine, require_labels, require_support
from ._cli import Engine, EngineFailed, ImageMissingLocal, fault_code, fault_hint
from ._container import Container, container
from ._local import LOCAL, PLATFORMS_LABEL, LocalImage, image_digest, local_name, platform_name, steps, stored_name
from ._said import last_line
from ._skopeo import copy as skopeo_copy

__all__ = [
    "CHOICES",
    "LOCAL",
    "PLATFORMS_LABEL",
    "BuildFailed",
    "BuildRequest",
    "BuildResult",
    "Container",
    "Engine",
    "EngineFailed",
    "EngineMissing",
    "EngineUnsupported",
    "ImageMissingLocal",
    "LocalImage",
    "RegistryAccess",
    "choose_engine",
    "container",
    "fault_code",
    "fault_hint",
    "image_digest",
    "last_line",
    "local_name",
    "named_by_id",
    "platform_name",
    "require_labels",
    "require_support",
    "skopeo_copy",
    "steps",
    "stored_name",
]
