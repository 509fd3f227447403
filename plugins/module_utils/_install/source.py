# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image in Podman's storage, and what a registry says of it. Only Podman is needed; skopeo saves a pull."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .._bootc.errors import DigestMismatch, classify
from .._disk.size import human
from .._errors import ImageModeError, OptionError
from .._instance import Instance, choose, oci_architecture
from .._reference import Reference, digest_of, parse_digest
from .._runner import CommandFailed, Runner
from .image import Image
from .installed import Installed, image_id

FILES = ("oci", "oci-archive", "dir")
_AUTH_HINT = "Set 'registry_username' and 'registry_password', or 'auth_file', or log Podman in on this machine."


@dataclass(frozen=True)
class Wanted:
    """Which image is asked for.

    :ivar reference: as written, with the digest if one is asked for; C(None) for an image in files
    :ivar digest: the digest that it must have, or C(None)
    :ivar target: what the installed machine follows: without being told the tag, so that it gets updates
    :ivar files: TRANSPORT:PATH of an image in files, or C("")
    """

    reference: Reference | None
    digest: str | None
    target: str
    files: str = ""

    @classmethod
    def parse(cls, image: str, digest: str | None, target: str | None = None) -> Wanted:
        """:raises ImageModeError: not a reference or not a digest, two digests that differ, or nothing to follow"""
        transport, colon, rest = image.partition(":")
        if colon and transport in FILES and rest.startswith("/"):
            if target is None:
                raise OptionError(
                    f"'{image}' is in files, so it must be said what the installed machine follows for its updates.",
                    hint="Set 'target_imgref', for example to registry.example.com/os:stable.",
                )
            return cls(None, parse_digest(digest) if digest is not None else None, target, image)
        reference = Reference.parse(image)
        if digest is not None and reference.digest is not None and reference.digest != parse_digest(digest):
            raise OptionError(f"'image' has the digest {reference.digest}, and 'digest' is {digest}.", hint="Give one.")
        digest = parse_digest(digest) if digest is not None else reference.digest
        followed = replace(reference, digest=None) if reference.tag else reference.with_digest(digest or "")
        return cls(reference, digest, target or str(followed))

    @property
    def name(self) -> str:
        """What Podman pulls; it knows no references with both a tag and a digest."""
        if self.reference is None:
            return self.files
        return str(self.reference.with_digest(self.digest) if self.digest else self.reference)

    @property
    def url(self) -> str:
        """What skopeo asks."""
        return self.files or f"docker://{self.name}"

    def require_files(self) -> None:
        """:raises ImageModeError: C(image_missing)"""
        path = self.files.partition(":")[2]
        if self.files and not (os.path.exists(path) or os.path.exists(path.rpartition(":")[0])):
            raise ImageModeError(
                f"'{self.files}' is not on this machine.",
                error="image_missing",
                hint="Plug the medium in and mount it; check the path.",
            )

    def require_digest(self, digests: frozenset[str]) -> None:
        """:raises DigestMismatch: the image is known by other digests"""
        if self.digest is not None and self.digest not in digests:
            asked = self.files or self.reference
            raise DigestMismatch(
                f"'{asked}' should have the digest {self.digest}, and has {' or '.join(sorted(digests))}.",
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
        self._fetched: Image | None = None

    def known_digests(
        self, installed: Installed | None, auth_file: Path | None, machine: str, pull: str, *, may_pull: bool, sealed: bool = False
    ) -> frozenset[str]:
        """Learn the wanted image's digests as cheaply as the decision allows.

        :param installed: what is on the disk: if it has the asked digest, nobody is asked
        :param machine: C(uname -m)
        :param may_pull: not in check mode
        :param sealed: something is installed that cannot be read
        :returns: empty if they do not matter, because there is no installation to compare with
        :raises ImageModeError: they matter, and cannot be learned
        """
        if self.wanted.digest is not None and installed is not None and installed.digest == self.wanted.digest:
            return frozenset([self.wanted.digest])
        if installed is None and may_pull and not sealed:
            return frozenset()
        self.wanted.require_files()
        image = self._stored(pull)
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

    def known_id(self, auth_file: Path | None, machine: str, pull: str) -> tuple[str, str] | None:
        """For an installation of which the disk tells no digest, after L(known_digests).

        :returns: the wanted image's id, and the digest of its manifest; C(None) if they cannot be learned without a pull
        :raises ImageModeError: the registry does not answer
        """
        image = self._fetched or self._stored(pull)
        if image is not None:
            return image.id, image.digest
        if pull == "never" or self._runner.find("skopeo") is None:
            return None
        raw = self._platform_manifest(auth_file, machine)
        config = json.loads(raw).get("config") or {}
        return (image_id(config["digest"]), digest_of(raw.encode())) if config.get("digest") else None

    def fetch(self, auth_file: Path | None, pull: str) -> Image:
        """Have the image in Podman's storage.

        :param auth_file: credentials, only for this command
        :param pull: C(always), C(missing) or C(never); a digest that is there is not pulled again
        :raises ImageModeError: C(image_missing), C(registry_unauthorized), C(registry_unreachable)…
        """
        self.wanted.require_files()
        image = self._stored(pull)
        if image is None and pull != "never":
            self._require_space(auth_file)
            image = self.local(self._pull(auth_file))
        if image is None:
            raise ImageModeError(
                f"'{self.wanted.name}' is not in Podman's storage.",
                error="image_missing",
                hint="Load or pull it first.",
            )
        self._fetched = image
        return image

    def _stored(self, pull: str) -> Image | None:
        """:returns: the image in Podman's storage, if it is there and nobody needs to be asked"""
        if self.wanted.files or (self.wanted.digest is None and pull == "always"):
            return None
        return self.local(self.wanted.name)

    def local(self, name: str) -> Image | None:
        """:param name: as Podman knows it
        :returns: the image in Podman's storage, if it is there
        """
        done = self._runner.run(["podman", "image", "inspect", name], check=False, parsed=True)
        if done.rc != 0:
            return None
        return Image.parse(json.loads(done.stdout)[0])

    def _pull(self, auth_file: Path | None) -> str:
        """:returns: its name or id in Podman's storage"""
        auth = ["--authfile", str(auth_file)] if auth_file else []
        try:
            argv = ["podman", "pull", "--quiet", *self._tls, *auth, self.wanted.name]
            done = self._runner.run(argv, timeout=self._timeout, parsed=True)
        except CommandFailed as error:
            raise _failure(f"Podman could not pull '{self.wanted.name}'", error) from None
        return done.stdout.split()[-1] if self.wanted.files else self.wanted.name

    def save(self, directory: Path, auth_file: Path | None) -> None:
        """Have the image as files (C(dir:)), byte for byte, so that its digest stays; of an index what this machine runs.

        :param directory: is made
        :param auth_file: credentials, only for this command
        :raises ImageModeError: C(image_missing), C(registry_unauthorized), C(registry_unreachable), C(command_missing)…
        """
        self.wanted.require_files()
        auth = ["--src-authfile", str(auth_file)] if auth_file else []
        tls = ["--src-tls-verify=false"] if self._tls else []
        try:
            self._runner.run(["skopeo", "copy", "--quiet", *tls, *auth, self.wanted.url, f"dir:{directory}"], timeout=self._timeout)
        except CommandFailed as error:
            raise _failure(f"'{self.wanted.name}' could not be copied", error) from None

    def _require_space(self, auth_file: Path | None) -> None:
        """Live systems keep images in memory. What cannot fit is not begun.

        :raises ImageModeError: C(disk_full)
        """
        if self._runner.find("skopeo") is None or self._runner.run(["podman", "images", "--quiet"]).stdout.strip():
            return  # an image that is there may share layers, which are not pulled again
        needed = self._packed_size(auth_file)
        place = self._runner.run(["podman", "info", "--format", "{{.Store.GraphRoot}}"], parsed=True).stdout.strip()
        room = os.statvfs(place)
        free = room.f_bavail * room.f_frsize
        if free < needed:
            raise ImageModeError(
                f"'{self.wanted.name}' has {human(needed)}, packed, and {place} has {human(free)} left: it cannot be pulled.",
                error="disk_full",
                hint="Free images there ('podman system prune --all'), give the live system more memory, or mount a disk there.",
                needed=needed,
                free=free,
            )

    def remote_digests(self, auth_file: Path | None, machine: str) -> frozenset[str] | None:
        """Ask the registry for its manifest; no layer is downloaded.

        :param machine: C(uname -m)
        :returns: digest of the manifest or index, and of the platform's manifest; C(None) if skopeo is not installed
        :raises ImageModeError: C(image_missing), C(registry_unauthorized), C(registry_unreachable)…
        """
        if self._runner.find("skopeo") is None:
            return None
        return manifest_digests(self._manifest(self.wanted.url, auth_file), oci_architecture(machine))

    def _packed_size(self, auth_file: Path | None) -> int:
        """:returns: bytes of all layers. In a registry the manifest tells them: skopeo by itself would ask for the configuration, too,
        which Podman asks for again. Of an index in files it finds the image for this machine.
        """
        if self.wanted.files:
            layers = json.loads(self._inspect("--no-tags", self.wanted.url, auth_file)).get("LayersData") or ()
            return sum(int(layer["Size"]) for layer in layers)
        layers = json.loads(self._platform_manifest(auth_file, os.uname().machine)).get("layers") or ()
        return sum(int(layer["size"]) for layer in layers)

    def _platform_manifest(self, auth_file: Path | None, machine: str) -> str:
        """:returns: byte for byte the manifest, of an index in a registry that of the image for this machine"""
        raw = self._manifest(self.wanted.url, auth_file)
        if self.wanted.reference is not None:
            inner = platform_digest(raw, oci_architecture(machine))
            if inner:
                return self._manifest(f"docker://{self.wanted.reference.with_digest(inner)}", auth_file)
        return raw

    def _manifest(self, url: str, auth_file: Path | None) -> str:
        """:returns: manifest or index, byte for byte"""
        return self._inspect("--raw", url, auth_file)

    def _inspect(self, option: str, url: str, auth_file: Path | None) -> str:
        auth = ["--authfile", str(auth_file)] if auth_file else []
        try:
            return self._runner.run(["skopeo", "inspect", option, *self._tls, *auth, url], timeout=self._timeout, parsed=True).stdout
        except CommandFailed as error:
            raise _failure(f"There is no answer for '{self.wanted.name}'", error) from None


def manifest_digests(raw: str, architecture: str) -> frozenset[str]:
    """:param raw: manifest or index, byte for byte
    :param architecture: for example C(amd64)
    :returns: its digest, and in an index the digest of the Linux image for that architecture
    """
    return frozenset(filter(None, (digest_of(raw.encode()), platform_digest(raw, architecture))))


def platform_digest(raw: str, architecture: str) -> str | None:
    """:returns: digest of the Linux image for that architecture in an index; C(None) if it is none, or has none"""
    document: Mapping[str, Any] = json.loads(raw)
    chosen = choose(map(Instance.of, document.get("manifests") or ()), "linux", architecture)
    return chosen.digest if chosen else None


def _failure(what: str, error: CommandFailed) -> ImageModeError:
    code, hint = classify(error.details["stderr"])
    if code == "disk_full":
        hint = "Podman's storage is full; a live system keeps it in memory. Free images there, or mount a disk there."
    if code == "registry_unauthorized":
        hint = _AUTH_HINT
    return ImageModeError(
        f"{what}: {error.details['stderr'].splitlines()[-1] if error.details['stderr'] else 'it said nothing'}",
        error="image_pull_failed" if code == "bootc_failed" else code,
        hint=hint or "Try 'podman pull' by hand on this machine.",
        **error.details,
    )
