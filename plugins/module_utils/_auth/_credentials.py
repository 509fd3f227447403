# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Credentials as data, and where they are found: containers-auth.json(5)."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .._errors import ImageModeError, OptionError
from .._reference import DEFAULT_REGISTRY

# Docker's file before there was a directory: nothing but entries.
_LEGACY = ".dockercfg"
# Docker's own files name Docker Hub by the address of its first API.
_DOCKER_HUB = "https://index.docker.io/v1/"
_DOCKER_HUB_KEYS = ("index.docker.io/v1", "index.docker.io", "registry-1.docker.io")


class CredentialsInvalid(ImageModeError):
    """An auth file that cannot be read as one."""

    error = "auth_file_invalid"


@dataclass(frozen=True)
class Credentials:
    """What a registry is told of who asks.

    :raises OptionError: the user name has a colon, at which registries and auth files part it from the password (RFC 7617, 2)
    :ivar username: user name; C("") with an identity token
    :ivar password: password or access token
    :ivar identity_token: OAuth2 refresh token, used instead of the password
    :ivar stored: whether they are from a C(credsStore), which Docker asks and Podman does not
    """

    username: str
    password: str = field(repr=False)
    identity_token: str | None = field(default=None, repr=False)
    stored: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if ":" in self.username:
            # It is not shown: what comes after the colon may be a password.
            raise OptionError(
                "The user name has a ':' in it, which no registry and no auth file can tell from the begin of the password.",
                hint="Give the user name alone; a password or token is an option of its own.",
            )

    @property
    def basic(self) -> str:
        """The value after C(Basic ) in an Authorization header, RFC 7617."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen in any output."""
        found = (self.password, self.identity_token or "", self.basic if self.password else "")
        return tuple(secret for secret in found if secret)

    def as_entry(self) -> dict[str, str]:
        """:returns: the entry of C(auths) in an auth file"""
        if not self.identity_token:
            return {"auth": self.basic}
        # Docker takes a whole file for damaged in which a user has no name; what helpers call the user of a token will do.
        named = replace(self, username=self.username or "<token>")
        return {"auth": named.basic, "identitytoken": self.identity_token}


def auth_file_places(environment: Mapping[str, str] | None = None, uid: int | None = None) -> tuple[Path, ...]:
    """Where Podman looks, in its order, Docker's files being the last; C(REGISTRY_AUTH_FILE) stands for all of them.

    Source: containers/image 5.23, ``pkg/docker/config``, and containers-auth.json(5).
    """
    env = os.environ if environment is None else environment
    if env.get("REGISTRY_AUTH_FILE"):
        return (Path(env["REGISTRY_AUTH_FILE"]),)
    uid = os.getuid() if uid is None else uid
    home = Path(env.get("HOME") or os.path.expanduser("~"))
    runtime = Path(env["XDG_RUNTIME_DIR"]) / "containers" if env.get("XDG_RUNTIME_DIR") else Path(f"/run/containers/{uid}")
    config = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
    docker = Path(env.get("DOCKER_CONFIG") or home / ".docker")
    return runtime / "auth.json", config / "containers" / "auth.json", docker / "config.json", home / _LEGACY


def read_auth_file(path: Path, option: str = "auth_file") -> dict[str, Any]:
    """
    :param option: by which a task may name another file
    :returns: the file's document, C({}) if there is no such file, or it is where this user has no business
    :raises CredentialsInvalid: it is not JSON of the expected shape, or may not be read
    """
    try:
        document = json.loads(path.read_text() or "{}")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        # /run/containers is root's own: what is in there is not for this user.
        if isinstance(error, PermissionError) and not os.access(path.parent, os.X_OK):
            return {}
        # The text of a JSON error does not quote the document, so no secret is repeated here.
        raise CredentialsInvalid(
            f"The auth file '{path}' cannot be read: {error}.",
            hint=f"Repair or remove the file, or give another one with '{option}'.",
            path=str(path),
        ) from None
    if path.name == _LEGACY:
        document = {"auths": document}
    if not isinstance(document, dict) or not isinstance(document.get("auths") or {}, dict):
        raise CredentialsInvalid(
            f"The auth file '{path}' is not a document with 'auths'.",
            hint="Its form is that of containers-auth.json(5).",
            path=str(path),
        )
    return document


def merged(paths: Iterable[Path], additions: Mapping[str, Credentials]) -> dict[str, Any]:
    """:returns: one document of all files, the first file's entries winning, with I(additions) above all"""
    document: dict[str, Any] = {"auths": {}}
    for path in paths:
        for name, value in read_auth_file(path).items():
            if isinstance(value, dict):
                document[name] = {**value, **document.get(name, {})}
            else:
                document.setdefault(name, value)
    for namespace, credentials in additions.items():
        # Engines would take the entry of a longer namespace, or ask a helper instead.
        auths = {key: value for key, value in document["auths"].items() if not normalised_key(key).startswith(f"{namespace}/")}
        keys = (namespace, _DOCKER_HUB) if namespace == DEFAULT_REGISTRY else (namespace,)
        document["auths"] = {**auths, **dict.fromkeys(keys, credentials.as_entry())}
        document = without_helper(document, namespace)
        document.pop("credsStore", None)
    return document


def helper_of(document: Mapping[str, Any], namespace: str) -> str | None:
    """:returns: the program that is asked instead of reading the entry of that namespace (containers-auth.json(5), C(credHelpers))"""
    helpers = {normalised_key(key): name for key, name in (document.get("credHelpers") or {}).items()}
    return helpers.get(namespace.partition("/")[0]) or None


def without_helper(document: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """:returns: the document with which the entry of that namespace counts"""
    if not document.get("credHelpers"):
        return dict(document)
    registry = namespace.partition("/")[0]
    return {**document, "credHelpers": {key: name for key, name in document["credHelpers"].items() if normalised_key(key) != registry}}


def normalised_key(key: str) -> str:
    """The registry or namespace that a key means: old files write addresses."""
    key = key.partition("://")[2] or key
    key = key.rstrip("/")
    if key in _DOCKER_HUB_KEYS:
        return DEFAULT_REGISTRY
    for version in ("/v1", "/v2"):
        if key.endswith(version) and key.count("/") == 1:
            return key[: -len(version)]
    return key


def entries(document: Mapping[str, Any]) -> dict[str, Any]:
    """:returns: registry or namespace → its entry in C(auths); beside the name as it is looked for, an older way to write it counts for
    nothing
    """
    written = document.get("auths") or {}
    return {**{normalised_key(key): entry for key, entry in written.items()}, **written}


def entry_credentials(entry: Any, path: Path, namespace: str) -> Credentials | None:
    """:returns: what one entry of C(auths) says; C(None) if the secret is with a credential helper
    :raises CredentialsInvalid: it is no entry
    """
    if not isinstance(entry, dict):
        raise entry_invalid(path, namespace)
    identity = entry.get("identitytoken") or None
    username, password = entry.get("username") or "", entry.get("password") or ""
    if entry.get("auth"):
        try:
            # The command base64 breaks its lines, and Go's decoder, which the engines and bootc use, knows no line ends.
            text = entry["auth"].translate({ord(end): None for end in "\r\n"})
            username, _colon, password = base64.b64decode(text, validate=True).decode().partition(":")
        except (ValueError, AttributeError):  # what is no base64, or no UTF-8, is a ValueError
            raise entry_invalid(path, namespace) from None
    if not (username or identity):
        return None  # a credential helper's entry: the secret is not in this file
    # Docker pads some passwords with NUL bytes.
    return Credentials(username, password.strip("\x00"), identity)


def entry_invalid(path: Path, namespace: str) -> CredentialsInvalid:
    return CredentialsInvalid(
        f"The entry '{namespace}' in the auth file '{path}' is not one of containers-auth.json(5).",
        hint=f"Log in to '{namespace}' again, or remove the entry.",
        path=str(path),
    )
