# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logically bound images: application images that bootc pulls with an operating system image, into storage of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .._reference import has_registry, same_reference
from .errors import BootcError
from .status import Deployment, Host

ROOT = "/"
DIRECTORY = "usr/lib/bootc/bound-images.d"
# bootc's storage on either backend; the first is a link into it that base images bring.
STORAGES = ("usr/lib/bootc/storage", "sysroot/ostree/bootc/storage", "sysroot/composefs/bootc/storage")
_SECTIONS = {".image": "Image", ".container": "Container"}


def lacks(deployment: Deployment) -> list[str]:
    """:returns: images that a deployment on ostree binds and that are not in bootc's storage; short names, which bootc expands, left out"""
    try:
        found = _deployed(deployment)
    except BootcError:  # bootc has refused it
        return []
    return [bound["image"] for bound in found if not bound["present"] and has_registry(bound["image"])]


def bound_to(host: Host) -> list[dict[str, Any]]:
    """:returns: L(bound_images) of the booted image, and of what is staged where that can be read
    :raises BootcError: C(bound_image_invalid)
    """
    booted = bound_images(ROOT)
    return booted + [bound for bound in (_deployed(host.staged) if host.staged else []) if bound not in booted]


def _deployed(deployment: Deployment) -> list[dict[str, Any]]:
    """:returns: L(bound_images) of a deployment on ostree"""
    if deployment.stateroot is None or deployment.identity is None:
        return []
    return bound_images(os.path.join(ROOT, "sysroot/ostree/deploy", deployment.stateroot, "deploy", deployment.identity), ROOT)


def bound_images(root: str = "/", storage: str | None = None) -> list[dict[str, Any]]:
    """What an image binds, by the links in C(bound-images.d), and whether bootc has it.

    :param root: that of the booted image, or of a deployment
    :param storage: root of the host, where it is another
    :returns: name of the link, image as it is written there, whether it is in bootc's storage, and its digest there
    :raises BootcError: C(bound_image_invalid), for what makes bootc itself refuse an upgrade to such an image
    """
    directory = Path(root, DIRECTORY)
    links = sorted(directory.iterdir()) if directory.is_dir() else []
    stored = _stored(storage or root) if links else {}
    found = []
    for link in links:
        image = _image(link, root)
        names = [name for name in stored if same_reference(name, image)]
        found.append(
            {
                "name": link.name,
                "image": image,
                "present": bool(names),
                "digest": stored[names[0]] if names else None,
            }
        )
    return found


def _image(link: Path, root: str) -> str:
    """The image that a quadlet file names, read as bootc reads it."""
    section = _SECTIONS.get(link.suffix)
    if not link.is_symlink() or section is None:
        raise _invalid(link, "is not a link to a .image or .container file")
    target = os.readlink(link)  # absolute ones mean the image's root
    path = Path(root, target.lstrip("/")) if target.startswith("/") else link
    try:
        image = _value(path.read_text(), section, "Image")
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(link, f"cannot be read: {error}") from None
    if not image:
        raise _invalid(link, f"has no Image in its section [{section}]")
    if "%" in image.replace("%%", ""):
        raise _invalid(link, f"has a specifier in '{image}', which bootc does not expand")
    return image.replace("%%", "%")


def _invalid(link: Path, what: str) -> BootcError:
    return BootcError(
        f"'{link}' {what}; bootc cannot upgrade to an image with it.",
        error="bound_image_invalid",
        hint="Mend it in the image: a link in /usr/lib/bootc/bound-images.d to a quadlet file with an Image.",
    )


def _stored(root: str) -> dict[str, str]:
    """Name → digest of each image in bootc's storage, from containers-storage's own index."""
    for storage in STORAGES:
        for index in Path(root, storage).glob("*-images/images.json"):
            try:
                images = json.loads(index.read_text())
                return {name: image.get("digest") or "" for image in images for name in image.get("names") or ()}
            except (OSError, ValueError, AttributeError, TypeError):
                continue
    return {}


def _value(text: str, section: str, key: str) -> str | None:
    """The last value of a key in a section of a systemd unit."""
    current, value = "", None
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            current = line.strip("[]")
        elif current == section and line.partition("=")[0].strip() == key:
            value = line.partition("=")[2].strip()
    return value
