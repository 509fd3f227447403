# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The road to a site without a network: a registry, a stick, the role that serves there, the site's clients."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .artifacts import attach, put_image, put_index
from .conftest import PASSWORD, USER, LiveRegistry

Module = Callable[..., dict[str, Any]]
PLAIN = {"plain_http": True}


@pytest.fixture
def site(tmp_path: Path, guarded_registry: LiveRegistry) -> Iterator[Callable[..., dict[str, Any]]]:
    """Runs the role on this machine, with TLS and a password; what it started is stopped."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = guarded_registry.base
    variables = {
        "registry_address": f"0.0.0.0:{port}",
        "registry_directory": str(tmp_path / "site"),
        "registry_tls_certificate": f"{base}/ca.crt",
        "registry_tls_key": f"{base}/key.pem",
        "registry_htpasswd": f"{base}/htpasswd",
        "registry_username": USER,
        "registry_password": PASSWORD,
        # Not the machine's own services: the registry is a process here, whatever starts services.
        "__registry_systemd": False,
    }
    playbook = tmp_path / "site.yml"
    playbook.write_text(
        json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "roles": [{"role": "imagemode.bootc.registry"}]}])
    )

    def run(*words: str, **more: Any) -> dict[str, Any]:
        (tmp_path / "variables.json").write_text(json.dumps({**variables, **more}))
        done = subprocess.run(
            ["ansible-playbook", "-i", "localhost,", "-e", f"@{tmp_path}/variables.json", *words, str(playbook)],
            env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_PYTHON_INTERPRETER": sys.executable},
            capture_output=True,
            text=True,
            check=False,
        )
        assert PASSWORD not in done.stdout
        result = json.loads(done.stdout[done.stdout.index("{") :])
        assert done.returncode == 0, [host for task in result["plays"][0]["tasks"] for host in task["hosts"].values() if host.get("failed")]
        return {"address": f"127.0.0.1:{port}", "changed": result["stats"]["localhost"]["changed"]}

    yield run
    run(registry_state="absent", registry_images="")


def test_from_a_registry_by_a_stick_to_a_registry_that_serves_the_site(
    module: Module, registry: LiveRegistry, guarded_registry: LiveRegistry, tmp_path: Path, site: Callable[..., dict[str, Any]]
) -> None:
    """An index of two platforms, an SBOM and a signature: every digest is the same at the other end."""
    name = f"{registry.address}/{tmp_path.name.replace('_', '-')}:1"
    digests = {architecture: put_image(name, architecture) for architecture in ("amd64", "arm64")}
    whole = put_index(name, **digests)
    put_image(f"{name.rpartition(':')[0]}:{whole.replace(':', '-')}.sig", of=whole)
    sbom = attach(name, "application/spdx+json", b"{}", digests["arm64"])
    stick = f"oci-archive:{tmp_path}/stick.tar:os-1"
    assert module("oci_image_copy", src=name, dest=stick, src_registry=PLAIN)["digest"] == whole

    images = [{"src": stick, "dest": "team/os:1"}]
    assert site("--check", registry_images=images)["changed"]
    first = site(registry_images=images)
    assert first["changed"]
    access = {"ca_path": f"{guarded_registry.base}/ca.crt", "username": USER, "password": PASSWORD}
    there = module("oci_image_info", name=f"{first['address']}/team/os:1", platform="linux/arm64", attached=True, **access)
    assert (there["index_digest"], there["digest"]) == (whole, digests["arm64"])
    assert there["platforms"] == {f"linux/{architecture}": digest for architecture, digest in digests.items()}
    assert [(item["kind"], item["subject"]) for item in there["attached"]] == [("sbom", digests["arm64"]), ("signature", whole)]
    assert there["attached"][0]["digest"] == sbom
    assert site(registry_images=images)["changed"] == 0
