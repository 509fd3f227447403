#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_disk_image
short_description: Make a disk image for virtual machines from a bootable container image
version_added: 0.1.0
description:
  - Installs a bootable container image to a file and converts it to what the hypervisor reads.
  - Beside O(dest) lies a sidecar, RV(sidecar), that tells what went into it. If all of that is the same, and the file is still
    the one that was made, nothing is done; otherwise it is made anew and put there at once.
  - A file without a sidecar, or one that somebody wrote to, is never touched.
options:
  dest:
    description:
      - The file. Its directory must exist.
      - A machine must not run from it, because then it is not what was made any more. Give each machine a copy, as the
        role P(imagemode.bootc.vm#role) does.
    type: path
    required: true
  format:
    description:
      - Its format. V(vmdk) is stream-optimized, V(vhdx) and V(vdi) grow with their content.
      - V(ova) holds a V(vmdk) with a description of a machine.
      - V(container-disk) is a KubeVirt container disk as an OCI archive; M(imagemode.bootc.oci_image_copy) brings it to a registry.
      - V(ami), V(gce), V(vhd) and V(anaconda-iso) are made with O(builder=image-builder) only.
      - V(iso) is refused. image-builder makes it of two images, the installer's and the one to install, and O(image) is one.
    type: str
    choices: [raw, qcow2, vmdk, vhdx, vdi, ova, container-disk, ami, gce, vhd, iso, anaconda-iso]
    default: qcow2
  size:
    description:
      - Size of the disk as the machine sees it, for example V(20GiB). The file takes what is in it. V(10GiB) unless set.
      - With O(builder=image-builder) the root has at least that size, and the disk is larger by the boot partitions. Unless set,
        image-builder decides. An installer, V(anaconda-iso), has none.
    type: str
  builder:
    description:
      - How it is made.
      - V(host) uses a loop device of the machine that the task runs on, with root's privileges. Its kernel must know the image's
        file systems.
      - V(machine) boots a live system in QEMU and does it in there. That needs neither root nor anything of this kernel, and
        the image's code sees nothing of this machine and no network.
      - V(image-builder) is osbuild's program, or its container O(builder_image).
    type: str
    choices: [host, machine, image-builder]
    default: host
  builder_image:
    description: Image of image-builder (or of the older bootc-image-builder), in Podman's storage, if it is not installed as a program.
    type: str
  live:
    description:
      - The live system for O(builder=machine). It has Podman, Python 3.9, an SSH server, and systemd 252 or newer.
      - Without it, C(/var/lib/imagemode/installer), C(/usr/share/imagemode/installer) and C(/srv/imagemode/installer) are looked at.
    type: dict
    suboptions:
      directory:
        description: A directory with a kernel (V(vmlinuz)), an initramfs (V(initrd), V(initrd.img)) and a root (V(root.squashfs)).
        type: path
      kernel:
        description: The kernel, if it is elsewhere; O(live.initrd) and O(live.root) are needed then.
        type: path
      initrd:
        description: The initramfs.
        type: path
      root:
        description: The read-only root file system.
        type: path
      arguments:
        description: >-
          Kernel arguments. Without them the root is taken for a squashfs on the first disk, and what is written there is kept in memory.
          Those that live media of dracut want are V(root=live:/dev/vda rd.live.image).
        type: str
      iso:
        description: A bootable medium instead.
        type: path
      memory:
        description: Memory in MiB.
        type: int
        default: 4096
      cpus:
        description: Number of processors; an emulated machine has one.
        type: int
        default: 2
      accelerator:
        description: V(auto) is KVM where it may be used.
        type: str
        choices: [auto, kvm, tcg]
        default: auto
      boot_timeout:
        description: Seconds to wait for its SSH server.
        type: int
        default: 600
  appliance:
    description: What an V(ova) says of the machine. Whoever imports it may change all of it.
    type: dict
    suboptions:
      name:
        description: Its name.
        type: str
        default: bootc
      cpus:
        description: Number of processors.
        type: int
        default: 2
      memory:
        description: Memory in MiB.
        type: int
        default: 2048
      firmware:
        description: Its firmware.
        type: str
        choices: [bios, uefi]
        default: uefi
      controller:
        description: >-
          What its disk is at. V(sata), with an E1000 network card, is known to vSphere and VirtualBox;
          V(pvscsi), with VMXNET3, is vSphere's own.
        type: str
        choices: [sata, pvscsi]
        default: sata
extends_documentation_fragment:
  - ansible.builtin.files
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.elapsed
  - imagemode.bootc.install
  - imagemode.bootc.install.root
attributes:
  check_mode:
    support: full
    details:
      - The registry is asked with skopeo for the digest. Nothing is pulled or run.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A tag that was moved is another image. Give O(digest), or a tag that stays, to have the same file for ever; then nobody is asked.
requirements:
  - skopeo, to see whether the image is another one
  - qemu-img, for all formats but V(raw)
  - Podman, util-linux and root for O(builder=host); QEMU, an SSH client and mkfs.ext4 for O(builder=machine)
notes:
  - Boot loaders of all firmwares are installed, as for C(bootc install --generic-image).
  - O(files), O(hostname) and credentials are in the disk image, for every machine that is made of it.
author:
  - Contributors to the imagemode.bootc project (@imagemode)
seealso:
  - module: imagemode.bootc.bootc_install
"""

EXAMPLES = r"""
- name: Make a disk image for KVM
  imagemode.bootc.bootc_disk_image:
    image: registry.example.com/os:1
    dest: /srv/images/os-1.qcow2
    size: 20GiB
    filesystem: xfs

- name: Make one for vSphere, without privileges
  imagemode.bootc.bootc_disk_image:
    image: registry.example.com/os:1
    target_imgref: registry.example.com/os:stable
    dest: /srv/images/os-1.ova
    format: ova
    appliance:
      name: os
      memory: 4096
    builder: machine
    live:
      directory: /srv/installer

- name: Have a cloud's image made by image-builder
  imagemode.bootc.bootc_disk_image:
    image: registry.example.com/os:1
    dest: /srv/images/os-1.ami.raw
    format: ami
    builder: image-builder
    filesystem: xfs

- name: Make a container disk for KubeVirt
  imagemode.bootc.bootc_disk_image:
    image: registry.example.com/os:1
    dest: /srv/images/os-1.tar
    format: container-disk

- name: Bring it to the registry
  imagemode.bootc.oci_image_copy:
    src: oci-archive:/srv/images/os-1.tar
    dest: registry.example.com/os-disk:1
"""

RETURN = r"""
reason:
  description: Why the disk image was, or was not, made.
  returned: success
  type: str
  sample: /srv/images/os-1.qcow2 is made of this image already
dest:
  description: The file.
  returned: success
  type: str
  sample: /srv/images/os-1.qcow2
sidecar:
  description: The file that tells what went into it.
  returned: success
  type: str
  sample: /srv/images/os-1.qcow2.imagemode.json
format:
  description: Its format.
  returned: success
  type: str
  sample: qcow2
image:
  description: The image.
  returned: success
  type: str
  sample: registry.example.com/os:1
digest:
  description:
    - The digest of the installed image, of the manifest for its platform.
    - In check mode the expected one, null if the registry told an index only.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
sha256:
  description: Checksum of the file.
  returned: success, unless check mode would make it
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
virtual_size:
  description: Bytes that a machine sees.
  returned: success, unless check mode would make it
  type: int
  sample: 21474836480
installed:
  description: The installation as it was read back.
  returned: when it was made by V(host) or V(machine)
  type: dict
  sample:
    backend: ostree
    device: /dev/vdb3
    digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
    image: registry.example.com/os:1
    kernel_arguments: [root=UUID=c223130d-675c-4bb9-a802-57885fb779c4, rw]
    root_ssh_keys: 1
    stateroot: default
    transport: registry
verified:
  description:
    - What was read back and is as asked.
    - Empty if something of it cannot be read, of which a warning tells. What bootc installed is kept then.
  returned: when it was made by V(host) or V(machine)
  type: list
  elements: str
  sample: [digest, target_imgref, kernel_arguments, root_ssh_authorized_keys]
command:
  description: The command that made it.
  returned: when it was made
  type: list
  elements: str
  sample: [podman, run, --rm, …, bootc, install, to-disk, …]
console:
  description: The end of what the throw-away machine's serial port showed.
  returned: failure with RV(error=machine_failed)
  type: str
  sample: Kernel panic - not syncing
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: disk_image_foreign
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: It is not touched. Move it away, or choose another 'dest'.
"""

from typing import Any

from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.formats import FORMATS
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.image_builder import ONLY_HERE
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image_module import DiskImageModule
from ansible_collections.imagemode.bootc.plugins.module_utils._install_module import ROOT

LIVE = {
    **{name: {"type": "path"} for name in ("directory", "kernel", "initrd", "root", "iso")},
    "arguments": {"type": "str"},
    "memory": {"type": "int", "default": 4096},
    "cpus": {"type": "int", "default": 2},
    "accelerator": {"type": "str", "choices": ["auto", "kvm", "tcg"], "default": "auto"},
    "boot_timeout": {"type": "int", "default": 600},
}
APPLIANCE = {
    "name": {"type": "str", "default": "bootc"},
    "cpus": {"type": "int", "default": 2},
    "memory": {"type": "int", "default": 2048},
    "firmware": {"type": "str", "choices": ["bios", "uefi"], "default": "uefi"},
    "controller": {"type": "str", "choices": ["sata", "pvscsi"], "default": "sata"},
}
ARGUMENTS: dict[str, Any] = {
    "dest": {"type": "path", "required": True},
    "format": {"type": "str", "choices": [*FORMATS, *ONLY_HERE], "default": "qcow2"},
    "size": {"type": "str"},
    "builder": {"type": "str", "choices": ["host", "machine", "image-builder"], "default": "host"},
    "builder_image": {"type": "str"},
    "live": {"type": "dict", "options": LIVE},
    "appliance": {"type": "dict", "options": APPLIANCE},
    **ROOT,
}


def main() -> None:
    module = DiskImageModule(ARGUMENTS)
    with module.errors():
        module.exit_json(**module.make())


if __name__ == "__main__":
    main()
