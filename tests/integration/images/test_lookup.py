# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup digest in a playbook, where each host's tasks are processes of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from .artifacts import put_image, put_index
from .conftest import LiveRegistry

HOSTS = [f"host{number}" for number in range(6)]


def play(tmp_path: Path, *expressions: str) -> subprocess.CompletedProcess[str]:
    tasks = [{"ansible.builtin.debug": {"msg": f"{number} {{{{ {text} }}}}"}} for number, text in enumerate(expressions)]
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "connection": "local", "tasks": tasks}]))
    return subprocess.run(
        ["ansible-playbook", "-f", str(len(HOSTS)), "-i", ",".join(HOSTS) + ",", str(playbook)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
    )


@pytest.fixture
def image(registry: LiveRegistry, tmp_path: Path) -> tuple[str, dict[str, str]]:
    """An index of two platforms: its name, and platform → digest, the index's own as C(index)."""
    name = f"{registry.address}/{tmp_path.name.replace('_', '-')}:1"
    digests = {architecture: put_image(name, architecture) for architecture in ("amd64", "arm64")}
    return name, {**digests, "index": put_index(name, **digests)}


def test_many_hosts_make_one_request_for_each_question(registry: LiveRegistry, image: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    name, digests = image
    asked = f"lookup('imagemode.bootc.digest', '{name}', plain_http=true"
    before = len(registry.requests)
    done = play(
        tmp_path,
        f"{asked}, platform='linux/arm64')",
        f"{asked}, platform='amd64')",
        f"{asked}, index=true)",
        f"{asked}, platform='linux/arm64', username='', password='')",
    )
    assert done.returncode == 0, done.stdout
    for number, digest in enumerate((digests["arm64"], digests["amd64"], digests["index"], digests["arm64"])):
        assert done.stdout.count(f'"msg": "{number} {digest}"') == len(HOSTS), done.stdout
    assert len(registry.requests) - before == 3, registry.requests[before:]


def test_an_empty_option_is_unset_and_certificates_are_checked(
    registry: LiveRegistry, guarded_registry: LiveRegistry, image: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    name, digests = image
    empty = "platform='amd64', validate_certs='', timeout='', retries='', index='', ca_path=''"
    done = play(tmp_path, f"lookup('imagemode.bootc.digest', '{name}', plain_http=true, {empty})")
    assert f'"msg": "0 {digests["amd64"]}"' in done.stdout, done.stdout
    failed = play(tmp_path, f"lookup('imagemode.bootc.digest', '{guarded_registry.address}/os:1', plain_http='', {empty})")
    assert "registry_tls: " in failed.stdout + failed.stderr


def test_the_next_run_asks_again_and_errors_have_their_code(
    registry: LiveRegistry, image: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    name, digests = image
    asked = "lookup('imagemode.bootc.digest', '{}', plain_http=true, index=true)"
    assert digests["index"] in play(tmp_path, asked.format(name)).stdout
    moved = put_image(name, more="x")
    assert moved in play(tmp_path, asked.format(name)).stdout
    for expression, code in (
        (asked.format(f"{name}-none"), "image_missing"),
        (f"lookup('imagemode.bootc.digest', '{name}', plain_http=true, platform='a/b/c/d')", "option_invalid"),
    ):
        failed = play(tmp_path, expression)
        assert failed.returncode != 0
        assert f"{code}: " in failed.stdout + failed.stderr


def test_what_two_manifests_share_is_told(registry: LiveRegistry, image: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    """The images of the two platforms hold the same files, and another configuration."""
    name, digests = image
    asked = f"lookup('imagemode.bootc.digest', '{name}', plain_http=true, platform='{{}}', content='{{}}')"
    done = play(tmp_path, *(asked.format(*pair) for pair in (("amd64", "layers"), ("arm64", "layers"), ("amd64", "configuration"))))
    assert done.returncode == 0, done.stdout
    layers, of_arm, configuration = (re.findall(rf'"msg": "{number} (sha256:\w+)"', done.stdout)[0] for number in range(3))
    assert layers == of_arm
    assert len({layers, configuration, *digests.values()}) == 5
    gone = f"lookup('imagemode.bootc.digest', '{name}@sha256:{'0' * 64}', plain_http=true, content='layers', errors='ignore') is none"
    assert '"msg": "0 True"' in play(tmp_path, gone).stdout
