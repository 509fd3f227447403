# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role update as Ansible runs it, on a fake host; and a pull that is followed by the action plugin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

NEW = "sha256:" + "1" * 64
# What belongs to root, on file systems of its own that end with the play.
APART = 'mount -t tmpfs none /run && mount -t tmpfs none /var/lib && exec ansible-playbook -i localhost, -c local "$@"'

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for file systems of its own")


def play(host: Any, playbook: Path, variables: dict[str, str]) -> str:
    """:returns: what Ansible said"""
    programs = Path(sys.executable).parent
    done = subprocess.run(
        [
            "unshare",
            "-m",
            "sh",
            "-c",
            APART,
            "sh",
            str(playbook),
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            "-e",
            json.dumps(variables),
        ],
        env={
            **os.environ,
            "PATH": f"{host.base}/bin:{programs}:/usr/sbin:/usr/bin:/sbin:/bin",
            "FAKE_HOST": str(host.base),
            "ANSIBLE_COLLECTIONS_PATH": os.environ["PYTHONPATH"],
            "ANSIBLE_HOME": str(host.base / "home"),
            "NO_COLOR": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def staged(document: str, **slot: Any) -> str:
    changed = json.loads(document)
    new = json.loads(json.dumps(changed["status"]["booted"]))
    new["image"]["imageDigest"] = NEW
    changed["status"]["staged"] = {**new, **slot}
    return json.dumps(changed)


def prepared(host: Any, documents: Callable[[str], str], **step: Any) -> str:
    """:returns: the digest that the host runs"""
    before = documents("booted")
    steps = {
        "bootc upgrade": {"after": staged(before), **step},
        "bootc upgrade --download-only": {"after": staged(before, downloadOnly=True)},
        "bootc upgrade --from-downloaded": {"after": staged(before, downloadOnly=False)},
    }
    image = json.loads(before)["spec"]["image"]["image"]
    host.set(before, steps, {image: NEW})
    return str(json.loads(before)["status"]["booted"]["image"]["imageDigest"])


def test_windows_downloads_and_checks(host: Any, documents: Callable[[str], str]) -> None:
    pytest.importorskip("ansible_collections.community.general", reason="needs the filter json_query")
    now = datetime.now(timezone.utc)
    play(
        host,
        Path(__file__).with_name("update.yml"),
        {
            "booted": prepared(host, documents),
            "new": NEW,
            "calls": str(host.base / "calls"),
            "opens": f"{now + timedelta(hours=2):%H:%M}",
            "closes": f"{now + timedelta(hours=3):%H:%M}",
        },
    )


def test_how_far_a_pull_is_is_shown(host: Any, documents: Callable[[str], str], tmp_path: Path) -> None:
    prepared(host, documents, seconds=12)
    playbook = tmp_path / "upgrade.yml"
    playbook.write_text("- {hosts: localhost, gather_facts: false, tasks: [{imagemode.bootc.bootc_upgrade: {}}]}\n")
    text = play(host, playbook, {})
    assert "[localhost] bootc upgrade: pulling 25 % (1 kB of 4 kB)" in text
    assert "changed=1" in text


SYSTEMCTL = """#!/bin/sh
case "$*" in
  "is-active --quiet own.timer") test -e "$FAKE_HOST/active" ;;
  "stop own.timer") rm "$FAKE_HOST/active" ;;
  "start own.timer") touch "$FAKE_HOST/active" ;;
  *) exit 1 ;;
esac
"""


def test_a_timer_is_stopped_while_the_role_works_and_started_again(host: Any, tmp_path: Path) -> None:
    """Also if the run that stopped it was killed; one that did not run stays as it was."""
    (host.base / "bin/systemctl").write_text(SYSTEMCTL)
    (host.base / "bin/systemctl").chmod(0o755)
    active = str(host.base / "active")

    def role(file: str, runs: bool) -> list[dict[str, Any]]:
        options = {"update_pause_timers": ["own.timer"]}
        included = {"ansible.builtin.include_role": {"name": "imagemode.bootc.update", "tasks_from": file}, "vars": options}
        return [included, {"ansible.builtin.assert": {"that": f"{'' if runs else 'not '}('{active}' is exists)", "quiet": True}}]

    steps = [("resume", False), ("pause", False), ("resume", False)]
    tasks = [task for file, runs in steps for task in role(file, runs)]
    tasks.append({"ansible.builtin.file": {"path": active, "state": "touch", "mode": "0600"}})
    steps = [("pause", False), ("pause", False), ("resume", True), ("resume", True)]
    tasks += [task for file, runs in steps for task in role(file, runs)]
    playbook = tmp_path / "timers.yml"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    assert "failed=0" in play(host, playbook, {})
