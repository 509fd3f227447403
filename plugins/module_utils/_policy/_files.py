# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a policy, as they are and as they are to be."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copy
from typing import Any

from .._replace import replace_file
from ._policy import PolicyInvalid

# The file of containers-registries.d(5) that the collection owns; JSON, which is YAML.
OWN = "50-imagemode-bootc.yaml"


@dataclass(frozen=True)
class PolicyFiles:
    """Where a policy is.

    :ivar path: policy.json
    :ivar registries_d: directory of containers-registries.d(5)
    """

    path: Path
    registries_d: Path

    def policy(self) -> dict[str, Any]:
        """:raises PolicyInvalid: it is there and cannot be read as one"""
        return _read(self.path)

    def storage(self) -> dict[str, Any]:
        """:returns: what the collection's own file says"""
        return _read(self.registries_d / OWN)

    def refuse_second(self, storage: Mapping[str, Any]) -> None:
        """Whether no other file has a scope of these: with two, containers/image reads no image of any registry.

        :raises PolicyInvalid: one has
        """
        for file in sorted(self.registries_d.glob("*.yaml")):
            if file.name == OWN:
                continue
            try:
                text = file.read_text()
            except (OSError, ValueError):
                continue
            for name in storage.get("docker") or ():
                # There need be no library for YAML on a host: a key is told by what is around it.
                if re.search(rf"(?m)(^[ \t]+|[{{,][ \t]*)([\"']?){re.escape(name)}\2[ \t]*:(?=[\s{{]|$)", text):
                    raise PolicyInvalid(
                        f"'{file}' says already where signatures of '{name}' are, and nothing can be pulled where two files do.",
                        hint=f"Take '{name}' out of that file: it is written to {OWN}.",
                        path=str(file),
                    )

    def write(self, policy: Mapping[str, Any], storage: Mapping[str, Any]) -> Iterator[Path]:
        """Each file is written whole or not at all; where signatures are comes first, as the policy is nothing without it.

        :returns: the files, each after it was written
        """
        for path, document in ((self.registries_d / OWN, storage), (self.path, policy)):
            if _read(path) != document:
                _write(path, document)
                yield path

    @contextmanager
    def candidate(self, policy: Mapping[str, Any], storage: Mapping[str, Any]) -> Iterator[PolicyFiles]:
        """Files beside the real ones, to be tried before these are replaced."""
        with tempfile.TemporaryDirectory(prefix="imagemode-") as scratch:
            files = PolicyFiles(Path(scratch) / "policy.json", Path(scratch) / "registries.d")
            files.registries_d.mkdir()
            for other in self.registries_d.glob("*.yaml"):
                copy(other, files.registries_d)
            list(files.write(policy, storage))
            yield files


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise PolicyInvalid(f"'{path}' cannot be read: {error}.", hint="Repair or remove the file.") from None
    if not isinstance(document, dict):
        raise PolicyInvalid(f"'{path}' is no JSON object.", hint="Repair or remove the file.")
    return document


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(document, indent=4) + "\n", 0o644)
