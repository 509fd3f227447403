# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the documentation as a site: `make docs`, then open .cache/site/index.html. A warning is an error.

The pages are those of docs/ and the roles' READMEs; modules, plugins and roles with their options and return values come from their own
documentation and argument specifications, by antsibull-docs.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from prepare import CACHE, COLLECTION, ROOT, environment, prepare, say

VENV, SOURCE, SITE = CACHE / "venv-docs", CACHE / "site-source", CACHE / "site"
REPOSITORY = "https://github.com/imagemode/bootc/blob/main"
INDEX = """# imagemode.bootc

```{{toctree}}
:caption: Begin
README
docs/tutorial
```
```{{toctree}}
:caption: How to
:glob:
docs/howto/*
docs/updates
docs/signing
docs/registries
docs/bare-metal
docs/scale
```
```{{toctree}}
:caption: Reference
reference/index
docs/errors
docs/bootc-commands
docs/coming-from
{roles}
```
```{{toctree}}
:caption: Behind it
docs/security
docs/claims
docs/architecture
docs/release
CONTRIBUTING
SECURITY
{decisions}
```
"""


def tools() -> None:
    """A Python environment of their own, keyed by what is in it."""
    requirements = ROOT / "docs/requirements.txt"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp = VENV / "requirements.sha256"
    if not stamp.exists() or stamp.read_text() != key:
        say("Making the Python environment for the documentation")
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(VENV / "bin/pip"), "install", "--quiet", "-r", str(requirements)], check=True)
        stamp.write_text(key)


def pages() -> list[str]:
    """The project's own pages, where links to what is no page lead to the repository.

    :returns: their names
    """
    named = {
        path: path
        for path in [
            Path("README.md"),
            Path("CONTRIBUTING.md"),
            Path("SECURITY.md"),
            *(path.relative_to(COLLECTION) for path in sorted((COLLECTION / "docs").rglob("*.md"))),
            *(path.relative_to(COLLECTION) for path in sorted((COLLECTION / "roles").glob("*/README.md"))),
        ]
    }
    for page in named:

        def link(match: re.Match[str], page: Path = page) -> str:
            target = match[2].partition("#")[0]
            if not target or ":" in target:
                return match[0]
            path = (COLLECTION / page.parent / target).resolve()
            if not path.exists():
                raise SystemExit(f"{page}: '{target}' is not there")
            relative = path.relative_to(COLLECTION.resolve())
            return match[0] if relative in named else f"{match[1]}({REPOSITORY}/{relative})"

        text = re.sub(r"(\[[^\]]*\])\(([^)\s]+)\)", link, (COLLECTION / page).read_text())
        (SOURCE / page).parent.mkdir(parents=True, exist_ok=True)
        (SOURCE / page).write_text(re.sub(r"^```mermaid$", "```text", text, flags=re.M))
    return [str(path.with_suffix("")) for path in named]


def main() -> int:
    prepare()
    tools()
    shutil.rmtree(SOURCE, ignore_errors=True)
    (SOURCE / "reference").mkdir(parents=True)
    variables = environment(PATH=f"{VENV / 'bin'}:/usr/bin:/bin")
    words = [
        "antsibull-docs",
        "collection",
        "--use-current",
        "--squash-hierarchy",
        "--fail-on-error",
        "--dest-dir",
        str(SOURCE / "reference"),
        "imagemode.bootc",
    ]
    rc = subprocess.run(words, env=variables, check=False).returncode
    if rc != 0:
        return rc
    names = pages()
    shutil.copy(COLLECTION / "docs/conf.py", SOURCE)
    (SOURCE / "index.md").write_text(
        INDEX.format(
            roles="\n".join(name for name in names if name.startswith("roles/")),
            decisions="\n".join(name for name in names if name.startswith("docs/decisions/")),
        )
    )
    return subprocess.run(
        ["sphinx-build", "-q", "-W", "--keep-going", "-b", "html", str(SOURCE), str(SITE)], env=variables, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
