# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What bootc would refuse about an image, known before it is run: so check mode says it too, and with the same words.

bootc refuses, before it fetches a layer, an image for another architecture, one that is not made for booting, and one that the
host's signature policy does not accept (contract.md 4.6). What needs the image's files, a conflict in /etc for example, only bootc finds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ._bootc.client import Bootc, architecture
from ._bootc.errors import BootcError, refusal
from ._bootc.plan import ENFORCE, Plan
from ._bootc.status import Source
from ._policy import PolicyFiles, enforceable, open_image
from ._reference import Reference

POLICY = PolicyFiles(Path("/etc/containers/policy.json"), Path("/etc/containers/registries.d"))
# Either of them (ostree-ext of bootc 1.16.9, `require_bootable`).
BOOTABLE_LABELS = ("containers.bootc", "ostree.bootable")
_ACCEPTS_ALL = [{"type": "insecureAcceptAnything"}]


def foresee(bootc: Bootc, plan: Plan) -> tuple[str, ...]:
    """Look at the image that a plan fetches.

    :returns: warnings
    :raises BootcError: C(architecture_mismatch), C(image_not_bootable), C(signature_refused), or what a registry can say
    """
    source = plan.after.spec
    if not (bootc.answer and source):
        return ()
    name = source.image
    if source.transport == "registry":
        name = str(Reference.parse(name).with_digest(bootc.answer.pullable))
    if any(ENFORCE in step for step in plan.steps):
        source = replace(source, signature="containerPolicy")  # which composefs does not record
    check_policy(source, name)
    configuration = bootc.configuration(Source(name, source.transport))
    # Only the ostree importer wants a label (deploy.rs, require_bootable).
    return check_configuration(configuration, source.image, label_needed=plan.after.backend != "composefs")


def check_configuration(text: str, image: str, *, label_needed: bool = True) -> tuple[str, ...]:
    """:param text: the image's configuration (OCI image specification, config.md)
    :returns: warnings
    :raises BootcError: C(architecture_mismatch) or C(image_not_bootable)
    """
    try:
        configuration: dict[str, Any] = json.loads(text)
        there, labels = configuration.get("architecture"), (configuration.get("config") or {}).get("Labels") or {}
    except (ValueError, AttributeError) as error:
        raise BootcError(f"The configuration of {image} cannot be read: {error}.", error="manifest_invalid") from None
    here = architecture()
    if there and there != here:
        raise refusal("architecture_mismatch", f"{image} has architecture {there}; this host has {here}.")
    if any(label in labels for label in BOOTABLE_LABELS):
        return ()
    without = f"{image} has neither of the labels {' and '.join(BOOTABLE_LABELS)}"
    if label_needed:
        raise refusal("image_not_bootable", f"{without}.")
    return (f"{without}; is it made for booting?",)


def check_policy(source: Source, name: str, files: PolicyFiles = POLICY) -> None:
    """:raises BootcError: C(signature_refused), C(signature_policy_invalid)"""
    if source.signature == "containerPolicy":
        need_enforceable(files)
    if source.transport == "registry" and _can_refuse(files.policy()):
        open_image(name)


def need_enforceable(files: PolicyFiles = POLICY) -> None:
    """:raises BootcError: C(signature_refused)"""
    if not enforceable(files.policy()):
        raise refusal(
            "signature_refused",
            f"The policy in {files.path} accepts everything by default, and bootc enforces no such policy.",
            "Set a policy with bootc_signature_policy and 'default: reject'.",
        )


def _can_refuse(policy: Mapping[str, Any]) -> bool:
    """Whether a policy has a rule that does not accept every image of a registry."""
    scopes = (policy.get("transports") or {}).get("docker") or {}
    return any(rules != _ACCEPTS_ALL for rules in (policy.get("default", _ACCEPTS_ALL), *scopes.values()))
