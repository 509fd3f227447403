# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each kind of hypervisor: what it says of a machine, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .._errors import OptionError
from . import hyperv, libvirt, proxmox, qemu, virtualbox, vmware
from .plan import Plan, plan
from .spec import Machine, by_name, wanted


@dataclass(frozen=True)
class Described:
    """:ivar options: the machine as it is wanted
    :ivar found: what the hypervisor said, empty if it does not know it
    :ivar sizes: of the disks' files, as the machine sees them
    :ivar host: what the hypervisor's machine has; C(autostart), whether the machine is to start with it, and C(autostarts), whether it does
    """

    options: Mapping[str, Any]
    found: Any
    sizes: Mapping[str, int]
    host: Mapping[str, Any]


def _qemu(asked: Described) -> dict[str, Any]:
    machine = wanted(asked.options)
    found = qemu.decode(asked.found, asked.sizes) if asked.found else None
    what = _plan(asked, machine, found, keys=True)
    return {**_told(machine, what), "command": qemu.command(machine, asked.host), "described": qemu.encode(machine)}


def _libvirt(asked: Described) -> dict[str, Any]:
    machine = wanted(asked.options)
    found, uuid = libvirt.parse(asked.found, asked.sizes) if asked.found else (None, "")
    what = _plan(asked, libvirt.as_domain(machine), found, keys=True)
    return {**_told(machine, what), "document": libvirt.document(machine, {**asked.host, "uuid": uuid})}


def _virtualbox(asked: Described) -> dict[str, Any]:
    machine = wanted(asked.options, virtualbox.VENDOR)
    virtualbox.require(machine)
    found = virtualbox.parse(asked.found, asked.sizes, machine) if asked.found else None
    # Its disks come last: one without any was never finished.
    what = _plan(asked, machine, found if found and found.disks else None)
    return {**_told(machine, what), "commands": virtualbox.commands(machine, asked.found or "", found, what, asked.host)}


def _hyperv(asked: Described) -> dict[str, Any]:
    machine = wanted(asked.options, hyperv.VENDOR)
    hyperv.require(machine)
    found = hyperv.parse(asked.found, machine) if asked.found else None
    what = _starting(asked, plan(machine, found))
    return {**_told(machine, what), "script": hyperv.script(machine, found, what, asked.host), "look": hyperv.look(machine.name)}


def _proxmox(asked: Described) -> dict[str, Any]:
    machine = wanted(asked.options, proxmox.VENDOR)
    found = proxmox.parse(asked.found, machine) if asked.found else None
    what = _plan(asked, machine, found)
    return {**_told(machine, what), "options": proxmox.options(machine, asked.found or {}, what, asked.host)}


def _vmware(asked: Described) -> dict[str, Any]:
    machine = wanted(asked.options, vmware.VENDOR)
    found = vmware.parse(asked.found, machine) if asked.found else None
    what = _plan(asked, machine, found)
    return {**_told(machine, what), "options": vmware.options(machine, found)}


def _plan(asked: Described, machine: Machine, found: Machine | None, *, keys: bool = False) -> Plan:
    """:raises OptionError: a disk that is to be made, of which nobody says how large"""
    what, disks = plan(machine, found, keys=keys), by_name(machine.disks)
    for name in what.new_disks:
        if disks[name].size is None and disks[name] != machine.disks[0] and disks[name].path not in asked.sizes:
            raise OptionError(
                f"Disk '{name}' of {machine.name} is new, and nothing says its size.",
                hint="Set its 'size' in 'vm_disks', for example 20GiB.",
            )
    return _starting(asked, what)


def _starting(asked: Described, what: Plan) -> Plan:
    """With whether the machine starts with its hypervisor, which counts at once; where that is not known it is as it was."""
    now, then = asked.host.get("autostarts"), asked.host.get("autostart")
    if what.verb == "create" or not isinstance(now, bool) or now == then:
        return what
    return replace(what, verb="change", changes=(*what.changes, f"it starts {'with' if then else 'not with'} its hypervisor"))


def _told(machine: Machine, what: Plan) -> dict[str, Any]:
    disks = by_name(machine.disks)
    return {
        "verb": what.verb,
        "changes": list(what.changes),
        "rebuild": list(what.rebuild),
        "restart": what.restart,
        "grow": [asdict(disk) for disk in what.grow],
        "new_disks": [asdict(disks[name]) for name in what.new_disks],
        "macs": [network.mac for network in machine.networks],
    }


DRIVERS: dict[str, Callable[[Described], dict[str, Any]]] = {
    "hyperv": _hyperv,
    "libvirt": _libvirt,
    "proxmox": _proxmox,
    "qemu": _qemu,
    "virtualbox": _virtualbox,
    "vmware": _vmware,
}
