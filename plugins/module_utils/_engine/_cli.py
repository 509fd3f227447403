# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Podman and Buildah have in common: nearly all of their command line."""

from __future__ import annotations

import abc
import codecs
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .._errors import ImageModeError
from .._reference import Reference
from .._runner import Completed, Runner
from .._scratch import private_directory
from ._arguments import Flag, arguments
from ._build import FLAGS, BuildLog, BuildRequest, BuildResult, RegistryAccess
from ._left import marked, remove_left, temporary
from ._local import LocalImage, from_buildah, from_podman, image_digest
from ._rootless import shortcoming
from ._said import last_line


class EngineFailed(ImageModeError):
    """The engine could not do what it was asked for."""

    error = "engine_failed"


class ImageMissingLocal(ImageModeError):
    """The engine's local storage has no such image."""

    error = "image_missing_local"


_ACCESS = (
    Flag("auth_file", "--authfile"),
    Flag("certificates", "--cert-dir"),
    Flag("tls_verify", "--tls-verify", joined=True),
)

# Podman and Buildah; Docker. A file that is not there, the daemon's socket for one, is another thing.
_UNKNOWN = re.compile(r"image not known|no such (?:image|object)", re.I)
# What containers/image says, as the codes that the registry client uses.
_FAULTS = (
    (re.compile(r"docker daemon|docker API|docker\.sock", re.I), "engine_unreachable"),
    (re.compile(r"toomanyrequests|too many requests", re.I), "registry_rate_limited"),
    (re.compile(r"proxyconnect tcp|proxy authentication required", re.I), "proxy_failed"),
    (
        re.compile(r"unauthorized|authentication required|no basic auth credentials|invalid username/password", re.I),
        "registry_unauthorized",
    ),
    # "permission denied" is what this machine says of a file.
    (re.compile(r"(?<!permission )denied|forbidden", re.I), "registry_forbidden"),
    (re.compile(r"x509:|tls:|server gave HTTP response to HTTPS client", re.I), "registry_tls"),
    (
        re.compile(
            r"connection refused|no such host|server misbehaving|name resolution|i/o timeout|handshake timeout|deadline exceeded"
            r"|client\.timeout|unreachable|no route to host",
            re.I,
        ),
        "registry_unreachable",
    ),
    (re.compile(r"manifest unknown|name unknown|not found", re.I), "image_missing"),
    (re.compile(r"no space left on device", re.I), "disk_full"),
    (re.compile(r"connection reset|broken pipe|\bEOF\b|closed network connection", re.I), "registry_answer_incomplete"),
    (re.compile(r"status(?: code)?:? 5\d\d|server error", re.I), "registry_unavailable"),
    (re.compile(r"digest did not match|does not match digest", re.I), "digest_mismatch"),
)


def fault_code(stderr: str) -> str | None:
    """:returns: the registry client's code for what an engine said, if it is known"""
    return next((code for pattern, code in _FAULTS if pattern.search(stderr)), None)


# What to do about those that somebody can do something about.
_HINTS = {
    "engine_unreachable": "Start Docker's daemon, let the user of the task talk to it, or name another one with 'engine'.",
    "registry_unauthorized": "Check the user name and the password or token. Without any, set 'username' and 'password', or log in first.",
    "registry_forbidden": "The user needs the right to this repository.",
    "registry_tls": "Give the registry's CA with 'ca_path'; for a registry without TLS set 'plain_http'.",
    "registry_unreachable": "Check the name, the port, the network and the proxy variables of the machine that runs this task.",
    "proxy_failed": "Correct HTTPS_PROXY or HTTP_PROXY where the task runs, or name the registry in NO_PROXY.",
    "registry_rate_limited": "Wait, or log in: registries allow more to known users.",
    "image_missing": "Check the repository, the tag and the digest.",
    "disk_full": "Make room, for example by removing images.",
}


def fault_hint(code: str | None, own: Mapping[str, str] = MappingProxyType({})) -> str:
    """:param code: of L(fault_code)
    :param own: code → what is to be done where that is something else
    :returns: what to do about it
    """
    return " ".join(filter(None, ({**_HINTS, **own}.get(code or ""), "Its last lines are in 'stderr'.")))


class Engine(abc.ABC):
    """A container engine: images by name in its local storage, builds, and the way to and from registries.

    :ivar program: the command
    :ivar runner: runs it
    :ivar tidies: whether it removes a build's containers itself when a step ends, but not when it is told to end
    :ivar heredocs_since: the first version that knows here-documents in a Containerfile; older ones take their lines for instructions
    :ivar takes_ids: whether FROM may name an image by its id
    :ivar short_is_local: whether a name without a registry may mean an image of C(localhost), or one of the registries that
        registries.conf has for it; otherwise it is Docker Hub's
    :ivar caches_by_mounts: whether a cached layer of RUN is taken only if what mounts and volumes show to it is the same
    :ivar blanks_in_labels: whether the name of a label may have blanks in it
    :ivar lacks: options of the collection's modules that this engine has nothing for
    :ivar hints: what to do about a fault by its code, where that is not the same with every engine
    """

    program: str
    lacks: frozenset[str] = frozenset()
    hints: Mapping[str, str] = MappingProxyType({})
    build_environment: Mapping[str, str] = MappingProxyType({})
    tidies = False
    heredocs_since: tuple[int, int]
    takes_ids = True
    short_is_local = True
    caches_by_mounts = True
    blanks_in_labels = True

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    @abc.abstractmethod
    def find(self, name: str) -> LocalImage | None:
        """:returns: the image of this full name, digest or id in local storage, or C(None)"""

    @abc.abstractmethod
    def _build_argv(self, request: BuildRequest, identity: Path) -> list[str]:
        """:param identity: the file where the image id is to be written; its directory is private and of this build alone
        :returns: the arguments for a build
        """

    def _built(self, identity: Path) -> str:
        """:returns: the id by which the image that was built is found"""
        return identity.read_text().strip()

    def need_heredocs(self, line: int) -> None:
        """:param line: where the Containerfile has a here-document
        :raises EngineFailed: C(engine_unsupported), this version does not know them
        """
        told = self.runner.run([self.program, "--version"], check=False).stdout
        version = re.search(r"(\d+)\.(\d+)", told)
        if version and (int(version[1]), int(version[2])) < self.heredocs_since:
            since = ".".join(map(str, self.heredocs_since))
            raise EngineFailed(
                f"Line {line} of the Containerfile has a here-document, which {self.program} {version[0]} does not know.",
                error="engine_unsupported",
                hint=f"Use {self.program} {since} or later, or write the lines with '&& \\' or into a file of the context.",
            )

    def need(self, name: str) -> LocalImage:
        """:raises ImageMissingLocal: there is no such image"""
        image = self.find(name)
        if image is None:
            raise ImageMissingLocal(
                f"{self.program} has no image '{name}' in its local storage.",
                hint="Build or pull it first, as the same user on the same machine.",
                name=name,
            )
        return image

    def build(self, request: BuildRequest, on_line: Callable[[str], None] | None = None) -> BuildResult:
        """Build an image that has no name yet.

        :param on_line: called with each line of output as it comes
        :raises BuildFailed: with the step that failed and the last lines
        """
        log = BuildLog()

        def follow(line: str) -> None:
            log.add(line)
            if on_line:
                on_line(line)

        with private_directory() as directory:
            identity = directory / "iid"
            argv = [self.program, *self._build_argv(request, identity)]
            variables = {**self.build_environment, **request.environment}
            done = self.runner.run(argv, check=False, on_line=follow, environment=variables, tidies=self.tidies)
            if done.rc != 0:
                raise log.failure(done.rc, done.stderr)
            return BuildResult(self._built(identity), log.tail, done.seconds)

    def remove_left(self) -> None:  # noqa: B027 - Docker's daemon cleans up by itself
        """Remove what builds of this user left that were killed.

        :raises EngineFailed: something is left; the next time it is tried again
        """

    def pull(self, reference: Reference, access: RegistryAccess, platform: str | None = None) -> str:
        """:returns: the id of the pulled image
        :raises EngineFailed: with the registry client's code where the fault is known
        """
        chosen = ["--platform", platform] if platform else []
        done = self._talk(["pull", "--quiet", *arguments(_ACCESS, access), *chosen, str(reference)], f"pull {reference}", parsed=True)
        return image_digest(done.stdout.strip().splitlines()[-1])

    def push(self, image_id: str, reference: Reference, access: RegistryAccess) -> str:
        """:returns: the digest that the engine pushed
        :raises EngineFailed: with the registry client's code where the fault is known
        """
        with private_directory() as directory:
            digest = directory / "digest"
            words = ["push", "--quiet", *arguments(_ACCESS, access), f"--digestfile={digest}"]
            self._talk([*words, self.id_argument(image_id), f"docker://{reference}"], f"push {reference}")
            return digest.read_text().strip()

    def save(self, image_id: str, place: str, compression: str) -> None:
        """Write the image to files.

        :param place: as containers-transports(5) has it: C(oci:path)
        :raises EngineFailed: there is no room, for example
        """
        self._talk(["push", "--quiet", "--compression-format", compression, self.id_argument(image_id), place], f"write {place}")

    def tag(self, image_id: str, name: str) -> None:
        """Let the name mean this image in local storage."""
        self._talk(["tag", self.id_argument(image_id), name], f"tag {name}")

    def id_argument(self, name: str) -> str:
        """An image id as this engine takes it: Podman and Buildah know an image by the bare hexadecimal id."""
        return name.removeprefix("sha256:")

    def _inspect(self, words: list[str], name: str) -> Any:
        done = self.runner.run([self.program, *words, self.id_argument(name)], check=False, parsed=True)
        if done.rc == 0:
            return json.loads(done.stdout)
        if _UNKNOWN.search(done.stderr):
            return None
        raise self._failed(done, f"inspect {name}")

    def _talk(self, words: list[str], what: str, parsed: bool = False) -> Completed:
        done = self.runner.run([self.program, *words], check=False, parsed=parsed)
        if done.rc != 0:
            raise self._failed(done, what)
        return done

    def _failed(self, done: Completed, what: str) -> EngineFailed:
        lacking, code = shortcoming(done.stderr), fault_code(done.stderr)
        return EngineFailed(
            f"{self.program} could not {what}: {self.runner.mask(last_line(done.last_words, done.rc))}",
            error=lacking.error if lacking else code,
            hint=lacking.hint if lacking else fault_hint(code, self.hints),
            rc=done.rc,
            stderr=done.last_words,
        )


class _Containers(Engine):
    """Podman and Buildah: both build with Buildah's code."""

    tidies = True
    # Buildah 1.28 and Podman 4.3 look at the text of the instruction alone, and later ones not at every mount (buildah issues 5400, 6609).
    caches_by_mounts = False
    _build_options: tuple[str, ...]
    _root: str
    _remove: tuple[str, ...]

    def build(self, request: BuildRequest, on_line: Callable[[str], None] | None = None) -> BuildResult:
        with marked() as mark:
            secrets = {**request.secrets, mark.parent.name: mark}
            return super().build(replace(request, secrets=secrets, environment=temporary(mark)), on_line)

    def remove_left(self) -> None:
        def root() -> Path:
            return Path(self._talk(["info", "--format", self._root], "tell where its storage is", parsed=True).stdout.strip())

        remove_left(root, lambda containers: self._talk([*self._remove, *containers], "remove what a killed build left"))

    def _build_argv(self, request: BuildRequest, identity: Path) -> list[str]:
        # No pulling, and no credentials but for layer caches: everything is here, and no image code runs next to a secret that
        # it was not given.
        fixed = ["build", *self._build_options, "--pull=never", f"--iidfile={identity}"]
        if request.ignore_file:
            request = replace(request, ignore_file=_as_docker_reads(request.ignore_file, identity.parent))
        return [*fixed, *arguments(_ACCESS, request.access), *arguments(FLAGS, request), str(request.context)]


def _as_docker_reads(ignore_file: Path, directory: Path) -> Path:
    """What an ignore file's lines begin with means nothing to Docker: a byte order mark, blanks, a slash.

    By a line with one of the first two Podman and Buildah leave nothing out, and Podman 4.3 by one with a slash, if it is told which file
    to read; where it finds the file by itself, it takes that off.

    :returns: the file, or one in the directory, by which they leave out what Docker leaves out
    """
    text = ignore_file.read_bytes()
    plain = re.sub(rb"^[ \t]*(!?)[ \t]*/*(?=[^\s/])", rb"\1", text.removeprefix(codecs.BOM_UTF8), flags=re.MULTILINE)
    if plain == text:
        return ignore_file
    (directory / "ignore").write_bytes(plain)
    return directory / "ignore"


class Podman(_Containers):
    """Podman 4.3 or later."""

    program = "podman"
    heredocs_since = (4, 8)
    # Layers are cached by default; containers of a failed step are removed.
    _build_options = ("--force-rm",)
    _root = "{{.Store.GraphRoot}}"
    # Working containers are external ones to Podman.
    _remove = ("rm", "--force")

    def find(self, name: str) -> LocalImage | None:
        found = self._inspect(["image", "inspect"], name)
        return from_podman(found[0]) if found else None


class Buildah(_Containers):
    """Buildah 1.28 or later."""

    program = "buildah"
    heredocs_since = (1, 33)
    # Unlike Podman, Buildah caches layers only when asked to.
    _build_options = ("--layers", "--force-rm")
    _root = "{{.store.GraphRoot}}"
    _remove = ("rm",)

    def find(self, name: str) -> LocalImage | None:
        found = self._inspect(["inspect", "--type", "image"], name)
        return from_buildah(found) if found else None

    def _build_argv(self, request: BuildRequest, identity: Path) -> list[str]:
        verb, *words = super()._build_argv(request, identity)
        isolation = os.environ.get("BUILDAH_ISOLATION") if request.network else None
        # Told of chroot by the variable alone, Buildah 1.28 gives RUN the builder's network, whichever was asked for; told by the
        # option, it refuses all but that one, as Podman does.
        return [verb, *([f"--isolation={isolation}"] if isolation else []), *words]
