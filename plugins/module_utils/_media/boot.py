# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What boot loaders are told: GRUB on a CD and in the network, and iPXE."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from .._errors import OptionError

KERNEL = "vmlinuz"
# In this order: what comes later is laid over what came before.
INITRAMFS = ("initrd", "root.img", "settings.img")

_MENU = """\
# Written by imagemode.bootc
set timeout=3
set default=0
{before}menuentry "Live system (touches no disk)" {{
    linux {where}/{kernel} {arguments}
    initrd {initramfs}
}}
"""


def menu(arguments: Iterable[str], where: str = "/live", before: str = "") -> str:
    """:param where: directory of the files
    :param before: lines before the entry
    :returns: a C(grub.cfg)
    """
    files = " ".join(f"{where}/{name}" for name in INITRAMFS)
    return _MENU.format(where=where, kernel=KERNEL, arguments=" ".join(arguments), initramfs=files, before=before)


def network_menu(arguments: Iterable[str], url: str) -> str:
    """:returns: a C(grub.cfg) for a GRUB that was loaded from the network
    :raises OptionError: no address that GRUB could load from
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "tftp") or not parts.hostname:
        raise OptionError(f"'{url}' is not an address that a boot loader can load from.", hint="Write it as http://192.0.2.1:8080/live.")
    server = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    return menu(arguments, parts.path.rstrip("/"), f"insmod {parts.scheme}\nset root=({parts.scheme},{server})\n")


def ipxe(arguments: Iterable[str], url: str) -> str:
    """:returns: a script; under UEFI the kernel takes the files by the names that it is told, elsewhere all of them"""
    base = url.rstrip("/")
    named = " ".join(f"initrd={name}" for name in INITRAMFS)
    lines = ["#!ipxe", f"kernel {base}/{KERNEL} {named} {' '.join(arguments)}"]
    return "\n".join([*lines, *(f"initrd --name {name} {base}/{name}" for name in INITRAMFS), "boot", ""])
