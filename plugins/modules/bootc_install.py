#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_install
short_description: Install a bootable container image to a disk
version_added: 0.1.0
description:
  - Writes a bootable container image to one disk of the machine that the task runs on, usually a live system,
    with C(podman run … bootc install to-disk).
  - The disk is chosen by hints; none or more than one match is an error. A disk that is in use is never written to,
    and one that holds anything only if its serial number is repeated in O(wipe_confirm).
  - Everything that can be known is checked before the first write, of the machine, the disk and the image.
  - After installing, the disk is read back. Kernel arguments and SSH keys that bootc left out are put there;
    anything else that differs from what was asked is an error.
  - A disk that holds this image already is left alone.
  - If an installation fails, partition table and signatures are taken away, so that nothing half-written boots,
    and the task can be run again.
options:
  image:
    description:
      - The image, as C(registry/repository:tag) or C(registry/repository@sha256:…).
      - It is pulled into Podman's storage first, and run from there.
    type: str
    required: true
  digest:
    description:
      - The digest that the image must have, of the index or of the manifest for this machine's platform.
      - If the disk holds it already, neither Podman nor a registry is asked.
    type: str
  target_imgref:
    description:
      - The reference that the installed machine follows for its updates.
      - Without it, O(image) by its tag, or by its digest if it has no tag.
    type: str
  target_transport:
    description: How the installed machine reaches O(target_imgref).
    type: str
    choices: [registry, oci, oci-archive, containers-storage, dir]
    default: registry
  pull:
    description:
      - Whether Podman asks the registry. An image with a digest that is in its storage is never pulled again.
      - V(missing) and V(never) take what is in Podman's storage, for images that were loaded or built there.
    type: str
    choices: [always, missing, never]
    default: always
  disk:
    description: Which disk. At least one hint must be set, all that are set must hold, and exactly one disk must match.
    type: dict
    required: true
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
  wipe_confirm:
    description:
      - The serial number of the disk, once more. It allows the loss of everything on that disk if it does not hold this image.
      - A disk without a serial number of its own is confirmed by its WWN; without that by its name in C(/dev/disk/by-path),
        or the kernel's, a slash and its size in bytes. The error RV(error=disk_has_data) tells what is needed.
      - It can stay set. A disk that holds this image is not touched because of it.
    type: str
  filesystem:
    description: File system of the root. Without it the image decides.
    type: str
    choices: [xfs, ext4, btrfs]
  root_size:
    description: Size of the root file system, for example V(40GiB). Without it, it takes all of the disk.
    type: str
  bootloader:
    description: The boot loader. Without it the image decides. Needs bootc 1.13.0 or newer in the image.
    type: str
    choices: [grub, grub-cc, systemd, none]
  kernel_arguments:
    description: Kernel arguments, added to the image's own.
    type: list
    elements: str
    default: []
  root_ssh_authorized_keys:
    description:
      - Lines of root's C(authorized_keys) file. They are put in place when the installed machine boots for the first time.
      - Unset, nothing is said about keys.
    type: list
    elements: str
  stateroot:
    description: Name of the stateroot, for the ostree backend.
    type: str
  composefs_backend:
    description: Use bootc's composefs backend. Unset, the image decides. Needs bootc 1.10.0 or newer in the image.
    type: bool
  generic_image:
    description: Install boot loaders of all types and do not touch the machine's firmware settings.
    type: bool
    default: false
  block_setup:
    description: How the root is put onto the disk. V(tpm2-luks) encrypts it, bound to the machine's TPM; the image must allow it.
    type: str
    choices: [direct, tpm2-luks]
  registry_username:
    description: User name for the registry, only for pulling.
    type: str
  registry_password:
    description:
      - Password or token for the registry.
      - It is in a file of mode 0600 in memory while the image is pulled, and gone before anything of the image runs.
    type: str
  auth_file:
    description: A file as C(podman login) writes it, on the machine where the task runs, used for pulling.
    type: path
  validate_certs:
    description: Check the registry's certificate. Registries without TLS can also be named in Podman's own C(registries.conf).
    type: bool
    default: true
  timeout:
    description: Seconds that pulling and installing may take, each.
    type: int
    default: 3600
extends_documentation_fragment:
  - imagemode.bootc.attributes
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
  - With O(block_setup=tpm2-luks) the disk cannot be read back; RV(verified) is empty then, and a second run is refused.
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
"""

RETURN = r"""
reason:
  description: Why something was, or was not, done.
  returned: success
  type: str
  sample: /dev/vdb is empty
disk:
  description: The chosen disk.
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
  description: What was read back from the disk and is as asked.
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

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.imagemode.bootc.plugins.module_utils._auth import Credentials, temporary_auth_file
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.hints import Hints
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.size import parse_size
from ansible_collections.imagemode.bootc.plugins.module_utils._install import keys
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import Image, Request
from ansible_collections.imagemode.bootc.plugins.module_utils._install.installation import Installation, require_ready
from ansible_collections.imagemode.bootc.plugins.module_utils._install.source import Source, Wanted
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

HINTS = {
    **{name: {"type": "str"} for name in ("serial", "wwn", "model", "vendor", "size", "transport", "by_path", "by_id", "hctl")},
    "rotational": {"type": "bool"},
    "name": {"type": "str", "aliases": ["path"]},
}
ARGUMENTS = {
    "image": {"type": "str", "required": True},
    "digest": {"type": "str"},
    "target_imgref": {"type": "str"},
    "target_transport": {
        "type": "str", "choices": ["registry", "oci", "oci-archive", "containers-storage", "dir"], "default": "registry",
    },
    "pull": {"type": "str", "choices": ["always", "missing", "never"], "default": "always"},
    "disk": {"type": "dict", "required": True, "options": HINTS},
    "wipe_confirm": {"type": "str"},
    "filesystem": {"type": "str", "choices": ["xfs", "ext4", "btrfs"]},
    "root_size": {"type": "str"},
    "bootloader": {"type": "str", "choices": ["grub", "grub-cc", "systemd", "none"]},
    "kernel_arguments": {"type": "list", "elements": "str", "default": []},
    "root_ssh_authorized_keys": {"type": "list", "elements": "str", "no_log": False},
    "stateroot": {"type": "str"},
    "composefs_backend": {"type": "bool"},
    "generic_image": {"type": "bool", "default": False},
    "block_setup": {"type": "str", "choices": ["direct", "tpm2-luks"]},
    "registry_username": {"type": "str"},
    "registry_password": {"type": "str", "no_log": True},
    "auth_file": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 3600},
}


def request(module: CollectionModule, wanted: Wanted) -> Request:
    params = module.params
    lines = params["root_ssh_authorized_keys"]
    return Request(
        target=params["target_imgref"] or wanted.target,
        transport=params["target_transport"],
        filesystem=params["filesystem"],
        root_size=parse_size(params["root_size"], "root_size") if params["root_size"] else None,
        bootloader=params["bootloader"],
        kernel_arguments=tuple(params["kernel_arguments"]),
        root_keys=keys.checked(lines) if lines is not None else None,
        stateroot=params["stateroot"],
        composefs=params["composefs_backend"],
        generic_image=params["generic_image"],
        block_setup=params["block_setup"],
    )


@contextmanager
def auth_file(module: CollectionModule, wanted: Wanted) -> Iterator[Path | None]:
    """The auth file for asking the registry; one made from options is gone afterwards."""
    given = Path(module.params["auth_file"]) if module.params["auth_file"] else None
    if not module.params["registry_username"]:
        yield given
        return
    credentials = Credentials(module.params["registry_username"], module.params["registry_password"])
    with temporary_auth_file({wanted.reference.registry: credentials}, [given] if given else []) as path:
        yield path


def fetched(module: CollectionModule, source: Source) -> Image:
    with auth_file(module, source.wanted) as file:
        image = source.fetch(file, module.params["pull"])
    source.wanted.require_digest(image.digests)
    return image


def main() -> None:
    module = CollectionModule(
        argument_spec=ARGUMENTS, supports_check_mode=True, required_together=[("registry_username", "registry_password")],
    )
    with module.errors():
        params, machine = module.params, os.uname().machine
        wanted = Wanted.parse(module.need("image"), params["digest"])
        hints, asked = Hints.from_options(params["disk"]), request(module, wanted)
        runner = Runner(secrets=[params["registry_password"] or ""])
        require_ready(runner)
        job = Installation(runner, hints, asked)
        source = Source(runner, wanted, validate_certs=params["validate_certs"], timeout=params["timeout"])

        with auth_file(module, wanted) as file:
            digests = source.known_digests(job.installed, file, machine, params["pull"], may_pull=not module.check_mode)
        plan = job.plan(digests, params["wipe_confirm"])
        before = job.installed.facts() if job.installed else None
        result = {"disk": job.disk.facts(), "image": wanted.name, "reason": plan.reason, "verified": []}

        if plan.verb == "install" and not module.check_mode:
            image = fetched(module, source)
            container, abilities = job.install(image, wanted.name, plan, machine, params["timeout"])
            module.changed = True
            result.update(command=list(container.argv), seconds=round(container.seconds, 1))
            result["verified"] = job.read_back(image, abilities)
            if not result["verified"]:
                module.warn(f"{job.disk.path} is encrypted: what was installed cannot be read back.")
        elif plan.verb == "repair" and not module.check_mode:
            module.changed = True
            job.repair(plan)
        if plan.verb != "install":
            result["verified"] = job.verified()
        after = job.expected(plan, digests) if module.check_mode else job.installed.facts() if job.installed else None
        result["installed"] = {"before": before, "after": after}
        result["digest"] = after["digest"] if after else None
        result["diff"] = {"before": job.shown(before), "after": job.shown(after)}
        module.exit_json(changed=plan.changes, **result)


if __name__ == "__main__":
    main()
