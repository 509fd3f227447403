# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds and pushes on a builder with real engines, from and to a registry that wants a password and has a certificate of its own."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import signal
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from host import ServedHost
from integration.images.conftest import PASSWORD, USER, LiveRegistry, add_programs, storage_in
from judge import State
from prepare import environment
from verbs import Running, Verb, inventory

HERE = Path(__file__).parent
ENGINES = ("podman", "buildah")
TOKEN = "token-canary"
CONTAINERFILE = """FROM {registry}/base:1
RUN --mount=type=secret,id=token ["/bin/sleep", "0.5"]
COPY release noise /
LABEL release={release}
"""
NOISE_BYTES = 4_000_000


class Builder:
    """The machine, its storage of images, and the registry. Everything is below `base`, or in a directory in memory."""

    def __init__(self, base: Path, home: Path) -> None:
        self.base = base
        self.memory = Path(tempfile.mkdtemp(prefix="chaos-", dir="/dev/shm"))
        for name in ("registry", "storage", "temporary", "context", "controller"):
            (base / name).mkdir(parents=True)
        self.registry = LiveRegistry(base / "registry", htpasswd=True, tls=True)
        self.environment = {**storage_in(base / "storage"), "TMPDIR": str(base / "temporary"), "XDG_RUNTIME_DIR": str(self.memory)}
        self.host = ServedHost("builder", home, self.environment)
        variables = {
            **self.host.variables(),
            "ansible_python_interpreter": shutil.which("python"),
            "login": {"username": USER, "password": PASSWORD},
            "authority": f"{self.registry.base}/ca.crt",
            "token": TOKEN,
        }
        inventory(base / "inventory.json", {"all": {"builder": variables}})
        tree = base / "base"
        add_programs(tree, "/bin/sleep")
        lines = ["FROM scratch"] + [f"COPY {path.name} /{path.name}" for path in sorted(tree.iterdir()) if path.is_dir()]
        (tree / "Containerfile").write_text("\n".join([*lines, "ARG NUMBER", "LABEL number=$NUMBER"]) + "\n")
        self.names = [f"{self.registry.address}/base:{tag}" for tag in ("first", "second")]
        for number, name in enumerate(self.names):
            self.engine("podman", "build", "-q", f"--build-arg=NUMBER={number}", f"--tag={name}", str(tree))
            self.engine("podman", "push", "-q", *self.access(), name)

    def access(self) -> list[str]:
        return [f"--creds={USER}:{PASSWORD}", f"--cert-dir={self.registry.base}"]

    def engine(self, *words: str) -> str:
        return subprocess.run(words, env={**os.environ, **self.environment}, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def noise(self, number: int) -> None:
        """Something new in the context, that cannot be compressed."""
        (self.base / "context/release").write_text(f"{number}\n")
        (self.base / "context/noise").write_bytes(random.Random(number).randbytes(NOISE_BYTES))

    def play(self, name: str, options: dict[str, Any], log: Path) -> Running:
        words = ["ansible-playbook", "-i", str(self.base / "inventory.json"), str(HERE / f"{name}.yml"), "-e", json.dumps(options)]
        # What is sent as a file lies there for whoever looks, after a kill.
        variables = environment(ANSIBLE_PIPELINING="1", ANSIBLE_HOME=str(self.base / "controller"), ANSIBLE_HOST_KEY_CHECKING="0")
        return Running(words, variables, self.base, log)

    def left(self) -> list[str]:
        """Secrets anywhere, directories of ours, containers of builds, mounts of images."""
        engines = self.engine("podman", "ps", "--all", "--external", "--format={{.Names}}").splitlines()
        found = [f"the container {name}" for name in engines]
        for place in (self.base / "temporary", self.memory):
            found += [str(path) for path in place.glob("imagemode-*")]
        for place in (self.base / "temporary", self.base / "controller", self.base / "storage", self.base / "logs", self.memory):
            words = ["grep", "-rlFs", "-e", TOKEN, "-e", PASSWORD, str(place)]
            holders = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False).stdout
            found += [f"a secret in {line}" for line in holders.splitlines()]
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        return found + [f"a mount: {line.split()[1]}" for line in mounts if line.split()[1].endswith("/merged") and str(self.base) in line]

    def stop(self) -> None:
        self.host.stop()
        self.registry.stop(signal.SIGKILL)
        shutil.rmtree(self.memory, ignore_errors=True)


class _OnBuilder(Verb):
    victims: tuple[str, ...] = ("module", "tree", "ssh", "controller", "registry", "outage")

    def __init__(self, builder: Builder) -> None:
        self.builder, self.host = builder, builder.host
        self._options: dict[str, Any] = {}

    def start(self, log: Path) -> Running:
        return self.builder.play(self.name, self._options, log)

    def left(self) -> list[str]:
        return self.builder.left()

    def stop_registry(self) -> None:
        self.builder.registry.stop(signal.SIGKILL)

    def start_registry(self) -> None:
        self.builder.registry.start()


class Build(_OnBuilder):
    """The image is told by a file in it."""

    name = "build"

    @property
    def _image(self) -> str:
        return f"{self.builder.registry.address}/built:1"

    def prepare(self, number: int) -> State:
        builder = self.builder
        # Another base under the same tag, so that it is pulled.
        builder.engine("podman", "push", "-q", *builder.access(), builder.names[number % 2], f"docker://{builder.registry.address}/base:1")
        builder.noise(number)
        text = CONTAINERFILE.format(registry=builder.registry.address, release=number)
        (builder.base / "context/Containerfile").write_text(text)
        self._options = {"image": self._image, "context": str(builder.base / "context"), "engine": ENGINES[number % 2]}
        return State(str(number), str(number))

    def read(self) -> State:
        engine = self.builder.engine
        if not engine("podman", "images", "-q", self._image):
            return State(None, None)
        place = Path(engine("podman", "image", "mount", self._image))
        label = engine("podman", "image", "inspect", "--format={{.Labels.release}}", self._image)
        release = (place / "release").read_text().strip() if (place / "release").exists() else "missing"
        whole = (place / "noise").exists() and (place / "noise").stat().st_size == NOISE_BYTES
        engine("podman", "image", "unmount", self._image)
        found = release if whole and label == release else f"in pieces: label {label}, release {release}, whole {whole}"
        return State(found, found)


class Push(_OnBuilder):
    """The tag is told by the registry: the image's id, and whether everything that it names is there."""

    name = "push"

    def prepare(self, number: int) -> State:
        builder = self.builder
        builder.noise(number)
        (builder.base / "context/Containerfile").write_text("FROM scratch\nCOPY release noise /\n")
        builder.engine("podman", "build", "-q", "--tag=localhost/pushed:1", str(builder.base / "context"))
        image = builder.engine("podman", "image", "inspect", "--format={{.Id}}", "localhost/pushed:1")
        target = f"{builder.registry.address}/pushed:1"
        self._options = {"image": "localhost/pushed:1", "target": target, "engine": ENGINES[number % 2]}
        return State(f"sha256:{image}", f"sha256:{image}")

    def read(self) -> State:
        body = self._ask("GET", "manifests/1")
        if body is None:
            return State(None, None)
        manifest = json.loads(body)
        found = manifest["config"]["digest"]
        named = [blob["digest"] for blob in (manifest["config"], *manifest["layers"])]
        missing = [digest for digest in named if self._ask("HEAD", f"blobs/{digest}") is None]
        return State(f"{found} without {missing}", None) if missing else State(found, found)

    def _ask(self, method: str, path: str) -> bytes | None:
        registry = self.builder.registry
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Accept": "application/vnd.oci.image.manifest.v1+json"}
        request = urllib.request.Request(f"https://{registry.address}/v2/pushed/{path}", method=method, headers=headers)
        context = ssl.create_default_context(cafile=f"{registry.base}/ca.crt")
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None
