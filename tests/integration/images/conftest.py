# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real registry, real engines, and modules run as Ansible runs them."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "reference"))

from labkit import namespace
from labkit.base import base as lab_base_image

USER, PASSWORD = "builder", "s3cret-canary"


class LiveRegistry:
    """Debian's docker-registry on a free port of this machine, with its access log."""

    def __init__(self, base: Path, htpasswd: bool = False, tls: bool = False, password: str = PASSWORD) -> None:
        self.base, self.tls = base, tls
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        lines = [
            "version: 0.1",
            "log: {accesslog: {disabled: false}}",
            f"storage: {{filesystem: {{rootdirectory: {base}/images}}}}",
            "http:",
            f"  addr: {self.address}",
        ]
        if tls:
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                 "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{base}/key.pem", "-out", f"{base}/ca.crt"],
                check=True, capture_output=True,
            )  # fmt: skip
            lines += ["  tls:", f"    certificate: {base}/ca.crt", f"    key: {base}/key.pem"]
        if htpasswd:
            words = subprocess.run(["htpasswd", "-niB", USER], input=password, text=True, capture_output=True, check=True).stdout
            (base / "htpasswd").write_text(words)
            lines += ["auth:", "  htpasswd:", "    realm: test", f"    path: {base}/htpasswd"]
        (base / "config.yml").write_text("\n".join(lines) + "\n")
        self.start()

    def start(self) -> None:
        self._log = (self.base / "log").open("a")
        # The variable that Podman reads would be a setting of the registry's own.
        variables = {name: value for name, value in os.environ.items() if name != "REGISTRY_AUTH_FILE"}
        command = ["docker-registry", "serve", str(self.base / "config.yml")]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, env=variables)
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as connection:
                if connection.connect_ex(("127.0.0.1", int(self.address.rpartition(":")[2]))) == 0:
                    break
            assert time.monotonic() < deadline, (self.base / "log").read_text()
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(how)
        self._process.wait(10)
        self._log.close()

    @property
    def requests(self) -> list[str]:
        """Request lines of the access log."""
        time.sleep(0.2)  # the log is written after the answer
        return [
            line.split('"')[1]
            for line in (self.base / "log").read_text().splitlines()
            if '"GET ' in line or '"HEAD ' in line or '"PUT ' in line or '"POST ' in line or '"PATCH ' in line
        ]

    def digest(self, repository: str, tag: str) -> str | None:
        try:
            with urllib.request.urlopen(_request(self, repository, tag, "HEAD"), timeout=5) as answer:
                return str(answer.headers["Docker-Content-Digest"])
        except OSError:
            return None


def document(registry: LiveRegistry, repository: str, tag: str) -> dict[str, Any]:
    """The manifest or index that a tag or digest means, as the registry has it."""
    with urllib.request.urlopen(_request(registry, repository, tag, "GET"), timeout=5) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def _request(registry: LiveRegistry, repository: str, tag: str, method: str) -> urllib.request.Request:
    # Docker pushes manifests of its own types, and the registry translates for who does not take them.
    oci, docker = "application/vnd.oci.image", "application/vnd.docker.distribution.manifest"
    accept = f"{oci}.manifest.v1+json, {oci}.index.v1+json, {docker}.v2+json, {docker}.list.v2+json"
    return urllib.request.Request(f"http://{registry.address}/v2/{repository}/manifests/{tag}", method=method, headers={"Accept": accept})


def _registry(tmp_path_factory: pytest.TempPathFactory, **options: bool) -> Iterator[LiveRegistry]:
    if not shutil.which("docker-registry"):
        pytest.fail("docker-registry is not installed: run 'make test', which installs what is missing")
    registry = LiveRegistry(tmp_path_factory.mktemp("registry"), **options)
    yield registry
    registry.stop()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRegistry]:
    yield from _registry(tmp_path_factory)


@pytest.fixture(scope="session")
def guarded_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRegistry]:
    """With TLS by a CA of its own, and a password."""
    yield from _registry(tmp_path_factory, htpasswd=True, tls=True)


@pytest.fixture(scope="session")
def storage_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Containers storage mounts itself, and stays so."""
    base = tmp_path_factory.mktemp("storage")
    yield base
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in sorted((place for place in mounted if Path(place).is_relative_to(base)), reverse=True):
        subprocess.run(["umount", place], check=False, capture_output=True)
    shutil.rmtree(base, ignore_errors=True)


def docker_options(base: Path) -> list[str]:
    """Of a daemon that has all that is its own in a directory, its socket as C(socket), and leaves the machine's network alone."""
    places = [f"--data-root={base}/data", f"--exec-root={base}/exec", f"--pidfile={base}/pid", f"--host=unix://{base}/socket"]
    return [*places, "--iptables=false", "--ip6tables=false", "--bridge=none"]


Command = tuple[list[str], dict[str, str]]


@contextmanager
def running_docker(command: Command, asking: Command, log: Path) -> Iterator[None]:
    """A daemon of Docker from when it answers what is asked; the test is skipped where it does not run."""
    with log.open("w") as output:
        daemon = subprocess.Popen(command[0], stdout=output, stderr=output, env=command[1], cwd="/")
    deadline = time.monotonic() + 60
    while subprocess.run(asking[0], env=asking[1], cwd="/", capture_output=True, check=False).returncode != 0:
        if daemon.poll() is not None or time.monotonic() > deadline:
            daemon.kill()
            pytest.skip(f"Docker's daemon does not run on this machine: {log.read_text()[-300:]}")
        time.sleep(0.2)
    try:
        yield
    finally:
        daemon.terminate()
        daemon.wait(30)


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real daemon of Docker of the tests' own, with its client first on PATH; stopped when all is done."""
    if os.getuid() != 0 or not os.path.exists("/usr/sbin/dockerd"):
        pytest.skip("Docker's daemon needs root and Debian's package docker.io")
    base = tmp_path_factory.mktemp("docker")
    address = f"unix://{base}/socket"
    command = ["dockerd", *docker_options(base)]
    variables = {
        "DOCKER_HOST": address,
        "CONTAINERD_ADDRESS": f"{base}/exec/containerd/containerd.sock",
        "PATH": f"/usr/bin:{os.environ['PATH']}",
        "DOCKER_CONFIG": str(base / "config"),
    }
    # In a mount namespace with what containers need, where the machine itself does not have it.
    words, environment = namespace.command(command)
    asking = ["/usr/bin/docker", "info"], {**os.environ, **variables}
    with running_docker((words, environment), asking, base / "log"):
        yield variables
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(params=["podman", "buildah", "docker"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each engine in turn."""
    if request.param == "docker":
        for name, value in request.getfixturevalue("docker").items():
            monkeypatch.setenv(name, value)
    return str(request.param)


def storage_in(base: Path) -> dict[str, str]:
    """:returns: the variables by which engines have their storage, and all that they remember, below a directory"""
    driver = "overlay" if os.path.exists("/sys/module/overlay") else "vfs"
    (base / "storage.conf").write_text(
        f'[storage]\ndriver = "{driver}"\nrunroot = "{base}/run"\ngraphroot = "{base}/graph"\n'
        # Where the lab has its base image; nothing is written there.
        '[storage.options]\nadditionalimagestores = ["/var/lib/containers/storage"]\n'
    )
    (base / "auth.json").write_text("{}")
    return {
        "CONTAINERS_STORAGE_CONF": str(base / "storage.conf"),
        "XDG_CACHE_HOME": str(base / "cache"),
        "BUILDAH_ISOLATION": "chroot",
        "REGISTRY_AUTH_FILE": str(base / "auth.json"),
    }


@pytest.fixture(autouse=True)
def storage(storage_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines work in storage of the tests' own; nothing of the machine's but its images is seen, and nothing left behind."""
    for name, value in storage_in(storage_directory).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def base_image() -> str:
    """The reference host's image, built by the lab if it is not there yet; under a name that stays with it."""
    name = lab_base_image()
    inspected = subprocess.run(["podman", "image", "inspect", "--format", "{{.Id}}", name], capture_output=True, text=True, check=True)
    image_id = inspected.stdout.strip()
    subprocess.run(["podman", "tag", image_id, f"localhost/imagemode/tested:{image_id[:12]}"], check=True)
    return f"localhost/imagemode/tested:{image_id[:12]}"


def add_programs(root: Path, *programs: str) -> None:
    """Copy programs of this machine, with what they are linked with."""
    linked = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    for file in [*programs, *(word for word in linked.split() if word.startswith("/lib"))]:
        target = root / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(file).read_bytes())
        target.chmod(0o755)


def holders(secret: str) -> list[Path]:
    """Files in directories of modules at work, or left by them, that have the secret in them."""
    own = (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{os.getuid()}", "/run", "/dev/shm", tempfile.gettempdir())
    found = {file for place in filter(None, own) for file in Path(place).glob("imagemode-*/*") if file.is_file()}
    return [file for file in found if secret.encode() in file.read_bytes()]


# Here, so that no module of a test has to.
for library in ("ansible.module_utils.basic", "requests"):
    importlib.import_module(library)


def forked(name: str, stdin: str) -> tuple[str, str]:
    """Run a Python module as its own process, as C(python -m) does, without importing all of Ansible again.

    :returns: its standard output and standard error
    """
    with ExitStack() as stack:
        given, *told = files = [stack.enter_context(tempfile.TemporaryFile("w+")) for _stream in range(3)]
        given.write(stdin)
        given.seek(0)
        process = os.fork()
        if process == 0:
            _become(name, [file.fileno() for file in files])
        os.waitpid(process, 0)
        for file in told:
            file.seek(0)
        return told[0].read(), told[1].read()


def _become(name: str, streams: list[int]) -> NoReturn:
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - until the process ends
        sys.argv = [name]
        importlib.import_module(name).main()
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


@pytest.fixture
def module() -> Callable[..., dict[str, Any]]:
    """Runs a module in its own process and returns its result; with `containers`, where containers can be run."""

    def run(which: str, check_mode: bool = False, containers: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": check_mode, "_ansible_diff": True, **options}}
        name = f"ansible_collections.imagemode.bootc.plugins.modules.{which}"
        if containers:
            words, variables = namespace.command([sys.executable, "-m", name])
            done = subprocess.run(words, input=json.dumps(arguments), capture_output=True, text=True, check=False, env=variables)
            stdout, stderr = done.stdout, done.stderr
        else:
            stdout, stderr = forked(name, json.dumps(arguments))
        lines = [line for line in stdout.splitlines() if line.startswith("{")]
        assert lines, stderr or stdout
        assert PASSWORD not in lines[-1].partition('"invocation"')[0]
        result: dict[str, Any] = json.loads(lines[-1])
        return result

    return run


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context without a base image, so that nothing has to be fetched."""
    base = tmp_path / "context"
    (base / "etc").mkdir(parents=True)
    (base / "Containerfile").write_text("FROM scratch\nARG RELEASE=0\nLABEL release=$RELEASE\nCOPY etc /etc\n")
    (base / "etc" / "motd").write_text("hello\n")
    return base
