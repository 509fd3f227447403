# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries of an auth file: set, removed, compared. The other entries, and what else the file says, stay."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._reference import Reference, ReferenceInvalid
from ._credentials import Credentials, entries, entry_credentials, entry_invalid, normalised_key, read_auth_file, without_helper
from ._files import locked_auth_file, unwritable, write_auth_file


def namespace_of(text: str) -> str:
    """:returns: the registry or namespace that a login is for, as auth files name it: C(registry[:port][/path])
    :raises ReferenceInvalid: the text is neither
    """
    key = normalised_key(text.strip("/"))
    registry, _slash, path = key.partition("/")
    # A host without a dot or a port is told from a repository by the slash that is added, and a namespace of Docker Hub from an
    # image of its library.
    try:
        Reference.parse(f"{registry if '.' in registry or ':' in registry else registry + ':443'}/{path and f'{path}/'}x")
    except ReferenceInvalid:
        raise ReferenceInvalid(
            f"'{text}' is neither a registry nor a namespace in one.",
            hint="Write it as registry[:port] or registry[:port]/namespace, without a tag or a digest.",
        ) from None
    return key


def entry(document: Mapping[str, Any], namespace: str, path: Path) -> Credentials | None:
    """:returns: the credentials that the document has for exactly this namespace
    :raises CredentialsInvalid: the entry is not one
    """
    known = entries(document)
    found = entry_credentials(known[namespace], path, namespace) if namespace in known else None
    # With a user name and a password as they are, Docker and Kubernetes take it; Podman and skopeo, which bootc has pull, do not.
    if found and not {"auth", "identitytoken"} & set(known[namespace]):
        raise entry_invalid(path, namespace)
    return found


def with_entry(document: Mapping[str, Any], namespace: str, credentials: Credentials | None) -> dict[str, Any]:
    """:returns: the document with these credentials for the namespace, which no helper is asked for then, or with none"""
    changed = copy.deepcopy(dict(document))
    auths = {key: value for key, value in (changed.get("auths") or {}).items() if normalised_key(key) != namespace}
    if credentials:
        auths[namespace] = credentials.as_entry()
    changed["auths"] = auths
    return without_helper(changed, namespace) if credentials else changed


def update_auth_file(path: Path, namespace: str, credentials: Credentials | None) -> dict[str, Any]:
    """Set or remove one entry; entries that others write at the same time in this way are kept.

    :returns: the document as it is now
    :raises CredentialsInvalid: the file cannot be read as an auth file
    :raises AuthFileUnwritable: it cannot be written
    """
    try:
        with locked_auth_file(path):
            document = with_entry(read_auth_file(path, "path"), namespace, credentials)
            write_auth_file(path, document)
            return document
    except OSError as error:
        raise unwritable(path, error.strerror or str(error)) from None
