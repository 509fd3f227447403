# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an image is really pulled from, and what a short name means: containers-registries.conf(5), version 2."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .._auth import AUTH_FILES
from .._errors import ImageModeError
from .._reference import Reference
from .._toml import parse_toml
from .errors import RegistryForbidden

_TABLE = re.compile(r"^\s*(\[|unqualified-search-registries)", re.MULTILINE)
_HELPERS = re.compile(r"^\s*credential-helpers\b", re.MULTILINE)


class RegistriesConfInvalid(ImageModeError):
    """A registries.conf that cannot be read as one."""

    error = "registries_conf_invalid"


@dataclass(frozen=True)
class Source:
    """A place to pull from.

    :ivar insecure: the machine's configuration asks for neither a trusted certificate nor TLS
    """

    reference: Reference
    insecure: bool = False


@dataclass(frozen=True)
class RegistriesConf:
    """:ivar registries: prefix → its table
    :ivar aliases: short name → full name
    :ivar search: registries for short names without an alias
    """

    registries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    search: tuple[str, ...] = ()

    @classmethod
    def read(cls, paths: Iterable[Path] | None = None) -> RegistriesConf:
        """:param paths: files, a later one winning; those that Podman reads if there are none given
        :raises RegistriesConfInvalid: a file is not TOML of the expected shape, or no TOML library is here for it
        """
        registries: dict[str, Mapping[str, Any]] = {}
        aliases: dict[str, str] = {}
        search: tuple[str, ...] = ()
        for path in places() if paths is None else paths:
            document = _read(path)
            try:
                search = tuple(document.get("unqualified-search-registries") or search)
                aliases.update({name: value for name, value in (document.get("aliases") or {}).items() if value})
                # "registry.example.com/" is read as without the slash: containers/image, sysregistriesv2, C(parseLocation).
                tables = document.get("registry") or ()
                registries.update({(table.get("prefix") or table["location"]).rstrip("/"): table for table in tables})
            except (AttributeError, KeyError, TypeError) as error:
                raise _invalid(path, f"a table of it lacks or mistakes {error}") from None
        return cls(registries, aliases, search)

    def sources(self, reference: Reference) -> tuple[Source, ...]:
        """:returns: the places to pull from in their order: the mirrors, then the registry itself
        :raises RegistryForbidden: the machine's configuration blocks this registry
        """
        prefix = self._prefix(reference)
        if prefix is None:
            return (Source(reference),)
        table = self.registries[prefix]
        if table.get("blocked"):
            raise RegistryForbidden(
                f"The registry of {reference} is blocked on this machine: registries.conf, prefix '{prefix}'.",
                hint="Use another registry, or take the block out of registries.conf.",
            )
        found = []
        for mirror in table.get("mirror") or ():
            which = mirror.get("pull-from-mirror") or ("digest-only" if table.get("mirror-by-digest-only") else "all")
            if which == "all" or (which == "digest-only") == reference.pinned:
                found.append(Source(_moved(reference, prefix, mirror.get("location", "")), bool(mirror.get("insecure"))))
        found.append(Source(_moved(reference, prefix, table.get("location", "")), bool(table.get("insecure"))))
        return tuple(found)

    def long_names(self, short: str) -> tuple[Reference, ...]:
        """:returns: what a name without a registry may mean: its alias, else one for each search registry, else Docker Hub's"""
        parsed = Reference.parse(short)
        name = re.split("[:@]", short)[0]
        if name in self.aliases:
            long = Reference.parse(self.aliases[name])
            return (replace(parsed, registry=long.registry, repository=long.repository),)
        if not self.search:
            return (parsed,)
        return tuple(Reference.parse(f"{registry}/{short}") for registry in self.search)

    def _prefix(self, reference: Reference) -> str | None:
        """The longest prefix that the reference lies under."""
        return max((prefix for prefix in self.registries if _length(prefix, reference)), key=len, default=None)


def places(environment: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """:returns: the files that Podman reads, a later one winning"""
    env = os.environ if environment is None else environment
    home = Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME") or os.path.expanduser("~")) / ".config") / "containers"
    system = Path("/etc/containers")
    if env.get("CONTAINERS_REGISTRIES_CONF"):
        main, directories = Path(env["CONTAINERS_REGISTRIES_CONF"]), []
    else:
        user = home / "registries.conf"
        main = user if user.is_file() else system / "registries.conf"
        # With a file of the user's own, nothing of the system's is read.
        directories = [*([] if main == user else [system / "registries.conf.d"]), home / "registries.conf.d"]
    drop_ins = [file for directory in directories for file in sorted(directory.glob("*.conf"))]
    return tuple(path for path in (main, *drop_ins) if path.is_file())


def credential_helpers(paths: Iterable[Path] | None = None) -> tuple[str, ...]:
    """Who is asked for credentials, one after the other: C(containers-auth.json) stands for the auth files, others are programs.

    :param paths: as for C(RegistriesConf.read)
    :raises RegistriesConfInvalid: a file that names some cannot be read
    """
    helpers: tuple[str, ...] = (AUTH_FILES,)
    for path in places() if paths is None else paths:
        # Most machines name none, and need no TOML for that.
        if not _HELPERS.search(_text(path)):
            continue
        named = _read(path, _HELPERS).get("credential-helpers")
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            raise _invalid(path, "'credential-helpers' is no list of names")
        helpers = tuple(named)
    return helpers


def _length(prefix: str, reference: Reference) -> int:
    """How much of a reference a prefix stands for: C(*.example.com) for the whole name of a host, without a port.

    :returns: 0 if the reference does not lie under it
    """
    text = str(reference)
    if prefix.startswith("*."):
        host = text.partition("/")[0]
        at = host.find(prefix[1:])
        end = at + len(prefix) - 1 if at > 0 else 0
    else:
        end = len(prefix) if text.startswith(prefix) else 0
    return end if text[end : end + 1] in ("", ":", "/", "@") else 0


def _moved(reference: Reference, prefix: str, location: str) -> Reference:
    """The reference with the prefix replaced by the location; a wildcard without one stays what was asked for."""
    if not location:
        return reference
    rest = reference.name[_length(prefix, reference) :]
    registry, _slash, repository = f"{location.rstrip('/')}{rest}".partition("/")
    return replace(reference, registry=registry, repository=repository or reference.repository)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(path, str(error)) from None


def _read(path: Path, wanted: re.Pattern[str] = _TABLE) -> Mapping[str, Any]:
    text = _text(path)
    if not wanted.search(text):
        return {}  # nothing but comments, as distributions ship it
    try:
        return parse_toml(text, f"'{path}', which configures registries")
    except ValueError as error:
        raise _invalid(path, str(error)) from None


def _invalid(path: Path, why: str) -> RegistriesConfInvalid:
    return RegistriesConfInvalid(
        f"The file '{path}' cannot be read as a registries.conf: {why}.",
        hint="Its form is that of containers-registries.conf(5).",
        path=str(path),
    )
