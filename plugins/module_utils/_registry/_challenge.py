# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answering a registry's challenge: Basic (RFC 7617) and Bearer tokens (Distribution's token specification)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from .._auth import Credentials
from ._http import Http, Response
from .errors import RegistryError, RegistryForbidden, RegistryUnauthorized, TokenInvalid, login_hint

_SCHEME = re.compile(r"(?:^|,)\s*(Bearer|Basic)\b\s*", re.IGNORECASE)
_PARAMETER = re.compile(r'([A-Za-z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


@dataclass(frozen=True)
class Challenge:
    """One challenge of a WWW-Authenticate header."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """:returns: the Bearer and Basic challenges of the header, in its order: RFC 9110 section 11.6.1"""
    found = list(_SCHEME.finditer(header))
    challenges = []
    for index, match in enumerate(found):
        end = found[index + 1].start() if index + 1 < len(found) else len(header)
        words = _PARAMETER.findall(header[match.end() : end])
        parameters = {name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in words}
        challenges.append(Challenge(match.group(1).lower(), parameters))
    return tuple(challenges)


class Authorization:
    """The Authorization header for one repository, renewed when the registry asks again."""

    def __init__(self, http: Http, credentials: Credentials | None, repository: str, plain_http: bool) -> None:
        self._http = http
        self._credentials = credentials
        self._repository = repository
        self._plain_http = plain_http
        self._header: str | None = None
        self._challenge: Mapping[str, str] = {}
        self._writes = False

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": self._header} if self._header else {}

    @property
    def anonymous(self) -> bool:
        return self._credentials is None

    @property
    def shown(self) -> bool:
        """Whether the registry itself sees the credentials, and not a token for them."""
        return bool(self._header and self._header.startswith("Basic "))

    def answer(self, response: Response) -> bool:
        """Take the challenge of a 401.

        :returns: whether there is something new to try
        :raises RegistryUnauthorized: the token server refuses the credentials
        """
        challenges = {challenge.scheme: challenge for challenge in parse_challenges(response.headers.get("www-authenticate", ""))}
        if "bearer" in challenges:
            self._challenge = challenges["bearer"].parameters
            self._header = f"Bearer {self._token(self._challenge)}"
            return True
        if "basic" in challenges and self._credentials and self._credentials.password:
            header = f"Basic {self._credentials.basic}"
            new, self._header = header != self._header, header
            return new
        return False

    def widen(self) -> bool:
        """Take a token to write with, where one to read with met a 403: Google's registries tell the scope of the first request only.

        :returns: whether there is something new to try
        """
        if self._writes or not self._challenge:
            return False
        self._writes = True
        with suppress(RegistryError):  # whose 403 tells more than the token server's
            self._header = f"Bearer {self._token(self._challenge)}"
            return True
        return False

    def _token(self, parameters: Mapping[str, str]) -> str:
        realm = parameters.get("realm", "")
        scheme, host = urlsplit(realm).scheme, urlsplit(realm).hostname
        if scheme != "https" and not (scheme == "http" and self._plain_http):
            raise TokenInvalid(
                f"The registry names '{realm}' as the place to log in at, which is not HTTPS.",
                hint="Correct the registry's token realm; 'plain_http' allows HTTP.",
            )
        response = self._ask_token(realm, parameters)
        credentials = self._credentials
        if response.status in (400, 401):
            raise RegistryUnauthorized(
                f"The token server {host} refuses {'the credentials' if credentials else 'anonymous access'}"
                f" for {self._repository} ({response.status}){response.words}.",
                hint=login_hint(self._http.registry, given=bool(credentials)),
            )
        if response.status == 403:
            raise RegistryForbidden(
                f"The token server {host} denies access to {self._repository} (403){response.words}.",
                hint="Check the name; if it is right, credentials are needed, or a user with the right to it.",
            )
        try:
            document = json.loads(response.body)
            token = document.get("token") or document.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if response.status != 200 or not isinstance(token, str):
            raise TokenInvalid(
                f"The token server {host} answered {response.status} without a token{response.words}.",
                hint="Look at the token server's log; a proxy between may have answered in its place.",
            )
        return token

    def _ask_token(self, realm: str, parameters: Mapping[str, str]) -> Response:
        scope = parameters.get("scope") or f"repository:{self._repository}:pull"
        if self._writes and "push" not in scope:
            scope = f"repository:{self._repository}:pull,push"
        service = {"service": parameters["service"]} if parameters.get("service") else {}
        credentials = self._credentials
        if credentials and credentials.identity_token:
            # Distribution's OAuth2 specification: the scopes in one field.
            renewal = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token, "client_id": "imagemode.bootc"}
            return self._http.request("POST", realm, {}, {"scope": scope, **service, **renewal})
        headers = {"Authorization": f"Basic {credentials.basic}"} if credentials else {}
        # Distribution's token specification: one parameter for each scope.
        query = urlencode([*(("scope", one) for one in scope.split()), *service.items()])
        return self._http.request("GET", f"{realm}{'&' if '?' in realm else '?'}{query}", headers)
