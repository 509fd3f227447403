#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_disk_info
short_description: Tell what is on the disks of a machine, and which image is installed there
version_added: 0.1.0
description:
  - Reads every disk, or those that the hints match - what it is, what uses it, what it holds, and the image that is installed on it
    with its digest - as M(imagemode.bootc.bootc_install) sees it. Nothing is written, no journal is replayed, nothing of a disk is run.
  - An installation on a disk that is in use, such as that of the running system, is not read; M(imagemode.bootc.bootc_info) tells it.
options:
  disk:
    description: Only disks for which all hints hold that are set. Without a hint, all disks.
    type: dict
    suboptions:
      serial:
        description: Its serial number, as C(lsblk --output SERIAL) shows it.
        type: str
      wwn:
        description: Its World Wide Name; C(0x), C(naa.) and C(eui.) in front do not matter.
        type: str
      model:
        description: Shell pattern for its model, whatever the case.
        type: str
      vendor:
        description: Shell pattern for its vendor, whatever the case.
        type: str
      size:
        description:
          - Conditions on its size, for example V(>= 100GiB) or V(>= 400GB, < 2TB).
          - GiB, MiB, G and M are 1024-based, GB and MB 1000-based.
          - Without an operator, or with C(==), the size is met to one percent.
        type: str
      rotational:
        description: Whether it is a hard disk (V(true)) or has no moving parts (V(false)).
        type: bool
      transport:
        description: How it is connected, for example V(nvme), V(sata), V(sas), V(usb), V(virtio).
        type: str
      by_path:
        description: Shell pattern for its name in C(/dev/disk/by-path).
        type: str
      by_id:
        description: Shell pattern for one of its names in C(/dev/disk/by-id).
        type: str
      hctl:
        description: Shell pattern for its SCSI address C(HOST:CHANNEL:TARGET:LUN).
        type: str
      name:
        description:
          - Its name, for example V(/dev/sda), or a link to it in C(/dev/disk).
          - The kernel's names may be others after the next boot.
        type: str
        aliases: [path]
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.info
requirements:
  - util-linux (2.33 or newer) and root on the machine that the task runs on
author:
  - Contributors to the imagemode.bootc project (@imagemode)
seealso:
  - module: imagemode.bootc.bootc_install
  - module: imagemode.bootc.bootc_info
"""

EXAMPLES = r"""
- name: Look at all disks
  imagemode.bootc.bootc_disk_info:
  register: found

- name: Say which image is where
  ansible.builtin.debug:
    msg: "{{ item.name }} (serial {{ item.serial }}): {{ item.installed.image }} {{ item.installed.digest }}"
  loop: "{{ found.disks | selectattr('installed') }}"

- name: Look for an empty disk that is fast
  imagemode.bootc.bootc_disk_info:
    disk:
      rotational: false
      size: ">= 200GB"
  register: fast
"""

RETURN = r"""
disks:
  description: The disks.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Path of the disk. Beside it are the other things that hints can ask for., type: str}
    uses: {description: By what it is in use; empty if it is free., type: list, elements: str}
    contents: {description: Partitions and signatures; empty if there are none., type: list, elements: str}
    installed: {description: The installation that its default boot entry starts; null without one., type: dict}
    stamp: {description: What M(imagemode.bootc.bootc_install) noted there; its C(state) is C(begun) or C(finished)., type: dict}
    wipe_confirm: {description: What O(imagemode.bootc.bootc_install#module:wipe_confirm) must be to allow the loss of all this., type: str}
  sample:
    - by_path: pci-0000:00:05.0
      contents: ["/dev/vdb1: 1.0 MiB, no known contents", "/dev/vdb3: 11.5 GiB, ext4 'root'"]
      hctl: null
      installed:
        backend: ostree
        device: /dev/vdb3
        digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
        image: registry.example.com/os:stable
        kernel_arguments: [root=UUID=c223130d-675c-4bb9-a802-57885fb779c4, rw]
        root_ssh_keys: 1
        stateroot: default
        transport: registry
      model: null
      name: /dev/vdb
      rotational: true
      serial: TARGET01
      size: 12884901888
      stamp:
        digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
        image: registry.example.com/os:stable
        state: finished
        target: registry.example.com/os:stable
        when: "2026-11-24T21:05:00+00:00"
      transport: virtio
      uses: []
      vendor: "0x1af4"
      wipe_confirm: TARGET01
      wwn: null
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: not_root
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: "Run the task with 'become: true'."
"""

from typing import Any

from ansible_collections.imagemode.bootc.plugins.module_utils._disk.device import Device
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.guard import confirmation, contents, uses
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.hints import ARGUMENTS, Hints, disks
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.scan import Scanner
from ansible_collections.imagemode.bootc.plugins.module_utils._install.installation import require_ready
from ansible_collections.imagemode.bootc.plugins.module_utils._install.layout import read
from ansible_collections.imagemode.bootc.plugins.module_utils._install.mounts import mountable, with_mounted
from ansible_collections.imagemode.bootc.plugins.module_utils._install.stamp import decode, read_block
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner


def described(disk: Device, devices: tuple[Device, ...], runner: Runner) -> dict[str, Any]:
    """:param disk: as examined
    :returns: all that is known of it
    """
    used, stamp, installed = uses(disk), decode(read_block(disk)), None
    if not used and mountable(disk):
        installed = with_mounted(runner, mountable(disk), read)
    return {
        **disk.facts(),
        "uses": list(used),
        "contents": list(contents(disk)),
        "installed": installed.facts() if installed else None,
        "stamp": stamp.facts() if stamp else None,
        "wipe_confirm": confirmation(disk, devices),
    }


def main() -> None:
    module = CollectionModule(argument_spec={"disk": {"type": "dict", "options": ARGUMENTS}}, supports_check_mode=True)
    with module.errors():
        hinted = any(value is not None for value in (module.params["disk"] or {}).values())
        hints = Hints.from_options(module.params["disk"]) if hinted else None
        runner = Runner()
        require_ready(runner, ("lsblk", "wipefs", "mount"))
        scanner = Scanner(runner)
        devices = scanner.devices()
        wanted = [disk for disk in disks(devices) if hints is None or not hints.misses(disk)]
        module.exit_json(changed=False, disks=[described(scanner.examine(disk), devices, runner) for disk in wanted])


if __name__ == "__main__":
    main()
