# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image in Podman's storage, and what a registry says of it. Only Podman is needed; skopeo saves a pull."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .._bootc.errors import DigestMismatch, classify
from .._errors import ImageModeError, OptionError
from .._reference import Reference, parse_digest
from .._runner import CommandFailed, Runner
from .image import ARCHITECTURES, Image
from .installed import Installed

_AUTH_HINT = "Set 'registry_username' and 'registry_password', or 'auth_file', or log Podman in on this machine."


@dataclass(frozen=True)
class Wanted:
    """Which image is asked for.

    :ivar reference: as written, with the digest if one is asked for
    :ivar digest: the digest that it must have, or C(None)
    :ivar target: what the installed machine follows unless it is told otherwise: the tag, so that it gets updates
    """

    reference: Reference
    digest: str | None
    target: str

    @classmethod
    def parse(cls, image: str, digest: str | None) -> Wanted:
        """:raises ImageModeError: not a reference or not a digest, or two digests that differ"""
        reference = Reference.parse(image)
        if digest is not None and reference.digest is not None and reference.digest != parse_digest(digest):
            raise OptionError(f"'image' has the digest {reference.digest}, and 'digest' is {digest}.", hint="Give one.")
        digest = parse_digest(digest) if digest is not None else reference.digest
        target = replace(reference, digest=None) if reference.tag else reference.with_digest(digest or "")
        return cls(reference, digest, str(target))

    @property
    def name(self) -> str:
        """What Podman pulls and runs; it knows no references with both a tag and a digest."""
        return str(self.reference.with_digest(self.digest) if self.digest else self.reference)

    def require_digest(self, digests: frozenset[str]) -> None:
        """:raises DigestMismatch: the image is known by other digests"""
        if self.digest is not None and self.digest not in digests:
            raise DigestMismatch(
                f"'{self.reference}' should have the digest {self.digest}, and has {' or '.join(sorted(digests))}.",
                hint="Look up the digest again: skopeo inspect, or the lookup imagemode.bootc.digest.",
            )


class Source:
    """The wanted image in Podman's storage and in its registry.

    :param validate_certs: check the registry's certificate; Podman's own configuration may exempt a registry
    :param timeout: seconds for each command
    """

    def __init__(self, runner: Runner, wanted: Wanted, *, validate_certs: bool, timeout: float) -> None:
        self.wanted = wanted
        self._runner = runner
        self._tls = [] if validate_certs else ["--tls-verify=false"]
        self._timeout = timeout

    def known_digests(
        self, installed: Installed | None, auth_file: Path | None, machine: str, pull: str, *, may_pull: bool
    ) -> frozenset[str]:
        """Learn the wanted image's digests as cheaply as the decision allows.

        :param installed: what is on the disk: if it has the asked digest, nobody is asked
        :param machine: C(uname -m)
        :param may_pull: not in check mode
        :returns: empty if they do not matter, because there is no installation to compare with
        :raises ImageModeError: they matter, and cannot be learned
        """
        if self.wanted.digest is not None and installed is not None and installed.digest == self.wanted.digest:
            return frozenset([self.wanted.digest])
        if installed is None and may_pull:
            return frozenset()
        image = self.local() if self.wanted.digest is not None or pull != "always" else None
        if image is not None:
            return image.digests
        if pull != "never":
            remote = self.remote_digests(auth_file, machine)
            if remote is not None:
                return remote
            if may_pull:
                return self.fetch(auth_file, pull).digests
            if installed is None:
                return frozenset([self.wanted.digest] if self.wanted.digest else [])
        raise ImageModeError(
            f"Which digest '{self.wanted.name}' has cannot be told" + (" in check mode." if pull != "never" else " without a pull."),
            error="image_missing" if pull == "never" else "command_missing",
            hint="Load the image first, or allow to pull it." if pull == "never" else "Install skopeo, or give 'digest'.",
        )

    def fetch(self, auth_file: Path | None, pull: str) -> Image:
        """Have the image in Podman's storage.

        :param auth_file: credentials, only for this command
        :param pull: C(always), C(missing) or C(never); a digest that is there is not pulled again
        :raises ImageModeError: C(image_missing), C(registry_unauthorized), C(registry_unreachable)…
        """
        image = self.local() if self.wanted.digest is not None or pull != "always" else None
        if image is None and pull != "never":
            self._pull(auth_file)
            image = self.local()
        if image is None:
            raise ImageModeError(
                f"'{self.wanted.name}' is not in Podman's storage.", error="image_missing", hint="Load or pull it first.",
            )
        return image

    def local(self) -> Image | None:
        """:returns: the image in Podman's storage, if it is there"""
        done = self._runner.run(["podman", "image", "inspect", self.wanted.name], check=False)
        if done.rc != 0:
            return None
        return Image.parse(json.loads(done.stdout)[0])

    def _pull(self, auth_file: Path | None) -> None:
        auth = ["--authfile", str(auth_file)] if auth_file else []
        try:
            self._runner.run(["podman", "pull", "--quiet", *self._tls, *auth, self.wanted.name], timeout=self._timeout)
        except CommandFailed as error:
            raise _failure(f"Podman could not pull '{self.wanted.name}'", error) from None

    def remote_digests(self, auth_file: Path | None, machine: str) -> frozenset[str] | None:
        """Ask the registry for its manifest; no layer is downloaded.

        :param machine: C(uname -m)
        :returns: digest of the manifest or index, and of the platform's manifest; C(None) if skopeo is not installed
        :raises ImageModeError: C(image_missing), C(registry_unauthorized), C(registry_unreachable)…
        """
        if self._runner.find("skopeo") is None:
            return None
        auth = ["--authfile", str(auth_file)] if auth_file else []
        argv = ["skopeo", "inspect", "--raw", *self._tls, *auth, f"docker://{self.wanted.name}"]
        try:
            raw = self._runner.run(argv, timeout=self._timeout).stdout
        except CommandFailed as error:
            raise _failure(f"The registry has no answer for '{self.wanted.name}'", error) from None
        return manifest_digests(raw, ARCHITECTURES.get(machine, machine))


def manifest_digests(raw: str, architecture: str) -> frozenset[str]:
    """:param raw: manifest or index, byte for byte
    :param architecture: for example C(amd64)
    :returns: its digest, and in an index the digest of the Linux image for that architecture
    """
    found = {f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}"}
    document: Mapping[str, Any] = json.loads(raw)
    for manifest in document.get("manifests") or ():
        platform = manifest.get("platform") or {}
        if platform.get("os") == "linux" and platform.get("architecture") == architecture:
            found.add(manifest["digest"])
            break
    return frozenset(found)


def _failure(what: str, error: CommandFailed) -> ImageModeError:
    code, hint = classify(error.details["stderr"])
    if code == "registry_unauthorized":
        hint = _AUTH_HINT
    return ImageModeError(
        f"{what}: {error.details['stderr'].splitlines()[-1] if error.details['stderr'] else 'it said nothing'}",
        error="image_pull_failed" if code == "bootc_failed" else code,
        hint=hint or "Try 'podman pull' by hand on this machine.",
        **error.details,
    )
