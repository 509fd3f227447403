#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_install_existing_root
short_description: Turn the machine that runs into one that runs a bootable container image
version_added: 0.1.0
description:
  - Installs an image into the file systems of the running system - a cloud server, a machine with packages - with
    C(podman run … bootc install to-existing-root). At its next boot the machine runs the image.
  - The kernel finds the root as it does now, and C(/boot), if it is a file system of its own, by its UUID.
  - The old system stays on the disk below C(/sysroot), beside the new one; C(/boot) is emptied and filled anew.
    Nothing of it is kept but what is named. The role P(imagemode.bootc.takeover#role) also reboots, proves and cleans up.
  - Everything that can be known is checked before the first write. If the installation fails, the machine boots the old system as before;
    C(/boot), EFI system partitions and the boot code of its disks are put back, and a failure of that says not to reboot.
  - A machine on which this image waits for the boot already is left alone, and so is one that runs an image by then; those are
    for M(imagemode.bootc.bootc_switch).
options:
  wipe_confirm:
    description: The machine's host name, once more. It allows that the running system is replaced.
    type: str
  keep_root_ssh_keys:
    description:
      - Whether root's SSH keys are kept, with O(root_ssh_authorized_keys) added. Those of the user who becomes root with sudo count as
        root's, and a key that only runs a command, as clouds put it for root, is not kept.
      - If no key is left then, the machine cannot be taken over. V(false), without O(root_ssh_authorized_keys), leaves it to the image who
        can log in.
    type: bool
    default: true
  keep_host_keys:
    description: Whether the machine's SSH host keys are kept, so that it is known as the one that it was.
    type: bool
    default: true
  keep_hostname:
    description: Whether the host name is kept, unless O(hostname) is set.
    type: bool
    default: true
  keep_network:
    description:
      - Whether the addresses, gateways and name servers that the machine has now are written down for O(network_renderer), by MAC
        address, unless O(network) is set. An address that came by DHCP is asked for by DHCP again.
      - Bonds, bridges and VLANs are not. A machine whose default route leads over one cannot be taken over like this; set O(network), or
        V(false), and the files of its network in O(keep).
    type: bool
    default: true
  keep:
    description: Shell patterns for further files to keep, below C(/etc) and C(/var); a directory stands for all files in it.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.elapsed
  - imagemode.bootc.attributes.group_bootc
  - imagemode.bootc.install
attributes:
  check_mode:
    support: full
    details:
      - The machine is examined as in a real run, and the registry is asked with skopeo. Nothing is pulled or run.
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - Podman, util-linux, iproute2 and root on the machine
notes:
  - A power cut while C(/boot) is filled leaves a machine that does not boot.
author:
  - Contributors to the imagemode.bootc project (@imagemode)
seealso:
  - module: imagemode.bootc.bootc_install
  - module: imagemode.bootc.bootc_switch
"""

EXAMPLES = r"""
- name: Say what would happen
  imagemode.bootc.bootc_install_existing_root:
    image: registry.example.com/os:stable
    wipe_confirm: "{{ ansible_facts.nodename }}"
  check_mode: true

- name: Take the machine over, and keep the keys of its backup program
  imagemode.bootc.bootc_install_existing_root:
    image: registry.example.com/os:stable
    wipe_confirm: web1
    keep:
      - /etc/backup/*.key
"""

RETURN = r"""
reason:
  description: Why something was, or was not, done.
  returned: success
  type: str
  sample: web1 runs another system, which is replaced; that is confirmed
disk:
  description: The machine, and what was found on it.
  returned: success
  type: dict
  sample:
    hostname: web1
    root: /dev/vda1
    findings:
      - {name: boot, ok: true, said: "/boot is on /dev/vda1 with 9.7 GiB; 200.0 MiB are needed."}
kept:
  description: Files that the new system gets from the old one or by options.
  returned: success
  type: list
  elements: str
  sample: [/etc/hostname, /etc/ssh/ssh_host_ed25519_key]
image:
  description: The image.
  returned: success
  type: str
  sample: registry.example.com/os:stable
digest:
  description: The digest of the installed image; in check mode the expected one, null if the registry told an index only.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
installed:
  description: The installation RV(installed.before) and RV(installed.after), null if there is none.
  returned: success
  type: dict
  contains:
    before: {description: As it was found., type: dict}
    after: {description: As it was read back; in check mode what is expected., type: dict}
  sample: {before: null, after: {backend: ostree, image: "registry.example.com/os:stable"}}
reboot_required:
  description: Whether the image waits for a boot.
  returned: success
  type: bool
  sample: true
verified:
  description:
    - What was read back and is as asked.
    - Empty if something of it cannot be read, of which a warning tells. What bootc installed is kept then.
  returned: success
  type: list
  elements: str
  sample: [digest, target_imgref, root_ssh_authorized_keys, files]
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: takeover_unsuitable
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Free space on the root file system.
"""

from pathlib import Path

from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.client import Bootc
from ansible_collections.imagemode.bootc.plugins.module_utils._install import files
from ansible_collections.imagemode.bootc.plugins.module_utils._install.errors import InstallError
from ansible_collections.imagemode.bootc.plugins.module_utils._install.files import PlacedFile
from ansible_collections.imagemode.bootc.plugins.module_utils._install.on_root import (
    RootInstallation,
    kept,
    running_keys,
    running_network,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._install_module import InstallModule

ARGUMENTS = {
    "wipe_confirm": {"type": "str"},
    **{name: {"type": "bool", "default": True} for name in ("keep_host_keys", "keep_hostname", "keep_network")},
    # Says which keys, and is no secret.
    "keep_root_ssh_keys": {"type": "bool", "default": True, "no_log": False},
    "keep": {"type": "list", "elements": "str", "default": []},
}
HOST_KEYS = "/etc/ssh/ssh_host_*"


def what_is_kept(module: InstallModule) -> tuple[PlacedFile, ...]:
    """The running system's files; options that say the same of the machine are filled in."""
    params = module.params
    if params["keep_network"] and params["network"] is None:
        params["network"] = running_network(module.runner) or None
    if params["keep_root_ssh_keys"]:
        params["root_ssh_authorized_keys"] = [*running_keys(), *(params["root_ssh_authorized_keys"] or ())]
    patterns = [*params["keep"], *([HOST_KEYS] if params["keep_host_keys"] else [])]
    found = {file.path: file for file in kept(patterns)}
    if params["keep_hostname"]:
        name = Path("/proc/sys/kernel/hostname").read_text().strip()
        found["etc/hostname"] = files.hostname(name)
    return tuple(found.values())


def require_other_system(module: InstallModule) -> None:
    """:raises InstallError: C(host_managed)"""
    booted = Bootc(timeout=300).status().booted if module.runner.find("bootc") else None
    if booted and booted.image:
        raise InstallError(
            f"This machine runs a bootable container image already: {booted.image.source.image}.",
            error="host_managed",
            hint="Bring it to another image with bootc_switch or the role imagemode.bootc.update.",
        )


def main() -> None:
    module = InstallModule(ARGUMENTS)
    with module.errors():
        require_other_system(module)
        keep_network = module.params["keep_network"] and module.params["network"] is None
        more = what_is_kept(module)
        asked = module.request(more)
        job = RootInstallation(module.runner, asked, may_write=not module.check_mode, keep_network=keep_network)
        if job.old_boot.doubt:
            module.warn(job.old_boot.doubt)
        result = module.converge(job)
        names = [f"/{file.path}" for file in asked.files]
        module.exit_json(**result, kept=names, reboot_required=result["installed"]["after"] is not None)


if __name__ == "__main__":
    main()
