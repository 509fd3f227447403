# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OCI distribution client: what a registry says of a reference, verified by digest."""

from __future__ import annotations

from ._access import Access, certificate_directories
from ._attached import Attached, artifact_kind, artifact_type, attached, attached_tags, list_referrers, referring
from ._client import Content, Registry, subject_tag
from ._joined import join, lacking
from ._manifests import IMAGE_TYPES, INDEX_TYPES, Descriptor, Image, Index, Layer, Manifest, need_platform, parse_manifest
from ._options import REGISTRY_ARGUMENTS, RegistryOptions
from ._platform import Platform
from ._referrer import artifact, attach
from ._registries_conf import RegistriesConf, RegistriesConfInvalid, Source
from ._upload import put_blob, put_manifest
from .errors import (
    AnswerIncomplete,
    BlobMissing,
    CredentialsRefused,
    DigestMismatch,
    ImageMissing,
    ManifestInvalid,
    ManifestUnsupported,
    PlatformMissing,
    ProxyFailed,
    RedirectRefused,
    RegistryError,
    RegistryForbidden,
    RegistryRateLimited,
    RegistryTls,
    RegistryUnauthorized,
    RegistryUnavailable,
    RegistryUnreachable,
    RequestsMissing,
    TokenInvalid,
)

__all__ = [
    "IMAGE_TYPES",
    "INDEX_TYPES",
    "REGISTRY_ARGUMENTS",
    "Access",
    "AnswerIncomplete",
    "Attached",
    "BlobMissing",
    "Content",
    "CredentialsRefused",
    "Descriptor",
    "DigestMismatch",
    "Image",
    "ImageMissing",
    "Index",
    "Layer",
    "Manifest",
    "ManifestInvalid",
    "ManifestUnsupported",
    "Platform",
    "PlatformMissing",
    "ProxyFailed",
    "RedirectRefused",
    "RegistriesConf",
    "RegistriesConfInvalid",
    "Registry",
    "RegistryError",
    "RegistryForbidden",
    "RegistryOptions",
    "RegistryRateLimited",
    "RegistryTls",
    "RegistryUnauthorized",
    "RegistryUnavailable",
    "RegistryUnreachable",
    "RequestsMissing",
    "Source",
    "TokenInvalid",
    "artifact",
    "artifact_kind",
    "artifact_type",
    "attach",
    "attached",
    "attached_tags",
    "certificate_directories",
    "join",
    "lacking",
    "list_referrers",
    "need_platform",
    "parse_manifest",
    "put_blob",
    "put_manifest",
    "referring",
    "subject_tag",
]
