# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an image to its credentials: in auth files, or with the helpers that these name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._errors import ImageModeError
from .._reference import Reference
from .._runner import CommandMissing
from ._credentials import Credentials, entries, entry_credentials, helper_of, read_auth_file
from ._helpers import CredentialHelperFailed, ask_helper

# Among the helpers that registries.conf names, this word stands for the auth files.
AUTH_FILES = "containers-auth.json"


def find_credentials(reference: Reference, paths: Iterable[Path], helpers: Iterable[str] = (AUTH_FILES,)) -> Credentials | None:
    """The credentials for an image, from the first that has any.

    :param paths: the auth files
    :param helpers: what registries.conf names as C(credential-helpers); one that fails does not keep others from being asked
    :raises CredentialsInvalid: a file cannot be read as an auth file, or its entry is not one
    :raises CredentialHelperFailed: a helper ended with an error, and nobody else has anything
    :raises CommandMissing: it is not installed, and nobody else has anything
    """
    failed: ImageModeError | None = None
    for helper in helpers:
        if helper == AUTH_FILES:
            found = _from_files(reference, paths)
        else:
            try:
                found = ask_helper(helper, reference.registry)
            except (CredentialHelperFailed, CommandMissing) as error:
                failed, found = failed or error, None
            # Docker does not ask these.
            found = found and replace(found, stored=True)
        if found:
            return found
    if failed:
        raise failed
    return None


def _from_files(reference: Reference, paths: Iterable[Path]) -> Credentials | None:
    """In each file: the registry's own helper (C(credHelpers)), the entry of the longest namespace that holds the repository, the
    helper for everything else (C(credsStore)).
    """
    for path in paths:
        document = read_auth_file(path)
        found = (
            _from_helper(document, reference.registry)
            or _from_entries(document, reference.name, path)
            or _from_store(document, reference.registry)
        )
        if found:
            return found
    return None


def _from_helper(document: Mapping[str, Any], registry: str) -> Credentials | None:
    helper = helper_of(document, registry)
    return ask_helper(helper, registry) if helper else None


def _from_entries(document: Mapping[str, Any], namespace: str, path: Path) -> Credentials | None:
    auths = entries(document)
    while True:
        found = entry_credentials(auths[namespace], path, namespace) if namespace in auths else None
        if found or "/" not in namespace:
            return found
        namespace = namespace.rpartition("/")[0]


def _from_store(document: Mapping[str, Any], registry: str) -> Credentials | None:
    if not document.get("credsStore"):
        return None
    try:
        found = ask_helper(document["credsStore"], registry)
    except CommandMissing:
        return None  # a desktop's setting that came along with somebody's home directory
    return found and replace(found, stored=True)
