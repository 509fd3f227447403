# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests, the demo and the benchmarks run in: a Python environment and the collection where Ansible looks for it.

Everything is under .cache/ (IMAGEMODE_CACHE names another place).
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("IMAGEMODE_CACHE") or ROOT / ".cache").resolve()
TREE = CACHE / "tree"
COLLECTION = TREE / "ansible_collections" / "imagemode" / "bootc"
VENV = CACHE / "venv"
LOGS = CACHE / "logs"
# What ansible-test writes, perhaps just now.
KEPT = (("tests", "output"),)


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def prepare() -> None:
    """A Python environment keyed by its requirements, and a fresh copy of the collection."""
    if os.environ.get("IMAGEMODE_PREPARED"):
        return  # by the program that runs this one, and perhaps others at the same time
    LOGS.mkdir(parents=True, exist_ok=True)
    requirements = ROOT / "tests" / "requirements.txt"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    # Worktrees that differ in their requirements may share an environment that fits both.
    stamp = VENV / f"requirements-{key[:16]}"
    if not stamp.exists():
        say("Making the Python environment (a minute or two)")
        shutil.rmtree(VENV, ignore_errors=True)
        if importlib.util.find_spec("ensurepip") is None:
            _install("python3-venv")
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(VENV / "bin/pip"), "install", "--quiet", "-r", str(requirements)], check=True)
        stamp.touch()
    with (CACHE / "tree.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _copy_collection()


def _copy_collection() -> None:
    """What changed is replaced file by file: a run that goes on beside this one always finds all of them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    wanted = {COLLECTION / name: ROOT / name for name in listed.split("\0") if name and os.path.lexists(ROOT / name)}
    for target, source in wanted.items():
        if _differ(source, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_name(f".{target.name}.{os.getpid()}")
            shutil.copy2(source, fresh, follow_symlinks=False)
            fresh.replace(target)
    for path in sorted(COLLECTION.rglob("*"), reverse=True):
        if path in wanted or path.relative_to(COLLECTION).parts[:2] in KEPT or path.relative_to(COLLECTION).parts[0] == ".git":
            continue
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        elif not any(path.iterdir()):
            path.rmdir()
    # ansible-test wants to know what is tracked.
    subprocess.run("git init -q . && git add -A", shell=True, cwd=COLLECTION, check=True)  # noqa: S602


def _differ(source: Path, target: Path) -> bool:
    if not os.path.lexists(target) or source.is_symlink() or target.is_symlink():
        return True
    one, other = source.stat(), target.stat()
    return (one.st_size, one.st_mtime_ns, one.st_mode) != (other.st_size, other.st_mtime_ns, other.st_mode)


def enter() -> None:
    """Go on, from the beginning, in the Python that has Ansible and the collection."""
    if os.environ.get("IMAGEMODE_PREPARED"):
        return
    prepare()
    program = str(VENV / "bin/python")
    os.execve(program, [program, *sys.argv], environment(IMAGEMODE_PREPARED="1", PYTHONPATH=str(TREE)))


def _install(package: str) -> None:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        sys.exit(f"This needs Debian's {package}, or what your system calls it.")
    say(f"Installing {package}")
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-q"], ["install", "-qy", "--no-install-recommends", package]):
        subprocess.run(["apt-get", *words], check=True, stdout=subprocess.DEVNULL, env=variables)


def environment(**more: str) -> dict[str, str]:
    """The environment in which `ansible-playbook` and the other tools are those of the project."""
    return {
        **os.environ,
        "PATH": f"{VENV / 'bin'}:{os.environ.get('PATH', '')}",
        "ANSIBLE_COLLECTIONS_PATH": str(TREE),
        "IMAGEMODE_CACHE": str(CACHE),
        "ANSIBLE_FORCE_COLOR": "0",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }
