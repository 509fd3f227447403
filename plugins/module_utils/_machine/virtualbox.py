# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VirtualBox: a machine by VBoxManage (7.0), to which everything is said and which says everything in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._errors import OptionError
from .plan import Plan
from .spec import Disk, Machine, Network, file_stem

VENDOR = "08:00:27"
_CONTROLLER = "SATA"
_FORWARDING = re.compile(r'^Forwarding\(\d+\)="(.*)"$', re.MULTILINE)
_SETTING = re.compile(r'^"?([^"=]+)"?="?(.*?)"?$')
# What modifyvm calls a network, and which option names it.
_KINDS = {"bridge": ("bridged", "bridgeadapter"), "network": ("natnetwork", "nat-network")}


def commands(machine: Machine, said: str, found: Machine | None, what: Plan, host: Mapping[str, Any]) -> list[list[str]]:
    """:param said: what L(parse) read, empty for a machine that is not there
    :param found: as L(parse) read it; without disks the making of it was cut off
    :param host: C(directory) for the machine's files
    :returns: command lines, in their order; disks are made before, and start is not among them
    """
    if what.verb == "none":
        return []
    name, argv, new = machine.name, [], what.verb == "create"
    if found is None:
        argv.append(["createvm", "--name", name, "--basefolder", host["directory"], "--ostype", "Linux_64", "--register"])
    if new and f'="{_CONTROLLER}"' not in said:
        argv.append(["storagectl", name, "--name", _CONTROLLER, "--add", "sata", "--controller", "IntelAhci", "--portcount", "8"])
    settings = ["--cpus", str(machine.cpus), "--memory", str(machine.memory)]
    if new:
        settings += ["--firmware", "efi" if machine.firmware == "uefi" else "bios", "--ioapic", "on", "--rtc-use-utc", "on",
                     "--graphicscontroller", "vmsvga", "--uart1", "0x3F8", "4", "--uart-mode1", "file",
                     f"{host['directory']}/{name}/console.log"]  # fmt: skip
    argv.append(["modifyvm", name, *settings, *_networks(machine, found, _rules(said))])
    # qemu-img cannot resize this format: a new machine's copy of the disk image has its size yet.
    grow = [*what.grow, *(disk for disk in machine.disks[:1] if new and disk.size)]
    for disk in grow:
        argv.append(["modifymedium", "disk", disk.path, "--resizebyte", str(disk.size)])
    for port, disk in enumerate(machine.disks):
        if disk.name in what.new_disks:
            argv.append(
                [
                    "storageattach",
                    name,
                    "--storagectl",
                    _CONTROLLER,
                    "--port",
                    str(port),
                    "--device",
                    "0",
                    "--type",
                    "hdd",
                    "--medium",
                    disk.path,
                ]
            )
    return [["VBoxManage", *words] for words in argv]


def _networks(machine: Machine, found: Machine | None, rules: Mapping[str, str]) -> list[str]:
    argv: list[str] = []
    old = found.networks if found else ()
    for number, network in enumerate(machine.networks, start=1):
        mac = network.mac.replace(":", "").upper()
        kind, option = _KINDS.get(network.kind, ("nat", ""))
        argv += [f"--nic{number}", kind, f"--nic-type{number}", "virtio", f"--mac-address{number}", mac]
        argv += [f"--{option}{number}", network.name] if option else []
        before = old[number - 1].forwards if number <= len(old) else ()
        for forward in before:
            if forward not in network.forwards:
                argv += [f"--nat-pf{number}", "delete", rules[forward]]
        for forward in network.forwards:
            if forward not in before:
                argv += [f"--nat-pf{number}", _rule(forward)]
    for number in range(len(machine.networks) + 1, len(old) + 1):
        argv += [f"--nic{number}", "none"]
    return argv


def _rule(forward: str) -> str:
    address, port, guest = forward.rsplit(":", 2)
    return f"tcp-{port}-{guest},tcp,{address},{port},,{guest}"


def _rules(text: str) -> dict[str, str]:
    """:returns: what is forwarded, as a network has it, → the rule's name: one that was made by hand may have any, and be for UDP"""
    found = {}
    for name, protocol, address, port, inside, guest in (line.split(",") for line in _FORWARDING.findall(text)):
        found[f"{address}:{port}:{guest}" if (protocol, inside) == ("tcp", "") else f"{protocol}:{address}:{port}:{inside}:{guest}"] = name
    return found


def parse(text: str, sizes: Mapping[str, int], machine: Machine) -> Machine:
    """:param text: C(VBoxManage showvminfo NAME --machinereadable)
    :param sizes: of the disks' files, as the machine sees them
    :param machine: the wanted one; VirtualBox's disks have files, not names
    """
    names = {disk.path: disk.name for disk in machine.disks}
    said = {match.group(1): match.group(2) for match in map(_SETTING.match, text.splitlines()) if match}
    disks = []
    for port in range(8):
        path = said.get(f"{_CONTROLLER}-{port}-0", "none")
        if path not in ("none", "emptydrive", ""):
            disks.append(Disk(names.get(path, file_stem(path)), path, sizes.get(path)))
    networks = []
    for number in range(1, 9):
        kind = said.get(f"nic{number}", "none")
        if kind == "none":
            break
        mac = said.get(f"macaddress{number}", "").lower()
        ours = {"nat": "user", "bridged": "bridge", "natnetwork": "network"}.get(kind, kind)
        source = {"bridge": f"bridgeadapter{number}", "network": f"nat-network{number}"}.get(ours, "")
        # Rules of all adapters are numbered through, below the adapter that they belong to; only the first has any here.
        forwards = tuple(_rules(text)) if number == 1 else ()
        networks.append(Network(ours, said.get(source, ""), ":".join(re.findall("..", mac)), forwards))
    return Machine(
        said.get("name", ""),
        int(said.get("cpus", 1)),
        int(said.get("memory", 0)),
        "uefi" if said.get("firmware", "").lower().startswith("efi") else "bios",
        tuple(disks),
        tuple(networks),
    )


def require(machine: Machine) -> None:
    """:raises OptionError: what this role cannot ask VirtualBox for"""
    if any(network.forwards for network in machine.networks[1:]):
        raise OptionError("Only the first network may have 'forwards' with VirtualBox.", hint="Put them on the first one.")
    if len(machine.disks) > 8:
        raise OptionError("More than eight disks.", hint="Leave some out.")
