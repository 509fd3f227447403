# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at a host, and put it into a group if it has to change."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.loader import lookup_loader
from ansible_collections.imagemode.bootc.plugins.filter.converged import converged
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.plugin_utils.controller_action import ControllerAction
from ansible_collections.imagemode.bootc.plugins.plugin_utils.once import once


class DigestUnknown(ImageModeError):
    """The registry could not be asked for the digest."""

    error = "digest_unknown"


class ActionModule(ControllerAction):
    _requires_connection = True
    arguments: ClassVar[dict[str, Any]] = {
        "image": {"type": "str"},
        "digest": {"type": "str"},
        "enforce_container_sigpolicy": {"type": "bool"},
        "resolve": {"type": "bool", "default": True},
        "registry_options": {"type": "dict", "default": {}, "no_log": True},
        "group": {"type": "str", "required": True},
        "variables": {"type": "str"},
    }

    def given(self, variables: dict[str, Any]) -> dict[str, Any]:
        arguments = super().given(variables)
        prefix = arguments.get("variables")
        if not prefix:
            return arguments
        # Each expression in a task costs every host 2 ms of the controller: a worker knows nothing of those before.
        names = {name: f"{prefix}_{name}" for name in self.arguments}
        return {**{name: self._templar.template(variables[key]) for name, key in names.items() if key in variables}, **arguments}

    def act(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        try:
            info = self._execute_module("imagemode.bootc.bootc_info", {}, task_vars=variables)
        except AnsibleConnectionFailure:
            info = {}
        if self._settled(info, options):
            return {"behind": False, "digest": info["digest"]}
        # A host that is on its way up, or cannot tell, is for those who can wait and explain.
        grouped = {"add_group": options["group"], "parent_groups": ["all"]}
        if hasattr(self, "add_group"):  # since ansible-core 2.21, which does not read it in the result
            self.add_group(grouped["add_group"], parent_group_names=grouped["parent_groups"])
        return {"behind": True, "digest": info.get("digest"), **grouped}

    def _settled(self, info: dict[str, Any], options: dict[str, Any]) -> bool:
        if not info.get("managed") or info.get("failed") or info["on_trial"] == info["digest"]:
            return False
        digest = options["digest"] or self._resolved(info, options)
        return converged(info, digest, options["image"], options["enforce_container_sigpolicy"])

    def _resolved(self, info: dict[str, Any], options: dict[str, Any]) -> str:
        """The digest of the image in its registry; asked once for all hosts of the same platform."""
        host = info["host"]
        if not options["resolve"] or (not options["image"] and host["transport"] != "registry"):
            return ""
        image, platform = options["image"] or host["image"], f"linux/{info['architecture']}"
        return once([self._task.action, image, platform], lambda: self._ask(image, platform, options["registry_options"]))

    def _ask(self, image: str, platform: str, registry_options: dict[str, Any]) -> str:
        # The registry's client is loaded by the one process that asks: it takes as long as all the rest of the task.
        lookup = lookup_loader.get("imagemode.bootc.digest", loader=self._loader, templar=self._templar)
        try:
            return str(lookup.run([image], {}, **{**registry_options, "platform": platform, "index": False})[0])
        except AnsibleError as error:
            raise DigestUnknown(
                f"The digest of '{image}' for {platform} is not known. {error}",
                hint="The controller asks: what it needs for that is in 'registry_options', and with 'digest' nobody is asked.",
            ) from None
