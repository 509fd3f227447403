# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What engines are told, word by word; that they do it is tried with real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._auth import Credentials
from ansible_collections.imagemode.bootc.plugins.module_utils._engine import BuildFailed, BuildRequest, EngineFailed, RegistryAccess
from ansible_collections.imagemode.bootc.plugins.module_utils._engine._cli import Buildah, Podman
from ansible_collections.imagemode.bootc.plugins.module_utils._engine._docker import Docker
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Completed, Runner

ID, OTHER, DIGEST = (f"sha256:{letter * 64}" for letter in "abc")
WRITTEN = {"--iidfile": ID, "--digestfile": DIGEST, "--metadata-file": json.dumps({"containerimage.digest": DIGEST})}
REFERENCE = Reference.parse("r.test/os:1")
REQUEST = BuildRequest(
    Path("/context"),
    Path("/context/Containerfile"),
    target="last",
    platform="linux/arm64",
    network="none",
    no_cache=True,
    build_args={"A": "1"},
    labels={"l": "2"},
    secrets={"token": Path("/run/token")},
    ssh=("default",),
    cache_from=("r.test/from",),
)


class Told(Runner):
    """Runs nothing, and writes the files that an engine would.

    :ivar argv: the commands, without options that name a file of a private directory
    """

    def __init__(self, rc: int = 0, answer: Callable[[list[str]], str] = lambda argv: "") -> None:
        super().__init__()
        self.rc, self.answer = rc, answer
        self.argv: list[list[str]] = []
        self.variables: list[dict[str, str]] = []

    def run(self, argv: Any, **options: Any) -> Completed:
        for word in argv:
            option, _equals, path = str(word).partition("=")
            if option in WRITTEN:
                Path(path).write_text(WRITTEN[option] + "\n")
        self.argv.append([str(word) for word in argv if "imagemode-private" not in str(word)])
        self.variables.append(options.get("environment") or {})
        if options.get("on_line"):
            options["on_line"]("STEP 1/2: FROM scratch")
        return Completed(tuple(argv), self.rc, self.answer(list(argv)), "", 1.0)


@pytest.mark.parametrize(
    ("engine", "fixed"), [(Podman, ["build", "--force-rm", "--pull=never"]), (Buildah, ["build", "--layers", "--force-rm", "--pull=never"])]
)
def test_a_build_pulls_nothing_and_is_told_everything(engine: Any, fixed: list[str], tmp_path: Path) -> None:
    runner, lines = Told(), []
    (tmp_path / ".containerignore").write_text("x\n!y\n# z\n")
    result = engine(runner).build(replace(REQUEST, ignore_file=tmp_path / ".containerignore"), lines.append)
    assert (result.image_id, result.log, lines) == (ID, ("STEP 1/2: FROM scratch",), ["STEP 1/2: FROM scratch"])
    (argv,) = runner.argv
    assert argv[: len(fixed) + 1] == [engine.program, *fixed]
    assert argv[-1] == "/context"
    given = " ".join(argv)
    for words in (
        "--file /context/Containerfile",
        f"--ignorefile {tmp_path}/.containerignore",
        "--target last",
        "--platform linux/arm64",
        "--network none",
        "--no-cache",
        "--build-arg A=1",
        "--label l=2",
        "--secret id=token,src=/run/token",
        "--ssh default",
        "--cache-from r.test/from",
    ):
        assert f" {words} " in given
    assert not [word for word in ("--timestamp", "--volume", "--annotation", "--tls-verify", "--authfile") if word in given]


def test_a_build_with_docker_is_told_what_it_knows() -> None:
    runner = Told()
    assert Docker(runner).build(BuildRequest(Path("/context"), Path("/context/Containerfile"), no_cache=True)).image_id == ID
    asked, told = runner.argv
    assert asked == ["docker", "build", "--help"]
    assert told == ["docker", "build", "--progress=plain", "--file=/context/Containerfile", "--no-cache", "/context"]


@pytest.mark.parametrize(("known", "found"), [(ID, ID), (DIGEST, DIGEST)], ids=["Docker's own store", "containerd's"])
def test_what_docker_built_is_known_by_what_its_image_store_knows(known: str, found: str) -> None:
    def answer(argv: list[str]) -> str:
        if "--help" in argv:
            return "      --metadata-file string   Write build result metadata to a file\n"
        return json.dumps([{"Id": known}] if argv[-1] == known else []) if "inspect" in argv else ""

    assert Docker(Told(answer=answer)).build(BuildRequest(Path("/context"), Path("/context/Containerfile"))).image_id == found


def test_a_build_with_docker_has_the_credentials_of_its_caches_in_a_directory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", "/none")
    runner = Told()
    access = RegistryAccess(credentials={"r.test": Credentials("me", "canary")})
    request = BuildRequest(Path("/context"), Path("/context/Containerfile"), access=access, environment={"A": "1"})
    assert Docker(runner).build(request).image_id == ID
    variables = runner.variables[-1]
    assert variables.keys() == {"DOCKER_BUILDKIT", "BUILDX_NO_DEFAULT_ATTESTATIONS", "DOCKER_CONFIG", "A"}
    assert "imagemode-private" in variables["DOCKER_CONFIG"]
    assert "canary" not in str(runner.argv)
    Docker(runner).build(BuildRequest(Path("/context"), Path("/context/Containerfile")))
    assert runner.variables[-1] == {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


@pytest.mark.parametrize("engine", [Podman, Buildah, Docker])
def test_a_build_that_fails_gives_no_image(engine: Any) -> None:
    with pytest.raises(BuildFailed):
        engine(Told(rc=1)).build(BuildRequest(Path("/context"), Path("/context/Containerfile")))


@pytest.mark.parametrize("engine", [Podman, Buildah])
def test_an_image_is_pushed_by_its_id_and_the_digest_is_read(engine: Any) -> None:
    runner = Told()
    access = RegistryAccess(Path("/auth.json"), Path("/certs"), insecure=True)
    assert engine(runner).push(ID, REFERENCE, access) == DIGEST
    options = ["--authfile", "/auth.json", "--cert-dir", "/certs", "--tls-verify=false"]
    assert runner.argv == [[engine.program, "push", "--quiet", *options, ID[7:], "docker://r.test/os:1"]]
    engine(runner).save(ID, "oci:/x", "zstd")
    assert runner.argv[1] == [engine.program, "push", "--quiet", "--compression-format", "zstd", ID[7:], "oci:/x"]
    assert RegistryAccess().tls_verify is None
    for call in (lambda one: one.push(ID, REFERENCE, access), lambda one: one.save(ID, "oci:/x", "zstd"), lambda one: one.tag(ID, "x")):
        with pytest.raises(EngineFailed):
            call(engine(Told(rc=1)))


@pytest.mark.parametrize(("there", "after"), [(None, "image rm --no-prune"), (OTHER, f"tag {OTHER}"), (ID, None)])
def test_a_name_that_docker_pushes_by_means_what_it_meant_before(there: str | None, after: str | None) -> None:
    def answer(argv: list[str]) -> str:
        if "inspect" in argv:
            return json.dumps([{"Id": there}] if there else [])
        return f"1: digest: {DIGEST} size: 7\n" if "push" in argv else ""

    runner = Told(answer=answer)
    assert Docker(runner).push(ID, REFERENCE, RegistryAccess()) == DIGEST
    told = [" ".join(argv[1:]) for argv in runner.argv]
    assert told[1] == f"tag {ID} r.test/os:1"
    assert told[2].endswith("push r.test/os:1")
    assert told[3:] == ([f"{after} r.test/os:1"] if after else [])


def test_a_push_of_which_docker_tells_no_digest_is_an_error() -> None:
    with pytest.raises(ImageModeError, match="did not tell what it pushed"):
        Docker(Told(answer=lambda argv: "[]" if "inspect" in argv else "")).push(ID, REFERENCE, RegistryAccess())


@pytest.mark.parametrize(
    ("engine", "version", "known"),
    [
        (Podman, "podman version 4.3.1", False),
        (Podman, "podman version 4.8.0", True),
        (Podman, "podman version 5.0.0", True),
        (Buildah, "buildah version 1.28.2 (image-spec 1.1.0-rc2, runtime-spec 1.0.2)", False),
        (Buildah, "buildah version 1.33.0 (image-spec 1.1.0)", True),
        (Docker, "Docker version 20.10.24+dfsg1, build 297e128", False),
        (Docker, "Docker version 23.0.0", True),
        (Docker, "", True),
    ],
)
def test_an_engine_that_knows_no_here_documents_is_not_given_one(engine: Any, version: str, known: bool) -> None:
    asked = engine(Told(answer=lambda argv: version))
    if known:
        asked.need_heredocs(3)
        return
    with pytest.raises(EngineFailed, match="Line 3 of the Containerfile has a here-document") as refused:
        asked.need_heredocs(3)
    assert refused.value.error == "engine_unsupported"
