# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an image to its credentials: in auth files, or with the helpers that these name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._reference import Reference
from .._runner import CommandMissing
from ._credentials import Credentials, entry_credentials, normalised_key, read_auth_file
from ._helpers import ask_helper


def find_credentials(reference: Reference, paths: Iterable[Path]) -> Credentials | None:
    """The credentials for an image, from the first file that has any.

    In each file: the registry's own helper (C(credHelpers)), the entry of the longest namespace that holds the
    repository, the helper for everything else (C(credsStore)).

    :raises CredentialsInvalid: a file cannot be read as an auth file, or its entry is not one
    :raises CredentialHelperFailed: a helper ended with an error
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
    helpers = {normalised_key(key): name for key, name in (document.get("credHelpers") or {}).items()}
    return ask_helper(helpers[registry], registry) if helpers.get(registry) else None


def _from_entries(document: Mapping[str, Any], namespace: str, path: Path) -> Credentials | None:
    auths = {normalised_key(key): entry for key, entry in (document.get("auths") or {}).items()}
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
