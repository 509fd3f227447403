# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registry as modules see it: digests, manifests, configurations."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin

from .._auth import Credentials
from .._reference import Reference, digest_of, is_digest
from ._access import Access
from ._challenge import Authorization
from ._http import Http, Response, next_page, origin
from ._manifests import ACCEPT, INDEX_TYPES, Descriptor, Image, Index, Manifest, descriptor, parse_manifest, refuse_schema_1
from ._platform import Platform
from ._registries_conf import RegistriesConf, Source
from .errors import (
    BlobMissing,
    CredentialsRefused,
    DigestMismatch,
    ImageMissing,
    ManifestInvalid,
    RedirectRefused,
    RegistryError,
    RegistryForbidden,
    RegistryUnauthorized,
    login_hint,
)


@dataclass(frozen=True)
class Content:
    """A manifest as it came, verified."""

    body: bytes
    media_type: str
    digest: str


@dataclass(frozen=True)
class _Place:
    """Where to ask, and how.

    :ivar itself: whether it is the registry, and no mirror of it
    """

    reference: Reference
    access: Access
    itself: bool = True


# Quay gives fifty tags a page, and no repository that anybody reads has as many as this.
MAX_PAGES = 1000
_TO = {"GET": "read", "HEAD": "read", "POST": "write to", "PUT": "write to"}


class Registry:
    """Asks registries about references; one connection and one login for each registry and repository.

    :param credentials: finds the credentials for a reference
    :param conf: the machine's mirrors; without it the registry itself is asked, as a push does
    """

    def __init__(
        self,
        access: Access,
        credentials: Callable[[Reference], Credentials | None],
        conf: RegistriesConf | None = None,
    ) -> None:
        self._access = access
        self._credentials = credentials
        self._conf = conf
        # Some mirrors are for digests only, or for tags only.
        self._places: dict[tuple[str, bool, bool], tuple[_Place, ...]] = {}
        # What registries.conf has as insecure is that for its prefix alone, and not for the rest of the same registry.
        self._https: dict[tuple[str, Access], Http] = {}
        self._authorizations: dict[tuple[str, Access, str], Authorization] = {}

    @property
    def requests_sent(self) -> int:
        """How many requests went out, those for tokens and repetitions included."""
        return sum(http.sent for http in self._https.values())

    def long_names(self, short: str) -> tuple[Reference, ...]:
        """:returns: what a name without a registry may mean on this machine"""
        return (self._conf or RegistriesConf()).long_names(short)

    def digest(self, reference: Reference) -> str:
        """The digest that a reference points at: the index's where it is one. One HEAD request, if the registry knows how.

        :raises ImageMissing: the registry has no such image
        """
        response = self._ask("HEAD", reference, f"manifests/{reference.digest or reference.tag}")
        digest = response.headers.get("docker-content-digest", "")
        # Some registries answer HEAD with 405 or without the header: the specification demands neither.
        if response.status == 200 and is_digest(digest):
            refuse_schema_1(response.headers.get("content-type", ""), str(reference))
            self._compare(reference, reference.digest, digest)
            return digest
        return self.manifest(reference).digest

    def manifest(self, reference: Reference) -> Manifest:
        """The manifest that a reference points at, its content verified by digest.

        :raises ImageMissing: the registry has no such image
        :raises DigestMismatch: the content is not what its digest says
        :raises ManifestInvalid: it is neither an image manifest nor an index
        """
        content = self.content(reference)
        try:
            return parse_manifest(content.body, content.media_type, content.digest)
        except ManifestInvalid as error:
            raise type(error)(f"{reference}: {error.message}", hint=error.hint) from None

    def content(self, reference: Reference) -> Content:
        """The manifest that a reference points at, byte for byte.

        :raises ImageMissing: the registry has no such image
        :raises DigestMismatch: the content is not what its digest says
        """
        response = self._ask("GET", reference, f"manifests/{reference.digest or reference.tag}")
        self._expect(response, reference)
        refuse_schema_1(response.headers.get("content-type", ""), str(reference))
        announced = response.headers.get("docker-content-digest") or None
        digest = announced or reference.digest or digest_of(response.body)
        for expected in (reference.digest, announced):
            if expected is not None:
                if not is_digest(expected):
                    raise DigestMismatch(f"The registry {reference.registry} announces '{expected}', which is no digest.")
                self._compare(reference, expected, digest_of(response.body, expected.partition(":")[0]))
        return Content(response.body, response.headers.get("content-type", ""), reference.digest or digest)

    def platform_digest(self, reference: Reference, platform: Platform) -> str:
        """:returns: the digest of one platform's image: the reference's own, or that of its entry in the index
        :raises PlatformMissing: the index has no such platform
        """
        manifest = self.manifest(reference)
        return manifest.digest if isinstance(manifest, Image) else manifest.choose(platform).digest

    def image(self, reference: Reference, platform: Platform) -> tuple[Image, Index | None]:
        """The image of one platform, and the index that it was found in.

        :raises PlatformMissing: the index has no such platform
        """
        manifest = self.manifest(reference)
        if isinstance(manifest, Image):
            return manifest, None
        chosen = self.manifest(reference.with_digest(manifest.choose(platform).digest))
        if not isinstance(chosen, Image):
            raise ManifestInvalid(f"The entry {chosen.digest} of the index {manifest.digest} is an index itself.")
        return chosen, manifest

    def config(self, reference: Reference, image: Image) -> dict[str, Any]:
        """:returns: the image configuration, OCI image specification 1.1, "Image Configuration" """
        try:
            document = json.loads(self.blob(reference, image.config))
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ManifestInvalid(f"The configuration {image.config.digest} of {reference} is not a JSON object.")
        return document

    def blob(self, reference: Reference, descriptor: Descriptor) -> bytes:
        """A small blob, verified by digest.

        :raises BlobMissing: the registry does not have it
        """
        response = self._ask("GET", reference, f"blobs/{descriptor.digest}")
        if response.status == 404:
            raise BlobMissing(
                f"The registry {reference.registry} has no blob {descriptor.digest} in {reference.repository}.",
                hint="The registry lost a part of the image: push the image again.",
            )
        self._expect(response, reference)
        algorithm = descriptor.digest.partition(":")[0]
        self._compare(reference, descriptor.digest, digest_of(response.body, algorithm))
        return response.body

    def tags(self, reference: Reference) -> tuple[str, ...]:
        """:returns: all tags of the repository, however many pages they take
        :raises ImageMissing: the registry has no such repository
        """
        found: list[str] = []
        what: str | None = "tags/list?n=1000"
        asked: set[str] = set()
        while what:
            response = self._ask("GET", reference, what, listing=True)
            if response.status == 404:
                raise ImageMissing(
                    f"The registry {reference.registry} has no repository {reference.repository}.",
                    hint="Check the repository's name; it is there as soon as something was pushed to it.",
                )
            found += self._listing(response, reference, "tags")
            what = self._following(response, reference, asked)
        return tuple(dict.fromkeys(found))

    def referrers(self, reference: Reference, digest: str) -> tuple[Descriptor, ...]:
        """What says of itself that it belongs to a manifest: OCI distribution specification 1.1, "Listing Referrers".

        :returns: descriptors, from the fallback tag where the registry does not have the API; empty if there are none
        """
        found: list[Descriptor] = []
        what: str | None = f"referrers/{digest}"
        asked: set[str] = set()
        while what:
            response = self._ask("GET", reference, what, listing=True)
            # What does not have the API may send a page for people, as GHCR does.
            if response.status != 200 or not response.headers.get("content-type", "").startswith(INDEX_TYPES[0]):
                return self._fallback(reference, digest)
            try:
                found += [descriptor(entry) for entry in self._listing(response, reference, "manifests")]
            except (KeyError, ValueError, TypeError) as error:
                raise RegistryError(f"The registry {reference.registry} sent a referrer that is none: {error!r}.") from None
            what = self._following(response, reference, asked)
        return tuple(found)

    def send(self, method: str, reference: Reference, what: str, headers: Mapping[str, str], body: bytes | None = None) -> Response:
        """Write to the registry itself, never to a mirror.

        :param what: what comes after C(/v2/REPOSITORY/), or a whole address that the registry gave
        """
        return self._ask_at(_Place(reference, self._access.to(reference.registry)), method, what, headers, body)

    def _fallback(self, reference: Reference, digest: str) -> tuple[Descriptor, ...]:
        try:
            listing = self.manifest(reference.with_tag(subject_tag(digest)))
        except ImageMissing:
            return ()
        return listing.manifests if isinstance(listing, Index) else ()

    def _following(self, response: Response, reference: Reference, asked: set[str]) -> str | None:
        """:returns: the next page; C(None) on the last
        :raises RegistryError: it was there already, or there were more than anybody reads, and there would be for ever
        """
        page = next_page(response)
        if page and len(asked) >= MAX_PAGES:
            raise RegistryError(
                f"The registry {reference.registry} sends its lists of {reference.repository} in more than {MAX_PAGES} pages.",
                hint="Remove tags that nobody needs; if there are few, a proxy before the registry may make pages up.",
            )
        if page in asked:
            raise RegistryError(
                f"The registry {reference.registry} sends its lists of {reference.repository} in circles, last to {page}.",
                hint="A proxy before the registry may drop the query of the address.",
            )
        asked.update([page] if page else [])
        return page

    def _listing(self, response: Response, reference: Reference, field: str) -> list[Any]:
        self._expect(response, reference)
        try:
            entries = json.loads(response.body)[field] or []
        except (ValueError, KeyError, TypeError):
            entries = None
        if not isinstance(entries, list):
            raise RegistryError(f"The registry {reference.registry} sent something that is no list of {field}.")
        return entries

    def _ask(self, method: str, reference: Reference, what: str, listing: bool = False) -> Response:
        """Ask the mirrors, and the registry itself last; the one that had the answer is asked first from then on, and not alone: no
        mirror needs to have everything.

        :param listing: a mirror lists what was pulled through it and no more, so that the registry itself is asked first
        """
        key = (reference.name, reference.pinned, listing)
        places = self._places.get(key) or self._find_places(reference, listing)
        own: Response | RegistryError | None = None
        for place in places:
            answer: Response | RegistryError
            try:
                answer = self._ask_at(place, method, what)
            except RegistryError as error:
                answer = error
            else:
                if answer.status == 200:
                    if listing or not place.itself:
                        self._places[key] = (place, *(other for other in places if other is not place))
                    return answer
            own = answer if place.itself else own
        if isinstance(own, Response):
            return own
        raise own or AssertionError("the registry itself is one of the places")

    def _find_places(self, reference: Reference, listing: bool) -> tuple[_Place, ...]:
        places: list[_Place] = []
        *mirrors, itself = self._conf.sources(reference) if self._conf else (Source(reference),)
        for source in (itself, *mirrors) if listing else (*mirrors, itself):
            own = source is itself
            # Wherever the machine's configuration says that the registry itself is, the task means it by its name.
            access = self._access.to((reference if own else source.reference).registry)
            if source.insecure and not access.plain_http:
                access = replace(access, validate_certs=False)
                places.append(_Place(source.reference, access, own))
                access = replace(access, plain_http=True)
            places.append(_Place(source.reference, access, own))
        return tuple(places)

    def _ask_at(
        self, place: _Place, method: str, what: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        reference, access = place.reference, place.access
        base = access.base(reference.registry)
        http = self._https.get((base, access))
        if http is None:
            http = self._https[base, access] = Http(reference.registry, access)
        authorization = self._authorizations.get((base, access, reference.repository))
        if authorization is None:
            credentials = self._credentials(reference)
            authorization = Authorization(http, credentials, reference.repository, access.plain_http)
            self._authorizations[base, access, reference.repository] = authorization
        url = urljoin(f"{base}/v2/{reference.repository}/", what)
        # An upload may go to another host, which is to see no credentials.
        here = origin(url) == origin(base)
        if base.startswith("https:") and not url.startswith("https:"):
            raise RedirectRefused(
                f"The registry {reference.registry} sends uploads to {url.partition('?')[0]}, which is not safe.",
                hint="Let the proxy before the registry tell it of HTTPS, by X-Forwarded-Proto, or correct the registry's own address.",
            )
        given = headers or {"Accept": ACCEPT}
        response = http.request(method, url, {**given, **(authorization.headers if here else {})}, body)
        # Once for the challenge; a token that ran out meanwhile is the challenge of a later request.
        if response.status == 401 and here and authorization.answer(response):
            response = http.request(method, url, {**given, **authorization.headers}, body)
        if response.status == 403 and here and method not in ("GET", "HEAD") and authorization.widen():
            response = http.request(method, url, {**given, **authorization.headers}, body)
        if response.status in (401, 403):
            # A token that was given before the repository was made is no good afterwards.
            self._authorizations.pop((base, access, reference.repository), None)
        # Amazon's registry says 403 where its password of twelve hours has run out.
        unauthorized = response.status == 401 or (response.status == 403 and "expired" in response.words)
        if unauthorized and here and authorization.shown:
            raise CredentialsRefused(
                f"The registry {reference.registry} does not accept the credentials ({response.status}){response.words}.",
                hint=login_hint(reference.registry, given=True),
                registry=reference.registry,
            )
        if unauthorized:
            raise RegistryUnauthorized(
                f"The registry {reference.registry} does not let {'anybody' if authorization.anonymous else 'this user'} "
                f"{_TO[method]} {reference.repository}{' without credentials' if authorization.anonymous else ''}"
                f" ({response.status}){response.words}.",
                hint="Many registries answer the same for a repository that does not exist: check its name. If it is right: "
                + login_hint(reference.registry, given=not authorization.anonymous),
                registry=reference.registry,
            )
        if response.status == 403:
            raise RegistryForbidden(
                f"The registry {reference.registry} denies access to {reference.repository} (403){response.words}.",
                hint=f"The user needs the right to {_TO[method]} this repository.",
                registry=reference.registry,
            )
        if response.status == 404 and what.startswith("manifests/") and method in ("GET", "HEAD"):
            raise ImageMissing(
                f"The registry {reference.registry} has no image {reference}.",
                hint="Check the repository, the tag and the digest; oci_image_info with 'tags: true' lists the tags that there are.",
                reference=str(reference),
            )
        return response

    def _expect(self, response: Response, reference: Reference) -> None:
        if response.status != 200:
            raise RegistryError(
                f"The registry {reference.registry} answered {response.status} for {reference}{response.words}.",
                hint="Look at the registry's log, or try again later.",
                status=response.status,
            )

    def _compare(self, reference: Reference, expected: str | None, found: str) -> None:
        if expected is not None and not hmac.compare_digest(expected, found):
            raise DigestMismatch(
                f"The registry {reference.registry} answers for {reference} with content of the digest {found}, "
                f"where {expected} was to be expected.",
                hint="The content was changed on its way or in the registry's storage: do not use it.",
                expected=expected,
                found=found,
            )


def subject_tag(digest: str) -> str:
    """:returns: the digest as a tag; by itself it is where registries without the referrers API have their list

    OCI distribution specification 1.1, "Referrers Tag Schema": no tag is as long as a digest of SHA-512.
    """
    algorithm, _colon, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"
