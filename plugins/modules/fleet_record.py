#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_record
short_description: Write down on the controller what was seen of a host
version_added: 0.1.0
description:
  - Appends a line to a journal on the controller - what M(imagemode.bootc.bootc_info) said of the host, which digest is wanted, and
    how a run over it ended. M(imagemode.bootc.fleet_report) makes a report of it.
  - A look that was not told O(wanted), O(wave) or O(result) leaves what is known of them as it was.
  - Any number of hosts can write at the same time. Nothing is run on the host.
options:
  journal:
    description: The file; it is made if it is not there, readable for its owner only.
    type: path
    required: true
  info:
    description: What M(imagemode.bootc.bootc_info) returned. Unset for a host that could not be asked.
    type: dict
    default: {}
  wanted:
    description: The digest that the host should run.
    type: str
  platform_digest:
    description:
      - The other digest of the wanted image, for the host's platform, where O(wanted) is that of an index, or under which the host has the
        same image.
    type: str
  wave:
    description: The wave of the rollout that the host belongs to.
    type: str
  result:
    description: How the run over the host ended.
    type: str
    choices: [unchanged, staged, updated, rolled_back, failed, unreachable, waiting]
  message:
    description: Why, for people.
    type: str
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.action
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - It never reports a change - the host is not changed by being written down.
seealso:
  - module: imagemode.bootc.fleet_report
  - module: imagemode.bootc.bootc_info
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Look at the host
  imagemode.bootc.bootc_info:
  register: os

- name: Write it down
  imagemode.bootc.fleet_record:
    journal: fleet.jsonl
    info: "{{ os }}"
"""

RETURN = r"""
record:
  description: The line, with what follows from it.
  returned: success
  type: dict
  sample:
    host: web1
    state: current
    digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
    reboot_required: false
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: journal_unusable
hint:
  description: What to do about it.
  returned: failure
  type: str
  sample: Name another file, or mend this one.
"""
