# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What bootc would refuse is known in check mode, with the words of the real run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils import _foresight as foresight
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.about import NO_HOST
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.client import Bootc
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import BootcError
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.plan import Plan, Remote
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import Source
from ansible_collections.imagemode.bootc.plugins.module_utils._policy import PolicyFiles

NEW = "sha256:" + "7" * 64
ACCEPT, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]


@pytest.mark.parametrize(
    ("configuration", "error"),
    [
        ({"architecture": "arm64", "config": {"Labels": {"containers.bootc": "1"}}}, "architecture_mismatch"),
        ({"architecture": "amd64", "config": {"Labels": {"version": "1"}}}, "image_not_bootable"),
        ({"architecture": "amd64", "config": {"Labels": None}}, "image_not_bootable"),
        ([], "manifest_invalid"),
    ],
)
@pytest.mark.parametrize("module", ["bootc_switch", "bootc_upgrade"])
def test_a_wrong_image_is_refused_before_bootc_is_run(host: Any, documents: Any, module: str, configuration: Any, error: str) -> None:
    document = documents("booted")
    followed = json.loads(document)["status"]["booted"]["image"]["image"]["image"]
    image = "registry.test/other:1" if module == "bootc_switch" else followed
    options = {"image": image} if module == "bootc_switch" else {}
    host.set(document, registry={image: NEW})
    (host.base / "config.json").write_text(json.dumps(configuration))
    foreseen, real = (host.run(module, check_mode=check_mode, **options) for check_mode in (True, False))
    assert foreseen["error"] == real["error"] == error
    assert foreseen["msg"] == real["msg"]
    assert not any(call.startswith(f"bootc {module[6:]}") for call in host.calls)


def test_a_policy_that_is_not_enforced_is_refused(tmp_path: Path) -> None:
    files = PolicyFiles(tmp_path / "policy.json", tmp_path / "registries.d")
    files.path.write_text(json.dumps({"default": ACCEPT}))
    foresight.check_policy(Source("registry.test/os:1"), "registry.test/os:1", files)
    with pytest.raises(BootcError) as caught:
        foresight.check_policy(Source("registry.test/os:1", signature="containerPolicy"), "registry.test/os:1", files)
    assert caught.value.error == "signature_refused"


def test_a_policy_is_needed_where_the_backend_does_not_record_it(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Source] = []
    monkeypatch.setattr(foresight, "check_policy", lambda source, _name: checked.append(source))
    monkeypatch.setattr(foresight, "check_configuration", lambda _text, _image, **_options: ())
    bootc = Bootc()
    bootc.answer = Remote(NEW)
    asked: list[Source] = []
    monkeypatch.setattr(bootc, "configuration", lambda source: asked.append(source) or "{}")
    after = replace(NO_HOST, spec=Source("registry.test/os:1"))
    foresight.foresee(bootc, Plan("", after, (("bootc", "switch", "--enforce-container-sigpolicy", "--", "registry.test/os:1"),)))
    foresight.foresee(bootc, Plan("", after, (("bootc", "switch", "--", "registry.test/os:1"),)))
    assert [source.signature for source in checked] == ["containerPolicy", None]
    assert asked == [Source(f"registry.test/os@{NEW}")] * 2, "the tag may be moved meanwhile"
    foresight.foresee(bootc, Plan("", replace(NO_HOST, spec=Source("/srv/os", "oci"))))
    assert asked.pop() == Source("/srv/os", "oci")
    bootc.answer = None
    assert foresight.foresee(bootc, Plan("", after)) == ()
    assert len(asked) == 2


@pytest.mark.parametrize("label", ["containers.bootc", "ostree.bootable"])
@pytest.mark.parametrize("told", [True, False])
def test_either_label_makes_an_image_bootable(label: str, told: bool) -> None:
    configuration = {"config": {"Labels": {label: "1"}}, **({"architecture": foresight.architecture()} if told else {})}
    assert foresight.check_configuration(json.dumps(configuration), "registry.test/os:1") == ()


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        ({}, False),
        ({"default": ACCEPT}, False),
        ({"default": ACCEPT, "transports": {"docker-daemon": {"": REJECT}}}, False),
        ({"default": REJECT}, True),
        ({"default": ACCEPT, "transports": {"docker": {"registry.test": REJECT}}}, True),
    ],
)
def test_the_image_is_opened_only_where_a_policy_can_refuse_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: dict[str, Any], asked: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(foresight, "open_image", opened.append)
    files = PolicyFiles(tmp_path / "policy.json", tmp_path / "registries.d")
    files.path.write_text(json.dumps(policy))
    foresight.check_policy(Source("registry.test/os:1"), "registry.test/os@" + NEW, files)
    foresight.check_policy(Source("/srv/os", "oci"), "/srv/os", files)
    assert opened == (["registry.test/os@" + NEW] if asked else [])


def test_composefs_wants_no_label(host: Any, documents: Any) -> None:
    """Only the ostree importer of bootc 1.16.9 does (deploy.rs, require_bootable)."""
    host.set(documents("composefs"), registry={"registry.test/other:1": NEW})
    (host.base / "config.json").write_text(json.dumps({"architecture": "amd64", "config": {}}))
    result = host.run("bootc_switch", check_mode=True, image="registry.test/other:1")
    assert result["changed"] is True
    assert "neither of the labels" in str(result["warnings"])
