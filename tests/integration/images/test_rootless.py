# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules as a user who is not root, whose task came from root by `become_user`: a real user, with or without what it needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import ansible
import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils import _errors
from labkit import namespace

from .conftest import LiveRegistry, docker_options, running_docker
from .test_killed import descendants, wait_for_run

NAME, UID = "builder-of-tests", 54321
TREE = Path(_errors.__file__).parents[5]
IN_NAMESPACE = Path(__file__).parent / "without_user_namespaces.py"
PLAIN = {"plain_http": True}


class Rootless:
    """A user whom the machine itself does not know: /etc is another one in a mount namespace of each command.

    :ivar more: variables of each command
    """

    def __init__(self, base: Path) -> None:
        self.base, self.home = base, base / "home"
        self.more: dict[str, str] = {}
        self.home.mkdir()
        self.context = self.home / "context"
        (self.context / "root").mkdir(parents=True)
        _programs(self.context / "root")
        shutil.copytree("/etc", base / "etc", symlinks=True, ignore_dangling_symlinks=True)
        for file, line in (
            ("passwd", f"{NAME}:x:{UID}:{UID}::{self.home}:/bin/sh"),
            ("shadow", f"{NAME}:*:20000::::::"),
            ("group", f"{NAME}:x:{UID}:"),
        ):
            with (base / "etc" / file).open("a") as text:
                text.write(f"{line}\n")
        self.ids(True)
        # What pytest and a checkout in root's home keep to themselves.
        for directory in ("tree", "python"):
            (base / directory).mkdir()
        self.chown()

    def chown(self) -> None:
        subprocess.run(["chown", "-R", f"{UID}:{UID}", str(self.home)], check=True)

    def ids(self, given: bool) -> None:
        for file in ("subuid", "subgid"):
            (self.base / "etc" / file).write_text(f"{NAME}:100000:65536\n" if given else "")

    def command(self, words: list[str], *prefix: str, **variables: str) -> tuple[list[str], dict[str, str]]:
        """:param prefix: what runs all of it as root
        :param variables: beside those that `su` would set
        """
        script = [
            "set -e",
            f"mount --bind {self.base}/etc /etc",
            f"mount --bind {TREE} {self.base}/tree",
            f"mount --bind {Path(ansible.__file__).parents[1]} {self.base}/python",
            f'exec setpriv --reuid={UID} --regid={UID} --clear-groups env -i "$@"',
        ]
        own = {
            "HOME": str(self.home),
            "USER": NAME,
            "PATH": os.defpath,
            "BUILDAH_ISOLATION": "chroot",
            "PYTHONPATH": f"{self.base}/tree:{self.base}/python",
            **self.more,
            **variables,
        }
        restrictions = os.environ.get("CONTAINERS_CONF") or (
            str(namespace.store.directory("etc") / "containers.conf") if namespace.containers_are_restricted() else ""
        )
        if restrictions:
            shutil.copy(restrictions, self.base / "containers.conf")
            own["CONTAINERS_CONF"] = f"{self.base}/containers.conf"
        environment = [f"{name}={value}" for name, value in own.items()]
        argv, outer = namespace.command([*prefix, "unshare", "-m", "sh", "-c", "\n".join(script), "sh", *environment, *words])
        return argv, outer

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        argv, environment = self.command(list(words), **variables)
        return subprocess.run(argv, env=environment, cwd="/", capture_output=True, text=True, check=False)

    def module(self, which: str, *prefix: str, variables: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
        """Run a module as the user, from a directory that is root's."""
        words = ["/usr/bin/python3", "-m", f"ansible_collections.imagemode.bootc.plugins.modules.{which}"]
        argv, environment = self.command(words, *prefix, **(variables or {}))
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_diff": True, **options}})
        done = subprocess.run(argv, env=environment, cwd="/root", input=arguments, capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        assert lines, done.stderr or done.stdout
        result: dict[str, Any] = json.loads(lines[-1])
        return result


def _programs(root: Path) -> None:
    """A shell and a few programs with what they are linked with: no image has to be fetched."""
    for program in ("sh", "sleep", "cat", "stat", "grep"):
        linked = subprocess.run(["ldd", f"/bin/{program}"], capture_output=True, text=True, check=True).stdout
        for file in [f"/bin/{program}", *re.findall(r"(/\S+) \(", linked)]:
            target = root / file.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    (root / "tmp").mkdir()


@pytest.fixture(scope="module")
def made() -> Iterator[Rootless]:
    if os.getuid() != 0 or not shutil.which("newuidmap") or not shutil.which("setpriv"):
        pytest.skip("root is needed to become a user, and Debian's package uidmap for that user's engines")
    if subprocess.run(["/usr/bin/python3", "-c", "import requests"], check=False, capture_output=True).returncode != 0:
        pytest.skip("/usr/bin/python3 has no requests, and a user may not read the tests' own Python")
    base = Path(tempfile.mkdtemp(prefix="imagemode-rootless-"))
    base.chmod(0o755)
    user = Rootless(base)
    tried = user.run("podman", "unshare", "true")
    if tried.returncode != 0:
        shutil.rmtree(base)
        pytest.skip(f"no user namespaces on this machine: {(tried.stderr or tried.stdout)[-300:]}")
    yield user
    shutil.rmtree(base, ignore_errors=True)
    Path(f"/dev/shm/libpod_rootless_lock_{UID}").unlink(missing_ok=True)
    for place in (f"/tmp/podman-run-{UID}", f"/tmp/containers-user-{UID}", f"/var/tmp/containers-user-{UID}", f"/tmp/run-{UID}"):
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def user(made: Rootless) -> Iterator[Rootless]:
    made.ids(True)
    yield made
    # Podman's pause process would keep the ids that it began with.
    made.run("podman", "system", "migrate")


@pytest.fixture
def docker_daemon(user: Rootless) -> Iterator[str]:
    """A daemon of Docker that is the user's own, as Docker's C(dockerd-rootless.sh) starts it, on the machine's network.

    :returns: its address
    """
    if not shutil.which("rootlesskit") or not os.path.exists("/usr/sbin/dockerd"):
        pytest.skip("a user's own daemon of Docker needs Debian's packages docker.io and rootlesskit")
    place = user.home / "docker"
    place.mkdir()
    user.chown()
    address = f"unix://{place}/socket"
    words = ["rootlesskit", "--net=host", "--copy-up=/etc", "--copy-up=/run", "--propagation=rslave", f"--state-dir={place}/kit"]
    # What the machine's own daemon has there is no business of this one.
    words += ["sh", "-c", 'rm -f /run/docker /run/containerd /run/xtables.lock; exec dockerd "$@"', "sh", "--rootless"]
    words += docker_options(place)
    starting = user.command(words, PATH=f"/usr/sbin:{os.defpath}", XDG_RUNTIME_DIR=str(place))
    with running_docker(starting, user.command(["docker", "info"], DOCKER_HOST=address), user.base / "docker.log"):
        assert "rootless" in user.run("docker", "info", "--format={{.SecurityOptions}}", DOCKER_HOST=address).stdout
        yield address


@pytest.mark.parametrize("engine", ["podman", "buildah", "docker"])
def test_the_whole_road_as_an_ordinary_user(
    request: pytest.FixtureRequest, user: Rootless, registry: LiveRegistry, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No XDG_RUNTIME_DIR, a working directory that the user may not enter, and nothing of root's."""
    if engine == "docker":
        monkeypatch.setattr(user, "more", {"DOCKER_HOST": request.getfixturevalue("docker_daemon")})
    name = f"{registry.address}/rootless-by-{engine}:1"
    text = "FROM scratch\nCOPY root /\nRUN --mount=type=secret,id=token cat /run/secrets/token > /token\n"
    build: dict[str, Any] = {
        "name": name,
        "context": str(user.context),
        "content": text,
        "engine": engine,
        "network": "host",
        "secrets": [{"id": "token", "value": "of-the-build"}],
        **PLAIN,
    }
    built = user.module("oci_image_build", **build)
    assert (built["changed"], built.get("error")) == (True, None), built
    assert not user.module("oci_image_build", **build)["changed"]
    pushed = user.module("oci_image_push", name=name, engine=engine, **PLAIN)
    assert (pushed["changed"], pushed["digest"]) == (True, registry.digest(f"rootless-by-{engine}", "1")), pushed
    assert not user.module("oci_image_push", name=name, engine=engine, **PLAIN)["changed"]
    other = {} if engine == "docker" else {"compression": "zstd"}
    again = user.module("oci_image_push", name=name, to=[f"{name}-again"], engine=engine, **other, **PLAIN)
    assert again["changed"], again
    told = user.module("oci_image_info", name=name, **PLAIN)
    assert told["digest"] == pushed["digest"], told
    archive = f"oci-archive:{user.home}/{engine}.tar"
    copied = user.module("oci_image_copy", src=name, dest=archive, src_registry=PLAIN)
    assert (copied["changed"], copied["digest"]) == (True, pushed["digest"]), copied
    assert not user.module("oci_image_copy", src=name, dest=archive, src_registry=PLAIN)["changed"]
    # Last, for Docker: of the threads that enter a container's network, a user's daemon gets none back into the machine's own.
    tests = [
        {"name": "the secret was there", "command": "cat /token", "stdout": "^of-the-build$"},
        {"file": "/bin/sh", "owner": "0"},
        {"name": "no network but its own", "command": "grep -c : /proc/net/dev", "stdout": "^1$"},
    ]
    tested = user.module("oci_image_test", name=name, tests=tests, engine=engine)
    assert [one["reason"] for one in tested["results"]] == ["", "", ""], tested
    assert [
        path for place in ("/dev/shm", "/tmp", "/run") for path in Path(place).glob("imagemode-private-*") if path.stat().st_uid == UID
    ] == []


@pytest.mark.parametrize("engine", ["podman", "buildah"])
def test_a_killed_build_of_a_user_is_removed_by_the_users_next_one(user: Rootless, engine: str) -> None:
    text = 'FROM scratch\nCOPY root /\nRUN ["/bin/sleep", "4321"]\n'
    options = {"context": str(user.context), "engine": engine, "network": "host", "pull": "never"}
    argv, environment = user.command(["/usr/bin/python3", "-m", "ansible_collections.imagemode.bootc.plugins.modules.oci_image_build"])
    process = subprocess.Popen(argv, env=environment, cwd="/root", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": {"name": f"killed-{engine}:1", "content": text, **options}}))
    process.stdin.close()
    wait_for_run(process, b"/bin/sleep\0")
    # Podman's process for the user's namespace stays, as it would.
    for pid in (process.pid, *descendants(process.pid)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(10)
    assert user.run("buildah", "containers", "--all", "--quiet").stdout.split(), "without a leftover this shows nothing"
    built = user.module("oci_image_build", name=f"next-{engine}:1", content="FROM scratch\nCOPY root /\n", **options)
    assert (built["changed"], built.get("warnings")) == (True, None), built
    assert user.run("buildah", "containers", "--all", "--quiet").stdout.split() == []
    assert [path for path in Path("/var/tmp").glob("imagemode-build-*") if path.stat().st_uid == UID] == []


def test_variables_that_su_left_are_not_followed(user: Rootless, registry: LiveRegistry, tmp_path: Path) -> None:
    """XDG_RUNTIME_DIR of root: Podman would refuse to work, and its auth.json cannot be read."""
    foreign = user.base / "run-of-root"
    (foreign / "containers").mkdir(parents=True, exist_ok=True)
    (foreign / "containers/auth.json").write_text("{}")
    foreign.chmod(0o700)
    variables = {"XDG_RUNTIME_DIR": str(foreign), "DBUS_SESSION_BUS_ADDRESS": f"unix:path={foreign}/bus"}
    assert user.run("podman", "images", **variables).returncode != 0
    name = f"{registry.address}/after-su:1"
    options = {"context": str(user.context), "content": "FROM scratch\nCOPY root/bin /\n", "engine": "podman", **PLAIN}
    built = user.module("oci_image_build", name=name, variables=variables, **options)
    assert built["changed"], built
    assert user.module("oci_image_push", name=name, engine="podman", variables=variables, **PLAIN)["changed"]


@pytest.mark.parametrize("engine", ["podman", "buildah"])
def test_without_subordinate_ids_it_is_told_what_to_do(user: Rootless, engine: str) -> None:
    user.ids(False)
    home = user.home / f"no-ids-{engine}"
    home.mkdir()
    user.chown()
    options = {"context": str(user.context), "engine": engine, "variables": {"HOME": str(home)}}
    one_owner = "FROM scratch\nCOPY root /\n"
    assert user.module("oci_image_build", name="one-owner:1", content=one_owner, **options)["changed"]
    result = user.module("oci_image_build", name="two-owners:1", content=f"{one_owner}COPY --chown=5:5 root/bin/cat /cat\n", **options)
    assert (result["error"], result["changed"]) == ("subordinate_ids_missing", False), result
    assert "usermod --add-subuids" in result["hint"]


@pytest.mark.parametrize("engine", ["podman", "buildah"])
def test_without_user_namespaces_it_is_told_what_to_do(user: Rootless, engine: str) -> None:
    prefix = [sys.executable, str(IN_NAMESPACE)]
    result = user.module("oci_image_build", *prefix, name="no:1", context=str(user.context), content="FROM scratch\n", engine=engine)
    assert (result["error"], result["changed"]) == ("user_namespaces_missing", False), result
    assert "max_user_namespaces" in result["hint"]


@pytest.mark.parametrize("engine", ["podman", "buildah"])
def test_without_a_home_it_is_told_what_to_do(user: Rootless, engine: str) -> None:
    options = {"context": str(user.context), "content": "FROM scratch\n", "engine": engine}
    result = user.module("oci_image_build", name="no:1", variables={"HOME": "/nowhere"}, **options)
    assert (result["error"], result["changed"]) == ("engine_home_unusable", False), result


def test_become_user_in_a_playbook(user: Rootless, registry: LiveRegistry, tmp_path: Path) -> None:
    """From root, by Ansible's own means."""
    name = f"{registry.address}/by-playbook:1"
    build = {"name": name, "context": str(user.context), "content": "FROM scratch\nCOPY root/bin/sh /\n", **PLAIN}
    tasks = [{"imagemode.bootc.oci_image_build": build}, {"imagemode.bootc.oci_image_push": {"name": name, **PLAIN}}]
    play = [{"hosts": "localhost", "gather_facts": False, "become": True, "become_user": NAME, "become_method": "su", "tasks": tasks}]
    (tmp_path / "play.json").write_text(json.dumps(play))
    inventory = {"all": {"hosts": {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}}}}
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    script = f'mount --bind {user.base}/etc /etc && exec "$@"'
    words = ["unshare", "-m", "sh", "-c", script, "sh", "ansible-playbook", "-i", f"{tmp_path}/inventory.json", f"{tmp_path}/play.json"]
    argv, environment = namespace.command(words)
    # Settings of the tests' own, which are root's.
    for variable in ("CONTAINERS_STORAGE_CONF", "XDG_CACHE_HOME", "REGISTRY_AUTH_FILE", "CONTAINERS_CONF"):
        environment.pop(variable, None)
    done = subprocess.run(argv, env={**environment, "ANSIBLE_HOME": f"{tmp_path}/home"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"changed=2\b", done.stdout), done.stdout
    assert registry.digest("by-playbook", "1")
