# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A push that fails after it has written a tag says that it has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._engine import EngineFailed, LocalImage
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._push import IndexPush, Push
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import RegistryOptions
from ansible_collections.imagemode.bootc.plugins.modules.oci_image_push import carry_out

from .scripted import Answer, ScriptedRegistry, Seen, digest, found, manifest

OURS, OTHERS = manifest(), manifest(layers=(b"of somebody else",))
ID = f"sha256:{'0' * 64}"


class Engine:
    """Stands in for one that pushes."""

    def __init__(self, *, fails: tuple[str, ...] = ()) -> None:
        self.fails, self.pushed = fails, set()

    def push(self, _image_id: str, reference: Reference, _access: Any) -> str:
        if reference.tag in self.fails:
            raise EngineFailed("no space left on device", error="disk_full")
        self.pushed.add(reference.tag)
        return digest(OURS)


def carried_out(server: ScriptedRegistry, kind: Any, images: Any, engine: Engine, there: bytes) -> tuple[str, bool]:
    """:returns: the error, and whether the module says that it changed something"""
    tag_of = "/v2/os/manifests/"

    def script(seen: Seen) -> Answer:
        return found(there) if seen.path.removeprefix(tag_of) in engine.pushed else Answer(404)

    server.script = script
    reference = Reference.parse(f"{server.address}/os:1")
    options = RegistryOptions.of({"plain_http": True, "retries": 0}, reference)
    job, module = kind(images, engine, options, options.pusher(), None), SimpleNamespace(changed=False)
    with pytest.raises(ImageModeError) as raised:
        carry_out(module, job, [job.look(reference)])
    return raised.value.error, module.changed


IMAGE = LocalImage(ID, "", "linux/amd64", {})


@pytest.mark.parametrize(("fails", "error", "changed"), [((), "digest_mismatch", True), (("1",), "disk_full", False)])
def test_an_image(server: ScriptedRegistry, fails: tuple[str, ...], error: str, changed: bool) -> None:
    assert carried_out(server, Push, IMAGE, Engine(fails=fails), OTHERS) == (error, changed)


@pytest.mark.parametrize(("fails", "changed"), [(("1-linux-arm64",), True), (("1-linux-amd64", "1-linux-arm64"), False)])
def test_images_of_several_platforms(server: ScriptedRegistry, fails: tuple[str, ...], changed: bool) -> None:
    images = {"linux/amd64": IMAGE, "linux/arm64": LocalImage(f"sha256:{'1' * 64}", "", "linux/arm64", {})}
    assert carried_out(server, IndexPush, images, Engine(fails=fails), OURS) == ("disk_full", changed)
