#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_plan
short_description: Plan a rollout over a fleet on the controller, or find where one was
version_added: 0.1.0
description:
  - Cuts hosts into waves, and waves into batches that keep to the budgets, and writes that to a file on the controller, with the
    digest that all of them get.
  - If the file holds a rollout of the same image that is not finished, that one goes on, with its own digest, though the tag may
    have moved meanwhile, its own waves, budgets and halt rules, and without the hosts that got there. That another digest was asked
    for is a warning.
  - While a run on this controller goes on with the rollout, another is refused. It is had by the process of the run, so one that was killed
    has it no more. In check mode it is not asked for.
  - Hosts that are not in O(hosts) any more, or were taken out of the inventory, are left out, with a warning; those that were added are
    of the next rollout.
  - The playbook C(imagemode.bootc.rollout) does all of a rollout. Nothing is run on hosts.
options:
  path:
    description: The file of the rollout.
    type: path
    required: true
  journal:
    description: The journal that M(imagemode.bootc.fleet_record) writes; it tells which hosts got there.
    type: path
    required: true
  image:
    description: The image that is rolled out.
    type: str
    required: true
  digest:
    description: The digest that all hosts get, of the index if they are of several platforms.
    type: str
    required: true
  hosts:
    description: The hosts, in the order in which they go.
    type: list
    elements: str
    required: true
  waves:
    description:
      - The waves in order. Each takes hosts that fit and that no earlier one took; the last should take the rest.
      - A wave that no host fits is left out, with a warning.
      - Unset, one host goes first, then a quarter of the fleet, then the rest.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is called; no other wave may be called so.
        type: str
        required: true
      size:
        description: A number of hosts, or a percentage of the whole fleet, for example V(10%). Unset, all that fit.
        type: str
      groups:
        description: Only hosts of one of these groups.
        type: list
        elements: str
        default: []
      labels:
        description: Only hosts whose variables have these values.
        type: dict
        default: {}
      batch:
        description: How many of its hosts go at the same time, a number or a percentage of the wave. Unset, as many as the budgets allow.
        type: str
  budgets:
    description: How many hosts may be away at the same time. Hosts that failed in this rollout are away.
    type: list
    elements: dict
    default: []
    suboptions:
      by:
        description:
          - A variable of the hosts, for example V(site); the budget counts for each of its values. Unset, for the fleet.
          - For hosts without the variable it counts together; that none has it is a warning.
        type: str
      max_unavailable:
        description: A number, or a percentage of the hosts with that value, rounded down but never to none.
        type: str
        required: true
  halt:
    description: When the rollout stops by itself.
    type: dict
    default: {failures: "1"}
    suboptions:
      failures:
        description: This many hosts did not get there - a number, or a percentage of those that were tried. Unset, failures do not count.
        type: str
      query:
        description:
          - A JMESPath expression that is true. It is asked of C(results), a list of the hosts that were tried as
            M(imagemode.bootc.fleet_report) has them; C(counts), result → number; and C(total), the number of hosts.
        type: str
  until:
    description: The last wave that goes this time; the batches of later ones are left out of what is returned, and stay in the file.
    type: str
  take_back:
    description:
      - Whether the wave in which a rollout halted is to go back. While it has not, RV(rollout) stays halted, and no batch goes.
    type: bool
    default: false
  previous:
    description: The rollout as RV(rollout) returned it, where the file is not kept, as between jobs of AWX.
    type: dict
    default: {}
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.controller
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Plan who goes when
  imagemode.bootc.rollout_plan:
    path: rollout.json
    journal: fleet.jsonl
    image: registry.example.com/os:stable
    digest: "{{ lookup('imagemode.bootc.digest', 'registry.example.com/os:stable', index=true) }}"
    hosts: "{{ groups.bootc_hosts }}"
    waves:
      - {name: canary, groups: [canary]}
      - {name: half, size: 50%, batch: "10"}
      - {name: rest}
    budgets:
      - {by: site, max_unavailable: "2"}
    halt:
      failures: 5%
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
resumed:
  description: Whether a rollout that was not finished goes on.
  returned: success
  type: bool
  sample: false
digest:
  description: The digest that all hosts get.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
plan:
  description: Who goes when, a line a batch.
  returned: success
  type: list
  elements: str
  sample: ["1. canary, 1 hosts: web1", "2. rest, 2 hosts: web2, web3"]
batches:
  description: The batches that are still to go.
  returned: success
  type: list
  elements: dict
  sample: [{wave: canary, hosts: [web1]}, {wave: rest, hosts: [web2, web3]}]
order:
  description: The hosts that are still to go, in order; for C(hosts) of a play.
  returned: success
  type: list
  elements: str
  sample: [web1, web2, web3]
serial:
  description: The sizes of the batches; for C(serial) of a play.
  returned: success
  type: list
  elements: int
  sample: [1, 2]
rollout:
  description: What the file holds.
  returned: success
  type: dict
  sample: {state: running, image: registry.example.com/os:stable}
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: rollout_unfinished
hint:
  description: What to do about it.
  returned: failure
  type: str
  sample: Finish it, or cancel it with rollout_state.
"""
