# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One HTTP request, well behaved: bounded in time, size and repetitions, and discreet on redirects."""

from __future__ import annotations

import datetime
import email.utils
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from ._access import Access
from .errors import (
    AnswerIncomplete,
    ProxyFailed,
    RedirectRefused,
    RegistryError,
    RegistryRateLimited,
    RegistryTls,
    RegistryUnavailable,
    RegistryUnreachable,
    RequestsMissing,
)

if TYPE_CHECKING:
    import ssl

    import requests
    import requests.adapters
    import requests.utils

MAX_REDIRECTS = 5
# OCI distribution specification 1.1: registries need not accept larger manifests; configurations stay far below.
MAX_BODY = 8 * 1024 * 1024
# Above this a person should decide whether to wait.
MAX_WAIT = 60.0
_TRANSIENT = (429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_TLS_HINT = "Give its CA with 'ca_path'; for a registry without TLS set 'plain_http'."
# Of a base image or a mirror: the options of the task do not count there.
_TLS_HINT_ELSEWHERE = (
    "Put its CA into /etc/containers/certs.d; for a registry without TLS write 'insecure = true' into registries.conf. "
    "'ca_path' and 'plain_http' are for the registries that the task itself names."
)


@dataclass(frozen=True)
class Response:
    """An answer that has been read to its end; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def words(self) -> str:
        """What the registry or token server says of its refusal, as the end of a sentence; C("") if it says nothing.

        OCI distribution specification 1.1, "Error Codes"; RFC 6749 section 5.2; C(details) is Docker Hub's.
        """
        try:
            document = json.loads(self.body)
            errors = document.get("errors") or [document]
            said = errors[0]
            found = next((said[name] for name in ("message", "error_description", "details", "error", "code") if said.get(name)), "")
        except (ValueError, AttributeError, KeyError, IndexError, TypeError):
            return ""
        return f": {' '.join(found.split())[:200].rstrip('.')}" if isinstance(found, str) and found else ""


class Http:
    """Requests to one registry, and to where it sends us.

    :ivar sent: how many requests went out, repetitions included
    """

    def __init__(self, registry: str, access: Access) -> None:
        self.registry = registry
        self._access = access
        library = _import_requests()
        self._session = library.Session()
        self._exceptions = library.exceptions
        # Without this, requests would take credentials from ~/.netrc that nobody gave to this registry.
        self._session.auth = lambda request: request
        self._trusting = False
        self.sent = 0

    def request(self, method: str, url: str, headers: Mapping[str, str], data: Mapping[str, str] | bytes | None = None) -> Response:
        """Send a request; follow redirects, and repeat it after passing faults.

        :raises RegistryUnreachable: no connection or no answer, also after repeating
        :raises RegistryTls: TLS failed
        :raises RegistryRateLimited: 429, also after waiting
        :raises RegistryUnavailable: 5xx, also after waiting
        :raises AnswerIncomplete: the answer broke off, also when it was asked for again
        """
        for _hop in range(MAX_REDIRECTS + 1):
            response = self._repeat(method, url, headers, data)
            if response.status not in _REDIRECTS:
                return response
            target = urljoin(url, response.headers.get("location", ""))
            headers = self._discreet(headers, url, target)
            if isinstance(data, Mapping) and origin(target) != origin(url):
                # The form of a login; what is uploaded may go elsewhere, and is no secret to the registry.
                raise RedirectRefused(
                    f"The token server of {self.registry} redirects a login to {_shown(target)}, which is not to see the token.",
                    hint="Correct the registry's token realm, or use a password in place of an identity token.",
                )
            url = target
        raise RedirectRefused(
            f"The registry {self.registry} redirects in circles, last to {_shown(url)}.",
            hint="Correct the registry's address, or the reverse proxy before it.",
        )

    def _discreet(self, headers: Mapping[str, str], url: str, target: str) -> Mapping[str, str]:
        there, here = urlsplit(target), urlsplit(url)
        if there.scheme not in ("http", "https") or (here.scheme == "https" and there.scheme != "https"):
            raise RedirectRefused(
                f"The registry {self.registry} redirects from {here.scheme} to {_shown(target)}, which is not safe.",
                hint="The registry's storage has to be reachable by HTTPS.",
            )
        if origin(target) == origin(url):
            return headers
        return {name: value for name, value in headers.items() if name.lower() != "authorization"}

    def _repeat(self, method: str, url: str, headers: Mapping[str, str], data: Mapping[str, str] | bytes | None) -> Response:
        for attempt in range(self._access.retries + 1):
            last = attempt == self._access.retries
            wait = min(0.5 * 2**attempt, MAX_WAIT)
            try:
                response = self._once(method, url, headers, data)
            except (RegistryUnreachable, _Broken) as error:
                if last:
                    if isinstance(error, _Broken):
                        raise AnswerIncomplete(
                            f"{method} {_shown(url)}: the answer broke off: {error}.",
                            hint="Try again later; a proxy between here and the registry may cut answers off.",
                        ) from None
                    raise
            else:
                if response.status not in _TRANSIENT:
                    return response
                asked = retry_after(response.headers.get("retry-after"))
                if last or (asked or 0.0) > MAX_WAIT:
                    raise self._busy(response, asked)
                wait = wait if asked is None else asked
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _busy(self, response: Response, asked: float | None) -> RegistryError:
        if response.status == 429:
            return RegistryRateLimited(
                f"The registry {self.registry} refuses further requests for now (429){response.words}.",
                hint="Wait, or log in: registries allow more to known users.",
                retry_after=asked,
            )
        return RegistryUnavailable(
            f"The registry {self.registry} has a fault of its own ({response.status}){response.words}.",
            hint="Look at the registry's log, or try again later.",
            status=response.status,
            retry_after=asked,
        )

    def _once(self, method: str, url: str, headers: Mapping[str, str], data: Mapping[str, str] | bytes | None) -> Response:
        self.sent += 1
        if not self._trusting and url.startswith("https:"):
            # Not before it is needed: to read what the machine trusts takes longer than a request.
            self._session.mount("https://", _adapter(self._access.tls(self.registry)))
            self._trusting = True
        try:
            with self._session.request(
                method,
                url,
                # Proxies that compress on their own would change what the digest is of.
                headers={"Accept-Encoding": "identity", "User-Agent": "imagemode.bootc", **headers},
                data=data,
                timeout=self._access.timeout,
                verify=self._access.validate_certs,
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = self._read(answer, time.monotonic() + 10 * self._access.timeout)
                named = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status_code, named, body, url)
        except self._exceptions.SSLError as error:
            raise RegistryTls(
                f"TLS with the registry {self.registry} failed: {_cause(error)}.",
                hint=_TLS_HINT if self._access.covers(self.registry) else _TLS_HINT_ELSEWHERE,
                registry=self.registry,
            ) from None
        except self._exceptions.ProxyError as error:
            raise ProxyFailed(
                f"The registry {self.registry} cannot be reached through the proxy of the environment: {_cause(error)}.",
                hint="Correct HTTPS_PROXY or HTTP_PROXY where the task runs, or name the registry in NO_PROXY.",
                registry=self.registry,
            ) from None
        except (self._exceptions.ChunkedEncodingError, self._exceptions.ContentDecodingError) as error:
            raise _Broken(_cause(error)) from None
        except self._exceptions.RequestException as error:
            raise RegistryUnreachable(
                f"The registry {self.registry} cannot be reached at {_shown(url)}: {_cause(error)}.",
                hint="Check the name, the port, the network and the proxy variables of the machine that runs this task.",
                registry=self.registry,
            ) from None

    def _read(self, answer: requests.Response, deadline: float) -> bytes:
        body = bytearray()
        for chunk in answer.iter_content(65536):
            body += chunk
            if len(body) > MAX_BODY:
                raise RegistryError(f"The registry {self.registry} answered with more than {MAX_BODY} bytes.")
            if time.monotonic() > deadline:
                raise RegistryUnreachable(
                    f"The registry {self.registry} answers too slowly to be waited for.", hint="Raise 'timeout', or use a mirror."
                )
        announced, read = answer.headers.get("content-length", ""), answer.raw.tell()
        # Below 2.0, urllib3 takes a short body for a whole one.
        if announced.isdigit() and read < int(announced) and answer.request.method != "HEAD":
            raise _Broken(f"{read} of {announced} bytes came")
        return bytes(body)


def _import_requests() -> ModuleType:
    """Only who asks a registry needs the library, and pays for loading it: 80 ms.

    :raises RequestsMissing: it is not installed
    """
    global requests
    try:
        import requests
        import requests.adapters
        import requests.utils
    except ImportError:
        raise RequestsMissing(
            "The Python library 'requests' is needed where a registry is asked, and is not installed.",
            hint="Install python3-requests for the Python that runs the module.",
        ) from None
    return requests


class _Broken(Exception):
    """An answer that ended before its announced length."""


def origin(url: str) -> tuple[str, str | None, int | None]:
    """:returns: scheme, host and port of an address, for which alone credentials are: RFC 6454, 4; proxies write out the usual port"""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, _port(parts) or {"http": 80, "https": 443}.get(parts.scheme)


def next_page(response: Response) -> str | None:
    """What comes after C(/v2/REPOSITORY/) in the address of the next page, RFC 8288.

    Of the link's own address only the query counts. Its path may be wrong: Artifactory leaves the key of its repository out
    (RTFACT-18971), and Nexus puts into it what its connectors do not serve (sonatype/nexus-public issue 1011). And it leads to nobody else.

    :returns: C(None) on the last page
    """
    asked = _list_of(response.url)
    for link in requests.utils.parse_header_links(response.headers.get("link", "")):
        url = urljoin(response.url, link["url"])
        if link.get("rel") == "next" and urlsplit(url).query and _list_of(url) == asked:
            return f"{asked}?{urlsplit(url).query}"
    return None


def _list_of(url: str) -> str:
    """:returns: the end of the path: C(tags/list), or C(referrers/sha256:…)"""
    return "/".join(unquote(urlsplit(url).path).split("/")[-2:])


def retry_after(value: str | None) -> float | None:
    """:returns: the seconds that a Retry-After header asks for, RFC 9110 section 10.2.3; C(None) if it says nothing"""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return max(0.0, (moment - datetime.datetime.now(datetime.timezone.utc)).total_seconds())


def _adapter(context: ssl.SSLContext) -> requests.adapters.HTTPAdapter:
    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, ssl_context=context, **kwargs)

        def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
            return super().proxy_manager_for(proxy, ssl_context=context, **kwargs)

    return Adapter()


def _cause(error: BaseException) -> str:
    """The innermost reason: requests and urllib3 wrap it several times."""
    reason: Any = error
    while True:
        inner = getattr(reason, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((word for word in getattr(reason, "args", ()) if isinstance(word, BaseException)), None)
        if inner is None:
            return str(reason).rstrip(".")
        reason = inner


def _shown(url: str) -> str:
    """The address without its query, which carries signatures on storage hosts."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{_port(parts)}' if _port(parts) else ''}{parts.path}"


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return -1  # to which no connection will be made
