# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers of an image, to look into it and to see what it does. They get no credentials, and are removed whatever happens."""

from __future__ import annotations

import abc
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from .._runner import Completed, Runner
from .._scratch import orderly_end
from ._choose import EngineUnsupported
from ._cli import Buildah, Engine, EngineFailed, Podman
from ._docker import Docker
from ._local import LocalImage
from ._rootless import shortcoming

# Docker gives every container the proxies of its client's configuration; their addresses may hold a password.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY")
# On a subscribed RHEL host containers get the host's entitlement by this file.
_NO_HOST_SECRETS = ("--default-mounts-file", "/dev/null")
# What Buildah adds to the standard error of a command that failed.
_OWN_WORDS = re.compile(r"(^subprocess exited with status \d+\n)*(^Error: .*exit(ed with)? status \d+\n)?\Z", re.MULTILINE)


class Container(abc.ABC):
    """A container of an image, as root in it."""

    def __init__(self, runner: Runner, engine: Engine, network: str) -> None:
        self._runner, self._engine, self._network = runner, engine, network
        self._name = f"imagemode-test-{secrets.token_hex(6)}"

    @abc.abstractmethod
    def _start(self, image: str, seconds: int, own_command: bool) -> list[str]:
        """:returns: the command that makes the container"""

    @abc.abstractmethod
    def _inside(self) -> list[str]:
        """:returns: what comes before a command that is to run in the container"""

    @abc.abstractmethod
    def _remove(self) -> list[str]: ...

    def start(self, image: LocalImage, seconds: int, own_command: bool) -> None:
        """:raises EngineFailed: the image cannot be run"""
        done = self._runner.run(self._start(self._engine.id_argument(image.id), seconds, own_command), check=False)
        if done.rc != 0:
            said, lacking = done.last_words.splitlines(), shortcoming(done.stderr)
            raise EngineFailed(
                f"{self._engine.program} could not run a container of the image: {said[-1] if said else f'return code {done.rc}'}",
                error=lacking.error if lacking else None,
                hint=lacking.hint if lacking else "The image needs /bin/sh and sleep, and the engine must be able to run containers here.",
                rc=done.rc,
                stderr=done.last_words,
            )

    def run(self, argv: Sequence[str], timeout: float | None = None, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run a command in the container to its end.

        :raises CommandTimeout: it took longer than I(timeout) seconds
        """
        return self._runner.run([*self._inside(), *argv], timeout=timeout, on_line=on_line, check=False)

    def remove(self) -> None:
        self._runner.run(self._remove(), check=False)


class _PodmanContainer(Container):
    def _start(self, image: str, seconds: int, own_command: bool) -> list[str]:
        argv = [
            "podman",
            *_NO_HOST_SECRETS,
            "run",
            "--detach",
            "--rm",
            "--name",
            self._name,
            "--pull=never",
            f"--network={self._network}",
            "--http-proxy=false",
            f"--timeout={seconds}",
        ]
        return [*argv, image] if own_command else [*argv, "--user=0:0", "--entrypoint=/bin/sh", image, *_sleep(seconds)]

    def _inside(self) -> list[str]:
        return ["podman", "exec", "--user=0:0", self._name]

    def _remove(self) -> list[str]:
        return ["podman", "rm", "--force", "--time=0", "--ignore", self._name]


class _DockerContainer(Container):
    def _start(self, image: str, seconds: int, own_command: bool) -> list[str]:
        argv = ["docker", "run", "--detach", "--rm", "--name", self._name, "--pull=never", f"--network={self._network}"]
        argv += [word for proxy in _PROXIES for name in (proxy, proxy.lower()) for word in ("--env", f"{name}=")]
        return [*argv, image] if own_command else [*argv, "--user=0:0", "--entrypoint=/bin/sh", image, *_sleep(seconds)]

    def _inside(self) -> list[str]:
        return ["docker", "exec", "--user=0:0", self._name]

    def _remove(self) -> list[str]:
        return ["docker", "rm", "--force", self._name]


class _BuildahContainer(Container):
    """Buildah's containers are files: each command in one is a process tree of its own."""

    def run(self, argv: Sequence[str], timeout: float | None = None, on_line: Callable[[str], None] | None = None) -> Completed:
        done = super().run(argv, timeout, on_line)
        return replace(done, stderr=_OWN_WORDS.sub("", done.stderr))

    def _start(self, image: str, seconds: int, own_command: bool) -> list[str]:
        if own_command:
            raise EngineUnsupported(
                "Buildah cannot run an image's own command in the background.",
                hint="Give the port's test a 'start', or use Podman or Docker.",
                option="port",
                engines=["podman", "docker"],
            )
        return ["buildah", "from", "--pull=never", "--name", self._name, "--http-proxy=false", image]

    def _inside(self) -> list[str]:
        argv = ["buildah", *_NO_HOST_SECRETS, "run", f"--network={self._network}", "--user=0:0", self._name, "--"]
        if self._network != "none" or os.environ.get("BUILDAH_ISOLATION") != "chroot":
            return argv
        # With this isolation Buildah 1.28 leaves a container the builder's network, whatever was asked for.
        # Who is not root may take it away as root of the user namespace that Buildah works in.
        privileged = [] if os.geteuid() == 0 else ["buildah", "unshare"]
        return [*privileged, "unshare", "--net", "/bin/sh", "-c", 'ip link set lo up 2>/dev/null; exec "$@"', "sh", *argv]

    def _remove(self) -> list[str]:
        return ["buildah", "rm", self._name]


_KINDS: Mapping[str, type[Container]] = {
    Podman.program: _PodmanContainer,
    Buildah.program: _BuildahContainer,
    Docker.program: _DockerContainer,
}


def _sleep(seconds: int) -> list[str]:
    """A command that keeps a container there, and not for ever: what ended this module may have left it."""
    return ["-c", f"exec sleep {seconds}"]


@contextmanager
def container(
    engine: Engine, runner: Runner, image: LocalImage, network: str, seconds: float, own_command: bool = False
) -> Iterator[Container]:
    """A container of the image that waits to be told what to do, or runs the image's own command.

    :param network: as the engine takes it, C(none) for none
    :param seconds: after these the container ends by itself
    :raises EngineFailed: the image cannot be run
    :raises EngineUnsupported: the engine cannot run the image's own command
    """
    made = _KINDS[engine.program](runner, engine, network)
    with orderly_end():
        try:
            made.start(image, int(seconds), own_command)
            yield made
        finally:
            made.remove()
