# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker with BuildKit: another command line, and a daemon that does the pulling and pushing."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from .._auth import merged, read_auth_file, write_auth_file
from .._errors import ImageModeError
from .._reference import Reference
from .._scratch import private_directory
from ._arguments import Flag, arguments
from ._build import BuildRequest, BuildResult, RegistryAccess
from ._cli import Engine
from ._local import LocalImage, from_docker

_FLAGS = (
    Flag("target", "--target"),
    Flag("platform", "--platform"),
    Flag("network", "--network"),
    Flag("no_cache", "--no-cache"),
    Flag("build_args", "--build-arg"),
    Flag("labels", "--label"),
    Flag("secret_arguments", "--secret"),
    Flag("ssh", "--ssh"),
    Flag("cache_from", "--cache-from"),
)
_CONFIGURATION = "config.json"
_OF_CREDENTIALS = ("auths", "credsStore", "credHelpers")
# `docker push` ends with "1: digest: sha256:… size: 1234".
_PUSHED = re.compile(r"\bdigest: (sha256:[0-9a-f]{64})\b")
# Where buildx tells of what it built, beside the id.
_METADATA = "metadata"


class Docker(Engine):
    """Docker 20.10 or later, with its daemon.

    With containerd's image store, which new installations of 29 have, an image's id is the digest of its manifest.
    """

    program = "docker"
    # Before, only with "# syntax=docker/dockerfile:1.4".
    heredocs_since = (23, 0)
    # BuildKit takes one for a name of Docker Hub's, or for no name (moby, builder-next/adapters/containerimage).
    takes_ids = False
    short_is_local = False
    # Its client refuses one, though a Containerfile may have it (docker/cli, opts.ValidateLabel).
    blanks_in_labels = False
    lacks = frozenset({"volumes", "annotations", "timestamp", "cache_to", "compression", "ca_path", "client_cert"})
    hints = MappingProxyType(
        {
            "registry_tls": "Whom Docker trusts is a matter of its daemon, and not of the task: put the registry's CA into"
            " /etc/docker/certs.d/REGISTRY/ca.crt, or name a registry without TLS in 'insecure-registries' of /etc/docker/daemon.json.",
            "proxy_failed": "Docker's daemon has proxies of its own: correct those, in /etc/docker/daemon.json or in its service.",
        }
    )
    # With containerd's image store an image would have an attestation beside it, which is another one after each build, and be an index.
    build_environment = MappingProxyType({"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"})

    def find(self, name: str) -> LocalImage | None:
        # Unlike the others, Docker takes an id only with its algorithm.
        found = self._inspect(["image", "inspect"], name)
        return from_docker(found[0]) if found else None

    def build(self, request: BuildRequest, on_line: Callable[[str], None] | None = None) -> BuildResult:
        if not request.access.credentials:
            return super().build(request, on_line)
        # For layer caches. The client has them, and what an instruction runs does not see the client's files. Others, for frontends
        # for example, stay where Docker finds them.
        with _configuration(request.access, alone=False) as directory:
            return super().build(replace(request, environment={**request.environment, "DOCKER_CONFIG": str(directory)}), on_line)

    def pull(self, reference: Reference, access: RegistryAccess, platform: str | None = None) -> str:
        chosen = ["--platform", platform] if platform else []
        with _configuration(access) as directory:
            self._talk(["--config", str(directory), "pull", "--quiet", *chosen, str(reference)], f"pull {reference}")
        return self.need(str(reference)).id

    def push(self, image_id: str, reference: Reference, access: RegistryAccess) -> str:
        before = self.find(str(reference))
        self.tag(image_id, str(reference))
        try:
            with _configuration(access) as directory:
                done = self._talk(["--config", str(directory), "push", str(reference)], f"push {reference}")
        finally:
            # The name was borrowed: it goes back to what it meant.
            if before is None:
                self.runner.run([self.program, "image", "rm", "--no-prune", str(reference)], check=False)
            elif before.id != image_id:
                self.tag(before.id, str(reference))
        pushed = _PUSHED.findall(done.stdout)
        if not pushed:
            raise ImageModeError(f"docker did not tell what it pushed to {reference}.", error="engine_failed", stderr=done.last_words)
        return str(pushed[-1])

    def tag(self, image_id: str, name: str) -> None:
        self._talk(["tag", image_id, name], f"tag {name}")

    def id_argument(self, name: str) -> str:
        return name

    def _build_argv(self, request: BuildRequest, identity: Path) -> list[str]:
        file = _beside_its_ignore_file(request, identity.parent)
        words = ["build", "--progress=plain", f"--iidfile={identity}", f"--file={file}"]
        if "--metadata-file" in self.runner.run([self.program, "build", "--help"], check=False).stdout:  # not without buildx
            words.append(f"--metadata-file={identity.with_name(_METADATA)}")
        return [*words, *arguments(_FLAGS, request), str(request.context)]

    def _built(self, identity: Path) -> str:
        image_id, metadata = super()._built(identity), identity.with_name(_METADATA)
        if metadata.exists() and self.find(image_id) is None:
            # The digest of the configuration, which containerd's image store does not know (buildx, pull request 3952).
            return str(json.loads(metadata.read_text()).get("containerimage.digest") or image_id)
        return image_id


def _beside_its_ignore_file(request: BuildRequest, directory: Path) -> Path:
    """BuildKit looks for NAME.dockerignore beside the Dockerfile, wherever that is, and knows no other name."""
    if request.ignore_file is None or request.ignore_file.name == ".dockerignore":
        return request.containerfile
    shutil.copy(request.containerfile, directory / "Dockerfile")
    shutil.copy(request.ignore_file, directory / "Dockerfile.dockerignore")
    return directory / "Dockerfile"


@contextmanager
def _configuration(access: RegistryAccess, alone: bool = True) -> Iterator[Path]:
    """A directory for C(--config): Docker's own settings and contexts, and the credentials for the image.

    :param alone: no others but these

    Docker looks in no other file than its own, there for registries and not for namespaces, and for Docker Hub by an address.
    """
    own = Path(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"))
    document, auths = read_auth_file(own / _CONFIGURATION), merged((), access.credentials)["auths"]
    if alone:
        document = {**{name: value for name, value in document.items() if name not in _OF_CREDENTIALS}, "auths": auths}
    else:
        # Where the helper has no name, Docker looks into the file.
        helpers = {**document.get("credHelpers", {}), **dict.fromkeys(auths, "")}
        document = {**document, "auths": merged((own / _CONFIGURATION,), access.credentials)["auths"], "credHelpers": helpers}
    with private_directory() as directory:
        write_auth_file(directory / _CONFIGURATION, document)
        with suppress(OSError):
            for file in own.iterdir():
                if file.name != _CONFIGURATION:
                    (directory / file.name).symlink_to(file.absolute())
        yield directory
