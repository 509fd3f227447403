# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which image is installed, and what makes the machine differ from others with the same image."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  image:
    description:
      - The image, as C(registry/repository:tag) or C(registry/repository@sha256:…).
      - It is pulled into Podman's storage first, and run from there.
      - For a machine without a network, V(oci:/PATH), V(oci:/PATH:NAME), V(oci-archive:/PATH) or V(dir:/PATH) takes it from files,
        on a stick for example. O(target_imgref) is required then.
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
  bootloader:
    description:
      - The boot loader. Without it the image decides.
      - Needs bootc 1.10.0 or newer in the image, V(none) 1.13.0 and V(grub-cc) 1.16.3.
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
  bound_images:
    description:
      - What becomes of the images that the image names in C(/usr/lib/bootc/bound-images.d).
      - With V(stored), bootc's default, they are copied from Podman's storage, and must be there. With V(pull) bootc pulls them
        itself while it installs, which needs a network. With V(skip) they are left out.
    type: str
    choices: [stored, pull, skip]
  hostname:
    description: Name of the machine, put into C(/etc/hostname).
    type: str
  network:
    description: Network of the machine. Without it the image decides.
    type: list
    elements: dict
    suboptions:
      interface:
        description: Name of the interface; this or O(network[].mac) is required.
        type: str
      mac:
        description: MAC address of the interface, in quotes; YAML takes some addresses for numbers.
        type: str
      dhcp:
        description: Whether addresses are asked for by DHCP and router advertisements.
        type: bool
        default: false
      accept_ra:
        description:
          - Whether IPv6 addresses come by router advertisements, beside static ones.
          - Unset, they do with O(network[].dhcp); without it O(network_renderer) decides.
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
    description: What reads the network configuration on the installed machine. The image must have it.
    type: str
    choices: [networkmanager, systemd-networkd]
    default: networkmanager
  files:
    description:
      - Files of this machine below C(/etc) or C(/var), in place before it boots for the first time.
      - They are compared on every run, and put there again if they differ.
      - On an image with an SELinux policy C(/etc/tmpfiles.d/imagemode-labels.conf) gives them its labels at each boot.
      - An image that makes C(/etc) anew at every boot (C([etc] transient)) takes none there, and no SSH keys.
    type: list
    elements: dict
    suboptions:
      dest:
        description: Path on the installed machine.
        type: path
        required: true
      content:
        description:
          - What is in it; this or O(files[].src) is required.
          - While code of the image installs it, nothing of it is in a file on the machine where the task runs.
        type: str
      src:
        description: A file on the machine that the task runs on. For one of the controller, use O(files[].content) with a lookup.
        type: path
      mode:
        description: Its mode, as M(ansible.builtin.copy) has it; octal digits in quotes are best.
        type: raw
        default: "0644"
      owner:
        description: Name in the image, or number.
        type: str
        default: "0"
      group:
        description: Name in the image, or number.
        type: str
        default: "0"
  target_registry_username:
    description:
      - User name with which the installed machine pulls its updates from the registry of O(target_imgref).
      - It is put into C(/etc/ostree/auth.json), mode 0600, on the installed machine.
    type: str
  target_registry_password:
    description: Password or token for O(target_registry_username).
    type: str
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
"""

    # Where bootc makes the root file system itself.
    ROOT = r"""
options:
  filesystem:
    description: File system of the root. Without it the image decides.
    type: str
    choices: [xfs, ext4, btrfs]
  root_size:
    description: Size of the root file system, for example V(40GiB). Without it, it takes all of the disk.
    type: str
  composefs_backend:
    description: Use bootc's composefs backend. Unset, the image decides. Needs bootc 1.10.0 or newer in the image, 1.14.0 on xfs.
    type: bool
"""
