# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of bootc_disk_image: what is there, what is wanted, make it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from ._destination import require_place
from ._disk.size import exact, parse_size
from ._disk_image import formats
from ._disk_image.builders import Builder, HostBuilder, ImageBuilder, MachineBuilder, Order, version
from ._disk_image.ova import Appliance
from ._disk_image.recipe import Recipe
from ._disk_image.sidecar import DiskImageFile, Made
from ._install.image import Image, Request
from ._install.installed import Installed
from ._install.loop import release
from ._install.source import Source
from ._install_module import InstallModule, not_verified
from ._instance import oci_architecture


class DiskImageModule(InstallModule):
    """A module that makes a file instead of installing to a disk."""

    def __init__(self, argument_spec: dict[str, Any]) -> None:
        super().__init__(argument_spec, add_file_common_args=True)

    def make(self) -> dict[str, Any]:
        """Look, decide, and outside of check mode do it.

        :returns: the module's result
        """
        file = DiskImageFile(self.need("dest"))
        require_place(file.path)
        if self.check_mode:
            return self._attributed(file, self._converge(file))
        with file.locked(3 * self.params["timeout"], partial(release, self.runner)):
            return self._attributed(file, self._converge(file))

    def _attributed(self, file: DiskImageFile, result: dict[str, Any]) -> dict[str, Any]:
        """:returns: the result, once mode and owner of the file are as asked, or it is known that they are not"""
        there = self.load_file_common_arguments(self.params, path=str(file.path))
        return {**result, "changed": self.set_fs_attributes_if_different(there, result["changed"])}

    def _converge(self, file: DiskImageFile) -> dict[str, Any]:
        made = file.made()
        request = self._request()
        source = Source(self.runner, self.wanted, validate_certs=self.params["validate_certs"], timeout=self.params["timeout"])
        builder = self._builder(request, source)
        builder.require()
        digests = self._digests(made, source)
        wanted = self._recipe(request, next(iter(digests)) if len(digests) == 1 else "", builder)
        result: dict[str, Any] = {
            "image": self.wanted.name,
            "dest": str(file.path),
            "sidecar": str(file.sidecar),
            "format": self.params["format"],
        }
        other = wanted.differences(made.recipe, digests) if made else []
        if made and not other:
            if not self.check_mode:
                file.moved(made)
            same = _shown(made.recipe)
            return {
                **result,
                "changed": False,
                **_facts(made),
                "reason": f"{file.path} is made of this image already",
                "diff": {"before": same, "after": same},
            }
        result["reason"] = f"{file.path} was made with {'; '.join(other)}" if made else f"{file.path} is not there"
        before = _shown(made.recipe) if made else {}
        if self.check_mode:
            return {**result, "changed": True, "digest": wanted.digest or None, "diff": {"before": before, "after": _shown(wanted)}}
        now, details = self._build(file, request, builder)
        return {**result, "changed": True, **details, **_facts(now), "diff": {"before": before, "after": _shown(now.recipe)}}

    def _request(self) -> Request:
        return self.asked(**self.root(), generic_image=True)

    def _builder(self, request: Request, source: Source) -> Builder:
        params = self.params
        size = parse_size(params["size"], "size") if params["size"] else None
        order = Order(request, self.wanted, size, params["format"], params["timeout"])

        def fetch() -> Image:
            return self.fetched(source)

        def save(directory: Path) -> None:
            with self.auth_file() as auth:
                source.save(directory, auth)

        if params["builder"] == "machine":
            return MachineBuilder(self.runner, order, fetch, save, params["live"] or {})
        if params["builder"] == "image-builder":
            return ImageBuilder(self.runner, order, fetch, save, params["builder_image"])
        return HostBuilder(self.runner, order, fetch, save)

    def _digests(self, made: Made | None, source: Source) -> frozenset[str]:
        """:returns: the wanted image's; empty if they do not matter"""
        known = Installed("", self.wanted.target, None, made.recipe.digest, "") if made else None
        pull = "always" if self.params["builder"] == "machine" else self.params["pull"]
        with self.auth_file() as auth:
            return source.known_digests(known, auth, os.uname().machine, pull, may_pull=not self.check_mode)

    def _recipe(self, request: Request, digest: str, builder: Builder) -> Recipe:
        params = self.params
        tools = builder.tools()
        if params["format"] != "raw":
            tools["qemu-img"] = version(self.runner, "qemu-img")
        return Recipe.of(
            request,
            digest,
            tools,
            builder=builder.name,
            format=params["format"],
            # However it was written: 20G is the disk that 20480MiB was.
            size=exact(builder.size) if builder.size else None,
            appliance=vars(self._appliance()) if params["format"] == "ova" else None,
        )

    def _appliance(self) -> Appliance:
        return Appliance(**(self.params["appliance"] or {}))

    def _build(self, file: DiskImageFile, request: Request, builder: Builder) -> tuple[Made, dict[str, Any]]:
        self.forget_file()  # passwords, and the content of files: the image's code must not find them
        wanted = self.params["format"]
        with file.scratch() as folder:
            built = builder.build(folder)
            path, size = built.path, built.path.stat().st_size
            if built.format != wanted:
                path = formats.convert(self.runner, path, wanted, self._appliance(), oci_architecture(os.uname().machine))
            elif wanted in formats.QEMU_IMG:
                size = formats.virtual_size(self.runner, path)
            os.chmod(path, 0o600)
            made = file.put(path, self._recipe(request, built.digest, builder), size)
        self.changed = True
        details = dict(built.details)
        unread = details.pop("unread", ())
        if unread:
            self.warn(not_verified(str(file.path), unread))
        return made, details


def _facts(made: Made) -> dict[str, Any]:
    return {"digest": made.recipe.digest, "sha256": made.file.sha256, "virtual_size": made.virtual_size}


def _shown(recipe: Recipe) -> dict[str, Any]:
    """:returns: for a diff, which others read: of a secret in a file not even its hash, by which a guess could be proved"""
    return {"digest": recipe.digest or None, **recipe.inputs, "files": sorted(recipe.inputs.get("files", ()))}
