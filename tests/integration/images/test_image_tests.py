# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""oci_image_test and bootc_container_lint on a bootable image, in real containers of Podman, Buildah and Docker."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Module = Callable[..., dict[str, Any]]

HOLDS: list[dict[str, Any]] = [
    {"kernel": True, "version": r"^\d+\.\d+"},
    {"package": "podman", "version": r"^\d"},
    {"package": "nginx", "state": "absent"},
    {"service": "ssh.service"},
    {"service": "debug-shell.service", "state": "disabled"},
    {"service": "fstrim.timer", "state": "masked"},
    {"service": "dbus.service", "state": "static"},
    {"service": "nowhere.service", "state": "absent"},
    {"file": "/etc/os-release", "content": "^ID=debian$", "mode": "0644", "owner": "root", "group": "0"},
    {"file": "/etc/os-release", "target": "../usr/lib/os-release"},
    {"file": "/ostree", "state": "link"},
    {"file": "/etc", "state": "directory", "mode": 0o755},
    {"file": "/nowhere", "state": "absent"},
    {"user": "root", "uid": 0, "group": "root", "groups": ["root"], "home": "/root", "shell": "/bin/bash"},
    {"user": "nobody-else", "state": "absent"},
    {"group": "daemon", "gid": 1},
    {"label": "containers.bootc", "value": "^1$"},
    {"label": "nowhere", "state": "absent"},
    {"env": "PATH", "value": "/usr/bin"},
    {"command": "echo out; echo err >&2; exit 3", "rc": 3, "stdout": "^out$", "stderr": "^err$"},
    {"command": "id -u", "stdout": "^0$"},
    {"port": 8080, "start": "python3 -m http.server 8080"},
    {
        "port": 5353,
        "protocol": "udp",
        "start": """python3 -c 'import socket, time; s = socket.socket(2, 2); s.bind(("", 5353)); time.sleep(60)'""",
    },
    {"name": "no network but loopback", "command": "grep -c : /proc/net/dev", "stdout": "^1$"},
]
# Each with words of its reason.
DOES_NOT: list[tuple[dict[str, Any], str]] = [
    ({"kernel": True, "version": "^2\\."}, "does not match"),
    ({"package": "podman", "version": "^0\\."}, "does not match"),
    ({"package": "podman", "state": "absent"}, "it is installed"),
    ({"package": "nginx"}, "not installed"),
    ({"service": "fstrim.timer"}, "it is masked, not enabled"),
    ({"service": "nowhere.service"}, "it is absent, not enabled"),
    ({"file": "/nowhere"}, "not there"),
    ({"file": "/etc", "state": "file"}, "is a directory"),
    ({"file": "/etc/passwd", "state": "link"}, "not a link"),
    ({"file": "/etc/passwd", "state": "absent"}, "is there"),
    ({"file": "/etc/passwd", "mode": "0600"}, "the mode is 0644, not 0600"),
    ({"file": "/etc/passwd", "owner": "daemon"}, "the owner is root (0), not daemon"),
    ({"file": "/etc/passwd", "content": "^nobody-else:"}, "does not match"),
    ({"file": "/etc/os-release", "target": "elsewhere"}, "leads to '../usr/lib/os-release'"),
    ({"user": "nobody-else"}, "no such user"),
    ({"user": "root", "uid": 1}, "the uid is 0, not 1"),
    ({"user": "daemon", "groups": ["daemon", "adm"]}, "not in adm"),
    ({"group": "daemon", "gid": 2}, "the gid is 1, not 2"),
    ({"label": "containers.bootc", "value": "^2$"}, "does not match"),
    ({"env": "NOWHERE"}, "no such variable"),
    ({"command": "echo why >&2; exit 1"}, "the return code is 1, not 0: why"),
    ({"command": "echo one", "stdout": "^two$"}, "stdout does not match"),
    ({"command": "sleep 30", "timeout": 1}, "did not end within 1 s"),
    ({"port": 8081, "start": "echo why; exit 4", "timeout": 2}, "ended with return code 4 / why"),
    ({"port": 8082, "start": "echo why; sleep 60", "timeout": 1}, "nothing listens on tcp port 8082 within 1 s: why"),
]


@pytest.fixture(params=["podman", "buildah", "docker"])
def runner(request: pytest.FixtureRequest) -> str:
    """Each engine, with the base image in its storage."""
    if request.param == "docker":
        request.getfixturevalue("base_in_docker")
    return str(request.param)


@pytest.fixture(scope="session")
def loaded(docker: dict[str, str], base_image: str) -> dict[str, str]:
    """Docker with the base image in its own storage."""
    words = [
        "skopeo",
        "copy",
        "--quiet",
        f"--dest-daemon-host={docker['DOCKER_HOST']}",
        f"containers-storage:{base_image}",
        f"docker-daemon:{base_image}",
    ]
    subprocess.run(words, check=True, capture_output=True)
    return docker


@pytest.fixture
def base_in_docker(loaded: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in loaded.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def derived(module: Module, base_image: str, tmp_path: Path) -> Callable[..., str]:
    """Builds an image on the base."""

    def build(name: str, *lines: str, engine: str = "podman") -> str:
        context = tmp_path / "empty"
        context.mkdir(exist_ok=True)
        content = "\n".join((f"FROM {base_image}", *lines)) + "\n"
        built = module("oci_image_build", name=name, context=str(context), content=content, pull="never", engine=engine, network="host")
        assert "image_id" in built, built
        return name

    return build


def containers() -> list[str]:
    """Containers of these tests that are there, running or not."""
    commands = ["podman ps --all --format {{.Names}}", "buildah containers --format {{.ContainerName}}"]
    commands += ["docker ps --all --format {{.Names}}"] if "DOCKER_HOST" in os.environ else []
    listed = [subprocess.run(words.split(), capture_output=True, text=True, check=True).stdout.split() for words in commands]
    return [name for names in listed for name in names if name.startswith("imagemode-test-")]


def test_what_holds_passes_and_is_not_run_again(module: Module, base_image: str, runner: str) -> None:
    options = {"name": base_image, "engine": runner, "containers": True}
    first = module("oci_image_test", tests=HOLDS, **options)
    assert not first.get("failed"), first
    assert [result["reason"] for result in first["results"]] == [""] * len(HOLDS)
    assert (first["changed"], first["remembered"]) == (False, False)
    again = module("oci_image_test", tests=HOLDS, **options)
    assert (again["changed"], again["remembered"], again["tested_at"]) == (False, True, first["tested_at"])
    assert again["results"] == first["results"]
    assert not module("oci_image_test", tests=HOLDS[:1], **options)["remembered"], "other tests are not known to pass"
    assert not module("oci_image_test", tests=HOLDS[:1], force=True, **options)["remembered"]
    assert containers() == []


def test_what_does_not_hold_is_all_told(module: Module, base_image: str, runner: str) -> None:
    tests = [test for test, _reason in DOES_NOT]
    options = {"name": base_image, "engine": runner, "tests": [*tests, HOLDS[0]], "containers": True}
    done = module("oci_image_test", **options)
    assert (done["failed"], done["error"], done["changed"]) == (True, "image_test_failed", False)
    assert [result["passed"] for result in done["results"]] == [False] * len(tests) + [True]
    for result, (_test, reason) in zip(done["results"], DOES_NOT):
        assert reason in result["reason"], result
    assert f"{len(tests)} of {len(tests) + 1} tests" in done["msg"]
    assert containers() == []


def test_what_was_seen_with_a_network_is_not_remembered(module: Module, base_image: str) -> None:
    options = {"name": base_image, "tests": [{"kernel": True}], "network": "host", "containers": True}
    assert [module("oci_image_test", check_mode=mode, **options)["remembered"] for mode in (False, True)] == [False, False]


def test_the_images_own_command_listens(module: Module, derived: Callable[..., str]) -> None:
    name = derived("own-command:1", 'CMD ["python3", "-m", "http.server", "8080"]')
    options = {"name": name, "tests": [{"port": 8080}, {"kernel": True}], "containers": True}
    done = module("oci_image_test", engine="podman", **options)
    assert [result["passed"] for result in done["results"]] == [True, True], done
    wrong = module("oci_image_test", engine="podman", **{**options, "tests": [{"port": 8081, "timeout": 1}]})
    assert "nothing listens on tcp port 8081" in wrong["results"][0]["reason"]
    assert module("oci_image_test", engine="buildah", **options)["error"] == "engine_unsupported"
    assert containers() == []


@pytest.mark.usefixtures("base_in_docker")
def test_the_images_own_command_listens_in_docker_too(module: Module, derived: Callable[..., str]) -> None:
    name = derived("own-command:1", 'CMD ["python3", "-m", "http.server", "8080"]', engine="docker")
    done = module("oci_image_test", engine="docker", name=name, tests=[{"port": 8080}, {"kernel": True}], containers=True)
    assert [result["passed"] for result in done["results"]] == [True, True], done
    assert containers() == []


def test_the_container_sees_no_secret_of_the_builder(module: Module, base_image: str, runner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "REGISTRY_TOKEN"):
        monkeypatch.setenv(name, "http://user:canary@proxy.example.com")
    tests = [{"command": "env; cat /proc/self/environ", "stdout": r"\A(?![\s\S]*canary)"}, {"file": "/run/secrets/rhsm", "state": "absent"}]
    assert not module("oci_image_test", name=base_image, engine=runner, tests=tests, containers=True).get("failed")


def test_a_module_that_is_ended_leaves_no_container(base_image: str, runner: str, module: Module) -> None:
    """The module is asked to end while a command runs in the container."""
    from concurrent.futures import ThreadPoolExecutor

    tests = [{"command": f"sleep 4321{os.getpid()}"}]
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(lambda: module("oci_image_test", name=base_image, engine=runner, tests=tests, containers=True))
        deadline = time.monotonic() + 60
        while not (running := processes(f"sleep 4321{os.getpid()}")) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert running, "the command was never seen to run"
        for process in processes("plugins.modules.oci_image_test"):
            os.kill(process, signal.SIGTERM)
        with pytest.raises(AssertionError):  # it has nothing to say any more
            future.result(60)
    assert containers() == []
    time.sleep(1)
    assert processes(f"sleep 4321{os.getpid()}") == []


def processes(words: str) -> list[int]:
    """Processes of Python, or of no shell, whose command line has these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words in line and line.split()[0].rpartition("/")[2].startswith(("python", "sleep")):
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ({}, "does not say what it tests"),
        ({"name": "x"}, "('x') does not say"),
        ({"package": "x", "owner": "root"}, "'owner' does not go with 'package'"),
        ({"service": "x", "state": "running"}, "no state 'running'"),
        ({"package": "x", "state": "absent", "version": "1"}, "absent has nothing else"),
        ({"command": "true", "stdout": "("}, "no regular expression"),
        ({"file": "/x", "mode": "rwx"}, "is no mode"),
        ({"file": "x"}, "no absolute path"),
        ({"port": 70000, "start": "true"}, "is no port"),
        ({"env": "a-b"}, "no name of a variable"),
    ],
)
def test_a_test_that_cannot_be_run_is_refused_before_anything_runs(module: Module, test: dict[str, Any], words: str) -> None:
    refused = module("oci_image_test", name="nowhere:1", tests=[{"kernel": True}, test])
    assert refused["error"] == "option_invalid"
    assert words in refused["msg"]


def test_an_image_that_is_not_there(module: Module) -> None:
    for which, options in (("oci_image_test", {"tests": []}), ("bootc_container_lint", {})):
        assert module(which, name="nowhere:1", **options)["error"] == "image_missing_local"


OLD_BOOTC = "RUN printf '#!/bin/sh\\necho bootc 1.1.2\\n' > /usr/bin/bootc"
DIRT = "RUN echo built > /var/log/build.log && mkdir /boot/grub"
BROKEN = "RUN mkdir -p /usr/lib/bootc/kargs.d /usr/etc && echo 'kargs = 7' > /usr/lib/bootc/kargs.d/10-console.toml && echo > /usr/etc/x"


@pytest.mark.parametrize(
    ("runner", "bootc", "linter", "version"),
    [
        ("podman", [], "bootc", "1.16.9"),
        ("buildah", [], "bootc", "1.16.9"),
        ("docker", [], "bootc", "1.16.9"),
        ("podman", [OLD_BOOTC], "imagemode.bootc", "1.1.2"),
        ("buildah", ["RUN rm /usr/bin/bootc"], "imagemode.bootc", None),
    ],
)
def test_lints_have_names_whoever_looks(
    module: Module,
    derived: Callable[..., str],
    request: pytest.FixtureRequest,
    runner: str,
    bootc: list[str],
    linter: str,
    version: str | None,
) -> None:
    builder = "podman"  # and Buildah has the same storage
    if runner == "docker":
        request.getfixturevalue("base_in_docker")
        builder = "docker"
    options = {"engine": runner, "containers": True}
    dirty = derived(f"lint-dirty-{version or 'none'}:1", *bootc, DIRT, engine=builder)
    allowed = module("bootc_container_lint", name=dirty, **options)
    assert not allowed.get("failed"), allowed
    assert (allowed["linter"], allowed["bootc_version"]) == (linter, version)
    warned = {one["name"] for one in allowed["lints"]}
    assert {"var-log", "nonempty-boot"} <= warned
    assert {(one["level"], one["passed"]) for one in allowed["lints"]} == {("warning", True)}
    assert allowed["lints_passed"] > 5
    assert module("bootc_container_lint", name=dirty, **options)["remembered"]
    strict = module("bootc_container_lint", name=dirty, fatal_warnings=True, **options)
    assert (strict["error"], {one["name"] for one in strict["lints"]}) == ("lint_failed", warned)
    assert not any(one["passed"] for one in strict["lints"])
    skipped = module("bootc_container_lint", name=dirty, fatal_warnings=True, skip=sorted(warned), **options)
    assert (skipped.get("failed", False), skipped["lints"]) == (False, []), skipped

    broken = module("bootc_container_lint", name=derived(f"lint-broken-{version or 'none'}:1", *bootc, BROKEN, engine=builder), **options)
    assert broken["error"] == "lint_failed"
    assert {one["name"] for one in broken["lints"] if one["level"] == "fatal"} == {"bootc-kargs", "etc-usretc"}
    assert containers() == []


def test_an_image_of_an_application_is_told_apart(module: Module, derived: Callable[..., str]) -> None:
    name = derived(
        "no-system:1",
        "LABEL containers.bootc= ostree.bootable=",
        "RUN rm -rf /usr/bin/bootc /usr/lib/modules /ostree /usr/lib/bootupd /usr/lib/ostree/prepare-root.conf"
        " && mkdir -p /etc/selinux && echo SELINUXTYPE=strict > /etc/selinux/config",
    )
    done = module("bootc_container_lint", name=name, containers=True)
    assert {one["name"] for one in done["lints"] if one["level"] == "fatal"} == {
        "baseimage-root",
        "boot-loader",
        "kernel",
        "label",
        "prepare-root",
        "selinux-policy",
    }
