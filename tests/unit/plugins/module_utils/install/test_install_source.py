# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image to install that cannot be had, as Podman and skopeo say it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._install.errors import failure
from ansible_collections.imagemode.bootc.plugins.module_utils._install.source import Source, Wanted
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import CommandFailed

IMAGE = "registry.test/os:1"


class Failing:
    """Podman without images, and registries that say the same to it and to skopeo."""

    def __init__(self, stderr: str) -> None:
        self._stderr = stderr

    def find(self, program: str) -> str | None:
        return f"/usr/bin/{program}"

    def run(self, argv: Sequence[str], **_options: Any) -> SimpleNamespace:
        if argv[:3] == ["podman", "image", "inspect"]:
            return SimpleNamespace(rc=125, stdout="")
        if argv[:2] == ["podman", "images"]:
            return SimpleNamespace(rc=0, stdout="there is one")
        raise CommandFailed("it failed", stderr=self._stderr, rc=125)


@pytest.mark.parametrize(
    ("stderr", "error", "hint"),
    [
        ("reading manifest 1 in registry.test/os: manifest unknown", "image_missing", ""),
        ("unable to retrieve auth token: invalid username/password: unauthorized", "registry_unauthorized", "registry_password"),
        ("pinging container registry registry.test: dial tcp: connect: connection refused", "registry_unreachable", ""),
        ("x509: certificate signed by unknown authority", "registry_tls", ""),
        ("write /var/tmp/storage: no space left on device", "disk_full", "live system"),
        ("something that nobody has seen yet", "image_pull_failed", "podman pull"),
        ("", "image_pull_failed", "podman pull"),
    ],
)
@pytest.mark.parametrize("way", ["pull", "look", "save"])
def test_an_image_that_cannot_be_had_has_its_code(tmp_path: Path, way: str, stderr: str, error: str, hint: str) -> None:
    runner: Any = Failing(stderr)
    source = Source(runner, Wanted.parse(IMAGE, None), validate_certs=True, timeout=1)
    ways: dict[str, Callable[[], object]] = {
        "pull": lambda: source.fetch(None, "always"),
        "look": lambda: source.remote_digests(None, "x86_64"),
        "save": lambda: source.save(tmp_path, None),
    }
    with pytest.raises(ImageModeError) as refused:
        ways[way]()
    assert (refused.value.error, IMAGE in refused.value.message) == (error, True)
    assert hint in (refused.value.hint or "")
    assert refused.value.hint


@pytest.mark.parametrize(
    ("stderr", "error"),
    [
        ("error: Installing to disk: Importing: No space left on device (os error 28)", "disk_too_small"),
        ("Error: creating container storage: write /run/containers/storage.lock: no space left on device", "disk_full"),
    ],
)
def test_the_disk_that_is_too_small_is_told_from_the_storage_that_is_full(stderr: str, error: str) -> None:
    assert failure("podman run", 125, stderr).error == error
