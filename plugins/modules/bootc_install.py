#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_install
short_description: Install a bootable container image to a disk, a file, or file systems
version_added: 0.1.0
description:
  - Writes a bootable container image to one disk of the machine that the task runs on, usually a live system,
    with C(podman run … bootc install to-disk). O(file) writes it to a file that is used as a disk, O(root_path) to
    file systems that were made and mounted before (LVM, RAID, several disks), with C(bootc install to-filesystem).
  - The disk is chosen by hints; none or more than one match is an error. A disk that is in use is never written to,
    and one that holds anything only if its serial number is repeated in O(wipe_confirm).
  - Everything that can be known is checked before the first write, of the machine, the disk and the image.
  - After installing, the disk is read back. Kernel arguments and SSH keys that bootc left out are put there, and the files
    of this machine (its name, network, credentials, O(files)), which no code of the image has seen by then.
    Anything else that differs from what was asked is an error.
  - A disk that holds this image already is left alone.
  - If an installation fails, partition table and signatures are taken away, so that nothing half-written boots,
    and the task can be run again. A stamp before the first partition says that an installation was begun; after a power cut
    the next run recognises by it what it may make anew, without O(wipe_confirm).
    For O(root_path) the machine that installs notes the same in C(/var/lib/imagemode-bootc), for a day, and where that is memory,
    as on a live system, until its power is cut.
options:
  disk:
    description:
      - Which disk. At least one hint must be set, all that are set must hold, and exactly one disk must match.
      - One of O(disk), O(file) and O(root_path) is required.
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
  file:
    description:
      - A file that becomes the disk of a virtual machine or a medium (raw). It is attached to a loop device while the task runs.
      - O(generic_image) is implied. O(wipe_confirm) is the file's path; it is needed for a file whose first MiB is not empty.
    type: path
  file_size:
    description: Size of O(file), for example V(10GiB), if it does not exist and is to be made. A file that is there keeps its size.
    type: str
  root_path:
    description:
      - A directory where the new system's root file system is mounted, and below it those that are separate
        (C(boot), C(boot/efi), C(var)…). They must be empty, and stay mounted. Others than C(boot) and C(boot/efi) need bootc 1.12.0 or
        newer in the image.
      - A root that the kernel cannot find by its UUID needs O(root_mount_spec), a C(/var) of its own the kernel argument
        C(systemd.mount-extra=UUID=…:/var:ext4:defaults) or a unit in the image.
      - O(wipe_confirm) is the UUID of the root file system.
    type: path
  root_mount_spec:
    description: How the kernel finds the root, for example V(LABEL=root), with O(root_path). Without it, by its UUID.
    type: str
  boot_mount_spec:
    description: How C(/boot) is found, with O(root_path). Without it, by its UUID if it is a file system of its own.
    type: str
  wipe_confirm:
    description:
      - The serial number of the disk, once more. It allows the loss of everything on that disk if it does not hold this image.
      - A disk without a serial number of its own is confirmed by its WWN; without that by its name in C(/dev/disk/by-path),
        or the kernel's, a slash and its size in bytes. The error RV(error=disk_has_data) tells what is needed.
      - It can stay set. A disk that holds this image is not touched because of it.
    type: str
  generic_image:
    description: Install boot loaders of all types and do not touch the machine's firmware settings.
    type: bool
    default: false
  block_setup:
    description:
      - How the root is put onto the disk. V(tpm2-luks) encrypts it, bound to the machine's TPM; the image must allow it.
      - Without it, the first that the image's install configuration names (C(block)), V(direct) for most.
      - An installation that was made otherwise is another one, and replacing it must be confirmed.
    type: str
    choices: [direct, tpm2-luks]
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.elapsed
  - imagemode.bootc.install
  - imagemode.bootc.install.root
attributes:
  check_mode:
    support: full
    details:
      - The disk is examined and guarded as in a real run, and the registry is asked with skopeo. Nothing is pulled or run.
      - What the image can do is not asked, because that would need the image. An image that turns out not to be installable
        fails in the real run only, before the first write.
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - Podman, util-linux (2.33 or newer) and root on the machine that the task runs on
  - skopeo there, for check mode on a disk that holds an installation; it also saves a pull
notes:
  - The installation holds the task for some minutes. If the connection may be lost, run it with C(async).
  - Kernel arguments of an image with a unified kernel image are sealed in it. RV(installed) has C(null) for them.
  - With O(block_setup=tpm2-luks), asked for or by the image, the disk cannot be read back. RV(verified) is empty then, a second run
    believes the stamp, and the machine's files (O(hostname), O(network), O(files), credentials) cannot be had.
  - The image's own code installs it, with all privileges on the machine that the task runs on. Passwords and O(files) are in no file,
    environment or command line that it could read while it runs, only in this task's memory. Give the installer a login that may only pull.
  - Disks are identified once more immediately before the first write. Between that and bootc's own first write are seconds.
author:
  - Contributors to the imagemode.bootc project (@imagemode)
seealso:
  - module: imagemode.bootc.bootc_info
  - module: imagemode.bootc.bootc_switch
"""

EXAMPLES = r"""
- name: Install to the disk with this serial number
  imagemode.bootc.bootc_install:
    image: registry.example.com/os:stable
    disk:
      serial: S4EVNX0R123456
    root_ssh_authorized_keys:
      - "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"
  register: install

- name: Install this digest to the only fast disk of at least 200 GB, whatever is on the disk with that serial number
  imagemode.bootc.bootc_install:
    image: registry.example.com/os:stable
    digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
    disk:
      rotational: false
      size: ">= 200GB"
    wipe_confirm: S4EVNX0R123456
    filesystem: xfs
    kernel_arguments:
      - console=ttyS0,115200

- name: Install from a mirror that needs a login, and follow the public name afterwards
  imagemode.bootc.bootc_install:
    image: mirror.example.com:5000/os:stable
    target_imgref: registry.example.com/os:stable
    registry_username: installer
    registry_password: "{{ mirror_password }}"
    disk:
      by_path: pci-0000:00:17.0-ata-1

- name: Install a machine with a name, an address, and a login for its updates
  imagemode.bootc.bootc_install:
    image: registry.example.com/os:stable
    disk:
      serial: S4EVNX0R123456
    hostname: web1.example.com
    network:
      - mac: "52:54:00:12:34:56"
        addresses: [192.0.2.10/24, 2001:db8::10/64]
        gateways: [192.0.2.1, 2001:db8::1]
        dns: [192.0.2.53]
    target_registry_username: web1
    target_registry_password: "{{ pull_password }}"
    files:
      - dest: /etc/motd
        content: "web1, installed by Ansible\n"
      - dest: /etc/pki/web1.key
        content: "{{ lookup('ansible.builtin.file', 'web1.key') }}"
        mode: "0600"

- name: Install from a stick, without a network
  imagemode.bootc.bootc_install:
    image: oci:/media/stick/os:1
    target_imgref: registry.example.com/os:stable
    disk:
      serial: S4EVNX0R123456

- name: Install to a mirrored root that was made and mounted before
  imagemode.bootc.bootc_install:
    image: registry.example.com/os:stable
    root_path: /mnt/new
    root_mount_spec: UUID=0f2b6a1c-3d1e-4b50-9ad5-2a6a9b1f5d11

- name: Make the disk of a virtual machine as a file
  imagemode.bootc.bootc_install:
    image: registry.example.com/os:stable
    file: /srv/images/web1.raw
    file_size: 10GiB
"""

RETURN = r"""
reason:
  description: Why something was, or was not, done.
  returned: success
  type: str
  sample: /dev/vdb is empty
disk:
  description: The chosen disk; for O(root_path) the directory, and what is mounted there.
  returned: success, and failure once a disk was chosen
  type: dict
  sample:
    by_path: pci-0000:00:05.0
    hctl: null
    model: null
    name: /dev/vdb
    rotational: true
    serial: TARGET01
    size: 12884901888
    transport: virtio
    vendor: "0x1af4"
    wwn: null
image:
  description: The image as it was pulled.
  returned: success
  type: str
  sample: registry.example.com/os:stable
digest:
  description:
    - The digest of the installed image, of the manifest for its platform.
    - In check mode the expected one, null if the registry told an index only.
  returned: success
  type: str
  sample: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
installed:
  description: The installation on the disk RV(installed.before) and RV(installed.after), null if there is none that can be read.
  returned: success
  type: dict
  contains:
    before: {description: As it was found., type: dict}
    after: {description: As it was read back; in check mode what is expected., type: dict}
  sample:
    before: null
    after:
      backend: ostree
      device: /dev/vdb3
      digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
      image: registry.example.com/os:stable
      kernel_arguments: [root=UUID=c223130d-675c-4bb9-a802-57885fb779c4, rw]
      root_ssh_keys: 1
      stateroot: default
      transport: registry
command:
  description: The command that installed, as it can be given by hand.
  returned: when something was installed
  type: list
  elements: str
  sample: [podman, run, --rm, …, bootc, install, to-disk, …, /dev/vdb]
seconds:
  description: How long that command ran.
  returned: when something was installed
  type: float
  sample: 118.4
verified:
  description:
    - What was read back from the disk and is as asked.
    - Empty if something of it cannot be read, of which a warning tells. What bootc installed is kept then.
  returned: success
  type: list
  elements: str
  sample: [digest, target_imgref, kernel_arguments, root_ssh_authorized_keys]
candidates:
  description: All disks, and why each is not the one.
  returned: failure with RV(error=disk_not_found) or RV(error=disk_ambiguous)
  type: list
  elements: dict
  sample:
    - name: /dev/vda
      serial: OTHER01
      size: 2147483648
      why_not: ["serial is 'OTHER01', not 'TARGET01'"]
wipe_confirm_needed:
  description: What O(wipe_confirm) must be.
  returned: failure with RV(error=disk_has_data), RV(error=disk_has_other_image) or RV(error=wipe_confirm_mismatch)
  type: str
  sample: TARGET01
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: disk_has_data
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: "If all of that may be lost, set 'wipe_confirm: \"TARGET01\"'; else choose another disk."
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.imagemode.bootc.plugins.module_utils._disk.hints import ARGUMENTS as HINTS
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.hints import Hints
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.size import parse_size
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import Request
from ansible_collections.imagemode.bootc.plugins.module_utils._install.installation import Installation
from ansible_collections.imagemode.bootc.plugins.module_utils._install.on_disk import DiskInstallation, FileInstallation
from ansible_collections.imagemode.bootc.plugins.module_utils._install.on_tree import TreeInstallation
from ansible_collections.imagemode.bootc.plugins.module_utils._install_module import ROOT, InstallModule
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

ARGUMENTS = {
    "disk": {"type": "dict", "options": HINTS},
    "file": {"type": "path"},
    "file_size": {"type": "str"},
    "root_path": {"type": "path"},
    "root_mount_spec": {"type": "str"},
    "boot_mount_spec": {"type": "str"},
    "wipe_confirm": {"type": "str"},
    **ROOT,
    "generic_image": {"type": "bool", "default": False},
    "block_setup": {"type": "str", "choices": ["direct", "tpm2-luks"]},
}


@contextmanager
def installation(module: InstallModule, runner: Runner, asked: Request) -> Iterator[Installation]:
    """The place that the options name; a loop device is detached afterwards."""
    params, may_write = module.params, not module.check_mode
    if params["root_path"]:
        yield TreeInstallation(runner, params["root_path"], asked, may_write=may_write)
    elif params["file"]:
        size = parse_size(params["file_size"], "file_size") if params["file_size"] else None
        job = FileInstallation(runner, params["file"], size, asked, may_write=may_write)
        try:
            yield job
        finally:
            job.close()
    else:
        yield DiskInstallation(runner, Hints.from_options(module.need("disk")), asked, may_write=may_write)


def main() -> None:
    module = InstallModule(ARGUMENTS, mutually_exclusive=[("disk", "file", "root_path")])
    with module.errors():
        params = module.params
        asked = module.request(
            **module.root(),
            generic_image=params["generic_image"] or params["file"] is not None,
            block_setup=params["block_setup"],
            root_mount_spec=params["root_mount_spec"],
            boot_mount_spec=params["boot_mount_spec"],
        )
        with installation(module, module.runner, asked) as job:
            result = module.converge(job)
        module.exit_json(**result)


if __name__ == "__main__":
    main()
