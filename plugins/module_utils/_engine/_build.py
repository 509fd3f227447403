# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A build as data, and what comes of it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .._auth import Credentials
from .._errors import ImageModeError
from .._runner import TAIL_LINES
from ._arguments import Flag
from ._rootless import shortcoming
from ._said import last_line

# Podman and Buildah print "STEP 3/7: RUN …", with "[1/2] " before it if there are stages; BuildKit, when a step failed,
# " > [2/3] RUN …:".
_STEP = re.compile(r"^(?:\[\d+/\d+\] )?STEP \d+(?:/\d+)?: .*|^ > \[[^\]]*\d+/\d+\] .*:$")


# What Linux says (ENOEXEC) of a program for another processor, when nothing that could emulate it is registered.
_FOREIGN = re.compile("exec format error", re.I)
_EMULATE = (
    "A RUN instruction needs programs of another architecture. Install emulation on the builder (Debian: qemu-user-static),"
    " or build on a machine of that architecture."
)


class BuildFailed(ImageModeError):
    """The engine could not build the image."""

    error = "build_failed"


@dataclass(frozen=True)
class RegistryAccess:
    """How an engine reaches a registry; credentials are in a file, never on the command line.

    :ivar certificates: directory as containers-certs.d(5) has it
    :ivar credentials: registry → what is in the file for the image, for an engine that looks for it elsewhere, or by another name
    """

    auth_file: Path | None = None
    certificates: Path | None = None
    insecure: bool = False
    credentials: Mapping[str, Credentials] = field(default_factory=dict, hash=False)

    @property
    def tls_verify(self) -> str | None:
        return "false" if self.insecure else None


@dataclass(frozen=True)
class BuildRequest:
    """What an engine is asked to build; the bases are in local storage already.

    :ivar ssh: as C(--ssh) takes it: C(default) or C(id=socket or key)
    :ivar cache_from: repositories to take layers from
    :ivar cache_to: repositories to put layers into
    :ivar timestamp: seconds since 1970 for everything that is made, so that the same input gives the same digest
    :ivar access: to the registries of the layer caches
    :ivar secrets: id → file, mounted for C(RUN --mount=type=secret,id=…)
    :ivar environment: variables for the engine itself
    """

    context: Path
    containerfile: Path
    ignore_file: Path | None = None
    target: str | None = None
    platform: str | None = None
    network: str | None = None
    format: str | None = None
    no_cache: bool = False
    build_args: Mapping[str, str] = field(default_factory=dict, hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    secrets: Mapping[str, Path] = field(default_factory=dict, hash=False)
    volumes: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    timestamp: int | None = None
    access: RegistryAccess = RegistryAccess()
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def secret_arguments(self) -> tuple[str, ...]:
        return tuple(f"id={name},src={path}" for name, path in self.secrets.items())


# Podman 4.3 and Buildah 1.28 share these: both are Buildah's code.
FLAGS = (
    Flag("containerfile", "--file"),
    Flag("ignore_file", "--ignorefile"),
    Flag("target", "--target"),
    Flag("platform", "--platform"),
    Flag("network", "--network"),
    Flag("format", "--format"),
    Flag("no_cache", "--no-cache"),
    Flag("build_args", "--build-arg"),
    Flag("labels", "--label"),
    Flag("annotations", "--annotation"),
    Flag("secret_arguments", "--secret"),
    Flag("volumes", "--volume"),
    Flag("ssh", "--ssh"),
    Flag("cache_from", "--cache-from"),
    Flag("cache_to", "--cache-to"),
    Flag("timestamp", "--timestamp"),
)


@dataclass(frozen=True)
class BuildResult:
    """:ivar log: the last lines of what the build said"""

    image_id: str
    log: tuple[str, ...]
    seconds: float


class BuildLog:
    """Follows a build line by line: the step it is at, and its last lines."""

    def __init__(self) -> None:
        self.step: str | None = None
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def add(self, line: str) -> None:
        self._tail.append(line)
        if _STEP.match(line):
            self.step = line

    @property
    def tail(self) -> tuple[str, ...]:
        return tuple(self._tail)

    def failure(self, rc: int, stderr: str) -> BuildFailed:
        lines = [line for line in stderr.strip().splitlines() if line.strip()]
        foreign = any(_FOREIGN.search(line) for line in (*lines, *self._tail))
        lacking = shortcoming(stderr)
        where = f" at '{self.step}'" if self.step else ""
        return BuildFailed(
            f"The build failed{where}: {last_line(stderr, rc)}",
            error="emulation_missing" if foreign else lacking.error if lacking else None,
            hint=_EMULATE if foreign else lacking.hint if lacking else "The last lines are in 'stderr' and 'log'.",
            step=self.step,
            rc=rc,
            stderr="\n".join(lines[-TAIL_LINES:]),
            log=list(self._tail),
        )
