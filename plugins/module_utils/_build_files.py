# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files around a build: the context and what is not of it, the Containerfile, secrets while they are needed, a log to follow."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._errors import OptionError
from ._fingerprint import ContextMissing, ignore_file
from ._fingerprint._ignore import Rules
from ._scratch import scratch_directory

if TYPE_CHECKING:
    import tarfile

_DEFAULT_NAMES = ("Containerfile", "Dockerfile")
# "https://host/repository.git", "git@host:repository": what engines fetch by themselves.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:")


@contextmanager
def context_directory(given: str | None) -> Iterator[Path]:
    """The context: a directory, or what a tar archive holds, as C(git archive) writes it; an empty one if none is given.

    :raises OptionError: it is neither
    """
    if given is None:
        with scratch_directory("context") as directory:
            yield directory
        return
    path = Path(given)
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        if _ADDRESS.match(given):
            raise OptionError(
                f"The context '{given}' is an address, and not a directory or archive on the machine that the task runs on.",
                hint="Fetch it first, with 'ansible.builtin.git' or 'ansible.builtin.get_url', and give where it is then.",
            )
        raise OptionError(f"The context '{path}' is not there.", hint="Copy it to the machine that the task runs on first.")
    import tarfile  # most contexts are directories, and this takes a while to load

    with scratch_directory("context") as directory:
        try:
            with tarfile.open(path) as archive:
                # Python 3.11.2 of Debian 12 has no filters yet; 3.14 has one that we do not ask for.
                archive.extraction_filter = lambda member, _path: member
                archive.extractall(directory, _held_back(archive, os.path.realpath(directory)))
        except (tarfile.TarError, OSError) as error:
            raise OptionError(
                f"The context '{path}' is neither a directory nor a tar archive that can be unpacked: {error}.",
                hint="Give a directory, or what 'git archive' or 'tar' wrote.",
            ) from None
        yield directory


def _held_back(archive: tarfile.TarFile, root: str) -> Iterator[tarfile.TarInfo]:
    """As Python's own filter C(tar) (PEP 706): nothing leads out of the directory, be it by a link that came before, and nothing is
    writable by others or runs as another user.
    """
    for member in archive:
        member.name = member.name.lstrip("/")
        for name in (member.name, *([member.linkname] if member.islnk() else [])):
            if not f"{os.path.realpath(os.path.join(root, name))}/".startswith(f"{root}/"):
                raise OSError(f"'{name}' leads out of it")
        member.mode &= 0o755
        yield member


def containerfile_in(context: Path, given: str | None) -> Path:
    """:param given: its name, if the user says it
    :raises OptionError: there is no such file
    """
    names = (given,) if given else _DEFAULT_NAMES
    file = next((context / name for name in names if os.path.isfile(context / name)), None)
    if file is None:
        raise OptionError(
            f"There is no file {' or '.join(names)} in '{context}'.", hint="Name it with 'containerfile', or give its 'content'."
        )
    return file


def text_of(file: Path) -> str:
    """:raises ContextMissing: it cannot be read"""
    try:
        # Engines take bytes; what is not UTF-8 is no word that anything depends on. The ends of lines stay what they are.
        return file.read_bytes().decode(errors="surrogateescape")
    except OSError as error:
        raise ContextMissing(
            f"'{file}' cannot be read where the task runs: {error.strerror}.", hint="Correct its permissions.", path=str(file)
        ) from None


def context_rules(context: Path, containerfile: Path | None, log_path: str | None) -> Rules:
    """What is not of the context.

    :raises OptionError: the log would be of it, and each build a reason for the next
    """
    file = ignore_file(context, containerfile)
    rules = Rules(text_of(file) if file else "")
    log = os.path.relpath(os.path.realpath(log_path or os.devnull), os.path.realpath(context))
    if not log.startswith("../") and not rules.leaves_out(log):
        raise OptionError(
            f"The log '{log_path}' would be a part of the context '{context}'.",
            hint="Write it elsewhere, or name it in '.containerignore'.",
        )
    return rules


@contextmanager
def output_file(path: str | None) -> Iterator[Callable[[str], None] | None]:
    """A file that gets the build's output line by line, so that somebody can follow it."""
    if path is None:
        yield None
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "w", buffering=1))
        except OSError as error:
            raise OptionError(
                f"The log '{path}' cannot be written: {error.strerror}.", hint="Make the directory that 'log_path' is in first."
            ) from None
        yield lambda line: file.writelines((line, "\n"))


def check_files(params: Mapping[str, Any]) -> None:
    """What a build needs beside its context, looked at before it begins.

    :param params: options of the module
    :raises OptionError: something is not there, or cannot be meant so
    """
    for secret in params["secrets"]:
        _check_secret(secret)
    for volume in params["volumes"]:
        host, _colon, inside = volume.partition(":")
        if not host.startswith("/") or not inside.startswith("/"):
            raise OptionError(f"The volume '{volume}' is none.", hint="Write it as /host/directory:/directory[:options].")
        if not os.path.exists(host):
            raise OptionError(f"There is no '{host}' for the volume '{volume}' where the task runs.", hint="Make it first.")
    for key in params["ssh"]:
        name, _equals, paths = key.partition("=")
        for path in filter(None, paths.split(",")):
            if not os.path.exists(path):
                raise OptionError(
                    f"There is no socket or key '{path}' for '{name}' of 'ssh' where the task runs.", hint="Put it there first."
                )
        if not paths and not os.environ.get("SSH_AUTH_SOCK"):
            raise OptionError(
                f"'{name}' of 'ssh' names no socket or key, and SSH_AUTH_SOCK is not set where the task runs.",
                hint=f"Write '{name}=/path', or forward an agent.",
            )
    if params["log_path"]:
        _check_log(params["log_path"])


def _check_log(path: str) -> None:
    if os.path.isdir(path):
        problem = "it is a directory"
    elif not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        problem = "it would be in a directory that is not there"
    else:
        return
    raise OptionError(
        f"The log '{path}' cannot be written: {problem}.",
        hint="Name a file in 'log_path', and make the directory that it is in first.",
    )


def _check_secret(secret: Mapping[str, Any]) -> None:
    """:raises OptionError: its file cannot be read, or its variable is not set"""
    if secret["file"]:
        if not os.path.isfile(secret["file"]) or not os.access(secret["file"], os.R_OK):
            raise OptionError(
                f"The file '{secret['file']}' of the secret '{secret['id']}' cannot be read where the task runs.",
                hint="Put it there first, or give its text as 'value'.",
            )
    elif secret["env"] and secret["env"] not in os.environ:
        raise OptionError(
            f"The variable '{secret['env']}' of the secret '{secret['id']}' is not set where the task runs.",
            hint="Set it in the task's 'environment'.",
        )


def secret_texts(secrets: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """:param secrets: as the module's option has them; one that is not there is refused where it is needed
    :returns: what must not be seen in any output
    """
    texts = []
    for secret in secrets:
        if secret["file"] and os.path.isfile(secret["file"]):
            with suppress(OSError):
                # As the output of commands is read.
                texts.append(Path(secret["file"]).read_text(errors="replace"))
        elif secret["value"] or secret["env"]:
            texts.append(secret["value"] or os.environ.get(secret["env"], ""))
    return tuple(texts)


def secret_file(secret: Mapping[str, Any], directory: Path) -> Path:
    """:returns: a file in the private directory that holds the secret, or leads to the user's own: its name has no comma, at which
    engines would cut it
    """
    path = directory / f"secret-{len(list(directory.iterdir()))}"
    if secret["file"]:
        path.symlink_to(os.path.abspath(secret["file"]))
    else:
        path.touch(stat.S_IRUSR | stat.S_IWUSR)
        path.write_text(os.environ[secret["env"]] if secret["value"] is None else secret["value"])
    return path
