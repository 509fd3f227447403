# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small things that the collection itself puts into a registry: tags on what is there, and what is attached to an image.

Layers of images are the engines' to push.
"""

from __future__ import annotations

from urllib.parse import quote, urljoin

from .._reference import Reference, digest_of
from ._client import Content, Registry
from ._http import Response
from ._manifests import Descriptor
from .errors import RegistryError


def put_manifest(registry: Registry, reference: Reference, content: Content) -> str:
    """Let a tag, or a digest, mean this manifest: OCI distribution specification 1.1, "Pushing Manifests".

    :returns: its digest
    :raises RegistryError: the registry does not take it
    """
    tag = reference.digest or reference.tag
    response = registry.send("PUT", reference, f"manifests/{tag}", {"Content-Type": content.media_type}, content.body)
    if response.status not in (200, 201, 202):
        raise _refused(reference, response, f"the manifest {content.digest}")
    return content.digest


def put_blob(registry: Registry, reference: Reference, content: bytes, media_type: str) -> Descriptor:
    """Store a blob: OCI distribution specification 1.1, "POST then PUT".

    :returns: its descriptor
    :raises RegistryError: the registry does not take it
    """
    digest = digest_of(content)
    blob = Descriptor(media_type, digest, len(content))
    if registry.send("HEAD", reference, f"blobs/{digest}", {"Accept": "*/*"}).status == 200:
        return blob
    begun = registry.send("POST", reference, "blobs/uploads/", {"Content-Type": "application/octet-stream"}, b"")
    location = begun.headers.get("location", "")
    if begun.status != 202 or not location:
        raise _refused(reference, begun, "an upload")
    target = urljoin(begun.url, location)
    target += f"{'&' if '?' in target else '?'}digest={quote(digest, safe='')}"
    stored = registry.send("PUT", reference, target, {"Content-Type": "application/octet-stream"}, content)
    if stored.status != 201:
        raise _refused(reference, stored, f"the blob {digest}")
    return blob


def _refused(reference: Reference, response: Response, what: str) -> RegistryError:
    return RegistryError(
        f"The registry {reference.registry} answered {response.status} to {what} for {reference.repository}{response.words}.",
        hint="Look at the registry's log: it may be read-only, full, or have rules for tags.",
        status=response.status,
    )
