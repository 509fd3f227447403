# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running bootc on the host, and asking the registry as the host would."""

from __future__ import annotations

import ast
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from .._errors import ImageModeError
from .._instance import Instance, choose, oci_architecture
from .._reference import Reference, digest_of, without_tag
from .._runner import CommandMissing, Runner
from . import boot_mount, lock
from .errors import INSTALL_FIRST, BootcError, NotManaged, failure
from .job import Job
from .plan import Plan, Remote, needs_of_composefs
from .status import Deployment, Host, Source, parse_status
from .version import Capabilities, parse_version

# bootc 1.16.9 reads the first of these that exists and no other place (contract.md 6.1).
AUTH_FILES = ("/run/ostree/auth.json", "/etc/ostree/auth.json", "/usr/lib/ostree/auth.json")

# How skopeo writes bootc's transports.
_SKOPEO_TRANSPORTS = {"registry": "docker://", "docker": "docker://"}


class Bootc:
    """The bootc of this machine.

    :param timeout: seconds that one command may take
    :param lock_timeout: seconds to wait for another bootc or rpm-ostree, by default those of the command; bootc itself waits without
        limit (contract.md 1.0)
    :ivar answer: what the registry said to L(decide), if it was asked
    """

    def __init__(self, timeout: float | None = None, lock_timeout: float | None = None) -> None:
        # Before 1.12.0 `bootc image cmd pull` has Podman find its credentials itself (imgstorage.rs); newer ones set this, too.
        credentials = auth_file()
        # A variable named "container" makes bootc take a managed host for a container (recording in-container-env).
        self._runner = Runner({"REGISTRY_AUTH_FILE": credentials} if credentials else {}, without=("container",))
        self._timeout = timeout
        self._lock_timeout = (timeout or math.inf) if lock_timeout is None else lock_timeout
        self.answer: Remote | None = None
        self._capabilities: Capabilities | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What this bootc can do; asked once."""
        if self._capabilities is None:
            self._capabilities = Capabilities(parse_version(self._run(("bootc", "--version"))))
        return self._capabilities

    def status(self) -> Host:
        """:raises BootcError: no bootc here, not root, or a document that cannot be read"""
        return self.host(self.status_text())

    def status_text(self) -> str:
        """:returns: the document as bootc printed it, for L(host)"""
        return self._run(("bootc", "status", "--json", "--format-version=1"))

    def host(self, document: str) -> Host:
        """:param document: L(status_text) of this bootc
        :raises BootcError: it cannot be read
        """
        return parse_status(document, lambda: self.capabilities.version)

    def remote(self, source: Source, host: Host) -> Remote:
        """Ask where the source points, with the host's own credentials, mirrors and certificates.

        :raises BootcError: the image cannot be reached, read or found, or this bootc does not tell what the host has
        """
        if host.backend == "composefs":
            told = "Telling what is new for a host with the composefs backend"
            self.capabilities.need("composefs_own_digests", told, "run 'bootc upgrade' on it yourself")
        raw = self.manifest(source)
        found = remote_of(raw, architecture())
        if host.backend != "composefs" or self.capabilities.has("composefs_manifest_digest"):
            return self._compared(found, raw, source, host)
        if found.index and source.transport != "registry":
            return found  # a directory, for example, in which nothing can be asked for by its digest
        if found.index:
            raw = self.manifest(replace(source, image=str(Reference.parse(source.image).with_digest(found.digest))))
        return Remote(digest=config_of(raw), index=found.index, manifest=found.digest)

    def _compared(self, found: Remote, raw: str, source: Source, host: Host) -> Remote:
        """With the digests under which the host has the same content; nobody is asked where the digests tell it."""
        composefs = host.backend == "composefs"
        slots = [slot for slot in (host.booted, host.staged, host.rollback, *(host.other if composefs else ())) if slot and slot.image]
        if not slots or any(found.is_in(slot) for slot in slots):
            return found
        content = self._content_in_registry(source, found.pullable, composefs, None if found.index else raw)
        same = [slot.digest for slot in slots if slot.digest and content and self.content(slot) == content]
        return replace(found, content=content, same=tuple(same))

    def content(self, deployment: Deployment) -> str | None:
        """What makes two manifests one image to bootc 1.16.9, so that it does not stage the second.

        On ostree the digest of the configuration (`prepare_internal` in ostree-ext's container/store.rs); on composefs the files,
        which the layers' diff ids stand for (`validate_update` in bootc_composefs/update.rs).

        :returns: C(None) if it cannot be found out
        """
        source, digest = deployment.source, deployment.digest
        if source is None or digest is None:
            return None
        if deployment.composefs:
            return self._content_in_registry(source, digest, composefs=True)
        commit = (deployment.identity or "").partition(".")[0]
        try:
            shown = self._run(("ostree", "show", "--repo=/sysroot/ostree/repo", "--print-metadata-key=ostree.manifest", commit))
            return config_of(ast.literal_eval(shown.strip()))  # a string as GVariant writes it, which is as Python does
        except (ImageModeError, ValueError, SyntaxError):
            return None

    def _content_in_registry(self, source: Source, digest: str, composefs: bool, raw: str | None = None) -> str | None:
        """:param raw: the manifest with this digest, if it was read already"""
        try:
            if raw and not composefs:
                return config_of(raw)
            if source.transport != "registry":  # a directory, for example, in which nothing can be asked for by its digest
                return None
            source = replace(source, image=str(Reference.parse(source.image).with_digest(digest)))
            return layers_of(self.configuration(source)) if composefs else config_of(self.manifest(source))
        except ImageModeError:  # an old image may be gone from the registry
            return None

    def has(self, deployment: Deployment | None, remote: Remote) -> bool:
        """Whether a deployment is the image that the registry holds, be it under another digest."""
        return remote.is_in(deployment) or bool(deployment and remote.content and self.content(deployment) == remote.content)

    def manifest(self, source: Source) -> str:
        """:returns: the manifest or index that the source points at, byte for byte
        :raises BootcError: the image cannot be reached, read or found
        """
        return self._inspect(source, "--raw")

    def configuration(self, source: Source) -> str:
        """:returns: the image's configuration, as JSON
        :raises BootcError: the image cannot be reached, read or found
        """
        return self._inspect(source, "--config")

    def _inspect(self, source: Source, what: str) -> str:
        image = without_tag(source.image) if source.transport in _SKOPEO_TRANSPORTS else source.image
        name = _SKOPEO_TRANSPORTS.get(source.transport, f"{source.transport}:") + image
        with _credentials() as file:
            return self._run(("skopeo", "inspect", what, "--authfile", file, "--", name))

    def decide(self, host: Host, planner: Callable[[Remote | None], Plan]) -> Plan:
        """Plan, ask the registry if the planner needs it, and see that this bootc can run every step.

        :param host: the state that is planned from
        :raises BootcError: what the planner refuses, or what this bootc is too old for
        """
        plan = planner(None)
        if plan.ask:
            self.answer = self.remote(plan.ask, plan.after)
            plan = planner(self.answer)
        for step in plan.steps:
            if any(word.startswith("-") for word in step):
                self.capabilities.need_for(step)
        needs = needs_of_composefs(host, plan)
        if needs:
            self.capabilities.need(*needs)
        return plan

    def detach(self, step: Sequence[str], about: Mapping[str, Any]) -> Job:
        """Start a command that pulls an image.

        :raises BootcError: C(bootc_locked)
        """
        lock.wait(self._lock_timeout)
        return Job.start(step, about, self._timeout or 0, self._runner.environment)

    def run(self, step: Sequence[str]) -> str:
        """:returns: what the command said on standard output
        :raises BootcError: it failed, classified
        """
        return self._run(step)

    def _run(self, argv: Sequence[str]) -> str:
        if argv[0] == "bootc":
            lock.wait(self._lock_timeout)
        try:
            with boot_mount.in_use():
                completed = self._runner.run(argv, timeout=self._timeout, check=False)
        except CommandMissing:
            if argv[0] != "bootc":
                raise
            raise NotManaged(
                "There is no 'bootc' on this host: it does not run a bootable container image.",
                error="bootc_missing",
                hint=INSTALL_FIRST,
            ) from None
        if completed.rc != 0:
            raise failure(completed.command, completed.rc, completed.stderr)
        return completed.stdout


def architecture() -> str:
    """:returns: this machine's architecture as OCI names it, for example C(amd64)"""
    return oci_architecture(os.uname().machine)


def remote_of(raw: str, here: str) -> Remote:
    """Read a manifest or an index as the registry sent it.

    :param raw: the document, byte for byte: its digest is computed from it
    :param here: OCI architecture of the host, for example C(amd64)
    :raises BootcError: C(architecture_mismatch), or C(manifest_invalid)
    """
    try:
        document: dict[str, Any] = json.loads(raw)
        entries = document.get("manifests")
        if entries is None:
            if "config" not in document:
                raise ValueError("neither a manifest nor an index")
            return Remote(digest=digest_of(raw.encode()))
        instances = [Instance.of(entry) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BootcError(f"The registry sent something that is no image manifest: {error}.", error="manifest_invalid") from None
    chosen = choose(instances, "linux", here)
    if chosen:
        return Remote(digest=chosen.digest, index=digest_of(raw.encode()))
    there = sorted({"/".join(word for word in instance.platform[1:] if word) for instance in instances if instance.platform})
    raise BootcError(
        f"The image exists for {', '.join(there) or 'no platform'}, not for this host's {here}.",
        error="architecture_mismatch",
        hint="Publish the image for this host's architecture.",
    )


def config_of(raw: str) -> str:
    """:returns: the digest of an image's configuration, by its manifest
    :raises BootcError: C(manifest_invalid)
    """
    try:
        return str(json.loads(raw)["config"]["digest"])
    except (ValueError, KeyError, TypeError) as error:
        raise BootcError(f"The registry sent something that is no image manifest: {error!r}.", error="manifest_invalid") from None


def layers_of(configuration: str) -> str:
    """:returns: the diff ids of an image's layers, by its configuration: the same for the same files
    :raises BootcError: C(manifest_invalid)
    """
    try:
        return " ".join(json.loads(configuration)["rootfs"]["diff_ids"])
    except (ValueError, KeyError, TypeError) as error:
        raise BootcError(f"The registry sent something that is no image configuration: {error!r}.", error="manifest_invalid") from None


def auth_file() -> str | None:
    """:returns: the file of the credentials that bootc uses, if there is one"""
    return next((path for path in AUTH_FILES if os.path.exists(path)), None)


@contextmanager
def _credentials() -> Iterator[str]:
    """The credentials that bootc would use; none at all where it would use none."""
    found = auth_file()
    if found:
        yield found
        return
    with tempfile.NamedTemporaryFile("w", suffix=".json") as empty:
        empty.write("{}")
        empty.flush()
        yield empty.name
