# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""Image references as `status` and the origin file write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import BootcError

TRANSPORTS = {
    "registry": "docker://",
    "docker": "docker://",
    "oci": "oci:",
    "oci-archive": "oci-archive:",
    "docker-archive": "docker-archive:",
    "containers-storage": "containers-storage:",
    "dir": "dir:",
    "docker-daemon": "docker-daemon:",
}
PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
NAME = re.compile(rf"{PART}(?::[0-9]+)?(?:/{PART})*(?::[\w][\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?")


@dataclass(frozen=True)
class Reference:
    image: str
    transport: str = "registry"
    signature: str | None = None

    @classmethod
    def parse(cls, image: str, transport: str = "registry", signature: str | None = None) -> Reference:
        if transport not in TRANSPORTS:
            raise BootcError(f"Invalid transport: {transport}")
        if transport in ("registry", "docker"):
            if not NAME.fullmatch(image):
                raise BootcError("invalid reference format")
            transport = "registry"
        return cls(image, transport, signature)

    @classmethod
    def from_origin(cls, text: str) -> Reference | None:
        """From the value of container-image-reference."""
        signature = None
        if text.startswith("ostree-unverified-registry:"):
            return cls(text.removeprefix("ostree-unverified-registry:"))
        if text.startswith("ostree-image-signed:"):
            signature, rest = "containerPolicy", text.removeprefix("ostree-image-signed:")
        elif text.startswith("ostree-unverified-image:"):
            rest = text.removeprefix("ostree-unverified-image:")
        else:
            return None
        for transport, prefix in TRANSPORTS.items():
            if rest.startswith(prefix):
                return cls(rest.removeprefix(prefix), transport, signature)
        return None

    def origin(self) -> str:
        if self.signature == "containerPolicy":
            return f"ostree-image-signed:{self.url()}"
        return f"ostree-unverified-image:{self.url()}"

    def url(self) -> str:
        return TRANSPORTS[self.transport] + self.image

    def document(self) -> dict[str, str]:
        return {"image": self.image, "transport": self.transport, **({"signature": self.signature} if self.signature else {})}

    def with_tag(self, tag: str) -> Reference:
        """The same repository under another tag; a digest goes."""
        bare = self.image.partition("@")[0]
        head, slash, last = bare.rpartition("/")
        return Reference.parse(f"{head}{slash}{last.partition(':')[0]}:{tag}", self.transport, self.signature)
