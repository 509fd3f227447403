#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_sort
short_description: Look at a host, and put it into a group if it has to change
version_added: 0.1.0
description:
  - Takes one task for each host, so that a fleet in which little has to change is looked at in the time of a ping. The playbook
    C(imagemode.bootc.update) does so first, and lets the role P(imagemode.bootc.update#role) only see the hosts of the group.
  - A host that cannot be reached, or is no bootc host, is put into the group, too.
options:
  image:
    description: The image that hosts must follow. Unset, the one that each follows.
    type: str
  digest:
    description: The digest that they must run, of their platform. Unset, that of the image in its registry, which is asked once.
    type: str
  enforce_container_sigpolicy:
    description: Whether they must have their image checked by C(policy.json), or must not. Unset, either will do.
    type: bool
  resolve:
    description: Whether the registry is asked. If not, hosts without O(digest) are put into the group.
    type: bool
    default: true
  registry_options:
    description: Options for the lookup P(imagemode.bootc.digest#lookup) when it asks the registry.
    type: dict
    default: {}
  group:
    description: The group.
    type: str
    required: true
  variables:
    description: >-
      The beginning of the names of variables that stand for the options that are not set: with V(update), C(update_image) is taken for
      O(image). Where many hosts have nothing to do this takes the controller less time than to write the options with expressions.
    type: str
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.controller
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: See who is behind
  imagemode.bootc.fleet_sort:
    image: registry.example.com/os:stable
    group: behind
  changed_when: false # Ansible counts a new member of a group as a change
"""

RETURN = r"""
behind:
  description: Whether the host is in the group.
  returned: success
  type: bool
  sample: false
digest:
  description: The digest that it runs; null if it cannot tell.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: digest_unknown
hint:
  description: What to do about it.
  returned: failure
  type: str
  sample: See the options of the lookup imagemode.bootc.digest.
"""
