# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of one machine, put into the deployment on its disk: its name, its network, its credentials, anything in /etc or /var.

They are written after bootc has ended, so no code of the image sees them before the machine itself boots.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._errors import ImageModeError, OptionError

_PLACES = ("etc", "var")
_LABEL = "security.selinux"
_LABELS = "etc/tmpfiles.d/imagemode-labels.conf"
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9/._@:+=-]")
# hostname(7): Linux has room for 64 characters, and systemd cuts what is longer.
_HOSTNAME = re.compile(r"^(?=.{1,64}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*\Z")
_MODE = re.compile(r"^(0o?)?[0-7]{3,4}\Z")


@dataclass(frozen=True)
class PlacedFile:
    """A file as it must be.

    :ivar path: without the leading slash, for example C(etc/hostname)
    :ivar owner: name in the image, or number; so is I(group)
    """

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "0"
    group: str = "0"

    def __repr__(self) -> str:
        return f"PlacedFile({self.path!r})"  # the content may be a secret


@dataclass(frozen=True)
class Deployed:
    """Where the parts of a deployment are mounted.

    :ivar etc: its C(/etc)
    :ivar var: its C(/var)
    :ivar passwd: directories that may hold C(passwd) and C(group)
    """

    etc: Path
    var: Path
    passwd: tuple[Path, ...]


def checked(options: Iterable[Mapping[str, Any]]) -> tuple[PlacedFile, ...]:
    """:param options: C(dest), C(content) or C(src), C(mode), C(owner), C(group)
    :raises OptionError: not a place for a file, or nothing to put there
    """
    files = []
    for option in options:
        dest, content, source = option["dest"], option.get("content"), option.get("src")
        parts = [part for part in dest.split("/") if part]
        if not dest.startswith("/") or len(parts) < 2 or parts[0] not in _PLACES or ".." in parts or dest.endswith("/"):
            raise OptionError(
                f"'{dest}' is not a file below /etc or /var, the only places of a deployment that belong to the machine.",
                hint="Put files for other places into the image.",
            )
        mode = _mode("0644" if option.get("mode") is None else option["mode"], dest)
        if (content is None) == (source is None):
            raise OptionError(f"'{dest}' needs either 'content' or 'src'.", hint="Set one of the two.")
        data = content.encode() if content is not None else _read(str(source), dest)
        files.append(PlacedFile("/".join(parts), data, mode, str(option.get("owner") or 0), str(option.get("group") or 0)))
    return tuple(files)


def hostname(name: str) -> PlacedFile:
    """:raises OptionError: not a host name"""
    if not _HOSTNAME.match(name):
        raise OptionError(f"'{name}' is not a host name.", hint="Use letters, digits and '-', and '.' between labels; 64 at most.")
    return PlacedFile("etc/hostname", f"{name}\n".encode())


def without_duplicates(files: Sequence[PlacedFile]) -> tuple[PlacedFile, ...]:
    """:raises OptionError: two options ask for the same file"""
    paths = [file.path for file in files]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        hint = "'hostname', 'network' and the credentials are files too; leave one out."
        raise OptionError(f"/{twice[0]} is asked for twice.", hint=hint)
    return tuple(files)


def lacking(deployed: Deployed, files: Iterable[PlacedFile]) -> tuple[str, ...]:
    """:returns: paths of the files that are not there as asked"""
    return tuple(file.path for file in files if not _as_asked(deployed, file))


def place(deployed: Deployed, files: Sequence[PlacedFile]) -> None:
    """:raises ImageModeError: C(install_incomplete): an owner that the image does not know, or a directory that is none"""
    _label_at_boot(deployed, files)
    for file in files:
        if not _as_asked(deployed, file):
            owner = _number(deployed, "passwd", file.owner), _number(deployed, "group", file.group)
            try:
                write(_resolved(deployed, file.path), file.content, file.mode, owner)
            except OSError as error:
                raise ImageModeError(
                    f"/{file.path} cannot be put into the deployment: {error.strerror}.",
                    error="install_incomplete",
                    hint="Look at what the image has at that path.",
                ) from error


def write(path: Path, content: bytes, mode: int, owner: tuple[int, int]) -> None:
    """Write a file whole or not at all; directories that are missing are root's, 0755."""
    made = [parent for parent in reversed(path.parents) if not parent.exists()]
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for directory in made:
        copy_label(directory.parent, directory)
    temporary = path.with_name(f".{path.name}.imagemode")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchown(stream.fileno(), *owner)
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        copy_label(path if path.exists() else path.parent, temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _label_at_boot(deployed: Deployed, files: Iterable[PlacedFile]) -> None:
    """Let the booted machine give files, and directories on the way to them, the labels of its SELinux policy: tmpfiles.d(5), C(z!).

    Here a new file gets its directory's label, which is another one for C(/etc/hostname), and for C(/var/home) in an empty C(/var):
    sshd could not read keys there. It is done before sysinit.target, and so before sshd. This comes before the files, so that no
    file that is as asked lacks its line; lines of files that are no longer asked for stay, as these files do.
    """
    if not any(deployed.etc.glob("selinux/*/policy/policy.*")):
        return
    path = _resolved(deployed, _LABELS)
    lines = set(path.read_text().splitlines()) if path.is_file() else set()
    for file in files:
        parts = file.path.split("/")
        # What tmpfiles.d would take for something else is named by a glob.
        places = (_NOT_PLAIN.sub("?", "/".join(parts[:length])) for length in range(2, len(parts) + 1))
        lines |= {f"z! /{place} - - - -" for place in places}
    write(path, "".join(f"{line}\n" for line in sorted(lines)).encode(), 0o644, (0, 0))


def copy_label(source: Path, target: Path) -> None:
    # Files made from a system without SELinux would have no label, and one with SELinux could not read them.
    with suppress(OSError):  # the disk's file system has no labels
        os.setxattr(target, _LABEL, os.getxattr(source, _LABEL))


def inside(root: Path, link: str) -> Path | None:
    """Follow a path's links as if I(root) were C(/): what is on a disk must not lead out of it.

    :returns: C(None) if the links go in circles
    """
    pending, here = [part for part in link.split("/") if part], root
    for _step in range(64):
        if not pending:
            return here
        part = pending.pop(0)
        if part == "..":
            here = here.parent if here != root else root
            continue
        following = here / part
        if following.is_symlink():
            target = str(following.readlink())
            pending = [word for word in target.split("/") if word] + pending
            here = root if target.startswith("/") else here
        else:
            here = following
    return None


def _resolved(deployed: Deployed, path: str) -> Path:
    place, _slash, rest = path.partition("/")
    root = deployed.etc if place == "etc" else deployed.var
    directory = inside(root, os.path.dirname(rest))
    if directory is None:
        raise ImageModeError(f"The links on the way to /{path} go in circles.", error="install_incomplete")
    return directory / os.path.basename(rest)


def _as_asked(deployed: Deployed, file: PlacedFile) -> bool:
    path = _resolved(deployed, file.path)
    try:
        found = path.lstat()
        if path.is_symlink() or not path.is_file() or path.read_bytes() != file.content:
            return False
    except OSError:
        return False
    owner = _number(deployed, "passwd", file.owner), _number(deployed, "group", file.group)
    return (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (file.mode, *owner)


def _number(deployed: Deployed, database: str, name: str) -> int:
    if name.isdigit():
        return int(name)
    for directory in deployed.passwd:
        with suppress(OSError):
            for line in (directory / database).read_text(errors="replace").splitlines():
                words = line.split(":")
                if words[0] == name and len(words) > 2 and words[2].isdigit():
                    return int(words[2])
    raise ImageModeError(
        f"The image has no {'user' if database == 'passwd' else 'group'} '{name}'.",
        error="install_incomplete",
        hint="Give the number, or make the account in the image.",
    )


def _mode(asked: object, dest: str) -> int:
    """As Ansible's own modules take it: text has octal digits, and a number is what YAML made of C(0600) without quotes: 384."""
    mode = int(asked, 8) if isinstance(asked, str) and _MODE.match(asked) else asked
    if not isinstance(mode, int) or isinstance(mode, bool) or not 0 <= mode <= 0o7777:
        raise OptionError(f"'{asked}' is not a mode for '{dest}'.", hint="Write it as octal digits in quotes, for example '0600'.")
    return mode


def _read(source: str, dest: str) -> bytes:
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise OptionError(
            f"'{source}', which is to become '{dest}', cannot be read on this machine: {error.strerror}.",
            hint="'src' is a file where the task runs; for one of the controller use 'content' with the lookup ansible.builtin.file.",
        ) from error
