#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_info
short_description: The state of a bootc host as data
version_added: 0.1.0
description:
  - Reads C(bootc status) and returns it as data, with what follows from it.
  - Works on every Linux host. One that does not run a bootc image is RV(managed=false), also if it has no bootc at all;
    RV(kind) tells what it is instead.
  - What costs more than C(bootc status) is looked up only if O(gather) names it.
options:
  gather:
    description:
      - What to look up beside the status.
      - V(bound_images) lists the logically bound images of the booted image, and whether bootc has them.
      - V(disk) finds the disks that the root file system is on.
      - V(timer) asks systemd for the timer that updates and reboots a host by itself.
      - V(update) asks the registry, as bootc would, for the image that the host follows. C(bootc upgrade --check) is not
        used, because it can stage an update on the composefs backend.
      - V(all) is all of them.
    type: list
    elements: str
    choices: [all, bound_images, disk, timer, update]
    default: []
  timeout:
    description: Seconds that bootc may take; V(0) means no limit. bootc waits for its lock without a limit of its own.
    type: int
    default: 300
  required:
    description:
      - Fail if the host does not run a bootc image, with RV(error=host_not_managed), or RV(error=bootc_missing) where there is no
        bootc either.
    type: bool
    default: false
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.info
  - imagemode.bootc.attributes.group_bootc
notes:
  - Must be run as root on a host that runs a bootc image, because bootc asks for it.
seealso:
  - module: imagemode.bootc.bootc_facts
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Look at the host
  imagemode.bootc.bootc_info:
  register: os

- name: Say what runs
  ansible.builtin.debug:
    msg: "{{ os.host.booted.image }} is {{ os.host.booted.digest }}"
  when: os.managed

- name: Ask for an update, and how large it is
  imagemode.bootc.bootc_info:
    gather: [update]
  register: os

- name: Say so
  ansible.builtin.debug:
    msg: "{{ os.remote.digest }} is there, {{ os.remote.bytes_new | default(0, true) | human_readable }} to download"
  when: os.update_available
"""

RETURN = r"""
managed:
  description: Whether the host runs a bootable container image that bootc can update.
  returned: success
  type: bool
  sample: true
kind:
  description:
    - V(image) runs a bootable container image that bootc can update, V(layered) one that was changed by rpm-ostree, so that bootc
      cannot upgrade it, V(ostree) a classic ostree commit, V(live) a live system that nothing can be staged on.
    - V(package) is a host that installs packages, V(container) a container.
  returned: success
  type: str
  sample: image
backend:
  description: The storage backend of bootc; null if there is no booted deployment.
  returned: success
  type: str
  sample: ostree
architecture:
  description: The architecture of the host as images name it; bootc itself does not tell it before 1.1.7.
  returned: success
  type: str
  sample: amd64
bootc_version:
  description: The version of bootc on the host; null if it has none.
  returned: success
  type: str
  sample: 1.16.9
capabilities:
  description: What this version of bootc can do.
  returned: success
  type: dict
  sample: {download_only: true, soft_reboot: true}
digest:
  description: The digest of the booted image; null if the host is not managed.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
reboot_required:
  description: Whether the next boot goes to another deployment than the booted one.
  returned: success
  type: bool
  sample: false
soft_reboot_capable:
  description: Whether that boot can be a soft reboot.
  returned: success
  type: bool
  sample: false
pending_digest:
  description: The digest that the next boot goes to; null if it is the booted deployment.
  returned: success
  type: str
  sample: null
update_available:
  description:
    - Whether the image that the host follows is another in the registry than the booted and the staged one.
    - The same image under another digest, because it was only compressed anew, is none.
  returned: if O(gather) has V(update)
  type: bool
  sample: true
remote:
  description: What the registry has for the host; null if the host follows no image.
  returned: if O(gather) has V(update)
  type: dict
  contains:
    image: {description: The image that the host follows., type: str}
    digest: {description: The digest of the manifest for its platform., type: str}
    index_digest: {description: The digest of the index; null if there is none., type: str}
    booted: {description: Whether it is the booted image., type: bool}
    staged: {description: "Whether it is staged already, be it locked.", type: bool}
    layers_total: {description: Number of its layers., type: int}
    layers_new: {description: "Number of layers that the booted image lacks; null if the registry has lost that.", type: int}
    bytes_total: {description: "Bytes of its layers, compressed.", type: int}
    bytes_new: {description: "Bytes of the layers that the booted image lacks: what is to be downloaded at most.", type: int}
  sample:
    booted: false
    bytes_new: 209
    bytes_total: 452984831
    digest: sha256:b248f1a47bdc5ba23b41c0d479014ebb93183baca172e41dcb1167534f5d7f27
    image: registry.example.com/os:stable
    index_digest: null
    layers_new: 1
    layers_total: 6
    staged: false
disks:
  description: The disks that the root file system is on; several below a volume group or an array.
  returned: if O(gather) has V(disk)
  type: list
  elements: dict
  sample:
    - by_id: [/dev/disk/by-id/virtio-S4EWNX0R123456]
      by_path: pci-0000:00:03.0
      device: /dev/vda3
      filesystem: ext4
      hctl: null
      model: null
      name: /dev/vda
      rotational: true
      serial: S4EWNX0R123456
      size: 10737418240
      transport: virtio
      vendor: "0x1af4"
      wwn: null
timer:
  description: The timer that updates and reboots a host by itself.
  returned: if O(gather) has V(timer)
  type: dict
  contains:
    name: {description: The unit., type: str}
    exists: {description: Whether the host has it., type: bool}
    masked: {description: Whether it is masked., type: bool}
    enabled: {description: Whether it starts at boot., type: bool}
    active: {description: Whether it runs now., type: bool}
    next: {description: "When it elapses next, in seconds since 1970; null if it does not.", type: int}
    last: {description: When it did last., type: int}
  sample:
    {active: true, enabled: true, exists: true, last: null, masked: false, name: bootc-fetch-apply-updates.timer, next: 1787000000}
bound_images:
  description: The logically bound images of the booted image.
  returned: if O(gather) has V(bound_images)
  type: list
  elements: dict
  contains:
    name: {description: The link in C(/usr/lib/bootc/bound-images.d)., type: str}
    image: {description: The image that it names., type: str}
    present: {description: Whether it is in bootc's storage., type: bool}
    digest: {description: Its digest there., type: str}
  sample:
    - digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
      image: registry.example.com/app:1
      name: app.container
      present: true
on_trial:
  description: The digest that the role P(imagemode.bootc.update#role) booted and has not judged yet; null if there is none.
  returned: success
  type: str
  sample: null
host:
  description: What C(bootc status) says.
  returned: success
  type: dict
  contains:
    managed: {description: As above., type: bool}
    backend: {description: As above., type: str}
    image: {description: "The image that the host follows: the staged one if something is staged, else the booted one.", type: str}
    transport: {description: Where the host finds it., type: str}
    signature: {description: How its signature is checked; null if it is not., type: str}
    booted: {description: "The running deployment: image, transport, signature, digest, version, timestamp and more.", type: dict}
    staged: {description: The deployment that the next boot goes to; null if nothing is staged., type: dict}
    rollback: {description: The deployment that a rollback goes to., type: dict}
    other: {description: Pinned deployments and those of other stateroots., type: list, elements: dict}
    rollback_queued: {description: Whether the next boot goes to the rollback deployment., type: bool}
    reboot_required: {description: As above., type: bool}
    usr_overlay: {description: "V(readWrite) or V(readOnly) if an overlay is mounted on /usr.", type: str}
    read_only: {description: Whether this is a live system., type: bool}
  sample:
    backend: ostree
    booted:
      digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
      download_only: false
      image: registry.example.com/os:1
      version: "1"
    image: registry.example.com/os:1
    managed: true
    reboot_required: false
    rollback: null
    rollback_queued: false
    staged: null
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: bootc_status_invalid
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Run 'bootc status --json' on the host and look at its output.
"""

from typing import Any

from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.about import about
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.client import Bootc
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import INSTALL_FIRST, NotManaged
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.status import Host
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule

# Written by the role update before it reboots a host, removed when the host is found healthy or was taken back.
TRIAL = "/var/lib/imagemode-bootc.trial"
EXTRAS = ("bound_images", "disk", "timer", "update")


def gather(what: list[str], bootc: Bootc, host: Host) -> dict[str, Any]:
    """What was asked for; its code is loaded only then, because loading takes longer than looking on a slow host."""
    wanted = EXTRAS if "all" in what else what
    found: dict[str, Any] = {}
    if "bound_images" in wanted:
        from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.bound import bound_images

        found["bound_images"] = bound_images()
    if "disk" in wanted:
        from ansible_collections.imagemode.bootc.plugins.module_utils._disk.root import root_disks
        from ansible_collections.imagemode.bootc.plugins.module_utils._disk.scan import Scanner
        from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

        found["disks"] = root_disks(Scanner(Runner()).devices())
    if "timer" in wanted:
        from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.timer import update_timer
        from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

        found["timer"] = update_timer(Runner())
    if "update" in wanted:
        from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.update import ask_registry

        # Not "update": a template would find the method of that name.
        remote = found["remote"] = ask_registry(bootc, host)
        found["update_available"] = remote is not None and not (remote["booted"] or remote["staged"])
    return found


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "gather": {"type": "list", "elements": "str", "default": [], "choices": ["all", *EXTRAS]},
            "timeout": {"type": "int", "default": 300},
            "required": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    with module.errors():
        bootc = Bootc(timeout=module.params["timeout"] or None)
        host, facts = about(bootc)
        if module.params["required"] and not host.managed:
            raise NotManaged(
                f"This host is not managed by bootc: it does not run a bootable container image (it is of kind '{facts['kind']}').",
                hint=INSTALL_FIRST,
                error=None if facts["bootc_version"] else "bootc_missing",
            )
        module.exit_json(changed=False, **facts, on_trial=_on_trial(), host=host.as_dict(), **gather(module.params["gather"], bootc, host))


def _on_trial() -> str | None:
    try:
        with open(TRIAL, encoding="ascii") as file:
            return file.read().strip() or None
    except OSError:
        return None


if __name__ == "__main__":
    main()
