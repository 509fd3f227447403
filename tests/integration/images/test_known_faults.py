# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wrong answers that people know from other modules, each asked of ours. A new digest of the base is in test_images.py, a push
that is always `changed` in test_push.py, C(x86_64) in test_platforms.py.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import PASSWORD, USER, LiveRegistry, holders
from .test_engines import programs

Module = Callable[..., dict[str, Any]]


def test_a_changed_context_file_was_ignored_and_the_old_image_pushed(module: Module, context: Path, registry: LiveRegistry) -> None:
    options = {"name": f"{registry.address}/fault-context:1", "plain_http": True}
    module("oci_image_build", context=str(context), **options)
    old = module("oci_image_push", **options)["digest"]
    (context / "etc" / "motd").write_text("new\n")
    assert module("oci_image_build", context=str(context), **options)["changed"]
    pushed = module("oci_image_push", **options)
    assert pushed["changed"]
    assert pushed["digest"] == registry.digest("fault-context", "1") != old


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (1, "1"), (1.5, "1.5"), ("", ""), ("yes", "yes"), ({"a": [1]}, '{"a": [1]}')])
def test_a_changed_build_argument_was_ignored_or_spelled_as_python_spells_it(module: Module, context: Path, value: Any, text: str) -> None:
    options = {"name": "fault-argument:1", "context": str(context)}
    module("oci_image_build", **options)
    assert module("oci_image_build", build_args={"RELEASE": value}, **options)["changed"]
    same = module("oci_image_build", build_args={"RELEASE": text}, **options)
    assert not same["changed"], "what was written in YAML is what counts"
    assert module("oci_image_build", **options)["changed"], "an argument that was taken away is a change, too"


def test_a_changed_secret_target_or_platform_was_ignored(module: Module, context: Path) -> None:
    text = "FROM scratch AS small\nCOPY etc/motd /motd\nFROM scratch\nCOPY etc /etc\n"
    options: dict[str, Any] = {"name": "fault-options:1", "context": str(context), "content": text}
    module("oci_image_build", **options)
    for more, reason in (
        ({"secrets": [{"id": "token", "value": "x"}]}, "secret id token"),
        ({"target": "small"}, "target"),
        ({"platform": "linux/arm64" if os.uname().machine == "x86_64" else "linux/amd64"}, "platform"),
    ):
        options.update(more)
        changed = module("oci_image_build", **options)
        assert any(reason in why for why in changed.get("reasons", [])), (changed.get("msg"), changed.get("log"))
        again = module("oci_image_build", **options)
        assert (again["changed"], again["reasons"]) == (False, []), (changed, again)


def test_a_changed_base_image_was_ignored(module: Module, context: Path, registry: LiveRegistry) -> None:
    base, plain = f"{registry.address}/fault-base:1", {"plain_http": True}
    child = {"name": "fault-child:1", "context": str(context), "content": f"FROM {base}\nLABEL child=1\n", **plain}
    for text, reason in (("old\n", "there is no such image yet"), ("new\n", f"base image {base} changed")):
        (context / "etc" / "motd").write_text(text)
        module("oci_image_build", name=base, context=str(context), **plain)
        module("oci_image_push", name=base, **plain)
        (context / "etc" / "motd").write_text("of the child\n")
        built = module("oci_image_build", **child)
        assert (built["changed"], built["reasons"]) == (True, [reason])
        assert not module("oci_image_build", **child)["changed"]


def test_what_was_forced_was_built_for_ever(module: Module, context: Path) -> None:
    """With force the old result was thrown away, so that only force kept anybody up to date."""
    options = {"name": "fault-force:1", "context": str(context)}
    assert module("oci_image_build", force=True, **options)["changed"]
    assert not module("oci_image_build", **options)["changed"], "a forced build is remembered like any other"


@pytest.mark.parametrize(("spelled", "also"), [("linux/amd64", "x86_64"), ("linux/arm64", "aarch64")])
def test_x86_64_was_another_platform_than_amd64(module: Module, context: Path, spelled: str, also: str) -> None:
    options = {"name": f"fault-platform-{also.replace('_', '-')}:1", "context": str(context)}
    assert module("oci_image_build", platform=spelled, **options)["changed"]
    for other in (also, f"linux/{also}"):
        assert not module("oci_image_build", platform=other, **options)["changed"], other


def test_a_push_was_always_a_change_took_15_requests_and_told_the_local_digest(
    module: Module, context: Path, registry: LiveRegistry, engine: str
) -> None:
    options = {"name": f"{registry.address}/fault-push-{engine}:1", "plain_http": True, "engine": engine}
    module("oci_image_build", context=str(context), **options)
    pushed = module("oci_image_push", **options)
    assert pushed["digest"] == registry.digest(f"fault-push-{engine}", "1")
    before = len(registry.requests)
    predicted, again = module("oci_image_push", check_mode=True, **options), module("oci_image_push", **options)
    assert (predicted["changed"], again["changed"], again["digest"]) == (False, False, pushed["digest"])
    sent = registry.requests[before:]
    assert len(sent) <= 4, sent
    assert not [line for line in sent if line.split()[0] not in ("GET", "HEAD")]


def test_a_push_had_no_check_mode(module: Module, context: Path, registry: LiveRegistry, engine: str) -> None:
    options = {"name": f"{registry.address}/fault-check-{engine}:1", "plain_http": True, "engine": engine}
    module("oci_image_build", context=str(context), **options)
    predicted = module("oci_image_push", check_mode=True, **options)
    assert (predicted["changed"], registry.digest(f"fault-check-{engine}", "1")) == (True, None)
    assert module("oci_image_push", **options)["changed"]


def test_a_new_tag_on_layers_that_are_there_was_reported_as_unchanged(module: Module, context: Path, registry: LiveRegistry) -> None:
    options = {"name": f"{registry.address}/fault-tag:1", "plain_http": True}
    module("oci_image_build", context=str(context), **options)
    digest = module("oci_image_push", **options)["digest"]
    tagged = module("oci_image_push", to=f"{registry.address}/fault-tag:2", **options)
    assert (tagged["changed"], tagged["digest"]) == (True, digest)
    assert registry.digest("fault-tag", "2") == digest


def test_credentials_and_secrets_were_on_the_command_line(
    module: Module, context: Path, guarded_registry: LiveRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """The engine is the real one behind a script that writes down its arguments and its environment."""
    seen = tmp_path / "seen"
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / engine
    script.write_text(f'#!/bin/sh\n(echo "$@"; env) >> {seen}\nexec {shutil.which(engine)} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    options = {"name": f"{guarded_registry.address}/fault-argv-{engine}:1", "engine": engine, "username": USER, "password": PASSWORD}
    options["validate_certs" if engine == "docker" else "ca_path"] = False if engine == "docker" else str(guarded_registry.base / "ca.crt")
    built = module("oci_image_build", context=str(context), secrets=[{"id": "token", "value": "canary-of-a-secret"}], **options)
    assert built["changed"], built
    pushed = module("oci_image_push", **options)
    assert pushed["changed"], pushed
    text = seen.read_text()
    assert "push" in text
    assert PASSWORD not in text
    assert "canary-of-a-secret" not in text
    assert "canary-of-a-secret" not in str(built)


def test_secrets_from_variables_were_passed_as_none(
    module: Module, context: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """The build fails unless each secret holds what it should, and none is in the image or left behind."""
    programs(context)
    monkeypatch.setenv("TOKEN", "from-the-variable")
    (tmp_path / "a token, of mine").write_text("from-the-file\n")
    names = ("file", "variable", "value")
    checks = " && ".join(f'[ "$(read -r a < /run/secrets/{name} || :; echo $a)" = "from-the-{name}" ]' for name in names)
    mounts = " ".join(f"--mount=type=secret,id={name}" for name in names)
    built = module(
        "oci_image_build",
        name=f"fault-secrets-{engine}:1",
        context=str(context),
        engine=engine,
        network="host",
        content=f"FROM scratch\nCOPY root /\nRUN {mounts} {checks}\n",
        secrets=[
            {"id": "file", "file": str(tmp_path / "a token, of mine")},
            {"id": "variable", "env": "TOKEN"},
            {"id": "value", "value": "from-the-value"},
        ],
    )
    assert built["changed"], built
    assert holders("from-the-value") == holders("from-the-variable") == []


@pytest.mark.parametrize(
    "secrets",
    [
        [{"id": "a", "env": "NOT_SET_ANYWHERE"}],
        [{"id": "a", "file": "/not/there"}],
        [{"id": "a", "file": "/etc"}],
        [{"id": "a,src=/etc/hostname", "value": "x"}],
        [{"id": "a", "value": "x"}, {"id": "a", "value": "y"}],
        [{"id": "a", "value": ""}],
    ],
)
def test_a_secret_that_cannot_be_given_is_told_before_the_build(module: Module, context: Path, secrets: list[dict[str, str]]) -> None:
    for check_mode in (True, False):
        told = module("oci_image_build", check_mode=check_mode, name="no-secret:1", context=str(context), secrets=secrets)
        assert (told.get("error"), told["changed"]) == ("option_invalid", False), told


def test_a_short_secret_spoils_nothing(module: Module, context: Path, engine: str) -> None:
    """Masked in all that is said, and not in what engines tell of an image: there it may be a part of any word."""
    options = {"name": f"fault-short-{engine}:1", "context": str(context), "engine": engine, "secrets": [{"id": "a", "value": "x"}]}
    assert module("oci_image_build", **options)["changed"]
    assert not module("oci_image_build", **options)["changed"]


def test_the_containerfile_was_written_into_the_context(module: Module, context: Path, engine: str) -> None:
    def entries() -> list[str]:
        return sorted(str(path.relative_to(context)) for path in context.rglob("*"))

    before = entries()
    (context / "Containerfile").chmod(0o400)
    options = {"name": f"fault-temporary-{engine}:1", "context": str(context), "engine": engine, "content": "FROM scratch\nCOPY . /all\n"}
    assert module("oci_image_build", **options)["changed"]
    assert entries() == before
    assert not module("oci_image_build", **options)["changed"], "nothing of the module's own is in what it copied"
