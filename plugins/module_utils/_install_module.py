# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that installs an image: what those for disks and for the running system share."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import _kargs as kargs
from ._auth import Credentials, merged, temporary_auth_file
from ._disk.size import parse_size
from ._install import files, keys, network
from ._install.files import PlacedFile
from ._install.image import Image, Request
from ._install.installation import Installation, require_ready
from ._install.plan import Plan
from ._install.source import Source, Wanted
from ._module import LONG, CollectionModule
from ._reference import Reference
from ._runner import MASK, Runner

FILE = {
    "dest": {"type": "path", "required": True},
    "content": {"type": "str", "no_log": True},
    "src": {"type": "path"},
    "mode": {"type": "raw", "default": "0644"},
    "owner": {"type": "str", "default": "0"},
    "group": {"type": "str", "default": "0"},
}
ARGUMENTS: dict[str, Any] = {
    "image": {"type": "str", "required": True},
    "digest": {"type": "str"},
    "target_imgref": {"type": "str"},
    "target_transport": {
        "type": "str",
        "choices": ["registry", "oci", "oci-archive", "containers-storage", "dir"],
        "default": "registry",
    },
    "pull": {"type": "str", "choices": ["always", "missing", "never"], "default": "always"},
    "bootloader": {"type": "str", "choices": ["grub", "grub-cc", "systemd", "none"]},
    "kernel_arguments": {"type": "list", "elements": "str", "default": []},
    "root_ssh_authorized_keys": {"type": "list", "elements": "str", "no_log": False},
    "stateroot": {"type": "str"},
    "bound_images": {"type": "str", "choices": ["stored", "pull", "skip"]},
    "hostname": {"type": "str"},
    "network": {"type": "list", "elements": "dict", "options": network.LINK},
    "network_renderer": {"type": "str", "choices": ["networkmanager", "systemd-networkd"], "default": "networkmanager"},
    "files": {"type": "list", "elements": "dict", "options": FILE},
    "target_registry_username": {"type": "str"},
    "target_registry_password": {"type": "str", "no_log": True},
    "registry_username": {"type": "str"},
    "registry_password": {"type": "str", "no_log": True},
    "auth_file": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 3600},
}

# Of a root file system that bootc makes itself.
ROOT: dict[str, Any] = {
    "filesystem": {"type": "str", "choices": ["xfs", "ext4", "btrfs"]},
    "root_size": {"type": "str"},
    "composefs_backend": {"type": "bool"},
}


class InstallModule(CollectionModule):
    """Options, the image, and the steps of an installation.

    :ivar wanted: the image; there once the request is made
    """

    wanted: Wanted

    def __init__(self, argument_spec: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(
            {**ARGUMENTS, **argument_spec},
            supports_check_mode=True,
            required_together=[("registry_username", "registry_password"), ("target_registry_username", "target_registry_password")],
            **kwargs,
        )
        self._files = self._taken_files()
        self.runner = Runner(secrets=[self.params["registry_password"] or "", self.params["target_registry_password"] or ""])

    def _taken_files(self) -> list[dict[str, Any]]:
        """What is in files is shown nowhere, not even as the options that the task was called with. So Ansible need not look for it in
        the results, where a short one would be found, and masked, in digests and names.

        :returns: the option C(files)
        """
        given = self.params["files"] or []
        self.params["files"] = [{**file, "content": file["content"] and MASK} for file in given]
        contents = {file["content"] for file in given if file["content"] and len(file["content"]) < LONG}
        self.no_log_values -= contents - {self.params["registry_password"], self.params["target_registry_password"]}
        return given

    def root(self) -> dict[str, Any]:
        """:returns: what C(ROOT) says, as fields of the request
        :raises OptionError: a size that is none
        """
        params = self.params
        return {
            "filesystem": params["filesystem"],
            "root_size": parse_size(params["root_size"], "root_size") if params["root_size"] else None,
            "composefs": params["composefs_backend"],
        }

    def request(self, more_files: tuple[PlacedFile, ...] = (), **more: Any) -> Request:
        """:param more: what only this kind of installation knows
        :raises ImageModeError: options that cannot be meant, or a machine that cannot install
        """
        asked = self.asked(more_files, **more)
        require_ready(self.runner)
        return asked

    def asked(self, more_files: tuple[PlacedFile, ...] = (), **more: Any) -> Request:
        """:returns: the request, of a machine that need not install itself
        :raises ImageModeError: options that cannot be meant
        """
        params = self.params
        self.wanted = Wanted.parse(self.need("image"), params["digest"], params["target_imgref"])
        lines = params["root_ssh_authorized_keys"]
        return Request(
            target=self.wanted.target,
            transport=params["target_transport"],
            bootloader=params["bootloader"],
            kernel_arguments=kargs.checked(params["kernel_arguments"]),
            root_keys=keys.checked(lines) if lines is not None else None,
            stateroot=params["stateroot"],
            bound_images=params["bound_images"],
            files=machine_files({**params, "files": self._files}, self.wanted.target, more_files),
            network_program=network.PROGRAMS[params["network_renderer"]] if params["network"] else None,
            **more,
        )

    def converge(self, job: Installation) -> dict[str, Any]:
        """Look, decide, and outside of check mode do it.

        :returns: the module's result
        """
        params, machine = self.params, os.uname().machine
        source = Source(self.runner, self.wanted, validate_certs=params["validate_certs"], timeout=params["timeout"])
        with self.auth_file() as file:
            digests = source.known_digests(
                job.installed,
                file,
                machine,
                params["pull"],
                may_pull=not self.check_mode,
                sealed=job.sealed,
            )
            if job.installed is not None and job.installed.digest is None and job.installed.config is not None:
                job.recognise(*(source.known_id(file, machine, params["pull"]) or ("", "")))
        plan = job.plan(digests, params["wipe_confirm"])
        before = job.installed.facts() if job.installed else None
        result: dict[str, Any] = {"disk": job.facts(), "image": self.wanted.name, "reason": plan.reason, "verified": []}
        if not self.check_mode:
            result.update(self._run(job, source, plan, machine))
        if plan.verb != "install" and job.installed is not None:
            result["verified"] = self._told(job, job.verified())
        after = job.expected(plan, digests) if self.check_mode else job.installed.facts() if job.installed else None
        result["installed"] = {"before": before, "after": after}
        result["digest"] = after["digest"] if after else None
        result["diff"] = {"before": job.shown(before), "after": job.shown(after)}
        return {**result, "changed": plan.changes}

    def _run(self, job: Installation, source: Source, plan: Plan, machine: str) -> dict[str, Any]:
        """:returns: the result's fields that only a real run has"""
        if plan.verb == "repair":
            self.changed = True
            job.repair(plan)
        if plan.verb != "install":
            return {}
        self.forget_file()  # passwords, and the content of files: the image's code must not find them
        image = self.fetched(source)
        name = None if self.wanted.files else self.wanted.name
        container, abilities = job.install(image, name, plan, machine, self.params["timeout"])
        self.changed = True
        verified = self._told(job, job.read_back(image, abilities))
        return {"command": list(container.argv), "seconds": round(container.seconds, 1), "verified": verified}

    def _told(self, job: Installation, verified: tuple[str, ...]) -> tuple[str, ...]:
        if not verified:
            self.warn(not_verified(job.place, job.unread))
        return verified

    def fetched(self, source: Source) -> Image:
        """:returns: the image in Podman's storage, of the digest that was asked for"""
        with self.auth_file() as file:
            image = source.fetch(file, self.params["pull"])
        self.wanted.require_digest(image.digests)
        return image

    @contextmanager
    def auth_file(self) -> Iterator[Path | None]:
        """The auth file for asking the registry; one made from options is gone afterwards."""
        given = Path(self.params["auth_file"]) if self.params["auth_file"] else None
        if not self.params["registry_username"] or self.wanted.reference is None:
            yield given
            return
        credentials = Credentials(self.params["registry_username"], self.params["registry_password"])
        with temporary_auth_file({self.wanted.reference.registry: credentials}, [given] if given else []) as path:
            yield path


def not_verified(place: str, unread: Iterable[str]) -> str:
    """:returns: the warning for an installation that could not be read back"""
    return f"What is installed on {place} cannot be read back, so it is not verified: {'; '.join(unread)}."


def machine_files(params: Mapping[str, Any], target: str, more: tuple[PlacedFile, ...]) -> tuple[PlacedFile, ...]:
    """:param more: files that options do not name; one that an option names counts more
    :returns: all that makes this machine differ from others with the same image
    """
    found = [*files.checked(params["files"]), *network.files(params["network"] or (), params["network_renderer"])]
    if params["hostname"]:
        found.append(files.hostname(params["hostname"]))
    if params["target_registry_username"]:
        login = Credentials(params["target_registry_username"], params["target_registry_password"])
        document = json.dumps(merged((), {Reference.parse(target).registry: login}), indent=2, sort_keys=True)
        found.append(PlacedFile("etc/ostree/auth.json", f"{document}\n".encode(), 0o600))
    named = {file.path for file in found}
    return files.without_duplicates([*found, *(file for file in more if file.path not in named)])
