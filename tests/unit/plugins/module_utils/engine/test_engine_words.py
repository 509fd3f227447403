# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What engines say, as a user gets to read it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._auth import Credentials
from ansible_collections.imagemode.bootc.plugins.module_utils._engine import EngineFailed, choose_engine
from ansible_collections.imagemode.bootc.plugins.module_utils._engine._build import BuildLog
from ansible_collections.imagemode.bootc.plugins.module_utils._engine._said import last_line
from ansible_collections.imagemode.bootc.plugins.module_utils._engine._skopeo import login
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

# As skopeo 1.9 and Podman 4.3 write it.
LOGRUS = 'time="2026-11-27T16:41:12Z" level=fatal msg="{}"\n'
PING = r"authenticating creds for \"r.test\": pinging container registry r.test: Get \"https://r.test/v2/\": "


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nError: b\n\n", "Error: b"),
        ("", "return code 7"),
        (LOGRUS.format(r"lookup \"r.test\": no such host"), 'lookup "r.test": no such host'),
        ("time=x level=fatal msg=y", "time=x level=fatal msg=y"),
        ('time="x" level=fatal msg=EOF', "EOF"),
        (LOGRUS.format(r"odd \x00"), r'"odd \x00"'),
        (
            'invalid argument "a b=1" for "--label" flag: x\nSee \'docker build --help\'.\n',
            'invalid argument "a b=1" for "--label" flag: x',
        ),
    ],
)
def test_the_line_that_tells_why(text: str, line: str) -> None:
    assert last_line(text, 7) == line


def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, stderr: str) -> None:
    """A program that fails with these words."""
    program = tmp_path / name
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit({stderr!r})\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize(
    ("words", "error", "message", "hint"),
    [
        (r"logging into \"r.test\": invalid username/password", "registry_unauthorized", "not accepted", "password"),
        (PING + "tls: first record does not look like a TLS handshake", "registry_tls", "not be tried", "ca_path"),
        (PING + "dial tcp 127.0.0.1:1: connect: connection refused", "registry_unreachable", "not be tried", "port"),
        (PING + "dial tcp: lookup r.test on 10.0.0.1:53: no such host", "registry_unreachable", "not be tried", "name"),
        (PING + "dial tcp: lookup r.test on 10.0.0.1:53: server misbehaving", "registry_unreachable", "not be tried", "name"),
        (PING + "net/http: TLS handshake timeout", "registry_unreachable", "not be tried", "network"),
        (
            PING + "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
            "registry_unreachable",
            "not be tried",
            "port",
        ),
        (PING + "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused", "proxy_failed", "not be tried", "NO_PROXY"),
        (PING + "Proxy Authentication Required", "proxy_failed", "not be tried", "NO_PROXY"),
    ],
)
def test_a_login_that_could_not_be_tried_is_told_from_wrong_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, error: str, message: str, hint: str
) -> None:
    fake(tmp_path, monkeypatch, "skopeo", LOGRUS.format(words))
    with pytest.raises(EngineFailed) as raised:
        login(Runner(), "r.test", Credentials("user", "canary"), None, True, 10)
    assert raised.value.error == error
    assert message in raised.value.message
    assert "level=" not in raised.value.message
    assert hint in str(raised.value.hint)
    assert (error == "registry_unauthorized") == ("user name" in str(raised.value.hint))


def test_a_ca_for_the_login_is_a_file_or_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for every module with that option; skopeo takes a directory."""
    (tmp_path / "certs").mkdir()
    for file in ("certs/own.crt", "site.pem"):
        (tmp_path / file).write_text("the CA")
    program = tmp_path / "skopeo"
    program.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\n"
        "where, = [word.partition('=')[2] for word in sys.argv if word.startswith('--cert-dir=')]\n"
        "sys.exit([file.read_text() for file in pathlib.Path(where).glob('*.crt')] != ['the CA'])\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("certs", "site.pem"):
        login(Runner(), "r.test", Credentials("user", "canary"), tmp_path / name, True, 10)
    with pytest.raises(OptionError, match="not there"):
        login(Runner(), "r.test", Credentials("user", "canary"), tmp_path / "nothing", True, 10)


@pytest.mark.parametrize(("engine", "hint"), [("docker", "'insecure-registries'"), ("podman", "'plain_http'")])
def test_whom_an_engine_trusts_is_said_by_the_task_or_by_its_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, hint: str
) -> None:
    fake(tmp_path, monkeypatch, engine, 'Get "https://r.test/v2/": http: server gave HTTP response to HTTPS client')
    with pytest.raises(EngineFailed) as raised:
        choose_engine(engine, Runner()).tag("sha256:1", "r.test/os:1")
    assert raised.value.error == "registry_tls"
    assert hint in str(raised.value.hint)
    assert ("ca_path" in str(raised.value.hint)) == (engine != "docker"), "which Docker has nothing for"


def test_who_may_not_push_is_told_of_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, monkeypatch, "podman", "Error: writing blob: initiating layer upload: unauthorized: authentication required")
    with pytest.raises(EngineFailed) as raised:
        choose_engine("podman", Runner()).tag("sha256:1", "r.test/os:1")
    assert raised.value.error == "registry_unauthorized"
    assert "'username' and 'password'" in str(raised.value.hint)


def test_what_docker_advises_is_not_why_a_build_failed() -> None:
    failed = BuildLog().failure(125, "label \"a b\" contains whitespaces\nSee 'docker build --help'.\n")
    assert failed.message == 'The build failed: label "a b" contains whitespaces'


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("podman", "Error: inspecting object: localhost/os:1: image not known"),
        ("buildah", "Error: importing settings: localhost/os:1: image not known"),
        ("docker", "Error response from daemon: No such image: os:1"),
    ],
)
def test_an_image_that_is_not_in_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, words: str) -> None:
    fake(tmp_path, monkeypatch, engine, words)
    assert choose_engine(engine, Runner()).find("localhost/os:1") is None


@pytest.mark.parametrize(
    ("engine", "words", "error"),
    [
        ("docker", "Cannot connect to the Docker daemon at unix:///run/d.sock. Is the docker daemon running?", "engine_unreachable"),
        # Docker 29
        ("docker", "failed to connect to the docker API at unix:///d: connect: no such file or directory", "engine_unreachable"),
        ("podman", "Error: open /etc/containers/policy.json: no such file or directory", "engine_failed"),
    ],
)
def test_an_engine_that_cannot_look_does_not_say_that_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, words: str, error: str
) -> None:
    fake(tmp_path, monkeypatch, engine, words)
    with pytest.raises(EngineFailed) as raised:
        choose_engine(engine, Runner()).find("localhost/os:1")
    assert raised.value.error == error
