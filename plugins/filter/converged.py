# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a host needs nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
name: converged
short_description: Whether a host runs a digest, follows its image, and has nothing pending
description:
  - Tells from what M(imagemode.bootc.bootc_info) said whether an update has nothing to do on the host.
version_added: 0.1.0
author: Contributors to the imagemode.bootc project (@imagemode)
options:
  _input:
    description: What M(imagemode.bootc.bootc_info) returned.
    type: dict
    required: true
  digest:
    description: The digest that the host must run, of its platform. Empty if nobody knows it; then the answer is no.
    type: str
    required: true
  image:
    description: The image that it must follow, in its registry. Empty for the one that it follows, wherever that is.
    type: str
    default: ""
  verified:
    description:
      - Whether it must have its image checked by C(policy.json), or must not. Unset, either will do.
      - A host with the composefs backend does not record it, and is not asked.
    type: bool
"""

EXAMPLES = r"""
- name: Say who is done
  ansible.builtin.debug:
    msg: "{{ info | imagemode.bootc.converged(digest, 'registry.example.com/os:stable') }}"
"""

RETURN = r"""
_value:
  description: Whether there is nothing to do.
  type: bool
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import same_reference


def converged(info: Mapping[str, Any], digest: str, image: str | None = "", verified: bool | None = None) -> bool:
    if "host" not in info:
        why = f", which failed: {info['msg']}" if info.get("msg") else "; there is no 'host' in this."
        raise AnsibleFilterError(f"converged takes what bootc_info returned{why}")
    host = info["host"]
    follows_another = bool(image) and not (host["transport"] == "registry" and same_reference(str(image), host["image"] or ""))
    as_verified = verified is None or host["backend"] == "composefs" or verified == (host["signature"] == "containerPolicy")
    there = bool(digest) and digest == info["digest"] and as_verified
    return there and not (host["staged"] or info["reboot_required"] or follows_another)


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"converged": converged}
