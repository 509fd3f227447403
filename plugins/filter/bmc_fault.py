# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a BMC's refusal means."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bmc_fault
short_description: What the failure of a task that talks to a BMC means, and whether to try again
version_added: 0.1.0
author: Contributors to the imagemode.bootc project (@imagemode)
description:
  - Reads the result of a module of C(community.general) for Redfish or IPMI, which have nothing but a text.
options:
  _input:
    description: The registered result of the task.
    type: dict
    required: true
  media_url:
    description: The medium that the task was to insert, if it was.
    type: str
"""

EXAMPLES = r"""
- name: Ask the BMC until it answers, or says that it never will
  community.general.redfish_info:
    category: Systems
  register: asked
  retries: 5
  until: asked is succeeded or (asked | imagemode.bootc.bmc_fault).final
"""

RETURN = r"""
_value:
  description:
    - C(error), a stable code; C(msg), what is there; C(hint), what to do; C(final), whether trying again is in vain.
  type: dict
"""

import re
from collections.abc import Mapping
from typing import Any

# Text that is looked for, code, whether it is final, what to do; the first that is found counts.
_FAULTS = (
    (
        r"HTTP Error 40[13]\b|[Uu]nauthorized|Invalid (user|password)|Incorrect password|Unauthorized name",
        "bmc_unauthorized",
        True,
        "Correct the user name and password of the BMC, or give the account the role Operator.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "bmc_certificate",
        True,
        "Name the BMC's CA in bare_metal_bmc_ca_path, or set bare_metal_bmc_validate_certs to false.",
    ),
    (
        r"Unable to find an available VirtualMedia",
        "bmc_media_occupied",
        True,
        "Eject what is in the BMC's virtual drives; nothing of others is ejected by this role.",
    ),
    (
        r"VirtualMedia resource not found|InsertMedia.* not found|not in list of allowable values|Action .* not found",
        "bmc_unsupported",
        True,
        "Choose another bare_metal_boot_method that this BMC has.",
    ),
    (
        r"Missing required library|No module named|Failed to import",
        "bmc_library_missing",
        True,
        "Install pyghmi for the controller's Python.",
    ),
    (
        r"HTTP Error (429|50[0234])\b|[Nn]ode busy|busy",
        "bmc_busy",
        False,
        "Wait until the BMC is done, or reset it; bare_metal_bmc_retries makes the role wait longer.",
    ),
    (
        r"URL Error|[Tt]imed? ?out|timeout|Connection (refused|reset)|Failed (GET|POST|PATCH) request|no route|unreachable|Name or service",
        "bmc_unreachable",
        False,
        "Look at the BMC's address and network; bare_metal_bmc_host is where it is asked.",
    ),
)
_DOWNLOAD = re.compile(r"HTTP Error (400|404|500|502)\b")


def bmc_fault(result: Mapping[str, Any], media_url: str | None = None) -> dict[str, Any]:
    said = str(result.get("msg") or result.get("module_stderr") or "nothing was said")
    if media_url and _DOWNLOAD.search(said) and not re.search("HTTP Error 40[13]", said):
        hint = "Make sure that the BMC, not only the controller, can download it, and that its protocol is one that the BMC knows."
        return _fault("media_unreachable", f"The BMC could not take {media_url}: {said}", hint, False)
    for pattern, error, final, hint in _FAULTS:
        if re.search(pattern, said):
            return _fault(error, f"The BMC: {said}", hint, final)
    return _fault("bmc_failed", f"The BMC: {said}", "Its own log may tell more.", False)


def _fault(error: str, msg: str, hint: str, final: bool) -> dict[str, Any]:
    return {"error": error, "msg": msg, "hint": hint, "final": final}


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"bmc_fault": bmc_fault}
