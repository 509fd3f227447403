#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_gate
short_description: Tell on the controller whether a rollout goes on
version_added: 0.1.0
description:
  - Asked before each batch of a rollout and after it. Stops the rollout where its halt rules or budgets say so, and tells if
    somebody paused or cancelled it.
  - After a batch, hosts that wrote nothing down are written down as unreachable, so that nobody is left out.
  - The playbook C(imagemode.bootc.rollout) does all of a rollout. Nothing is run on hosts.
options:
  path:
    description: The file of the rollout.
    type: path
    required: true
  journal:
    description: The journal that M(imagemode.bootc.fleet_record) writes.
    type: path
    required: true
  hosts:
    description: The hosts of the batch.
    type: list
    elements: str
    default: []
  phase:
    description: Whether the batch is about to go, has gone, or all have gone.
    type: str
    choices: [before, after, end]
    required: true
  until:
    description: The last wave that goes this time. With O(phase=end) the rollout is paused if all hosts up to it have gone.
    type: str
  previous:
    description: The rollout, where the file was not written; in check mode it is this one, whatever the file holds.
    type: dict
    default: {}
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.controller
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Ask whether this batch goes
  imagemode.bootc.rollout_gate:
    path: rollout.json
    journal: fleet.jsonl
    hosts: "{{ ansible_play_batch }}"
    phase: before
  run_once: true
  register: gate

- name: Stop here
  ansible.builtin.meta: end_play
  when: not gate.go
"""

RETURN = r"""
go:
  description: Whether the rollout goes on.
  returned: success
  type: bool
  sample: true
state:
  description: V(running), V(paused), V(halted), V(cancelled) or V(done).
  returned: success
  type: str
  sample: running
reason:
  description: Why it is in this state.
  returned: success
  type: str
  sample: "2 of 20 hosts failed (the limit is 10%): web1, web2"
wave:
  description: The wave of the batch.
  returned: success
  type: str
  sample: canary
batch:
  description: The hosts that it was asked of. Ansible's C(ansible_play_batch) is without those that were lost meanwhile.
  returned: success
  type: list
  elements: str
  sample: [web1]
last_of_wave:
  description: Whether no later batch of the wave is still to go.
  returned: success
  type: bool
  sample: true
until_reached:
  description: Whether the rollout pauses since the wave O(until) has gone.
  returned: success
  type: bool
  sample: false
failed_hosts:
  description: The hosts that were tried and did not get there.
  returned: success
  type: list
  elements: str
  sample: [web1]
remaining:
  description: The hosts that did not get there yet.
  returned: success
  type: list
  elements: str
  sample: [web1, web3]
wave_hosts:
  description: The hosts of the last wave that began which got there.
  returned: success
  type: list
  elements: str
  sample: [web2]
wave_serial:
  description: Of how many hosts each batch of RV(wave_hosts) is, for C(serial) of a play.
  returned: success
  type: list
  elements: int
  sample: [1]
rollout:
  description: What the file holds.
  returned: success
  type: dict
  sample: {state: running, image: registry.example.com/os:stable}
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: rollout_missing
hint:
  description: What to do about it.
  returned: failure
  type: str
  sample: Plan one with rollout_plan.
"""
