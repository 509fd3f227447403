# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`bootc install to-existing-root`: the running system becomes another one, on its own file systems, at its next boot."""

from __future__ import annotations

import json
import os
import pwd
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _kargs as kargs
from .._disk.guard import DiskTooSmall
from .._disk.scan import mount_table
from .._disk.size import human
from .._errors import ImageModeError
from .._replace import replace_file
from .._runner import Runner
from . import keys
from . import plan as plans
from .claim import Claim
from .command import TARGET_IN_CONTAINER, to_existing_root
from .errors import DiskHasData
from .files import PlacedFile
from .image import OVERHEAD_PERCENT, Abilities, Image, Request
from .installation import Installation
from .note import DIRECTORY, Note
from .old_boot import OldBoot
from .on_tree import make_mutable, remove
from .plan import Plan

_ROOT = Path("/")
# In that root, where the new system has it below /sysroot: what the old one had there. The role takeover removes nothing else.
_OLD = ".imagemode-bootc-old.json"
_FILE_SYSTEMS = ("ext4", "xfs", "btrfs")
# File systems of the old system that the new one does not mount by itself.
_SEPARATE = ("/home", "/var", "/usr", "/opt", "/srv", "/root")
_HOST_KEYS = "etc/ssh/ssh_host_*_key"
_BOOT_MINIMUM = 200 * 1024**2
# Name servers that are this machine's own, or named by an interface of it.
_ONLY_HERE = ("127.", "::1", "fe80:")


@dataclass(frozen=True)
class Finding:
    """One thing of the running system that matters.

    :ivar ok: C(False) if the machine cannot be taken over as it is
    """

    name: str
    ok: bool
    said: str

    def facts(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "said": self.said}


class RootInstallation(Installation):
    """The machine that the task runs on.

    :param may_write: not in check mode; a container that a killed run left behind is ended then
    :param keep_network: the new system gets L(running_network)
    :ivar findings: what was looked at
    :ivar old_boot: what the machine boots from now
    """

    formats = False

    def __init__(self, runner: Runner, request: Request, *, may_write: bool, keep_network: bool = False) -> None:
        super().__init__(runner, request, Claim(runner, "bootc-install-existing-root"))
        self._table = mount_table("1") or mount_table()
        self.hostname = os.uname().nodename
        self.old_boot = OldBoot(runner, DIRECTORY / "boot")
        self.findings = (*self._look(), *([uplink(runner)] if keep_network else []))
        self._note = Note("takeover.json")
        self._noted = self._note.read()
        if self._begun:
            self._claim.end_interrupted(may_write=may_write)
        else:
            self.installed = self._read()

    @property
    def _begun(self) -> bool:
        return self._noted.get("state") == "begun"

    @property
    def place(self) -> str:
        return self.hostname

    def facts(self) -> dict[str, Any]:
        return {"hostname": self.hostname, "root": self._source("/"), "findings": [finding.facts() for finding in self.findings]}

    def plan(self, digests: frozenset[str], wipe_confirm: str | None) -> Plan:
        if wipe_confirm is not None and wipe_confirm != self.hostname:
            raise ImageModeError(
                f"'wipe_confirm' is '{wipe_confirm}', and this machine is '{self.hostname}'.",
                error="wipe_confirm_mismatch",
                hint="One of the two is wrong. Nothing was written.",
                wipe_confirm_needed=self.hostname,
            )
        if self.installed is not None and not plans.differences(self.installed, self._request, digests):
            return plans.additions(self.installed, self._request)
        if wipe_confirm is None:
            raise DiskHasData(
                f"The system that {self.hostname} runs is replaced by the image at its next boot; only what is named is kept of it.",
                hint=f"If that is meant, set 'wipe_confirm: \"{self.hostname}\"'.",
                wipe_confirm_needed=self.hostname,
            )
        self.require_suitable()
        return Plan("install", f"{self.hostname} runs another system, which is replaced; that is confirmed")

    def require_suitable(self) -> None:
        """:raises ImageModeError: C(takeover_unsuitable)"""
        wrong = [finding.said for finding in self.findings if not finding.ok]
        if wrong:
            raise ImageModeError(
                f"{self.hostname} cannot be taken over as it is: {' '.join(wrong)}",
                error="takeover_unsuitable",
                hint="Mend that, or install the machine anew with bootc_install from a live system.",
                findings=[finding.facts() for finding in self.findings],
            )

    def _look(self) -> Iterable[Finding]:
        root = next((entry for entry in reversed(self._table) if entry.path == "/"), None)
        asked = ["findmnt", "--noheadings", "--first-only", "--output", "FSTYPE", "--mountpoint", "/"]
        kind = self._runner.run(asked, check=False, parsed=True).stdout.strip()
        wanted = ", ".join(_FILE_SYSTEMS)
        said = f"The root is {self._source('/')} ({kind or 'not known'}); it must be {wanted}."
        yield Finding("root", kind in _FILE_SYSTEMS, said)
        layers = self._layers(root.source if root else "")
        yield unlocking(layers, Path("/proc/cmdline").read_text(), self._request.kernel_arguments)
        room = os.statvfs("/boot")
        size = room.f_blocks * room.f_frsize
        said = f"/boot is on {self._source('/boot')} with {human(size)}; {human(_BOOT_MINIMUM)} are needed."
        yield Finding("boot", size >= _BOOT_MINIMUM, said)
        yield Finding("boot_loader", True, self.old_boot.said)
        yield login(self._request.root_keys)
        separate = [entry.path for entry in self._table if entry.path in _SEPARATE]
        yield Finding("separate", True, f"File systems that the new system mounts only if told: {', '.join(separate) or 'none'}.")

    def _layers(self, source: str) -> list[str]:
        done = self._runner.run(["lsblk", "--json", "--inverse", "--list", "--output", "TYPE", source], check=False, parsed=True)
        return list(dict.fromkeys(node["type"] for node in json.loads(done.stdout)["blockdevices"])) if done.rc == 0 else []

    def _source(self, path: str) -> str:
        """:returns: the device that holds a path"""
        inside = [entry for entry in self._table if path == entry.path or path.startswith(f"{entry.path.rstrip('/')}/")]
        return max(inside, key=lambda entry: len(entry.path)).source if inside else "?"

    def _command(self, what: Plan) -> list[str]:
        return to_existing_root(self._request)

    def _volumes(self) -> list[str]:
        return [f"/:{TARGET_IN_CONTAINER}"]

    def _require_room(self, image: Image, abilities: Abilities) -> None:
        room = os.statvfs("/")
        needed, free = image.size * (100 + OVERHEAD_PERCENT) // 100 + _size(Path("/boot")), room.f_bavail * room.f_frsize
        if free < needed:
            raise DiskTooSmall(
                f"The root has {human(free)} left; the image beside the running system needs about {human(needed)}.",
                hint="Free space on the root file system.",
                needed=needed,
            )

    def _require_unchanged(self) -> None:
        """It is the system that runs."""

    def _begin(self, image: Image, name: str, what: Plan) -> None:
        DIRECTORY.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._begun:  # else the copy is of the system as it was before the first try
            self.old_boot.save()
            replace_file(_ROOT / _OLD, json.dumps(sorted(name for name in os.listdir(_ROOT) if name != _OLD)))
            self._write_note({"state": "begun", "digest": image.digest, "had_ostree": Path("/ostree").exists()})

    def _write_note(self, content: dict[str, Any]) -> None:
        self._note.write(content)
        self._noted = content

    def _look_again(self) -> None:
        self.installed = self._read()

    def _finish(self) -> None:
        self._write_note({**self._noted, "state": "finished"})
        os.sync()

    def _undo(self) -> bool:
        self._clear()
        return True

    def _clear(self) -> None:
        """What it booted from comes back, and what was deployed goes: the machine boots what it ran before.

        :raises ImageModeError: C(takeover_not_undone)
        """
        self.old_boot.restore()
        if not self._noted.get("had_ostree"):
            make_mutable(_ROOT)
            remove(Path("/ostree"))
            remove(Path("/.bootc-aleph.json"))
        remove(_ROOT / _OLD)
        self.old_boot.forget()
        self._note.remove()
        os.sync()
        self.old_boot.require_no_doubt()

    def _mounted(self, work: Callable[[Mapping[str, Path]], Any], *, writable: bool = False) -> Any:
        return work({self._source("/"): _ROOT})


def unlocking(layers: Collection[str], command_line: str, arguments: Iterable[str]) -> Finding:
    """
    :param layers: what lsblk calls what is below the root
    :param command_line: of the running kernel
    :param arguments: that are asked for
    """
    there = kargs.split(command_line)
    # With a root= bootc 1.1.6 to 1.16.9 takes over rootflags= and all rd.* (find_root_args_to_inherit).
    inherited = there if any(word.startswith("root=") for word in there) else ()
    opens = any(word.startswith("rd.luks") for word in (*inherited, *arguments))
    said = f"Below the root: {', '.join(layers) or 'nothing known'}."
    if "crypt" not in layers or opens:
        return Finding("layers", True, said)
    closed = "It is encrypted, and no rd.luks argument of the running kernel, beside a root=, or among 'kernel_arguments' opens it."
    return Finding("layers", False, f"{said} {closed}")


def login(root_keys: Collection[str] | None) -> Finding:
    """:param root_keys: that the new system gets; C(None) if that is left to the image"""
    if root_keys is None:
        return Finding("login", True, "Who can log in afterwards is left to the image.")
    if root_keys:
        return Finding("login", True, f"Root's SSH keys on the new system: {len(root_keys)}.")
    said = "Nobody could log in afterwards: no SSH key of root is kept or given, and one that only runs a command is not kept."
    return Finding("login", False, f"{said} Set 'root_ssh_authorized_keys', or 'keep_root_ssh_keys: false' if the image lets somebody in.")


def running_keys() -> tuple[str, ...]:
    """:returns: SSH keys that lead to root now: its own, and those of the user who became root by sudo"""
    found: list[str] = []
    for user in filter(None, ("root", os.environ.get("SUDO_USER"))):
        with suppress(KeyError, OSError):
            found += keys.usable(Path(pwd.getpwnam(user).pw_dir, ".ssh/authorized_keys").read_text(errors="replace"))
    return tuple(dict.fromkeys(found))


def kept(paths: Iterable[str]) -> tuple[PlacedFile, ...]:
    """Files of the running system as they are, for the new one.

    :param paths: shell patterns below /etc or /var; a directory stands for the files in it
    :raises ImageModeError: C(option_invalid)
    """
    found: dict[str, PlacedFile] = {}
    for pattern in paths:
        parts = [part for part in pattern.split("/") if part]
        if not pattern.startswith("/") or not parts or parts[0] not in ("etc", "var") or ".." in parts or len(parts) < 2:
            raise ImageModeError(
                f"'{pattern}' is not below /etc or /var, and other places belong to the image.",
                error="option_invalid",
                hint="Name files below /etc or /var.",
            )
        for path in sorted(_ROOT.glob("/".join(parts))):
            for file in sorted(path.rglob("*")) if path.is_dir() and not path.is_symlink() else [path]:
                facts = file.stat() if file.exists() else None
                if facts and stat.S_ISREG(facts.st_mode):
                    inner = str(file).lstrip("/")
                    mode, owner, group = stat.S_IMODE(facts.st_mode), str(facts.st_uid), str(facts.st_gid)
                    if file.match(_HOST_KEYS):
                        # RHEL 8 and 9 have them 0640 of a group that has another number in the image, or is not there: sshd refuses that.
                        mode, owner, group = 0o600, "0", "0"
                    found[inner] = PlacedFile(inner, file.read_bytes(), mode, owner, group)
    return tuple(found.values())


def running_network(runner: Runner) -> list[dict[str, Any]]:
    """:returns: the addresses that the machine has now, as the option C(network) of bootc_install has them"""
    routes = _default_routes(runner)
    servers = [
        line.split()[1]
        for name in ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf")
        if Path(name).exists()
        for line in Path(name).read_text(errors="replace").splitlines()
        if line.startswith("nameserver ") and len(line.split()) > 1
    ]
    found = []
    for link in _cards(runner):
        static = [info for info in link["addr_info"] if not info.get("dynamic")]
        dynamic = {info["family"] for info in link["addr_info"] if info.get("dynamic")}
        mine = [route for route in routes if route.get("dev") == link["ifname"] and route.get("gateway")]
        # The kernel lists the better one first. Whose a route is, dhclient does not say; one beside no static address is not kept.
        gateways = {_family(route["gateway"]): route["gateway"] for route in reversed(mine) if route.get("protocol") not in ("dhcp", "ra")}
        families = dict.fromkeys(info["family"] for info in static)
        names = [server for server in dict.fromkeys(servers) if not server.startswith(_ONLY_HERE)]
        found.append(
            {
                "mac": link["address"],
                # An IPv6 address of a router's prefix says nothing of IPv4.
                "dhcp": "inet" in dynamic or not static,
                "accept_ra": "inet6" in dynamic or None,
                "addresses": [f"{info['local']}/{info['prefixlen']}" for info in static],
                "gateways": [gateways[family] for family in families if family in gateways],
                "dns": names if static else [],
            }
        )
    return found


def _family(address: str) -> str:
    return "inet6" if ":" in address else "inet"


def uplink(runner: Runner) -> Finding:
    """Whether the machine is reached by what L(running_network) can write down."""
    over = {route["dev"] for route in _default_routes(runner) if route.get("dev")}
    cards = {link["ifname"] for link in _cards(runner)}
    if not over or over & cards:
        return Finding("network", True, f"Network cards that are set up as they are now: {', '.join(sorted(cards)) or 'none'}.")
    said = f"The machine is reached over {', '.join(sorted(over))}, which is no network card (a bond, bridge or VLAN, say) and is not kept."
    return Finding("network", False, f"{said} Set 'network', or 'keep_network: false' and its files in 'keep'.")


def _default_routes(runner: Runner) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for family in ("-4", "-6"):
        found += json.loads(runner.run(["ip", "-json", family, "route", "show", "default"], parsed=True).stdout or "[]")
    return found


def _cards(runner: Runner) -> list[dict[str, Any]]:
    """:returns: network cards that are up, as C(ip) tells them, with their addresses that others reach"""
    found = []
    for link in json.loads(runner.run(["ip", "-json", "address", "show", "up"], parsed=True).stdout):
        addresses = [info for info in link.get("addr_info", ()) if info.get("scope") == "global"]
        if link.get("link_type") == "ether" and addresses and Path(f"/sys/class/net/{link['ifname']}/device").exists():
            found.append({**link, "addr_info": addresses})
    return found


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
