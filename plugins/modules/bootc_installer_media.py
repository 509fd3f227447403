#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_installer_media
short_description: Make a live system that installs, for CD, stick, PXE and HTTP boot, from a container image
version_added: 0.1.0
description:
  - Makes kernel, initramfs and root of a live system from an image in Podman's storage, and a CD image of them that boots under BIOS
    and UEFI. The live system is where M(imagemode.bootc.bootc_install) runs.
  - The image needs a kernel with its initramfs (made by dracut with systemd), systemd, Podman and an SSH server. Bootable container
    images have these. Nothing of the image is run.
  - The live system does nothing to a disk by itself. It does not mount, assemble, activate or swap; it waits for SSH.
  - Its root is in memory, so the medium can be taken out once it runs, and the same files boot from a CD and from the network.
  - Name, keys and network of single machines are told by their MAC addresses or serial numbers, so one medium serves all machines.
  - A file is made again only if something that goes into it changed, or the file did. Files that were not made here are left alone.
options:
  image:
    description: Name or id of the image in Podman's storage.
    type: str
    required: true
  directory:
    description:
      - Where the files are put. It must exist, and be on one file system. C(netboot) below it has what network boot needs.
    type: path
    required: true
  cd:
    description: Name of the CD image in O(directory); none is made if it is V(none).
    type: str
    default: live.iso
  url:
    description:
      - Where machines will find the directory C(netboot), for example V(http://192.0.2.1:8080/netboot).
      - With it C(boot.ipxe) and C(grub.cfg) are written there.
    type: str
  kernel_arguments:
    description: Arguments for the live system's kernel, for example V(console=ttyS0,115200).
    type: list
    elements: str
    default: []
  root_ssh_authorized_keys:
    description: Lines of root's C(authorized_keys) on every machine.
    type: list
    elements: str
    default: []
  hosts:
    description: Machines that get something of their own. Others get O(root_ssh_authorized_keys) and what the image does by itself.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the machine is called here.
        type: str
        required: true
      macs:
        description: MAC addresses by one of which it is known, in quotes.
        type: list
        elements: str
      serial:
        description: The serial number by which it is known, as its firmware tells it (C(/sys/class/dmi/id/product_serial)).
        type: str
      hostname:
        description: Name of the live system.
        type: str
      root_ssh_authorized_keys:
        description: Further keys of root.
        type: list
        elements: str
      network:
        description: Its network. Without it the image decides, most ask by DHCP.
        type: list
        elements: dict
        suboptions:
          interface:
            description: Name of the interface; this or O(hosts[].network[].mac) is required.
            type: str
          mac:
            description: MAC address of the interface, in quotes.
            type: str
          dhcp:
            description: Whether addresses are asked for by DHCP and router advertisements.
            type: bool
            default: false
          accept_ra:
            description:
              - Whether IPv6 addresses come by router advertisements, beside static ones.
              - Unset, they do with O(hosts[].network[].dhcp); without it O(network_renderer) decides.
            type: bool
          addresses:
            description: Static addresses with their prefix, IPv4 and IPv6.
            type: list
            elements: str
          gateways:
            description: Gateways, one for each protocol.
            type: list
            elements: str
          dns:
            description: Name servers.
            type: list
            elements: str
          search:
            description: Search domains.
            type: list
            elements: str
          mtu:
            description: MTU in bytes.
            type: int
  network_renderer:
    description: What reads the network configuration in the live system. The image must have it.
    type: str
    choices: [networkmanager, systemd-networkd]
    default: networkmanager
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.elapsed
attributes:
  check_mode:
    support: full
    details:
      - Nothing is made. Whether the image can be a live system is found out in the real run only, before a file is touched.
  diff_mode:
    support: none
  idempotent:
    support: full
requirements:
  - Podman, squashfs-tools and root on the machine that the task runs on
  - for a CD, xorriso, mtools and GRUB's C(grub-mkrescue) with its files for BIOS or UEFI
notes:
  - The CD's boot loader is not signed, so Secure Boot must be off, or the firmware must trust what you signed.
  - The live system needs memory for its root and for the images that it pulls, 4 GiB for a start.
  - Keys and networks of all machines can be read by everybody who can read the medium. Passwords have no place in it.
author:
  - Contributors to the imagemode.bootc project (@imagemode)
seealso:
  - module: imagemode.bootc.bootc_install
"""

EXAMPLES = r"""
- name: Make a CD, and files for network boot
  imagemode.bootc.bootc_installer_media:
    image: localhost/installer:1
    directory: /srv/www/live
    url: http://192.0.2.1/live/netboot
    kernel_arguments:
      - console=ttyS0,115200
    root_ssh_authorized_keys:
      - "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"
    hosts:
      - name: web1
        serial: CZ3035XG7K
        hostname: web1-installer
        network:
          - mac: "52:54:00:12:34:56"
            addresses: [192.0.2.10/24]
            gateways: [192.0.2.1]
            dns: [192.0.2.53]
"""

RETURN = r"""
files:
  description: The files, by their names below O(directory).
  returned: success; in check mode those that are there as they would be made
  type: dict
  sample:
    live.iso: {path: /srv/www/live/live.iso, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, size: 268435456}
made:
  description: Names of the files that were made now.
  returned: success
  type: list
  elements: str
  sample: [netboot/settings.img, live.iso]
removed:
  description: Names of files that were made here before and are not wanted any more.
  returned: success
  type: list
  elements: str
  sample: []
image_id:
  description: Digest of the image's configuration.
  returned: success
  type: str
  sample: sha256:353266bc3645851e5d62a4873741596c3fbcad3d1dacc49c2b51a4e94b3ac3d6
firmware:
  description: The kinds of firmware under which the CD boots; empty without a CD.
  returned: success
  type: list
  elements: str
  sample: [bios, uefi]
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: image_not_live
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Install it in the image's Containerfile.
"""

from pathlib import Path

from ansible_collections.imagemode.bootc.plugins.module_utils._engine import choose_engine, stored_name
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint import lock
from ansible_collections.imagemode.bootc.plugins.module_utils._install import keys, network
from ansible_collections.imagemode.bootc.plugins.module_utils._kargs import checked
from ansible_collections.imagemode.bootc.plugins.module_utils._media import settings
from ansible_collections.imagemode.bootc.plugins.module_utils._media.medium import Medium, Wanted
from ansible_collections.imagemode.bootc.plugins.module_utils._media.shelf import Shelf
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

HOST = {
    "name": {"type": "str", "required": True},
    "macs": {"type": "list", "elements": "str"},
    "serial": {"type": "str"},
    "hostname": {"type": "str"},
    "root_ssh_authorized_keys": {"type": "list", "elements": "str", "no_log": False},
    "network": {"type": "list", "elements": "dict", "options": network.LINK},
}
ARGUMENTS = {
    "image": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "cd": {"type": "str", "default": "live.iso"},
    "url": {"type": "str"},
    "kernel_arguments": {"type": "list", "elements": "str", "default": []},
    "root_ssh_authorized_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "hosts": {"type": "list", "elements": "dict", "default": [], "options": HOST},
    "network_renderer": {"type": "str", "default": "networkmanager", "choices": ["networkmanager", "systemd-networkd"]},
}


def wanted(module: CollectionModule, runner: Runner) -> Wanted:
    """What the options ask for."""
    params = module.params
    cd = params["cd"] or "live.iso"
    if "/" in cd or cd.startswith("."):
        raise OptionError(f"'{cd}' is not the name of a file in 'directory'.", hint="Leave the directory out of 'cd'.")
    return Wanted(
        image=choose_engine("podman", runner).need(stored_name(module.need("image"))),
        kernel_arguments=checked(params["kernel_arguments"] or ()),
        keys=keys.checked(params["root_ssh_authorized_keys"] or ()),
        hosts=settings.hosts(params["hosts"] or (), params["network_renderer"] or "networkmanager"),
        cd=None if cd == "none" else cd,
        url=params["url"],
    )


def main() -> None:
    module = CollectionModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    with module.errors():
        directory = Path(module.need("directory"))
        if not directory.is_dir():
            raise OptionError(f"'{directory}' is not a directory.", hint="Make it first.")
        runner = Runner()
        asked = wanted(module, runner)
        medium = Medium(runner, asked, directory)
        medium.require_tools()
        with lock(f"media {directory.resolve()}"):
            shelf, parts = Shelf(directory), medium.parts()
            lacking = shelf.lacking(parts)
            removed = shelf.forget(part.name for part in parts)
            if not module.check_mode:
                for part in lacking:
                    shelf.put(part)
                    module.changed = True
                for name in removed:
                    shelf.remove(name)
        made = [part.name for part in lacking]
        there = [part.name for part in parts if not (module.check_mode and part.name in made)]
        module.exit_json(
            changed=bool(made or removed),
            files={name: shelf.facts(name) for name in there},
            made=made,
            removed=list(removed),
            image_id=asked.image.id,
            firmware=list(medium.firmware()) if asked.cd else [],
        )


if __name__ == "__main__":
    main()
