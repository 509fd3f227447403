# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes the live system of one machine differ from that of another: name, keys, network, by MAC address or serial number."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._errors import OptionError
from .._install import keys, network
from .._install.files import PlacedFile, hostname
from .cpio import Entry, file, link
from .live import quiet

_HOSTS = "etc/live/hosts"
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_MAC = re.compile(r"^([0-9a-f]{2}:){5}[0-9a-f]{2}\Z")

# Drivers of network cards come up when they like, so an address is waited for; a serial number is there at once.
_SCRIPT = """\
#!/bin/sh
# Written by imagemode.bootc: find out which machine this is, and give it its name, keys and network.
# In image mode /root leads to a directory of /var, which may not be there yet.
bring() { mkdir -p -m 0700 "$(readlink -m /root)" && systemd-tmpfiles --create "$1"; }
if [ -s /etc/live/keys.conf ]; then bring /etc/live/keys.conf; fi
if [ ! -d /etc/live/hosts ]; then exit 0; fi
known() {
    for host in /etc/live/hosts/*/; do
        if [ -s "$host/serial" ] && [ "$(cat "$host/serial")" = "$(cat /sys/class/dmi/id/product_serial 2>/dev/null)" ]; then return 0; fi
        for address in /sys/class/net/*/address; do
            if [ -s "$host/macs" ] && grep -qxF -f "$address" "$host/macs"; then return 0; fi
        done
    done
    return 1
}
udevadm settle --timeout=60
tries=0
until known; do
    tries=$((tries + 1))
    if [ "$tries" -gt 20 ]; then echo "This machine has no settings of its own."; exit 0; fi
    sleep 1
done
echo "This machine is $(basename "$host")."
cp -a "$host/files/." /
if [ -s "$host/files/etc/hostname" ]; then cat "$host/files/etc/hostname" > /proc/sys/kernel/hostname; fi
if [ -s "$host/keys.conf" ]; then bring "$host/keys.conf"; fi
"""

_UNIT = """\
# Written by imagemode.bootc
[Unit]
Description=Settings of this machine
DefaultDependencies=no
After=local-fs.target systemd-udev-trigger.service systemd-tmpfiles-setup.service
Wants=network-pre.target
Before=network-pre.target systemd-networkd.service NetworkManager.service ssh.service sshd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /etc/live/settings
"""


@dataclass(frozen=True)
class Host:
    """A machine and what it gets.

    :ivar files: its own files; paths begin with C(etc/)
    :ivar keys: root's SSH keys, beside those that all machines have
    """

    name: str
    macs: tuple[str, ...]
    serial: str
    files: tuple[PlacedFile, ...]
    keys: tuple[str, ...]


def hosts(options: Iterable[Mapping[str, Any]], renderer: str) -> tuple[Host, ...]:
    """:param options: C(name), C(macs), C(serial), C(hostname), C(root_ssh_authorized_keys), C(network)
    :raises OptionError: a machine that nothing tells from the others, or two that the same thing does
    """
    found = tuple(_host(option, renderer) for option in options)
    _require_different("name", [host.name for host in found])
    _require_different("MAC address", [mac for host in found for mac in host.macs])
    _require_different("serial number", [host.serial for host in found if host.serial])
    return found


def archive(machines: Sequence[Host], common_keys: Iterable[str]) -> dict[str, Entry]:
    """:returns: files of the live system, with the paths that they have there"""
    common = keys.checked(common_keys)
    entries = {**quiet(), "etc/live/medium": file(b"This system was booted from a medium, and touches no disk by itself.\n")}
    if common:
        entries["etc/live/keys.conf"] = file(_keys(common))
    for host in machines:
        top = f"{_HOSTS}/{host.name}"
        entries[f"{top}/macs"] = file("".join(f"{mac}\n" for mac in host.macs).encode())
        entries[f"{top}/serial"] = file(f"{host.serial}\n".encode() if host.serial else b"")
        entries[f"{top}/files/etc/live/host"] = file(f"{host.name}\n".encode())
        for placed in host.files:
            entries[f"{top}/files/{placed.path}"] = file(placed.content, placed.mode)
        if host.keys:
            entries[f"{top}/keys.conf"] = file(_keys(tuple(dict.fromkeys((*common, *host.keys)))))
    if machines or common:
        unit = "etc/systemd/system/live-settings.service"
        entries[unit] = file(_UNIT.encode())
        entries["etc/systemd/system/sysinit.target.wants/live-settings.service"] = link(f"/{unit}")
        entries["etc/live/settings"] = file(_SCRIPT.encode(), 0o755)
    return entries


def _keys(lines: Iterable[str]) -> bytes:
    """As tmpfiles.d(5) has it: root's home is there only when the system runs."""
    encoded = base64.b64encode(keys.file_text(lines).encode()).decode()
    return f"d /root/.ssh 0700 root root -\nf+~ /root/.ssh/authorized_keys 0600 root root - {encoded}\n".encode()


def _host(option: Mapping[str, Any], renderer: str) -> Host:
    name, serial = str(option["name"]), str(option.get("serial") or "")
    if not _NAME.match(name):
        raise OptionError(f"'{name}' in 'hosts' is not a name.", hint="Use letters, digits, '.', '_' and '-'.")
    macs = tuple(str(mac).lower().replace("-", ":") for mac in option.get("macs") or ())
    wrong = [mac for mac in macs if not _MAC.match(mac)]
    if wrong:
        raise OptionError(f"'{wrong[0]}' of host '{name}' is not a MAC address.", hint='Write it in quotes, as "52:54:00:12:34:56".')
    if not macs and not serial:
        raise OptionError(f"Nothing tells which machine is host '{name}'.", hint="Give 'macs' or 'serial'.")
    placed = [hostname(option["hostname"])] if option.get("hostname") else []
    placed += network.files(option.get("network") or (), renderer)
    return Host(name, macs, serial, tuple(placed), keys.checked(option.get("root_ssh_authorized_keys") or ()))


def _require_different(what: str, values: Sequence[str]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise OptionError(f"Several entries of 'hosts' have the {what} '{twice[0]}'.", hint="Each needs something of its own.")
