# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files around a build: the context that an archive holds, secrets while they are needed, a log to follow."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ._errors import OptionError
from ._scratch import scratch_directory


@contextmanager
def context_directory(path: Path) -> Iterator[Path]:
    """The context: a directory, or what a tar archive holds, as C(git archive) writes it.

    :raises OptionError: it is neither
    """
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise OptionError(f"The context '{path}' is not there.", hint="Copy it to the machine that the task runs on first.")
    import tarfile  # most contexts are directories, and this takes a while to load

    with scratch_directory("context") as directory:
        try:
            with tarfile.open(path) as archive:
                archive.extractall(directory, filter="tar")
        except (tarfile.TarError, OSError) as error:
            raise OptionError(
                f"The context '{path}' is neither a directory nor a tar archive that can be unpacked: {error}.",
                hint="Give a directory, or what 'git archive' or 'tar' wrote.",
            ) from None
        yield directory


@contextmanager
def output_file(path: str | None) -> Iterator[Callable[[str], None] | None]:
    """A file that gets the build's output line by line, so that somebody can follow it."""
    if path is None:
        yield None
        return
    with open(path, "w", buffering=1) as file:
        yield lambda line: file.writelines((line, "\n"))


def secret_file(secret: Mapping[str, Any], directory: Path) -> Path:
    """A file that holds the secret: the user's own, or one in the private directory."""
    if secret["file"]:
        return Path(secret["file"])
    value = secret["value"] if secret["value"] is not None else os.environ.get(secret["env"])
    if value is None:
        raise OptionError(f"The variable '{secret['env']}' of the secret '{secret['id']}' is not set where the task runs.")
    path = directory / f"secret-{len(list(directory.iterdir()))}"
    path.touch(stat.S_IRUSR | stat.S_IWUSR)
    path.write_text(value)
    return path
