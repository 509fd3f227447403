# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a build that was killed leaves in the storage of Podman and Buildah: found by its mark, and removed by the next build.

A build has a directory, locked as long as the module lives, that the engine keeps its temporary files in. A file in it is
given to the engine as a secret that no instruction asks for: Buildah writes the secrets' files into the description of each
working container (C(CommonBuildOpts), Buildah 1.28), so that the directory's name tells whose it is.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._runner import below
from .._scratch import TRAVERSABLE, scratch_directory, sweep

_PURPOSE = "build"
_STORAGE = "storage"
# What decides which storage an engine uses (containers-storage.conf(5)); of an ordinary user the directories, too.
_DECIDES = ("CONTAINERS_STORAGE_CONF", "STORAGE_DRIVER", "STORAGE_OPTS")
_DECIDES_ROOTLESS = ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
_OWN_PLACE = re.compile(r"^\s*image_copy_tmp_dir\b", re.M)
_SECONDS = 10.0


@contextmanager
def marked() -> Iterator[Path]:
    """:returns: a file whose name is the mark of this build, in a directory for the engine's temporary files"""
    with scratch_directory(_PURPOSE, _place(), sweeping=False) as directory:
        # Some programs of a build may run as other users, who are shown files in it.
        directory.chmod(TRAVERSABLE)
        mark = directory / _STORAGE
        mark.write_text(json.dumps(_storage()))
        yield mark


def temporary(mark: Path) -> dict[str, str]:
    """:returns: the variable that lets the engine keep its temporary files beside the mark, unless containers.conf(5) has a place"""
    return {} if any(map(_has_place, _configurations())) else {"TMPDIR": str(mark.parent)}


def remove_left(root: Callable[[], Path], remove: Callable[[list[str]], object]) -> None:
    """Remove what dead builds of this user left in the storage that is used now. A living one's is not touched, nor what has no mark.

    :param root: gives the directory of the engine's storage
    :param remove: removes containers by their ids; what it raises leaves the rest for the next time
    """

    def clean(directory: Path) -> bool:
        try:
            there = json.loads((directory / _STORAGE).read_text())
        except (OSError, ValueError):
            return True  # it was killed before the engine began
        if there != _storage():
            return False
        _end(_at_work(str(directory)))
        containers = list(_containers(root(), str(directory)))
        if containers:
            remove(containers)
        return True

    sweep(_PURPOSE, _place(), clean)


def _place() -> str:
    # Where the engines themselves have such files: layers are too large for /tmp.
    return os.environ.get("TMPDIR") or "/var/tmp"


def _storage() -> dict[str, str]:
    names = _DECIDES if os.geteuid() == 0 else (*_DECIDES, *_DECIDES_ROOTLESS)
    return {name: os.environ[name] for name in names if name in os.environ}


def _configurations() -> Iterator[Path]:
    own = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    for base in ("/usr/share", "/etc", own):
        yield Path(base, "containers", "containers.conf")
        yield from Path(base, "containers", "containers.conf.d").glob("*.conf")
    for name in ("CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE"):
        if os.environ.get(name):
            yield Path(os.environ[name])


def _has_place(file: Path) -> bool:
    try:
        return bool(_OWN_PLACE.search(file.read_text(errors="replace")))
    except OSError:
        return False


def _containers(root: Path, directory: str) -> Iterator[str]:
    """The working containers of a build."""
    for file in root.glob("*-containers/*/userdata/buildah.json"):
        with suppress(OSError, ValueError, AttributeError):
            options = json.loads(file.read_text()).get("CommonBuildOpts") or {}
            if any(f"src={directory}/{_STORAGE}" in secret for secret in options.get("Secrets") or ()):
                yield file.parent.parent.name


def _at_work(directory: str) -> list[int]:
    """The engine of a build whose module was killed, with all that it runs."""
    wanted, engines = f"src={directory}/{_STORAGE}".encode(), []
    for process in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if wanted in Path("/proc", process, "cmdline").read_bytes() and os.stat(f"/proc/{process}").st_uid == os.geteuid():
                engines.append(int(process))
    return [*engines, *(pid for engine in engines for pid in below(engine))]


def _end(processes: Iterable[int]) -> None:
    """Kill them: nobody waits for what they make, and what they leave is removed next."""
    living = list(processes)
    for pid in living:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _SECONDS
    while living and time.monotonic() < deadline:
        time.sleep(0.05)
        living = [pid for pid in living if _lives(pid)]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False
