# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether two things that are named are the same: a source and another, a deployment and a digest."""

from __future__ import annotations

from .._reference import Reference, ReferenceInvalid, same_reference
from .plan import Remote
from .status import Deployment, Source


def satisfied(deployment: Deployment | None, digest: str, remote: Remote | None = None) -> bool:
    """Whether a deployment is the image with this digest, be it the platform's or the index's."""
    if deployment is None or deployment.image is None:
        return False
    if digest in (deployment.image.digest, pinned(deployment.image.source)):
        return True
    return remote is not None and remote.is_digest(digest) and remote.is_in(deployment)


def same_source(one: Source, other: Source) -> bool:
    if (one.transport, policy(one)) != (other.transport, policy(other)):
        return False
    return one.image == other.image or (one.transport == "registry" and same_reference(one.image, other.image))


def policy(source: Source) -> str | None:
    return None if source.signature == "insecure" else source.signature


def pinned(source: Source) -> str | None:
    if source.transport != "registry":
        return None
    try:
        return Reference.parse(source.image).digest
    except ReferenceInvalid:
        return None
