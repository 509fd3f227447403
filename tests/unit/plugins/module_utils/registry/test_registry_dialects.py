# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How each kind of registry lets its users in, from its documentation: scripted here, as none of them can be reached from a test."""

from __future__ import annotations

import datetime
import email.utils
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._auth import Credentials
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError, OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import (
    Access,
    Content,
    ManifestUnsupported,
    RedirectRefused,
    RegistriesConf,
    Registry,
    RegistryForbidden,
    RegistryTls,
    RegistryUnauthorized,
    attached,
    put_blob,
    put_manifest,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._registry._http import origin

from .scripted import INDEX, MANIFEST, Answer, ScriptedRegistry, Seen, digest, found, manifest
from .tls import Authority, tunnel

BODY = manifest()
REPOSITORY = "team/os"


def test_what_the_machine_has_as_insecure_is_that_alone(tls_server: ScriptedRegistry, authority: Authority) -> None:
    """Certificates of the rest of the same registry are checked, whichever was asked for first."""
    conf = RegistriesConf({f"{tls_server.address}/open": {"insecure": True}})
    access = Access(client_cert=str(authority.certificate), client_key=str(authority.key), retries=0)
    registry = Registry(access, lambda _reference: None, conf)
    assert registry.digest(Reference.parse(f"{tls_server.address}/open/os:1")) == digest(BODY)
    with pytest.raises(RegistryTls):
        registry.digest(image(tls_server))


@dataclass
class Kind:
    """One kind of registry.

    :ivar challenge: its WWW-Authenticate, C({at}) being its own address
    :ivar credentials: as its users give them; C(None) for anonymous
    :ivar token: the path of its token server; C("") for Basic
    :ivar asked: what the token server is to be asked
    :ivar answer: what it answers; the token is always the same
    :ivar method: how it is asked
    """

    challenge: str
    credentials: Credentials | None
    token: str = ""
    asked: dict[str, list[str]] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=lambda: {"token": "granted"})
    method: str = "GET"

    def script(self, seen: Seen) -> Answer:
        if self.token and urlsplit(seen.path).path == self.token:
            query = seen.body.decode() if self.method == "POST" else urlsplit(seen.path).query
            basic = self.credentials and self.method == "GET" and f"Basic {self.credentials.basic}"
            if seen.method != self.method or parse_qs(query) != self.asked or seen.headers.get("authorization") != (basic or None):
                return Answer(400, json.dumps({"message": f"{seen.method} {query}"}).encode())
            return Answer(200, json.dumps(self.answer).encode(), {"Content-Type": "application/json"})
        header = "Bearer granted" if self.token else f"Basic {self.credentials and self.credentials.basic}"
        if seen.headers.get("authorization") != header:
            at = f"http://{seen.headers['host']}"
            return Answer(
                401,
                b'{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}',
                {"WWW-Authenticate": self.challenge.format(at=at)},
            )
        return found(BODY)


USER = Credentials("user", "pass word")
PULL = [f"repository:{REPOSITORY}:pull"]


def bearer(path: str, service: str, credentials: Credentials | None, **more: Any) -> Kind:
    """A registry with a token server, which is asked for what the challenge says."""
    challenge = f'Bearer realm="{{at}}{path}",service="{service}",scope="{PULL[0]}"'
    return Kind(challenge, credentials, path, {"service": [service], "scope": PULL, **more.pop("form", {})}, **more)


GOOGLE_KEY = '{"type": "service_account",\n "private_key": "a:b\\n"}'
KINDS = {
    "docker-hub": bearer(
        "/token",
        "registry.docker.io",
        None,
        answer={"token": "granted", "access_token": "granted", "expires_in": 300, "issued_at": "2026-11-23T22:01:08Z"},
    ),
    "docker-hub-pat": bearer("/token", "registry.docker.io", Credentials("user", "dckr_pat_x")),
    "ghcr": bearer("/token", "ghcr.io", Credentials("user", "ghp_x")),
    "quay-robot": bearer("/v2/auth", "quay.io", Credentials("team+robot", "K" * 64)),
    # Without a scope until somebody is logged in.
    "quay-bare": Kind('Bearer realm="{at}/v2/auth",service="quay.io"', None, "/v2/auth", {"service": ["quay.io"], "scope": PULL}),
    "harbor-robot": bearer("/service/token", "harbor-registry", Credentials("robot$team+puller", "x:y")),
    "ecr": Kind('Basic realm="{at}/",service="ecr.amazonaws.com"', Credentials("AWS", "Q" * 2000)),
    "gar-json-key": bearer("/v2/token", "europe-docker.pkg.dev", Credentials("_json_key", GOOGLE_KEY)),
    "gar-access-token": bearer("/v2/token", "europe-docker.pkg.dev", Credentials("oauth2accesstoken", "ya29.x")),
    # `az acr login`: the user of zeros, no password, and a refresh token that is exchanged.
    "acr-refresh-token": bearer(
        "/oauth2/token",
        "x.azurecr.io",
        Credentials("00000000-0000-0000-0000-000000000000", "", "refresh"),
        method="POST",
        form={"grant_type": ["refresh_token"], "refresh_token": ["refresh"], "client_id": ["imagemode.bootc"]},
        answer={"access_token": "granted"},
    ),
    "acr-admin": bearer("/oauth2/token", "x.azurecr.io", USER, answer={"access_token": "granted"}),
    "gitlab-deploy-token": bearer("/jwt/auth", "container_registry", Credentials("gitlab+deploy-token-1", "gldt-x")),
    "artifactory-basic": Kind('Basic realm="Artifactory Realm"', USER),
    "artifactory-token": bearer("/v2/token", "x.jfrog.io", USER, answer={"token": "granted", "access_token": "granted"}),
    # Two challenges, the weaker one first, in one header, as proxies join them.
    "both": Kind(
        'Basic realm="Registry, of the team", Bearer realm="{at}/token",service="x",scope="repository:team/os:pull"',
        USER,
        "/token",
        {"service": ["x"], "scope": PULL},
    ),
    "distribution-htpasswd": Kind('Basic realm="Registry Realm"', USER),
    "zot-htpasswd": Kind('Basic realm="zot"', USER),
    "zot-bearer": bearer("/zot/auth/token", "zot", USER),
    "nexus": Kind('BASIC realm="Sonatype Nexus Repository Manager"', USER),
    # The token specification: one parameter for each scope.
    "two-scopes": Kind(
        'Bearer realm="{at}/token?account=x",service="x",scope="repository:team/os:pull repository:team/base:pull"',
        USER,
        "/token",
        {"account": ["x"], "service": ["x"], "scope": [*PULL, "repository:team/base:pull"]},
    ),
    "unquoted": Kind("bearer realm={at}/token,service=x", None, "/token", {"service": ["x"], "scope": PULL}),
}


def client(credentials: Credentials | None = None, **options: Any) -> Registry:
    return Registry(Access(**{"plain_http": True, "retries": 0, **options}), lambda _reference: credentials)


def image(server: ScriptedRegistry) -> Reference:
    return Reference.parse(f"{server.address}/{REPOSITORY}:1")


@pytest.mark.parametrize("kind", KINDS)
def test_everybodys_way_in(server: ScriptedRegistry, kind: str) -> None:
    """Three questions, one login, and the password is shown to nobody but who asked for it."""
    there = KINDS[kind]
    server.script = there.script
    registry = client(there.credentials)
    for _time in range(2):
        assert registry.digest(image(server)) == digest(BODY)
    assert registry.manifest(image(server)).digest == digest(BODY)
    assert len(server.seen) == (5 if there.token else 4)
    if there.token and there.credentials:
        secrets = [*there.credentials.secrets]
        elsewhere = [seen for seen in server.seen if urlsplit(seen.path).path != there.token]
        assert not [seen for seen in elsewhere for secret in secrets if secret in str(seen)]


@pytest.mark.parametrize("kind", [kind for kind, there in KINDS.items() if there.credentials])
def test_everybodys_refusal_is_one_code(server: ScriptedRegistry, kind: str) -> None:
    server.script = KINDS[kind].script
    for credentials in (Credentials("user", "wrong-canary"), None):
        with pytest.raises(RegistryUnauthorized) as raised:
            client(credentials).digest(image(server))
        assert "canary" not in str(raised.value.as_result())
        assert raised.value.hint


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        # Docker Hub, of a limit and of a password
        (
            429,
            {"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your unauthenticated pull rate limit."}]},
            "registry_rate_limited",
            "unauthenticated pull rate limit",
        ),
        (401, {"details": "incorrect username or password"}, "registry_unauthorized", "incorrect username or password"),
        # GHCR, of a package that is not there or is not public
        (
            403,
            {"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]},
            "registry_forbidden",
            "requested access",
        ),
        # Amazon, twelve hours after the login, and of a repository
        (
            403,
            {"errors": [{"code": "DENIED", "message": "Your authorization token has expired. Reauthenticate and try again."}]},
            "registry_unauthorized",
            "Reauthenticate",
        ),
        (404, {"errors": [{"code": "NAME_UNKNOWN", "message": "The repository does not exist"}]}, "image_missing", "has no image"),
        # Azure's OAuth2 server
        (
            401,
            {"error": "invalid_grant", "error_description": "the refresh token is expired"},
            "registry_unauthorized",
            "refresh token is expired",
        ),
        # Harbor, of a project's quota, of a policy, and while it starts
        (
            412,
            {"errors": [{"code": "PROJECTPOLICYVIOLATION", "message": "current image with 3 vulnerabilities cannot be pulled"}]},
            "registry_error",
            "3 vulnerabilities",
        ),
        (502, {}, "registry_unavailable", "502"),
        # Quay in read-only mode
        (503, {"errors": [{"code": "READ_ONLY_MODE", "message": "System is currently read-only."}]}, "registry_unavailable", "read-only"),
        # what is not of the specification is not repeated
        (500, ["x"], "registry_unavailable", "500"),
        (403, {"errors": [{"code": 7}]}, "registry_forbidden", "(403)."),
    ],
)
def test_a_refusal_has_its_code_and_the_registrys_words(server: ScriptedRegistry, status: int, body: Any, error: str, words: str) -> None:
    server.script = lambda seen: Answer(status, json.dumps(body).encode())
    with pytest.raises(ImageModeError) as raised:
        client().manifest(image(server))
    assert raised.value.error == error
    assert words in raised.value.message


def test_a_tag_that_may_not_be_moved_is_told_in_the_registrys_words(server: ScriptedRegistry) -> None:
    """Amazon's, of a repository whose tags are immutable."""
    said = "The image tag '1' already exists in the 'os' repository and cannot be overwritten because the tag is immutable."
    body = json.dumps({"errors": [{"code": "TAG_INVALID", "message": said}]}).encode()
    server.script = lambda seen: Answer(400, body)
    with pytest.raises(ImageModeError) as raised:
        put_manifest(client(), image(server), Content(BODY, MANIFEST, digest(BODY)))
    assert (raised.value.error, said.rstrip(".") in raised.value.message) == ("registry_error", True)
    assert "rules for tags" in (raised.value.hint or "")


def test_a_token_that_is_refused_again_is_not_asked_for_forever(server: ScriptedRegistry) -> None:
    """Quay and Docker Hub give everybody a token, which may open nothing."""

    def script(seen: Seen) -> Answer:
        if seen.path.startswith("/token"):
            return Answer(200, b'{"token": "opens nothing"}')
        challenge = f'Bearer realm="http://{seen.headers["host"]}/token",error="insufficient_scope"'
        return Answer(401, headers={"WWW-Authenticate": challenge})

    server.script = script
    with pytest.raises(RegistryUnauthorized):
        client().digest(image(server))
    assert len(server.seen) == 3


def test_a_token_that_runs_out_costs_one_new_token(server: ScriptedRegistry) -> None:
    """GitLab's live five minutes."""
    there = KINDS["gitlab-deploy-token"]
    granted = [0]

    def script(seen: Seen) -> Answer:
        if seen.path.startswith(there.token):
            granted[0] += 1
            return Answer(200, json.dumps({"token": f"t{granted[0]}"}).encode())
        # Every token opens two requests.
        if seen.headers.get("authorization") != f"Bearer t{granted[0]}" or uses.setdefault(granted[0], 0) == 2:
            return Answer(401, headers={"WWW-Authenticate": there.challenge.format(at=f"http://{seen.headers['host']}")})
        uses[granted[0]] += 1
        return found(BODY)

    uses: dict[int, int] = {}
    server.script = script
    registry = client(there.credentials)
    for _time in range(6):
        assert registry.digest(image(server)) == digest(BODY)
    assert granted == [3]


def test_a_date_says_how_long_to_wait(server: ScriptedRegistry, waits: list[float]) -> None:
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=20)
    answers = [Answer(429, headers={"Retry-After": email.utils.format_datetime(later, usegmt=True)}), found(BODY)]
    server.script = lambda seen: answers.pop(0)
    assert client(retries=1).digest(image(server)) == digest(BODY)
    assert 15 < waits[0] <= 20
    answers[:] = [Answer(503, headers={"Retry-After": "soon"}), found(BODY)]
    assert client(retries=1).digest(image(server)) == digest(BODY)
    assert waits[1] == 0.5


@pytest.mark.parametrize("media_type", ["application/vnd.docker.distribution.manifest.v1+prettyjws", "application/json"])
def test_schema_1_is_refused_for_what_it_is(server: ScriptedRegistry, media_type: str) -> None:
    """Its digest is that of its content without the signatures, which must not look like a forgery."""
    body = b'{"schemaVersion": 1, "name": "os", "tag": "1", "fsLayers": [], "history": [], "signatures": []}'
    announced = digest(b"payload") if "v1" in media_type else digest(body)
    server.script = lambda seen: found(body, media_type, Docker_Content_Digest=announced)
    with pytest.raises(ManifestUnsupported, match="schema 1") as raised:
        client().manifest(image(server))
    assert (raised.value.error, bool(raised.value.hint)) == ("manifest_unsupported", True)
    if "v1" in media_type:
        with pytest.raises(ManifestUnsupported, match="schema 1"):
            client().digest(image(server))


@pytest.mark.parametrize(
    "link",
    [
        "/v2/os/tags/list?last=1&n=1000",  # Artifactory, which leaves its repository out
        "http://nexus.test:8081/repository/docker/v2/team/os/tags/list?n=1000&last=1",  # Nexus behind a port of its own
        "/artifactory/api/docker/team/v2/os/tags/list?n=1000&last=1",
    ],
)
def test_a_link_whose_path_is_wrong_leads_to_the_next_page(server: ScriptedRegistry, link: str) -> None:
    def script(seen: Seen) -> Answer:
        url = urlsplit(seen.path)
        if url.path != f"/v2/{REPOSITORY}/tags/list":
            return Answer(404)
        last = "last=1" in url.query
        headers = {} if last else {"Link": f'<{link}>; rel="next"'}
        return Answer(200, json.dumps({"tags": ["2" if last else "1"]}).encode(), headers)

    server.script = script
    assert client().tags(image(server)) == ("1", "2")


def test_zots_referrers_come_in_pages(server: ScriptedRegistry) -> None:
    def page(kind: str) -> bytes:
        entry = {"mediaType": MANIFEST, "digest": digest(kind.encode()), "size": 1, "artifactType": kind}
        return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()

    def script(seen: Seen) -> Answer:
        if not seen.path.startswith(f"/v2/{REPOSITORY}/referrers/"):
            return Answer(404)
        if "next" in seen.path:
            return found(page("application/vnd.dev.sigstore.bundle.v0.3+json"), INDEX)
        return found(page("application/spdx+json"), INDEX, Link=f'<{seen.path}?next=2>; rel="next"')

    server.script = script
    assert [item.kind for item in attached(client(), image(server), digest(BODY))] == ["sbom", "signature"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tls_server(authority: Authority) -> Iterator[ScriptedRegistry]:
    """A registry that wants to see a certificate of its own CA."""
    registry = ScriptedRegistry(lambda seen: found(BODY), tls=authority.context())
    yield registry
    registry.close()


@pytest.mark.parametrize("may", [True, False])
def test_googles_registry_denies_a_write_with_the_token_of_a_read(server: ScriptedRegistry, may: bool) -> None:
    """It asks for no other token by another 401, as the token specification has it."""

    def script(seen: Seen) -> Answer:
        url = urlsplit(seen.path)
        if url.path == "/v2/token":
            scope = parse_qs(url.query)["scope"][0]
            return Answer(200, json.dumps({"token": "writes" if may and "push" in scope else "reads"}).encode())
        token = seen.headers.get("authorization", "").partition(" ")[2]
        if not token:
            realm = f"http://{server.address}/v2/token"
            return Answer(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="gar",scope="{PULL[0]}"'})
        if seen.method in ("GET", "HEAD"):
            return Answer(404)
        if token != "writes":
            return Answer(403, b'{"errors": [{"code": "DENIED", "message": "Permission artifactregistry.uploadArtifacts denied"}]}')
        return Answer(201) if seen.method == "PUT" else Answer(202, headers={"Location": "/v2/team/os/blobs/uploads/1"})

    server.script = script
    registry, reference = client(USER), image(server)
    if may:
        assert put_blob(registry, reference, b"content", "text/plain").digest == digest(b"content")
        return
    with pytest.raises(RegistryForbidden, match="uploadArtifacts"):
        put_blob(registry, reference, b"content", "text/plain")
    assert sum(seen.path.startswith("/v2/token") for seen in server.seen) == 2


def test_an_upload_that_would_leave_tls_is_refused(tls_server: ScriptedRegistry, authority: Authority) -> None:
    """As a registry behind a proxy that does not tell it of HTTPS has it: the password was sent there."""

    def script(seen: Seen) -> Answer:
        if seen.method == "HEAD":
            return Answer(404)
        if "authorization" not in seen.headers:
            return Answer(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return Answer(202, headers={"Location": f"http://{tls_server.address}/v2/team/os/blobs/uploads/1?_state=canary"})

    tls_server.script = script
    options = {"ca_path": str(authority.ca), "client_cert": str(authority.certificate), "client_key": str(authority.key)}
    with pytest.raises(RedirectRefused, match="uploads to http:") as raised:
        put_blob(client(USER, plain_http=False, **options), image(tls_server), b"content", "text/plain")
    assert "X-Forwarded-Proto" in str(raised.value.hint)
    assert "canary" not in raised.value.message


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://registry.test/v2/", "https://registry.test:443/v2/os/blobs/uploads/1", True),
        ("http://registry.test:80/", "http://registry.test/", True),
        ("https://Registry.test/", "https://registry.test/", True),
        ("https://[fd00::1]/", "https://[fd00::1]:443/", True),
        ("https://registry.test/", "http://registry.test/", False),
        ("https://registry.test/", "https://registry.test:5000/", False),
        ("https://registry.test/", "https://storage.test/", False),
    ],
)
def test_the_usual_port_may_be_written_out(one: str, other: str, same: bool) -> None:
    """As proxies before registries do in the address for an upload, which is not another host that is to see no credentials."""
    assert (origin(one) == origin(other)) is same


def test_a_ca_and_a_client_certificate_of_the_registrys_own(tls_server: ScriptedRegistry, authority: Authority, tmp_path: Path) -> None:
    reference = image(tls_server)
    known = {"plain_http": False, "ca_path": str(authority.ca)}
    shown = {"client_cert": str(authority.certificate), "client_key": str(authority.key)}
    assert client(**known, **shown).digest(reference) == digest(BODY)
    (tmp_path / "both.pem").write_bytes(authority.certificate.read_bytes() + authority.key.read_bytes())
    assert client(**known, client_cert=str(tmp_path / "both.pem")).digest(reference) == digest(BODY)
    assert client(plain_http=False, validate_certs=False, **shown).digest(reference) == digest(BODY)
    for options in (shown, {**shown, "ca_path": str(authority.stranger)}):
        with pytest.raises(ImageModeError) as raised:
            client(plain_http=False, **options).digest(reference)
        assert raised.value.error == "registry_tls", raised.value
    with pytest.raises(ImageModeError) as raised:
        client(**known).digest(reference)
    assert raised.value.error in ("registry_tls", "registry_unreachable"), "a server may hang up on who shows no certificate"
    for options in ({"ca_path": "/etc/hostname"}, {"client_cert": str(authority.key)}, {"ca_path": str(tmp_path)}):
        if options.get("ca_path") == str(tmp_path):
            (tmp_path / "both.pem").unlink()
        with pytest.raises(ImageModeError) as raised:
            client(plain_http=False, **options).digest(reference)
        assert raised.value.error == "option_invalid"


def test_certificates_of_the_machine_for_this_registry(
    tls_server: ScriptedRegistry, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """containers-certs.d(5), where Podman looks, too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    there = tmp_path / ".config/containers/certs.d" / tls_server.address
    there.mkdir(parents=True)
    for name, source in (("ca.crt", authority.ca), ("client.cert", authority.certificate), ("client.key", authority.key)):
        (there / name).write_bytes(source.read_bytes())
    assert client(plain_http=False).digest(image(tls_server)) == digest(BODY)
    (there / "empty.crt").touch()
    assert client(plain_http=False, validate_certs=False).digest(image(tls_server)) == digest(BODY)
    with pytest.raises(OptionError, match=r"empty\.crt"):
        client(plain_http=False).digest(image(tls_server))


def test_https_goes_through_a_proxys_tunnel_where_no_proxy_sees_it(
    tls_server: ScriptedRegistry, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "plain_http": False,
        "ca_path": str(authority.ca),
        "client_cert": str(authority.certificate),
        "client_key": str(authority.key),
    }
    with tunnel() as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        assert client(USER, **options).digest(image(tls_server)) == digest(BODY)
        assert [line.split()[:2] for line in asked] == [["CONNECT", tls_server.address]]
        for exception in ("127.0.0.1", "127.0.0.0/8", "x.test, 127.0.0.1", "*"):
            monkeypatch.setenv("NO_PROXY", exception)
            assert client(**options).digest(image(tls_server)) == digest(BODY)
        assert len(asked) == 1


def test_a_proxy_that_is_not_there_or_refuses_is_told_from_the_registry(server: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    server.script = lambda seen: Answer(407)
    for proxy in ("127.0.0.1:1", server.address):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        with pytest.raises(ImageModeError) as raised:
            client(plain_http=False).digest(Reference.parse("registry.test/os:1"))
        assert raised.value.error == "proxy_failed", raised.value
        assert "NO_PROXY" in (raised.value.hint or "")


def test_a_self_signed_certificate_is_not_taken_for_a_missing_registry(authority: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server, authority.server_key)
    registry = ScriptedRegistry(tls=context)
    try:
        with pytest.raises(ImageModeError) as raised:
            client(plain_http=False).digest(image(registry))
        assert raised.value.error == "registry_tls"
        assert "ca_path" in (raised.value.hint or "")
    finally:
        registry.close()
