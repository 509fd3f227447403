# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What registries, proxies and token servers do wrong, and what the client makes of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._auth import Credentials
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import (
    Access,
    AnswerIncomplete,
    BlobMissing,
    CredentialsRefused,
    DigestMismatch,
    ImageMissing,
    ManifestInvalid,
    ManifestUnsupported,
    Platform,
    PlatformMissing,
    RedirectRefused,
    Registry,
    RegistryError,
    RegistryForbidden,
    RegistryRateLimited,
    RegistryTls,
    RegistryUnauthorized,
    RegistryUnavailable,
    RegistryUnreachable,
    TokenInvalid,
    attached,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import _client as client_module
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import _http as http_module

from .scripted import INDEX, MANIFEST, Answer, ScriptedRegistry, Seen, digest, found, manifest

BODY = manifest()


@pytest.fixture
def storage() -> Iterator[ScriptedRegistry]:
    """Another host, where a registry may redirect to."""
    registry = ScriptedRegistry()
    yield registry
    registry.close()


def client(credentials: Credentials | None = None, **options: Any) -> Registry:
    return Registry(Access(plain_http=True, **options), lambda _reference: credentials)


def image(server: ScriptedRegistry, repository: str = "os:1") -> Reference:
    return Reference.parse(f"{server.address}/{repository}")


def once(first: Answer, then: Answer) -> Callable[[Seen], Answer]:
    answers = [first]
    return lambda seen: answers.pop() if answers else then


def test_head_is_enough_where_the_registry_tells_the_digest(server: ScriptedRegistry) -> None:
    assert client().digest(image(server)) == digest(BODY)
    assert [seen.method for seen in server.seen] == ["HEAD"]


@pytest.mark.parametrize("head", [Answer(405), found(BODY, Docker_Content_Digest=""), found(BODY, Docker_Content_Digest="md5:1")])
def test_without_a_digest_in_the_header_the_content_tells_it(server: ScriptedRegistry, head: Answer) -> None:
    server.script = lambda seen: head if seen.method == "HEAD" else found(BODY, Docker_Content_Digest="")
    assert client().digest(image(server)) == digest(BODY)


def test_a_proxy_that_compresses_on_its_own_does_no_harm(server: ScriptedRegistry) -> None:
    server.script = lambda seen: Answer(
        200, gzip.compress(BODY), {"Content-Type": "application/json", "Content-Encoding": "gzip", "Docker-Content-Digest": digest(BODY)}
    )
    assert client().manifest(image(server)).digest == digest(BODY)
    assert server.seen[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("answer", [found(BODY + b" ", Docker_Content_Digest=digest(BODY)), found(BODY, Docker_Content_Digest="x:y")])
def test_content_that_is_not_what_its_digest_says_is_refused(server: ScriptedRegistry, answer: Answer) -> None:
    server.script = lambda seen: answer
    with pytest.raises(DigestMismatch):
        client().manifest(image(server))


def test_a_digest_that_was_asked_for_is_checked_without_the_registrys_word(server: ScriptedRegistry) -> None:
    server.script = lambda seen: found(BODY, Docker_Content_Digest="")
    with pytest.raises(DigestMismatch):
        client().manifest(image(server).with_digest(digest(b"something else")))


def test_a_body_that_breaks_off_is_asked_for_again(server: ScriptedRegistry) -> None:
    short = found(BODY[:-9], Docker_Content_Digest=digest(BODY))
    short.announce = len(BODY)
    server.script = once(short, found(BODY))
    assert client().manifest(image(server)).digest == digest(BODY)
    server.script = lambda seen: short
    with pytest.raises(AnswerIncomplete):
        client(retries=1).manifest(image(server))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_fault_is_waited_out_as_long_as_the_registry_asks(server: ScriptedRegistry, waits: list[float], status: int) -> None:
    server.script = once(Answer(status, headers={"Retry-After": "7"}), found(BODY))
    assert client().digest(image(server)) == digest(BODY)
    assert waits == [7]


def test_a_registry_that_stays_busy_is_an_error_with_its_own_words(server: ScriptedRegistry, waits: list[float]) -> None:
    server.script = lambda seen: Answer(429, headers={"Retry-After": "3"})
    with pytest.raises(RegistryRateLimited) as raised:
        client(retries=2).digest(image(server))
    assert (waits, raised.value.details["retry_after"], len(server.seen)) == ([3, 3], 3, 3)


def test_nobody_waits_an_hour_for_a_registry(server: ScriptedRegistry, waits: list[float]) -> None:
    server.script = lambda seen: Answer(429, headers={"Retry-After": "3600"})
    with pytest.raises(RegistryRateLimited):
        client().digest(image(server))
    assert waits == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(401, headers={"WWW-Authenticate": "Basic realm=x"}), RegistryUnauthorized),
        (Answer(401), RegistryUnauthorized),
        (Answer(403), RegistryForbidden),
        (Answer(404), ImageMissing),
        (Answer(500), RegistryUnavailable),
        (Answer(418), RegistryError),
        (Answer(200, b"<html>log in</html>", {"Content-Type": "text/html"}), ManifestInvalid),
        (
            Answer(200, b'{"schemaVersion": 1}', {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}),
            ManifestUnsupported,
        ),
        (found(b'{"mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": 7}'), ManifestInvalid),
    ],
)
def test_each_fault_has_its_code(server: ScriptedRegistry, answer: Answer, error: type[RegistryError]) -> None:
    server.script = lambda seen: answer
    with pytest.raises(error) as raised:
        client(retries=0).manifest(image(server))
    assert (type(raised.value), server.address in raised.value.message, bool(raised.value.hint)) == (error, True, True)


@pytest.mark.parametrize(
    ("status", "challenge", "refused"),
    [
        (401, "Basic realm=x", True),
        (403, "Basic realm=x", True),  # Amazon's, when they have run out
        (401, 'Bearer realm="{at}/token"', False),
        (401, "Negotiate", False),
    ],
)
def test_credentials_that_the_registry_itself_refuses_are_told_from_a_repository_that_is_hidden(
    server: ScriptedRegistry, status: int, challenge: str, refused: bool
) -> None:
    def script(seen: Seen) -> Answer:
        if seen.path.startswith("/token"):
            return Answer(200, b'{"token": "granted"}')
        if seen.headers.get("authorization", "").startswith("Basic "):
            return Answer(status, b'{"message": "expired"}')
        return Answer(401, headers={"WWW-Authenticate": challenge.format(at=f"http://{server.address}")})

    server.script = script
    with pytest.raises(RegistryUnauthorized) as raised:
        client(Credentials("user", "canary")).manifest(image(server))
    assert isinstance(raised.value, CredentialsRefused) == refused
    with pytest.raises(RegistryUnauthorized) as raised:
        client().manifest(image(server))
    assert not isinstance(raised.value, CredentialsRefused), "none were given"


def test_nothing_listens() -> None:
    with pytest.raises(RegistryUnreachable):
        client(retries=0).digest(Reference.parse("127.0.0.1:1/os"))


def test_plain_http_is_spoken_only_when_asked_for(server: ScriptedRegistry) -> None:
    with pytest.raises((RegistryTls, RegistryUnreachable)):
        Registry(Access(retries=0), lambda _reference: None).digest(image(server))
    assert server.seen == []


def test_a_blob_is_read_from_another_host_without_the_credentials(server: ScriptedRegistry, storage: ScriptedRegistry) -> None:
    config = b'{"architecture": "amd64", "os": "linux"}'
    storage.script = lambda seen: Answer(200, config)

    def script(seen: Seen) -> Answer:
        if "authorization" not in seen.headers:
            return Answer(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        if "/blobs/" in seen.path:
            return Answer(307, headers={"Location": f"http://{storage.address}/bucket/x?signature=canary"})
        return found(BODY)

    server.script = script
    registry = client(Credentials("user", "canary"))
    there = registry.manifest(image(server))
    assert registry.config(image(server), there)["os"] == "linux"  # type: ignore[arg-type]
    assert [("authorization" in seen.headers) for seen in storage.seen] == [False]


def test_redirects_neither_run_in_circles_nor_to_odd_places(server: ScriptedRegistry) -> None:
    server.script = lambda seen: Answer(307, headers={"Location": seen.path})
    with pytest.raises(RedirectRefused, match=f"{server.address} redirects in circles") as raised:
        client().digest(image(server))
    assert (raised.value.error, bool(raised.value.hint)) == ("registry_redirect_refused", True)
    server.script = lambda seen: Answer(307, headers={"Location": "file:///etc/shadow"})
    with pytest.raises(RedirectRefused, match="not safe"):
        client().digest(image(server))


@pytest.mark.parametrize("pages", [1, 2])
def test_pages_do_not_run_in_circles(server: ScriptedRegistry, pages: int) -> None:
    """As behind a proxy that drops the query, so that each page is the first one."""

    def script(seen: Seen) -> Answer:
        following = f"/v2/os/tags/list?n=1000&last={len(server.seen) % pages}"
        return Answer(200, b'{"name": "os", "tags": ["1"]}', {"Link": f'<{following}>; rel="next"'})

    server.script = script
    with pytest.raises(RegistryError, match="in circles"):
        client().tags(image(server))
    assert len(server.seen) <= 2 * pages


@pytest.mark.parametrize("listing", ["tags", "referrers"])
def test_pages_come_to_an_end(server: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch, listing: str) -> None:
    """Each page is another one, and there is always one more."""
    monkeypatch.setattr(client_module, "MAX_PAGES", 5)
    body = json.dumps({"tags": ["1"], "manifests": []}).encode()
    server.script = lambda seen: found(body, INDEX, Link=f'<{seen.path.partition("?")[0]}?last={len(server.seen)}>; rel="next"')
    with pytest.raises(RegistryError, match="more than 5 pages"):
        client().tags(image(server)) if listing == "tags" else client().referrers(image(server), digest(BODY))
    assert len(server.seen) == 6


def test_a_missing_blob_is_not_a_missing_image(server: ScriptedRegistry) -> None:
    server.script = lambda seen: Answer(404) if "/blobs/" in seen.path else found(BODY)
    registry = client()
    there = registry.manifest(image(server))
    with pytest.raises(BlobMissing, match=there.config.digest) as raised:  # type: ignore[union-attr]
        registry.config(image(server), there)  # type: ignore[arg-type]
    assert (raised.value.error, "push the image again" in (raised.value.hint or "")) == ("blob_missing", True)


def bearer(token: str = "t1", realm: str = "/token", **more: str) -> Callable[[Seen], Answer]:
    """A registry with a token server in the same place, as Docker Hub, GHCR, Quay, GitLab and Harbor have it elsewhere."""

    def script(seen: Seen) -> Answer:
        if seen.path.startswith("/token"):
            return Answer(200, json.dumps({"access_token" if more.get("oauth") else "token": token}).encode())
        if seen.headers.get("authorization") != f"Bearer {token}":
            address = f"http://{seen.headers['host']}{realm}"
            challenge = f'Bearer realm="{address}",service="registry.test",scope="repository:os:pull"'
            return Answer(401, headers={"WWW-Authenticate": challenge})
        return found(BODY)

    return script


def test_a_token_is_fetched_anonymously(server: ScriptedRegistry) -> None:
    server.script = bearer()
    assert client().digest(image(server)) == digest(BODY)
    asked = server.seen[1]
    assert parse_qs(urlsplit(asked.path).query) == {"scope": ["repository:os:pull"], "service": ["registry.test"]}
    assert "authorization" not in asked.headers


def test_a_token_is_fetched_with_credentials_which_the_registry_itself_never_sees(server: ScriptedRegistry) -> None:
    server.script = bearer()
    credentials = Credentials("user", "canary")
    assert client(credentials).digest(image(server)) == digest(BODY)
    assert [seen.headers.get("authorization") for seen in server.seen] == [None, f"Basic {credentials.basic}", "Bearer t1"]


def test_an_identity_token_is_exchanged(server: ScriptedRegistry) -> None:
    """As az acr login and Docker's credential store give it."""
    server.script = bearer(oauth="yes")
    assert client(Credentials("", "", "refresh-canary")).digest(image(server)) == digest(BODY)
    posted = next(seen for seen in server.seen if seen.method == "POST")
    assert parse_qs(posted.body.decode())["refresh_token"] == ["refresh-canary"]
    assert "canary" not in posted.path


def test_an_identity_token_goes_nowhere_but_to_the_token_server(server: ScriptedRegistry, storage: ScriptedRegistry) -> None:
    there = bearer(oauth="yes")
    elsewhere = Answer(307, headers={"Location": f"http://{storage.address}/token"})
    server.script = lambda seen: elsewhere if seen.method == "POST" else there(seen)
    with pytest.raises(RedirectRefused, match="redirects a login") as raised:
        client(Credentials("", "", "refresh-canary")).digest(image(server))
    assert "canary" not in str(raised.value.as_result())
    assert storage.seen == []


def test_a_token_that_runs_out_in_the_middle_is_renewed(server: ScriptedRegistry) -> None:
    server.script = bearer("first")
    registry = client()
    registry.digest(image(server))
    server.script = bearer("second")
    assert registry.digest(image(server)) == digest(BODY)


def test_one_token_serves_all_requests_for_a_repository(server: ScriptedRegistry) -> None:
    server.script = bearer()
    registry = client()
    for _time in range(3):
        registry.digest(image(server))
    assert sum(seen.path.startswith("/token") for seen in server.seen) == 1


@pytest.mark.parametrize("status", [400, 401])
def test_wrong_credentials_are_told_apart_from_none(server: ScriptedRegistry, status: int) -> None:
    good = bearer()
    server.script = lambda seen: Answer(status) if seen.path.startswith("/token") else good(seen)
    with pytest.raises(RegistryUnauthorized, match="the credentials") as raised:
        client(Credentials("user", "wrong")).digest(image(server))
    assert (raised.value.hint or "").endswith(f"for example with: podman login {server.address}")
    with pytest.raises(RegistryUnauthorized, match="anonymous") as raised:
        client().digest(image(server))
    assert (raised.value.hint or "").startswith("Set 'username' and 'password' or 'auth_file'")


def test_who_gave_no_credentials_is_not_told_to_check_them(server: ScriptedRegistry) -> None:
    server.script = lambda seen: Answer(401, headers={"WWW-Authenticate": "Basic realm=x"})
    with pytest.raises(RegistryUnauthorized, match="does not let anybody read os without credentials") as raised:
        client().digest(image(server))
    assert f"or log in as the user who runs this: podman login {server.address}" in (raised.value.hint or "")
    with pytest.raises(RegistryUnauthorized, match="does not accept the credentials") as raised:
        client(Credentials("user", "wrong")).digest(image(server))
    assert (raised.value.hint or "").endswith(f"for example with: podman login {server.address}")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"token": 7}', b"<html>"])
def test_a_token_server_without_a_token(server: ScriptedRegistry, body: bytes) -> None:
    good = bearer()
    server.script = lambda seen: Answer(200, body) if seen.path.startswith("/token") else good(seen)
    with pytest.raises(TokenInvalid, match=r"127\.0\.0\.1 answered 200 without a token") as raised:
        client().digest(image(server))
    assert (raised.value.error, bool(raised.value.hint)) == ("registry_token_invalid", True)


def test_credentials_go_to_no_unsafe_token_server(server: ScriptedRegistry) -> None:
    server.script = lambda seen: Answer(401, headers={"WWW-Authenticate": 'Bearer realm="ftp://elsewhere.test/"'})
    with pytest.raises(TokenInvalid, match="not HTTPS"):
        client(Credentials("user", "canary")).digest(image(server))


def index(*platforms: str) -> bytes:
    entries = []
    for platform in platforms:
        os, _slash, architecture = platform.partition("/")
        entries.append(
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest(BODY),
                "size": len(BODY),
                "platform": {"os": os, "architecture": architecture},
            }
        )
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


@pytest.mark.parametrize("media_type", [INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"])
def test_an_index_leads_to_the_platforms_manifest(server: ScriptedRegistry, media_type: str) -> None:
    listing = index("linux/arm64", "linux/amd64", "unknown/unknown").replace(INDEX.encode(), media_type.encode())
    server.script = lambda seen: found(listing, media_type) if seen.path.endswith("/1") else found(BODY)
    there, of = client().image(image(server), Platform.parse("linux/amd64"))
    assert (there.digest, of.digest if of else None) == (digest(BODY), digest(listing))
    with pytest.raises(PlatformMissing, match="linux/arm64, linux/amd64"):
        client().image(image(server), Platform.parse("linux/s390x"))


def test_a_proxy_of_the_environment_is_used_and_its_exceptions_count(
    server: ScriptedRegistry, storage: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = storage
    proxy.script = lambda seen: found(BODY)
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
    assert client().digest(Reference.parse("registry.test:5000/os:1")) == digest(BODY)
    assert proxy.seen[0].path == "http://registry.test:5000/v2/os/manifests/1"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client().digest(image(server))
    assert (len(server.seen), len(proxy.seen)) == (1, 1)


def test_credentials_of_netrc_are_not_taken(server: ScriptedRegistry, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    client().digest(image(server))
    assert "authorization" not in server.seen[0].headers


def test_an_answer_without_end_is_cut(server: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "MAX_BODY", 100)
    with pytest.raises(RegistryError, match="more than 100 bytes"):
        client().manifest(image(server))


def test_tags_come_in_pages(server: ScriptedRegistry) -> None:
    """With a relative address as Distribution sends it, or a whole one as Quay does; nobody else is asked, whoever it names."""
    pages = {
        "/v2/team/os/tags/list?n=1000": (["1", "2"], '</v2/team/os/tags/list?last=2&n=1000>; rel="next"'),
        "/v2/team/os/tags/list?last=2&n=1000": (["3"], f"<http://{server.address}/v2/team/os/tags/list?last=3>; rel=next"),
        "/v2/team/os/tags/list?last=3": (["4"], "<http://elsewhere.test/v2/team/os/tags/list?last=4>; rel=next"),
        "/v2/team/os/tags/list?last=4": (["5"], "<http://elsewhere.test/v2/_catalog?last=5>; rel=next"),
    }

    def script(seen: Seen) -> Answer:
        names, link = pages[seen.path]
        return Answer(200, json.dumps({"name": "team/os", "tags": names}).encode(), {"Link": link})

    server.script = script
    assert client().tags(image(server, "team/os:1")) == ("1", "2", "3", "4", "5")
    server.script = lambda seen: Answer(200, b'{"name": "team/os", "tags": null}')
    assert client().tags(image(server, "team/os:1")) == ()
    server.script = lambda seen: Answer(404)
    with pytest.raises(ImageMissing):
        client().tags(image(server, "team/os:1"))


SBOM = {"mediaType": MANIFEST, "digest": digest(b"sbom"), "size": 4, "artifactType": "application/spdx+json"}


@pytest.mark.parametrize("api", [True, False])
def test_referrers_by_the_api_or_by_the_fallback_tag(server: ScriptedRegistry, api: bool) -> None:
    listing = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [SBOM]}).encode()
    signature = manifest(layers=(b"signature",))

    def script(seen: Seen) -> Answer:
        if seen.path == f"/v2/os/referrers/{digest(BODY)}" and api:
            return found(listing, INDEX)
        if seen.path == f"/v2/os/manifests/{digest(BODY).replace(':', '-')}" and not api:
            return found(listing, INDEX)
        if seen.path.endswith(".sig"):
            return found(signature)
        return Answer(404)

    server.script = script
    there = attached(client(), image(server), digest(BODY))
    assert [(item.kind, item.digest, item.artifact_type) for item in there] == [
        ("sbom", digest(b"sbom"), "application/spdx+json"),
        ("signature", digest(signature), ""),
    ]


def test_an_image_with_nothing_attached(server: ScriptedRegistry) -> None:
    server.script = lambda seen: Answer(404)
    assert attached(client(), image(server), digest(BODY)) == ()
    server.script = lambda seen: Answer(200, b"<html>", {"Content-Type": "text/html"}) if "/referrers/" in seen.path else Answer(404)
    assert attached(client(), image(server), digest(BODY)) == ()
    server.script = lambda seen: Answer(200, b'{"manifests": [{"size": 1}]}', {"Content-Type": INDEX})
    with pytest.raises(RegistryError):
        attached(client(), image(server), digest(BODY))
