#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_report
short_description: Make a report of a fleet on the controller
version_added: 0.1.0
description:
  - Reads the journals that M(imagemode.bootc.fleet_record) wrote, and returns how many hosts are in which state, and which digests run.
  - With O(dest) it writes the hosts as JSON, as CSV, and as one page of HTML that needs no other file and no network, to be sorted
    and filtered in a browser.
  - The worst states come first - V(unreachable), V(unmanaged), V(failed), V(rolled_back), V(reboot_required), V(drifted) from the wanted
    digest, V(current), and V(unknown) where nobody said what is wanted, or looked at the host.
  - Nothing is run on hosts. Run it once, for example with C(run_once).
options:
  journal:
    description: The journals, for example one of each site.
    type: list
    elements: path
    required: true
  hosts:
    description:
      - The hosts that the report is about. One that no journal knows is V(unknown).
      - Unset, all that the journals know.
    type: list
    elements: str
  title:
    description: The title.
    type: str
    default: Fleet report
  dest:
    description: The directory for the files C(report.json), C(report.csv) and C(report.html). Unset, none are written.
    type: path
  formats:
    description: Which files are written.
    type: list
    elements: str
    choices: [json, csv, html]
    default: [json, csv, html]
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.controller
seealso:
  - module: imagemode.bootc.fleet_record
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Make a report of all hosts of the play
  imagemode.bootc.fleet_report:
    journal: [fleet.jsonl]
    hosts: "{{ ansible_play_hosts_all }}"
    dest: report
  run_once: true
  register: fleet

- name: Give it to AWX as an artifact
  ansible.builtin.set_stats:
    data:
      fleet_states: "{{ fleet.states }}"
  run_once: true
"""

RETURN = r"""
hosts:
  description: Number of hosts.
  returned: success
  type: int
  sample: 3
states:
  description: State → number of hosts.
  returned: success
  type: dict
  sample: {drifted: 1, current: 2}
digests:
  description: Booted digest → number of hosts, the most frequent first; C(none) where nothing is known.
  returned: success
  type: dict
  sample:
    sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7: 3
waves:
  description: Wave → state → number of hosts.
  returned: success
  type: dict
  sample: {"1": {current: 1}, "2": {drifted: 1, current: 1}}
rows:
  description:
    - The hosts, worst state first. What runs, is staged and is the rollback are C(digest), C(staged_digest) and C(rollback_digest).
    - C(age_days) is how old the booted image was when the host was seen.
  returned: success
  type: list
  elements: dict
  sample:
    - host: web1
      state: drifted
      digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
files:
  description: Format → the file that was written.
  returned: success
  type: dict
  sample: {html: report/report.html}
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: report_unwritable
hint:
  description: What to do about it.
  returned: failure
  type: str
  sample: Name another directory in 'dest'.
"""
