# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts of one play that want different things, each by its own variables."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from fake_registry import FakeRegistry
from fleet import CLOSED, NEW, OLD, Fleet, artifacts


@contextmanager
def registry(digest: str, manifests: Mapping[str, bytes] | None = None) -> Iterator[str]:
    """:returns: its address"""
    fake = FakeRegistry(digest, manifests=manifests)
    try:
        yield fake.address
    finally:
        fake.stop()


def hosts_vary(fleet: Fleet, *variables: dict[str, Any]) -> None:
    """Give each host variables of its own, in the order of their names."""
    (fleet.base / "host_vars").mkdir()
    for name, own in zip(fleet.names, variables, strict=True):
        (fleet.base / "host_vars" / f"{name}.json").write_text(json.dumps(own))


def test_a_first_host_with_a_digest_of_its_own_leaves_the_others_theirs(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 2)
    with registry(NEW) as address:
        hosts_vary(fleet, {"update_digest": OLD}, {})
        said = [{"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} wants {{ update_result.wanted }}"}}]
        play = {"hosts": "bootc_hosts", "gather_facts": False, "roles": ["imagemode.bootc.update"], "post_tasks": said}
        (fleet.base / "update.yml").write_text(json.dumps([play]))
        options = {"update_image": f"{address}/os:1", "update_registry_options": {"plain_http": True}, "update_window": CLOSED}
        rc, output = fleet.play("update.yml", **options)
    assert rc == 0, output
    assert f"host0000 wants {OLD}" in output
    assert f"host0001 wants {NEW}" in output


def test_each_host_of_a_report_is_compared_with_its_own_image(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "fleet", 3)
    with registry(OLD) as old, registry(NEW) as new:
        hosts_vary(fleet, {"report_image": f"{old}/os:1"}, {"report_image": f"{new}/os:1"}, {"report_digest": NEW})
        rc, output = fleet.play("imagemode.bootc.report", report_registry_options={"plain_http": True})
    assert rc == 0, output
    rows = {row["host"]: row["wanted"] for row in json.loads((fleet.base / "report/report.json").read_text())["rows"]}
    assert rows == {"host0000": OLD, "host0001": NEW, "host0002": NEW}
    assert artifacts(output) == {"report_states": {"drifted": 2, "current": 1}, "report_digests": {OLD: 3}}


def test_the_digest_of_an_index_is_that_of_the_platform_to_a_host(tmp_path: Path) -> None:
    """As a rollout of an image for several platforms names it; the registry tells of which digests it is one."""
    platform = {"os": "linux", "architecture": "amd64"}
    kinds = [f"application/vnd.oci.image.{kind}.v1+json" for kind in ("index", "manifest")]
    entries = [{"mediaType": kinds[1], "digest": OLD, "size": 2, "platform": platform}]
    body = json.dumps({"schemaVersion": 2, "mediaType": kinds[0], "manifests": entries}).encode()
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    fleet = Fleet(tmp_path / "fleet", 2)
    state = fleet.state("host0001")
    state["booted"]["digest"] = NEW
    (fleet.base / "host0001/state.json").write_text(json.dumps(state))
    with registry(NEW, {digest: body}) as address:
        options = {
            "report_image": f"{address}/os:1",
            "report_registry_options": {"plain_http": True, "retries": 0},
            "report_digest": digest,
        }
        rc, output = fleet.play("imagemode.bootc.report", **options)
        assert rc == 0, output
        assert artifacts(output)["report_states"] == {"drifted": 1, "current": 1}
    rc, output = fleet.play("imagemode.bootc.report", **{**options, "report_digest": NEW})
    assert (rc, artifacts(output)["report_states"]) == (0, {"drifted": 1, "current": 1}), "a digest is compared though no registry answers"


def test_an_image_that_was_only_compressed_anew_is_no_drift(tmp_path: Path) -> None:
    """Another manifest with the same configuration is the same image to bootc; the third one is gone from the registry."""
    kind = "application/vnd.oci.image.manifest.v1+json"
    bodies = [
        json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": kind,
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": configuration, "size": 2},
                "layers": [{"mediaType": f"application/vnd.oci.image.layer.v1.tar+{layer}", "digest": OLD, "size": 2}],
            }
        ).encode()
        for configuration, layer in ((NEW, "gzip"), (NEW, "zstd"), (OLD, "gzip"))
    ]
    wanted, same, other = (f"sha256:{hashlib.sha256(body).hexdigest()}" for body in bodies)
    fleet = Fleet(tmp_path / "fleet", 4)
    for name, digest in zip(fleet.names, (wanted, same, other, "sha256:" + "c" * 64), strict=True):
        state = fleet.state(name)
        state["booted"]["digest"] = digest
        (fleet.base / name / "state.json").write_text(json.dumps(state))
    with registry(wanted, dict(zip((wanted, same, other), bodies))) as address:
        options = {"report_image": f"{address}/os:1", "report_registry_options": {"plain_http": True, "retries": 0}}
        rc, output = fleet.play("imagemode.bootc.report", **options)
    assert rc == 0, output
    states = {row["host"]: row["state"] for row in json.loads((fleet.base / "report/report.json").read_text())["rows"]}
    assert states == dict(zip(fleet.names, ("current", "current", "drifted", "drifted"))), output
