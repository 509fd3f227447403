# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Registry credentials: found where Podman finds them, and handed to engines in a file that does not stay."""

from __future__ import annotations

from ._credentials import Credentials, CredentialsInvalid, auth_file_places, helper_of, merged, read_auth_file
from ._entries import entry, namespace_of, update_auth_file, with_entry
from ._files import AuthFileUnwritable, need_writable, temporary_auth_file, write_auth_file
from ._find import AUTH_FILES, find_credentials
from ._helpers import CredentialHelperFailed

__all__ = [
    "AUTH_FILES",
    "AuthFileUnwritable",
    "CredentialHelperFailed",
    "Credentials",
    "CredentialsInvalid",
    "auth_file_places",
    "entry",
    "find_credentials",
    "helper_of",
    "merged",
    "namespace_of",
    "need_writable",
    "read_auth_file",
    "temporary_auth_file",
    "update_auth_file",
    "with_entry",
    "write_auth_file",
]
