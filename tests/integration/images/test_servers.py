# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole round on each kind of registry that can be had here: Distribution 2 and 3, and go-containerregistry's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import Access, ImageMissing, Registry, subject_tag

from .artifacts import attach, put_image, put_index
from .conftest import LiveRegistry

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "reference"))
from labkit import golang

Module = Callable[..., dict[str, Any]]
PLAIN = {"plain_http": True}
DISTRIBUTION = ("github.com/distribution/distribution/v3/cmd/registry", "v3.0.0")
# Whether the registry lists referrers itself; the others need a tag with their list.
LISTS = {"distribution-2": False, "distribution-3": False, "go-containerregistry": True}


@pytest.fixture(scope="module", params=LISTS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The kind of a registry, and its address."""
    base = tmp_path_factory.mktemp(request.param)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    config = base / "config.yml"
    config.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {base}/images}}}}\nhttp: {{addr: '{address}'}}\n")
    try:
        argv = {
            "distribution-2": lambda: ["docker-registry", "serve", str(config)],
            "distribution-3": lambda: [str(golang.program(*DISTRIBUTION)), "serve", str(config)],
            "go-containerregistry": lambda: [str(golang.own_program(Path(__file__).parent / "referrers-registry")), address],
        }[request.param]()
    except golang.GoMissing as error:
        pytest.skip(f"{request.param} has to be built from Go modules: {error}")
    # Podman's REGISTRY_AUTH_FILE would be a setting of Distribution's.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    with (base / "log").open("w") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env={**variables, "OTEL_TRACES_EXPORTER": "none"})
    deadline = time.monotonic() + 60
    while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
        assert process.poll() is None, (base / "log").read_text()
        assert time.monotonic() < deadline, (base / "log").read_text()
        time.sleep(0.1)
    yield request.param, address
    process.terminate()
    process.wait(30)


def test_an_engine_pushes_and_pulls(module: Module, context: Path, server: tuple[str, str]) -> None:
    name = f"{server[1]}/team/pushed:1"
    built = module("oci_image_build", name=name, context=str(context), reuse=False, **PLAIN)
    pushed = module("oci_image_push", name=name, **PLAIN)
    assert pushed["changed"], (built, pushed)
    assert not module("oci_image_push", name=name, **PLAIN)["changed"]
    more = module("oci_image_push", name=name, to=[name, name + "-also"], **PLAIN)
    assert [tag["changed"] for tag in more["pushed"]] == [False, True]
    subprocess.run(["podman", "rmi", "--force", name], check=True, capture_output=True)
    pulled = subprocess.run(
        ["podman", "pull", "--quiet", "--tls-verify=false", f"{server[1]}/team/pushed@{pushed['digest']}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert f"sha256:{pulled.stdout.strip()}" == pushed["image_id"]


def test_info_copy_referrers_and_tags(module: Module, registry: LiveRegistry, server: tuple[str, str]) -> None:
    kind, address = server
    name, there = f"{address}/team/os:1", Reference.parse(f"{address}/team/os:1")
    older = put_image(name, "amd64")
    digests = {"amd64": put_image(name, "amd64", motd="hello"), "arm64": put_image(name, "arm64")}
    whole = put_index(name, **digests)
    sbom = attach(name, "application/spdx+json", b"{}", digests["amd64"])
    put_image(f"{address}/team/os:{subject_tag(whole)}.sig", of=whole)

    info = module(
        "oci_image_info",
        name=name,
        platform="linux/amd64",
        attached=True,
        tags=True,
        since=f"{address}/team/os@{older}",
        query='{size: sum(layers[].size), bootc: labels."containers.bootc", arm: platforms."linux/arm64"}',
        **PLAIN,
    )
    assert (info["digest"], info["index_digest"], info["created"]) == (digests["amd64"], whole, "2026-11-23T22:01:08Z"), info
    assert info["answer"] == {"size": info["size"], "bootc": "1", "arm": digests["arm64"]}
    assert info["download"] == {"size": info["layers"][1]["size"], "layers": 1, "digests": [info["layers"][1]["digest"]]}
    assert info["attached"][0]["digest"] == sbom
    assert [item["kind"] for item in info["attached"]] == ["sbom", "signature"]
    assert {"1", f"{subject_tag(whole)}.sig"} <= set(info["tags"])
    client = Registry(Access(plain_http=True), lambda _reference: None)
    if LISTS[kind]:
        with pytest.raises(ImageMissing):
            client.digest(there.with_tag(subject_tag(digests["amd64"])))

    # To Distribution 2, which lists nothing itself, and back under another name.
    mirror, back = f"{registry.address}/from-{kind}:1", f"{address}/back:1"
    for source, target in ((name, mirror), (mirror, back)):
        options = {"src": source, "dest": target, "src_registry": PLAIN, "dest_registry": PLAIN}
        predicted = module("oci_image_copy", check_mode=True, **options)
        done = module("oci_image_copy", **options)
        assert (predicted["copied"], done["digest"], len(done["copied"])) == (done["copied"], whole, 3), done
        assert not module("oci_image_copy", **options)["changed"]
        told = module("oci_image_info", name=target, platform="amd64", attached=True, **PLAIN)
        assert [(item["kind"], item["subject"]) for item in told["attached"]] == [("sbom", digests["amd64"]), ("signature", whole)]

    missing = module("oci_image_info", name=f"{address}/team/none:1", required=True, **PLAIN)
    assert missing["error"] == "image_missing"
    gone = module("oci_image_info", name=f"{address}/team/os@sha256:{'0' * 64}", **PLAIN)
    assert gone["exists"] is False
