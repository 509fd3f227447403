#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_state
short_description: Pause, resume or cancel a rollout on the controller
version_added: 0.1.0
description:
  - Says in the file of a rollout whether it goes on. One that runs stops before its next batch; hosts that are on their way
    get there first.
  - Nothing is run on hosts.
options:
  path:
    description: The file of the rollout.
    type: path
    required: true
  state:
    description:
      - V(paused) stops it before the next batch; running the playbook again goes on with it.
      - V(halted) stops it as a halt rule does.
      - V(running) lets one that was paused or halted go on.
      - V(cancelled) ends it, so that another can be planned in its file. Hosts stay as they are.
    type: str
    choices: [running, paused, halted, cancelled]
    required: true
  reason:
    description: Why, for people.
    type: str
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.action
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Pause the rollout
  imagemode.bootc.rollout_state:
    path: rollout.json
    state: paused
    reason: the shop is open
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
state:
  description: The state afterwards. A rollout that is done or cancelled stays so.
  returned: success
  type: str
  sample: paused
reason:
  description: Why.
  returned: success
  type: str
  sample: the shop is open
rollout:
  description: What the file holds.
  returned: success
  type: dict
  sample: {state: paused, image: registry.example.com/os:stable}
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
