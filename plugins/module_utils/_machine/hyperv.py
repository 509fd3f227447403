# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hyper-V: a machine by PowerShell; what is asked for is JSON in it, never text that is pasted into a script."""

from __future__ import annotations

import json
import ntpath
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._errors import OptionError
from .plan import Plan
from .spec import Disk, Machine, Network, file_stem

VENDOR = "00:15:5d"

LOOK = r"""
$ErrorActionPreference = 'Stop'
# All of them: asked for one by its name, an account that may not ask hears that there is none; and a name there is a pattern.
$vm = Get-VM | Where-Object Name -EQ $name
if (-not $vm) { 'null' } else {
  [ordered]@{
    name = $vm.Name
    generation = $vm.Generation
    running = $vm.State -notin 'Off', 'Saved'
    paused = $vm.State -eq 'Paused'
    autostart = $vm.AutomaticStartAction -eq 'Start'
    cpus = $vm.ProcessorCount
    memory = $vm.MemoryStartup / 1MB
    disks = @(Get-VMHardDiskDrive -VM $vm | ForEach-Object { [ordered]@{ path = $_.Path; size = (Get-VHD -Path $_.Path).Size } })
    networks = @(Get-VMNetworkAdapter -VM $vm | ForEach-Object { [ordered]@{ name = $_.SwitchName; mac = $_.MacAddress } })
  } | ConvertTo-Json -Depth 4 -Compress
}
"""


def look(name: str) -> str:
    """:returns: PowerShell that says what is there as JSON, C(null) if nothing is"""
    return f"$name = {_quoted(name)}\n{LOOK.strip()}\n"


def script(machine: Machine, found: Machine | None, what: Plan, host: Mapping[str, Any]) -> str:
    """:param host: C(directory) for the machine's files, C(source) the disk image (vhdx) as the hypervisor sees it, C(autostart)
    :returns: PowerShell that makes it so; C("") if nothing is to be done
    """
    if what.verb == "none":
        return ""
    name = _quoted(machine.name)
    lines = ["$ErrorActionPreference = 'Stop'", f"$name = {name}"]
    for number, disk in enumerate(machine.disks):
        path = _quoted(disk.path)
        if disk.name in what.new_disks:
            # Only Windows can tell whether it is there.
            make = f"New-VHD -Path {path} -SizeBytes {disk.size} -Dynamic | Out-Null"
            if disk.size is None:
                make = f"throw {_quoted(f'Disk {disk.name} is new, and nothing says its size. Set it in vm_disks.')}"
            if number == 0:
                # It gets its name when it is whole: a copy that was interrupted is no disk.
                copy = _quoted(f"{disk.path}.unfinished")
                make = f"Copy-Item -LiteralPath {_quoted(host['source'])} -Destination {copy} -Force; "
                make += f"Move-Item -LiteralPath {copy} -Destination {path}"
            lines.append(f"if (-not (Test-Path -LiteralPath {path})) {{ {make} }}")
        if disk in what.grow or (number == 0 and disk.size and disk.name in what.new_disks):
            lines.append(f"if ((Get-VHD -Path {path}).Size -lt {disk.size}) {{ Resize-VHD -Path {path} -SizeBytes {disk.size} }}")
    if found is None:
        generation = 2 if machine.firmware == "uefi" else 1
        lines.append(
            f"New-VM -Name $name -Generation {generation} -MemoryStartupBytes {machine.memory}MB -Path {_quoted(host['directory'])} "
            f"-VHDPath {_quoted(machine.disks[0].path)} | Out-Null"
        )
    # Its networks come last: one that has none of them was never finished.
    if machine.firmware == "uefi" and not (found and set(found.networks) & set(machine.networks)):
        # Boot loaders of Linux are signed by this authority, not by the one for Windows.
        lines.append("Set-VMFirmware -VMName $name -SecureBootTemplate MicrosoftUEFICertificateAuthority")
    # The rest is refused while it runs.
    settings = f"-ProcessorCount {machine.cpus} -StaticMemory -MemoryStartupBytes {machine.memory}MB -CheckpointType Disabled "
    lines.append(
        f"Set-VM -Name $name {settings if found is None or what.restart else ''}"
        f"-AutomaticStartAction {'Start' if host.get('autostart', True) else 'Nothing'}"
    )
    for number, disk in enumerate(machine.disks):
        if disk.name in what.new_disks and (number or found is not None):
            lines.append(f"Add-VMHardDiskDrive -VMName $name -Path {_quoted(disk.path)}")
    if found is None or found.networks != machine.networks:
        lines.append("Get-VMNetworkAdapter -VMName $name | Remove-VMNetworkAdapter")
        for network in machine.networks:
            mac = network.mac.replace(":", "").upper()
            lines.append(f"Add-VMNetworkAdapter -VMName $name -SwitchName {_quoted(network.name)} -StaticMacAddress {mac}")
    return "\n".join(lines) + "\n"


def parse(text: str, machine: Machine) -> Machine | None:
    """:param text: what L(look) printed
    :param machine: the wanted one; Windows writes the same path in several ways
    :returns: C(None) if there is no such machine
    """
    said = json.loads(text)
    if said is None:
        return None
    written = {ntpath.normcase(ntpath.normpath(disk.path)): disk for disk in machine.disks}
    there = [(written.get(ntpath.normcase(ntpath.normpath(one["path"]))), one) for one in said["disks"]]
    disks = tuple(
        replace(disk, size=int(one["size"])) if disk else Disk(file_stem(one["path"]), one["path"], int(one["size"])) for disk, one in there
    )
    networks = tuple(Network("network", one["name"] or "", ":".join(re.findall("..", one["mac"].lower()))) for one in said["networks"])
    return Machine(
        said["name"],
        int(said["cpus"]),
        int(said["memory"]),
        "uefi" if said["generation"] == 2 else "bios",
        disks,
        networks,
    )


def require(machine: Machine) -> None:
    """:raises OptionError: what Hyper-V has not"""
    if any(network.kind != "network" for network in machine.networks):
        raise OptionError(
            "Hyper-V knows networks of type 'network' only: its switches.",
            hint="Set 'type: network' and the switch's 'name'.",
        )


def _quoted(text: str) -> str:
    # Of a string in single quotes PowerShell reads nothing but doubled quotes, of each kind that it takes for one.
    for quote in "'\u2018\u2019\u201a\u201b":
        text = text.replace(quote, quote * 2)
    return f"'{text}'"
