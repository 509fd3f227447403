# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image to install that cannot be had, as Podman and skopeo say it."""

from __future__ import annotations

import json
import os
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


class Empty:
    """Podman without an image, on a machine where there is an index with one for each of two architectures."""

    def __init__(self) -> None:
        self.calls: list[Sequence[str]] = []

    def find(self, program: str) -> str | None:
        return f"/usr/bin/{program}"

    def run(self, argv: Sequence[str], **_options: Any) -> SimpleNamespace:
        self.calls.append(argv)
        images = {"amd64": "sha256:" + "a" * 64, "arm64": "sha256:" + "b" * 64}
        if argv[:2] == ["podman", "pull"]:
            raise CommandFailed("it failed", stderr="manifest unknown", rc=125)
        if "--no-tags" in argv:
            return SimpleNamespace(rc=0, stdout=json.dumps({"LayersData": [{"Size": 1000}, {"Size": 24}]}))
        if argv[0] == "podman":
            return SimpleNamespace(rc=125 if "inspect" in argv else 0, stdout="/storage" if "info" in argv else "")
        for architecture, digest in images.items():
            if argv[-1].endswith(digest):
                sizes = (1000, 24) if architecture == "amd64" else (5000,)
                return SimpleNamespace(rc=0, stdout=json.dumps({"layers": [{"size": size} for size in sizes]}))
        manifests = [{"digest": digest, "platform": {"os": "linux", "architecture": name}} for name, digest in images.items()]
        return SimpleNamespace(rc=0, stdout=json.dumps({"manifests": manifests}))


@pytest.mark.parametrize(("free", "error"), [(1023, "disk_full"), (1024, "image_missing")])
def test_what_does_not_fit_is_not_begun_and_no_blob_is_asked_for(monkeypatch: pytest.MonkeyPatch, free: int, error: str) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=free if path == "/storage" else 0, f_frsize=1))
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="x86_64"))
    runner: Any = Empty()
    with pytest.raises(ImageModeError) as refused:
        Source(runner, Wanted.parse(IMAGE, None), validate_certs=True, timeout=1).fetch(None, "always")
    assert refused.value.error == error
    assert (("podman", "pull") in [tuple(call[:2]) for call in runner.calls]) == (error == "image_missing")
    # Without --raw skopeo asks for the configuration, too, which Podman asks for again.
    assert all("--raw" in call for call in runner.calls if call[0] == "skopeo")
    if error == "disk_full":
        assert (refused.value.details["needed"], refused.value.details["free"]) == (1024, 1023)


def test_an_index_in_files_is_measured_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=1023, f_frsize=1))
    runner: Any = Empty()
    with pytest.raises(ImageModeError) as refused:
        Source(runner, Wanted.parse(f"oci:{tmp_path}", None, IMAGE), validate_certs=True, timeout=1).fetch(None, "always")
    assert (refused.value.error, refused.value.details["needed"]) == ("disk_full", 1024)
