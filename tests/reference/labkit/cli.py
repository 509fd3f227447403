# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""The verbs of `lab`."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from . import base, debian, golang, hypervisor, installer, machine, namespace, packages, rack, registry, store
from .say import LabError, say


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="lab", description=__doc__.splitlines()[0] if __doc__ else None)
    verbs = top.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("packages", help="name, or install, the Debian packages that are missing")
    verb.add_argument("--install", action="store_true")
    verbs.add_parser("base", help="make the base image and print its reference (BASE_IMAGE names another)")
    verbs.add_parser("installer", help="make the live installer and print its directory")
    verbs.add_parser("debian", help="make a tree of the next Debian, with cosign and its skopeo, and print its directory")
    verbs.add_parser("tools", help="build programs from Go modules that some tests of images need (syft, cosign 3): ten minutes")
    verb = verbs.add_parser("registry", help="a registry at registry.test")
    verb.add_argument("action", choices=["up", "down", "log"])
    verb.add_argument("--name", default="main", help="main, unless told")
    verb.add_argument("--port", type=int, help="of a registry with another name than the lab's own")
    verb.add_argument("--tls", action="store_true")
    verb.add_argument("--user")
    verb.add_argument("--password")
    verb = verbs.add_parser("machine", help="QEMU machines")
    actions = verb.add_subparsers(dest="action", required=True)
    action = actions.add_parser("up", help="start, with the live installer or from its first disk")
    action.add_argument("name")
    how = action.add_mutually_exclusive_group()
    how.add_argument("--installer", dest="live", action="store_true")
    how.add_argument("--from-disk", dest="live", action="store_false", help="through firmware; the default")
    action.add_argument("--disk", action="append", default=[], metavar="SERIAL[:SIZE[:BUS]]")
    action.add_argument("--memory", type=int, metavar="MIB")
    action.add_argument("--ssh-key", action="append", default=[], metavar="PUB", help="one more public key for root")
    action.add_argument("--firmware", choices=["bios", "uefi"])
    for name, text in {
        "wait": "until SSH answers",
        "down": "orderly shutdown",
        "kill": "power cut",
        "reset": "reset button",
        "pause": "stop its clock",
        "resume": "let it go on",
        "ssh": "run a command",
        "inventory": "Ansible host variables as JSON",
        "console": "what the serial console showed",
        "save": "keep the disks as they are",
        "restore": "put the saved disks back, and start",
        "remove": "power cut, and its disks are gone",
    }.items():
        action = actions.add_parser(name, help=text)
        action.add_argument("name")
        if name == "wait":
            action.add_argument("--timeout", type=float, default=300)
        if name == "ssh":
            action.add_argument("command", nargs=argparse.REMAINDER)
    verb = verbs.add_parser("run", help="run a command where registry.test resolves and containers run")
    verb.add_argument("command", nargs=argparse.REMAINDER)
    verb = verbs.add_parser("clean", help="stop and remove machines and registries")
    verb.add_argument("--all", action="store_true", help="the caches and images, too")
    return top


def _after_dashes(words: list[str]) -> list[str]:
    return words[1:] if words[:1] == ["--"] else words


def run_registry(options: argparse.Namespace) -> int:
    if options.action == "up":
        print(json.dumps(registry.up(options.name, port=options.port, tls=options.tls, user=options.user, password=options.password)))
    elif options.action == "down":
        registry.down(options.name)
    else:
        sys.stdout.write((store.directory("registry", options.name) / "access.log").read_text())
    return 0


def run_machine(options: argparse.Namespace) -> int:
    name = options.name
    if options.action == "up":
        made = machine.up(
            name, live=options.live, disks=options.disk, memory=options.memory, keys=options.ssh_key, firmware=options.firmware
        )
        say(f"machine {name}: ssh port {made['port']}, console {made['console']}")
    elif options.action == "wait":
        machine.wait(name, options.timeout)
    elif options.action == "ssh":
        return subprocess.call(machine.ssh_command(machine.state(name), *_after_dashes(options.command)))
    elif options.action == "inventory":
        print(json.dumps(machine.inventory(name)))
    elif options.action == "console":
        sys.stdout.write(Path(machine.state(name)["console"]).read_text(errors="replace"))
    else:
        {
            "down": machine.down,
            "kill": machine.kill,
            "reset": machine.reset,
            "save": machine.save,
            "restore": machine.restore,
            "pause": machine.pause,
            "resume": machine.resume,
            "remove": machine.remove,
        }[options.action](name)
    return 0


def clean(everything: bool) -> int:
    for name in machine.names():
        machine.remove(name)
    for name in registry.names():
        registry.down(name)
    hypervisor.clean(store.CACHE / "vm")
    if (store.CACHE / "rack").exists():
        rack.Rack().remove()
    for name in ("machine", "registry", "tmp", "context", "etc"):
        shutil.rmtree(store.CACHE / name, ignore_errors=True)
    if everything:
        base.forget()
        shutil.rmtree(store.CACHE, ignore_errors=True)
    return 0


def main() -> int:
    options = parser().parse_args()
    try:
        if options.verb == "packages":
            return packages.packages(options.install)
        if options.verb == "base":
            print(base.base())
        elif options.verb == "installer":
            print(installer.installer())
        elif options.verb == "debian":
            print(debian.root())
        elif options.verb == "tools":
            print("\n".join(map(str, golang.tools())))
        elif options.verb == "registry":
            return run_registry(options)
        elif options.verb == "machine":
            return run_machine(options)
        elif options.verb == "run":
            return namespace.execute(_after_dashes(options.command))
        else:
            return clean(options.all)
    except LabError as error:
        print(f"lab: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
