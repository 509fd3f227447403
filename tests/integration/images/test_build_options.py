# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What oci_image_build can be told, on each engine."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import LiveRegistry

Module = Callable[..., dict[str, Any]]


def test_further_tags_are_set_without_a_build(module: Module, context: Path, engine: str) -> None:
    options = {"name": f"tagged-{engine}:1", "context": str(context), "engine": engine}
    built = module("oci_image_build", **options)
    assert built["tagged"] == []
    options["tags"] = [f"tagged-{engine}:stable"]
    predicted = module("oci_image_build", check_mode=True, **options)
    done = module("oci_image_build", **options)
    for result in (predicted, done):
        assert (result["changed"], result["reasons"], result["tagged"]) == (True, [], [f"localhost/tagged-{engine}:stable"]), result
    assert not module("oci_image_build", **options)["changed"]


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_two_builders_make_the_same_digest(
        module: Module, context: Path, registry: LiveRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: str) -> None:
    """Two storages, two contexts with other times, one digest in the registry."""
    digests = []
    for number in (1, 2):
        conf = tmp_path / f"storage-{number}.conf"
        conf.write_text(f'[storage]\ndriver = "vfs"\nrunroot = "{tmp_path}/run{number}"\ngraphroot = "{tmp_path}/graph{number}"\n')
        monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(conf))
        (context / "etc/motd").write_text("hello\n")
        name = f"{registry.address}/same-{builder}-{number}:1"
        options = {"name": name, "engine": builder, "plain_http": True}
        result = module("oci_image_build", context=str(context), timestamp=1700000000, **options)
        assert result["changed"], result
        digests.append(module("oci_image_push", **options)["digest"])
    assert digests[0] == digests[1]


def test_a_context_may_be_an_archive(module: Module, context: Path, tmp_path: Path, engine: str) -> None:
    options = {"name": f"archived-{engine}:1", "engine": engine}
    module("oci_image_build", context=str(context), **options)
    archive = tmp_path / "context.tar.gz"
    subprocess.run(["tar", "czf", str(archive), "-C", str(context), "."], check=True)
    assert not module("oci_image_build", context=str(archive), **options)["changed"]
    archive.write_text("no archive")
    assert module("oci_image_build", context=str(archive), **options)["error"] == "option_invalid"


def test_a_base_is_taken_as_it_is_when_asked_to(module: Module, context: Path, registry: LiveRegistry) -> None:
    base = f"{registry.address}/policy:1"
    plain = {"plain_http": True}
    module("oci_image_build", name=base, context=str(context), **plain)
    module("oci_image_push", name=base, **plain)
    child = {"name": "policy-child:1", "context": str(context), "content": f"FROM {base}\n", **plain}
    before = len(registry.requests)
    assert module("oci_image_build", pull="never", **child)["changed"]
    assert len(registry.requests) == before
    missing = {**child, "content": f"FROM {registry.address}/nowhere:1\n", "pull": "never"}
    assert module("oci_image_build", **missing)["error"] == "image_missing_local"


def test_what_an_engine_lacks_is_an_error_with_those_that_have_it(
        module: Module, context: Path, docker: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in docker.items():
        monkeypatch.setenv(name, value)
    result = module("oci_image_build", name="x:1", context=str(context), engine="docker", volumes=["/tmp:/tmp"])
    assert (result["error"], result["engines"]) == ("engine_unsupported", ["podman", "buildah"]), result


def test_a_daemon_that_does_not_run_is_told(module: Module, context: Path, docker: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**docker, "DOCKER_HOST": "unix:///nowhere"}.items():
        monkeypatch.setenv(name, value)
    assert module("oci_image_build", name="x:1", context=str(context), engine="docker")["error"] == "engine_unreachable"


def test_the_output_can_be_followed(module: Module, context: Path, tmp_path: Path, engine: str) -> None:
    log = tmp_path / "log"
    module("oci_image_build", name=f"logged-{engine}:1", context=str(context), engine=engine, log_path=str(log), force=True)
    assert "COPY etc /etc" in log.read_text()
