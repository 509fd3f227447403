# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Credential helpers: programs that keep secrets which auth files only point at."""

from __future__ import annotations

import json
import re

from .._errors import ImageModeError
from .._reference import DEFAULT_REGISTRY
from .._runner import Runner
from ._credentials import Credentials

_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*\Z", re.ASCII)
_MISSING = "credentials not found"
# The user name by which a helper says that its secret is an OAuth2 refresh token.
_TOKEN_USER = "<token>"
_DOCKER_HUB = "https://index.docker.io/v1/"
_SECONDS = 60.0


class CredentialHelperFailed(ImageModeError):
    """A credential helper that is named in an auth file is not installed, or ended with an error."""

    error = "credential_helper_failed"


def ask_helper(name: str, registry: str) -> Credentials | None:
    """Ask C(docker-credential-NAME get), by the protocol of docker-credential-helpers.

    :returns: C(None) if the helper has nothing for the registry
    :raises CredentialHelperFailed: it ended with another error, or said something else
    :raises CommandMissing: it is not installed
    """
    if not _NAME.match(name):
        raise CredentialHelperFailed(f"'{name}' is not the name of a credential helper.", hint="Correct the auth file.")
    program = f"docker-credential-{name}"
    asked = _DOCKER_HUB if registry == DEFAULT_REGISTRY else registry
    done = Runner().run([program, "get"], stdin=asked, check=False, timeout=_SECONDS)
    if done.rc != 0:
        if _MISSING in done.stdout + done.stderr:
            return None
        raise CredentialHelperFailed(
            f"The credential helper '{program}' failed for {registry}: {done.last_words or f'return code {done.rc}'}",
            hint=f"Run it by hand: echo {asked} | {program} get",
        )
    try:
        document = json.loads(done.stdout)
        username, secret = document["Username"], document["Secret"]
    except (ValueError, KeyError, TypeError):
        # What it said is not repeated: it may be a secret.
        raise CredentialHelperFailed(
            f"The credential helper '{program}' answered for {registry} with no user name and secret in JSON.",
            hint=f"Look at what it says: echo {asked} | {program} get",
        ) from None
    return Credentials("", "", secret) if username == _TOKEN_USER else Credentials(username, secret)
