# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the archive that Galaxy gets: `python3 tests/archive.py [DIRECTORY]`; the same commit gives the same bytes.

What `ansible-galaxy collection build` writes depends on the clock and on the order of directories (ansible-core 2.19,
``galaxy/collection``): here its files are listed and packed in the order of their names, at the time of the last commit.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from prepare import ROOT, environment, prepare


def build(source: Path, target: Path, seconds: int) -> Path:
    """:param source: a directory with the collection
    :param target: the directory for the archive
    :param seconds: time of the files in it, seconds since 1970
    :returns: the archive
    """
    with tempfile.TemporaryDirectory() as scratch:
        command = ["ansible-galaxy", "collection", "build", "--output-path", scratch, str(source)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment())
        (built,) = Path(scratch).glob("*.tar.gz")
        with tarfile.open(built) as archive:
            members = [member for member in archive.getmembers() if member.name]
            contents = {member.name: archive.extractfile(member).read() for member in members if member.isfile()}  # type: ignore[union-attr]
        # A directory without files is one that a tool left: Git has none.
        kept = {".", *contents, *(str(parent) for name in contents for parent in Path(name).parents)}
        members = [member for member in members if member.name in kept]
        listed = json.loads(contents["FILES.json"])
        listed["files"] = sorted((entry for entry in listed["files"] if entry["name"] in kept), key=lambda entry: entry["name"])
        contents["FILES.json"] = json.dumps(listed, indent=1).encode()
        manifest = json.loads(contents["MANIFEST.json"])
        manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(contents["FILES.json"]).hexdigest()
        contents["MANIFEST.json"] = json.dumps(manifest, indent=1).encode()
        packed = target / built.name
        with (
            packed.open("wb") as file,
            gzip.GzipFile("", "wb", 9, file, 0) as stream,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for member in sorted(members, key=lambda member: member.name):
                member.mtime, member.uid, member.gid, member.uname, member.gname, member.pax_headers = seconds, 0, 0, "", "", {}
                content = contents.get(member.name)
                member.size = len(content or b"")
                archive.addfile(member, None if content is None else io.BytesIO(content))
        return packed


def main() -> int:
    """Of the last commit, whatever else is in the work tree."""
    prepare()
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    committed = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(f"git archive HEAD | tar -x -C '{scratch}'", shell=True, cwd=ROOT, check=True)  # noqa: S602
        packed = build(Path(scratch), target, int(committed))
    print(f"{hashlib.sha256(packed.read_bytes()).hexdigest()}  {packed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
