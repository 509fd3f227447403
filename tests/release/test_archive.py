# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive for Galaxy: the same from the same files, nothing in it that does not belong, and playbooks that run from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import archive  # noqa: E402
import prepare  # noqa: E402

# What tools leave in a work tree.
LITTER = (
    ".cache/x",
    ".nox/x",
    ".ansible/x",
    ".mypy_cache/x",
    ".pytest_cache/x",
    ".ruff_cache/x",
    "docs/_build/x",
    "tests/output/x",
    "plugins/__pycache__/x.pyc",
    "imagemode-bootc-0.0.1.tar.gz",
    "bench/results/x.log",
)
# Tracked, and of no use to who installs it.
LEFT_OUT = (".ci/", ".github/", ".gitignore", ".pre-commit", "galaxy.yml")


def copied(target: Path, litter: bool) -> Path:
    """A copy of the collection, as it is tracked, in one order of its directories or the other."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for name in sorted(filter(None, listed.split("\0")), reverse=litter):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)
        (target / name).chmod((ROOT / name).stat().st_mode)
    for name in LITTER if litter else ():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("litter")
    return target


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two archives, of two copies."""
    base = tmp_path_factory.mktemp("archives")
    found = []
    for number in range(2):
        (base / f"out{number}").mkdir()
        found.append(archive.build(copied(base / f"copy{number}", bool(number)), base / f"out{number}", 1_700_000_000))
    return found[0], found[1]


def test_the_same_files_give_the_same_bytes(packed: tuple[Path, Path]) -> None:
    assert packed[0].read_bytes() == packed[1].read_bytes()


def test_it_holds_what_is_tracked_and_nothing_else(packed: tuple[Path, Path]) -> None:
    with tarfile.open(packed[1]) as file:
        names = {member.name for member in file.getmembers() if not member.isdir()}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    assert names == {name for name in tracked if not name.startswith(LEFT_OUT)} | {"MANIFEST.json", "FILES.json"}


def test_it_installs_into_an_empty_tree_and_a_playbook_runs_from_there(packed: tuple[Path, Path], tmp_path: Path) -> None:
    environment = {**prepare.environment(), "ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "tree")}
    environment.pop("PYTHONPATH", None)

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("ansible-galaxy", "collection", "install", "--offline", "--no-deps", "-p", str(tmp_path / "tree"), str(packed[0]))
    assert "Successfully verified" in run("ansible-galaxy", "collection", "verify", "--offline", "imagemode.bootc")
    inventory = {"bootc_hosts": {"hosts": {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}}
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    run("ansible-playbook", "-i", "inventory.json", "imagemode.bootc.report", "-e", f"report_directory={tmp_path}/report")
    (report,) = (tmp_path / "report").glob("*.json")
    assert json.loads(report.read_text())["hosts"] == 1
    assert os.path.exists(tmp_path / "tree/ansible_collections/imagemode/bootc/MANIFEST.json")


def test_the_project_can_be_signed_and_a_change_is_found(tmp_path: Path) -> None:
    """By ansible-sign, whose manifest MANIFEST.in decides; litter is none of its business."""
    project, keys = copied(tmp_path / "project", True), tmp_path / "keys"
    keys.mkdir(mode=0o700)
    variables = prepare.environment(GNUPGHOME=str(keys), GPG_TTY="none")

    def sign(verb: str) -> int:
        command = ["ansible-sign", "project", verb, "."]
        return subprocess.run(command, cwd=project, env=variables, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode

    key = ["--quick-gen-key", "Release <release@example.com>", "default", "default", "never"]
    subprocess.run(["gpg", "--batch", "--quiet", "--passphrase", "", *key], env=variables, check=True, capture_output=True)
    try:
        assert sign("gpg-sign") == 0
        assert sign("gpg-verify") == 0
        (project / ".cache/later").write_text("litter")
        assert sign("gpg-verify") == 0
        (project / "playbooks/update.yml").write_text("---\n")
        assert sign("gpg-verify") != 0
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=variables, check=False)
