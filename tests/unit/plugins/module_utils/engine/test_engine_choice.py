# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which engine does the work, of those that are installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._engine import choose_engine
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner


class Installed(Runner):
    """A machine with these programs and no others."""

    def __init__(self, *programs: str) -> None:
        super().__init__()
        self._programs = programs

    def find(self, program: str) -> str | None:
        return str(Path("/usr/bin", program)) if program in self._programs else None


@pytest.mark.parametrize(
    ("name", "installed", "taken"),
    [
        ("auto", ("docker", "buildah", "podman"), "podman"),
        ("auto", ("docker", "buildah"), "buildah"),
        ("auto", ("docker",), "docker"),
        ("docker", ("docker", "buildah", "podman"), "docker"),
        ("buildah", ("buildah", "podman"), "buildah"),
    ],
)
def test_the_first_that_is_installed_or_the_one_that_is_named(name: str, installed: tuple[str, ...], taken: str) -> None:
    assert choose_engine(name, Installed(*installed)).program == taken


@pytest.mark.parametrize(
    ("name", "installed", "missing"), [("auto", (), "podman or buildah or docker"), ("podman", ("buildah", "docker"), "podman")]
)
def test_without_one_it_is_told_what_to_install(name: str, installed: tuple[str, ...], missing: str) -> None:
    with pytest.raises(ImageModeError) as refused:
        choose_engine(name, Installed(*installed))
    result = refused.value.as_result()
    assert (result["error"], result["engine"], f"Install {missing} there" in result["hint"]) == ("engine_missing", name, True), result
