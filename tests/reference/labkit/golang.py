# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""Programs that Debian does not have, built from Go modules: once for each version, and kept in the cache."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import store
from .say import LabError

# What the newest module that is built here asks for.
NEEDED = (1, 25, 0)
_OFFLINE = re.compile(r"dial tcp|no such host|i/o timeout|proxyconnect|TLS handshake|module lookup disabled|: 5\d\d ", re.I)


# What takes minutes to build; tests that need it are skipped until somebody ran `lab tools`.
TOOLS = {"cosign": ("github.com/sigstore/cosign/v3/cmd/cosign", "v3.1.3"), "syft": ("github.com/anchore/syft/cmd/syft", "v1.57.0")}


class GoMissing(LabError):
    """There is no Go here, or its modules cannot be had."""


def tool(name: str) -> Path:
    """One of TOOLS, if it was built.

    :raises GoMissing: it was not
    """
    package, version = TOOLS[name]
    found = _installed(package, version)
    if not found.exists():
        raise GoMissing(f"{name} {version} takes some minutes to build: `tests/reference/lab tools` does it, once")
    return found


def tools() -> list[Path]:
    """All of TOOLS, built; raises what `program` does."""
    return [program(*words) for words in TOOLS.values()]


def program(package: str, version: str) -> Path:
    """The program of a package, by `go install PACKAGE@VERSION`.

    :raises GoMissing: Go or the modules cannot be had
    :raises LabError: it does not build
    """

    def make(scratch: Path) -> None:
        _go(scratch, [["install", f"{package}@{version}"]], scratch)

    return store.artefact("go", _installed(package, version).parent.name, make) / package.rpartition("/")[2]


def _installed(package: str, version: str) -> Path:
    return store.CACHE / "go" / store.fingerprint([], package, version) / package.rpartition("/")[2]


def own_program(source: Path) -> Path:
    """The program in a directory with a go.mod; raises what `program` does."""

    def make(scratch: Path) -> None:
        shutil.copytree(source, scratch / "source")
        _go(scratch, [["mod", "tidy"], ["build", "-o", str(scratch / source.name), "."]], scratch / "source")

    return store.artefact("go", store.fingerprint([source]), make) / source.name


def _go(scratch: Path, commands: list[list[str]], directory: Path) -> None:
    """Run Go; modules and objects are some 500 MB that nobody needs afterwards."""
    with tempfile.TemporaryDirectory(prefix=".go-", dir=scratch.parent) as work:
        for words in commands:
            _run([str(_command()), *words], directory, GOBIN=str(scratch), GOMODCACHE=f"{work}/modules", GOCACHE=f"{work}/build")


def _command() -> Path:
    """The machine's Go, or where that is too old (Debian 12 has 1.19) a newer one, which is a Go module itself."""
    found = shutil.which("go") or next((str(path) for path in sorted(Path("/usr/lib").glob("go-*/bin/go"))), None)
    if not found:
        raise GoMissing("there is no Go on this machine; try `tests/reference/lab packages --install`")
    version = tuple(int(number) for number in re.findall(r"\d+", _run([found, "env", "GOVERSION"])))
    if version >= NEEDED:
        return Path(found)

    def make(scratch: Path) -> None:
        architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        module = f"golang.org/toolchain@v0.0.1-go{wanted}.linux-{architecture}"
        told = _run([found, "mod", "download", "-json", module], GOMODCACHE=str(scratch / "modules"))
        shutil.move(json.loads(told)["Dir"], scratch / "go")
        shutil.rmtree(scratch / "modules")
        # Modules carry no permissions.
        for path in (*(scratch / "go/bin").iterdir(), *(scratch / "go/pkg/tool").rglob("*")):
            path.chmod(0o755)

    wanted = ".".join(str(number) for number in NEEDED)
    return store.artefact("go-toolchain", wanted, make) / "go/bin/go"


def _run(words: list[str], directory: Path = Path("/"), **variables: str) -> str:
    # Without a C compiler; and nothing is stamped with the version control of what lies around it.
    fixed = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw -trimpath -buildvcs=false"}
    done = subprocess.run(words, cwd=directory, env={**os.environ, **fixed, **variables}, text=True, capture_output=True, check=False)
    if done.returncode == 0:
        return done.stdout
    tail = "\n".join(done.stderr.strip().splitlines()[-15:])
    error = GoMissing if _OFFLINE.search(done.stderr) else LabError
    raise error(f"`{' '.join(words[:4])}` ended with {done.returncode}:\n{tail}")
