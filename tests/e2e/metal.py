# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machines that are off, with a BMC each, become machines that run an image; as a user does it: an inventory and one playbook.

The machines are libvirt's, emulated; the BMCs are sushy-tools' Redfish emulator. The medium is made by the role installer_media.
`tests/e2e/metal.py again second` does those steps only, in the rack that a failed run left, and `tests/e2e/metal.py clean` removes that.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "reference")]

from labkit import base, bmc, conformance, machine, namespace, packages, rack, registry
from labkit.say import LabError
from play import Player, PlayFailed
from prepare import LOGS, VENV, prepare
from proof import Failed, Registry, check
from recorded import STATUS

NAME = "rack"
PORT = namespace.PORTS[NAME]
IMAGE = f"{rack.GATEWAY}:{PORT}/os"
PASSWORD = "s3cret-canary"
GIB = 1 << 30
# The emulated BIOS boots from the first disk only. One machine is known by its MAC address and has BIOS, one by its serial number
# and has UEFI.
FIRST = rack.Machine("first", 1, {"RACK-FIRST": 8 * GIB, "RACK-DATA": 64 << 20}, "SN-0001")
SECOND = rack.Machine("second", 2, {"RACK-SECOND": 8 * GIB}, "SN-0002", uefi=True)
THIRD = rack.Machine("third", 3, {"RACK-THIRD": 8 * GIB}, "SN-0003")
# How a live system knows each machine, and what else its host_vars say.
HOSTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    FIRST.name: ({"macs": [FIRST.mac.upper()]}, {}),
    SECOND.name: ({"serial": SECOND.serial}, {"bare_metal_firmware": "uefi"}),
    THIRD.name: ({"macs": [THIRD.mac]}, {"bare_metal_boot_method": "pxe"}),
}
WEB_PORT = 8080
INSECURE = f'[[registry]]\nlocation = "{rack.GATEWAY}:{PORT}"\ninsecure = true\n'
CONTAINERFILE = "FROM {base}\nCOPY registries.conf /etc/containers/registries.conf.d/50-lab.conf\n"
PLAYBOOK = "imagemode.bootc.provision_metal"


class Web:
    """Gives the media to BMCs and firmware, and counts."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        asked = self.asked = list[str]()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *words: Any) -> None:
                super().__init__(*words, directory=str(folder))

            def log_message(self, *_words: object) -> None:
                asked.append(self.path)

        self.folder = folder
        self._server = http.server.ThreadingHTTPServer((rack.GATEWAY, WEB_PORT), Handler)
        self.url = f"http://{rack.GATEWAY}:{WEB_PORT}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Site:
    """Everything that a site has: machines in a rack, a BMC for each, a web server, a registry, and an inventory."""

    def __init__(self, player: Player) -> None:
        self.player, self.rack = player, rack.Rack()
        self.bmcs: dict[str, bmc.Bmc] = {}
        self.hosts: dict[str, dict[str, Any]] = {}

    def up(self) -> None:
        self.rack.up()
        registry.remove(NAME)
        registry.up(NAME, address="0.0.0.0")
        conformance.push_images(f"registry.test:{PORT}/os", "1")
        context = self.rack.folder / "installer"
        context.mkdir()
        (context / "registries.conf").write_text(INSECURE)
        (context / "Containerfile").write_text(CONTAINERFILE.format(base=base.base()))
        self.serve()

    def serve(self) -> None:
        """What lives in this process; machines that an earlier run left get their BMCs again."""
        self.digest = Registry(NAME).digest("os", "1")
        self.web = Web(self.rack.folder / "www")
        for each in (FIRST, SECOND, THIRD):
            if self.rack.where(each).exists():
                self.add(each)

    def end(self) -> None:
        for each in self.bmcs.values():
            each.stop()
        if hasattr(self, "web"):
            self.web.stop()

    def clean(self) -> None:
        registry.remove(NAME)
        self.rack.remove()

    def add(self, added: rack.Machine) -> None:
        """Rack a machine, unless it is there, and write it into the inventory."""
        if not self.rack.where(added).exists():
            self.rack.add(added)
        if added.name in self.hosts:
            return
        settings, more = HOSTS[added.name]
        one = bmc.Bmc(
            self.rack.folder / f"bmc-{added.name}",
            PASSWORD,
            {
                "SUSHY_EMULATOR_LIBVIRT_URI": self.rack.uri,
                "SUSHY_EMULATOR_ALLOWED_INSTANCES": [added.uuid],
            },
            rack.GATEWAY,
            str(VENV / "bin/python"),
        )
        self.bmcs[added.name] = one
        network = [{"mac": added.mac, "addresses": [f"{added.address}/24"], "gateways": [rack.GATEWAY]}]
        self.hosts[added.name] = {
            "ansible_host": added.address,
            "bare_metal_bmc_host": one.host,
            "bare_metal_bmc_ca_path": str(one.ca),
            "bare_metal_bmc_system": added.uuid,
            "bare_metal_disk": {"serial": next(iter(added.disks))},
            "bare_metal_hostname": added.name,
            "bare_metal_network": network,
            "bare_metal_live_settings": {"name": added.name, "hostname": f"{added.name}-live", "network": network, **settings},
            **more,
        }

    def inventory(self) -> None:
        key = machine.lab_key()
        public = key.with_suffix(".pub").read_text().strip()
        builder = {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(VENV / "bin/python"),
            "installer_media_image": "localhost/imagemode/rack-installer:1",
            "installer_media_context": str(self.rack.folder / "installer"),
            "installer_media_pull": "never",
            "installer_media_directory": str(self.web.folder),
            "installer_media_url": f"{self.web.url}/netboot",
            "installer_media_kernel_arguments": ["console=ttyS0,115200", "panic=1"],
            "installer_media_network_renderer": "systemd-networkd",
            "installer_media_root_ssh_authorized_keys": [public],
        }
        common = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(key),
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
            "bare_metal_image": f"{IMAGE}:1",
            "bare_metal_filesystem": "ext4",
            "bare_metal_root_ssh_authorized_keys": [public],
            "bare_metal_network_renderer": "systemd-networkd",
            "bare_metal_validate_certs": False,
            "bare_metal_files": [{"dest": "/etc/containers/registries.conf.d/50-lab.conf", "content": INSECURE}],
            "bare_metal_bmc_username": bmc.USER,
            "bare_metal_bmc_password": PASSWORD,
            "bare_metal_bmc_delay": 3,
            "bare_metal_media_url": f"{self.web.url}/live.iso",
            "bare_metal_live_timeout": 420,
            "bare_metal_boot_timeout": 420,
        }
        document = {
            "all": {
                "children": {
                    "builder": {"hosts": {"localhost": builder}},
                    "metal": {"hosts": self.hosts, "vars": common},
                }
            }
        }
        (self.player.folder / "inventory.json").write_text(json.dumps(document, indent=1))

    def play(self, *arguments: str) -> int:
        self.inventory()
        return self.player.play(PLAYBOOK, {}, *arguments)

    def ssh(self, which: rack.Machine, command: str) -> str:
        done = subprocess.run(
            ["ssh", *machine.SSH_OPTIONS, "-i", str(machine.lab_key()), f"root@{which.address}", command],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        check(done.returncode == 0, f"{command} on {which.name} failed: {done.stderr}")
        return done.stdout.strip()

    def proven(self, which: rack.Machine) -> None:
        """What the role claims, seen by other means."""
        status = json.loads(self.ssh(which, STATUS))["status"]["booted"]["image"]
        check(status["imageDigest"] == self.digest, f"{which.name} runs {status['imageDigest']}, not {self.digest}")
        serial = self.ssh(which, "lsblk -nso SERIAL $(findmnt -nvo SOURCE /sysroot)").split()
        check(next(iter(which.disks)) in serial, f"{which.name} runs from {serial}")
        firmware = self.ssh(which, "test -d /sys/firmware/efi && echo uefi || echo bios")
        check(firmware == ("uefi" if which.uefi else "bios"), f"{which.name} was started by {firmware}")
        check(self.ssh(which, "cat /proc/sys/kernel/hostname") == which.name, "its name is another")
        domain = self.rack.virsh("dumpxml", "--inactive", which.name)
        check(".iso" not in domain, f"the medium is still in {which.name}")


def boot_id(site: Site, which: rack.Machine) -> str:
    return site.ssh(which, "cat /proc/sys/kernel/random/boot_id")


def first(site: Site) -> None:
    """One machine, whose BMC is busy at first and forgets the boot order once; the other disk is not touched."""
    site.add(FIRST)
    data = site.rack.where(FIRST) / "disk-RACK-DATA.raw"
    data.write_bytes(os.urandom(64 << 20))
    before = hashlib.sha256(data.read_bytes()).digest()
    check(site.play("--check") > 0, "check mode predicts no change")
    check(site.bmcs[FIRST.name].changes() == [], "check mode told the BMC something")
    site.bmcs[FIRST.name].faults[:] = [bmc.busy(3), bmc.forgets_boot_order(1)]
    check(site.play() > 0, "provisioning changed nothing")
    site.proven(FIRST)
    check(hashlib.sha256(data.read_bytes()).digest() == before, "the other disk was written to")


def again(site: Site, *machines: rack.Machine) -> None:
    """Nothing changes, no BMC is told anything, nothing reboots."""
    boots = {each.name: boot_id(site, each) for each in machines}
    for each in site.bmcs.values():
        each.requests.clear()
    check(site.play() == 0, "a second run changed something")
    told = [change for each in site.bmcs.values() for change in each.changes()]
    check(told == [], f"a second run told a BMC: {told}")
    check(boots == {each.name: boot_id(site, each) for each in machines}, "a second run rebooted something")


def second(site: Site) -> None:
    """A host is added to the inventory: that one is provisioned, the first is left alone. It is known by its serial number."""
    boot = boot_id(site, FIRST)
    site.add(SECOND)
    site.bmcs[FIRST.name].requests.clear()
    check(site.play() > 0, "provisioning changed nothing")
    site.proven(SECOND)
    check(site.bmcs[FIRST.name].changes() == [], "the first machine's BMC was told something")
    check(boot_id(site, FIRST) == boot, "the first machine was rebooted")


def network(site: Site) -> None:
    """A machine that boots the live system from the network: its firmware gets an address, a script, and three files."""
    site.add(THIRD)
    script = f"{site.web.url}/netboot/boot.ipxe"
    net = rack.GATEWAY.rpartition(".")[0]
    words = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", f"--interface={rack.BRIDGE}", "--bind-interfaces",
             f"--dhcp-range={net}.200,{net}.250,10m", f"--dhcp-boot={script}", "--leasefile-ro", "--log-dhcp"]  # fmt: skip
    with (site.rack.folder / "dnsmasq.log").open("wb") as log:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        site.web.asked.clear()
        check(site.play() > 0, "provisioning changed nothing")
        site.proven(THIRD)
        check("/netboot/root.img" in site.web.asked, f"the firmware loaded {site.web.asked}")
    finally:
        child.terminate()
        child.wait(10)


STEPS: dict[str, Callable[[Site], None]] = {
    "first": first,
    "again": lambda site: again(site, FIRST),
    "second": second,
    "both again": lambda site: again(site, FIRST, SECOND),
    "network": network,
}


def tools() -> None:
    packages.packages(install=True)
    packages.packages(True, rack.PACKAGES)


def main(arguments: list[str]) -> int:
    prepare()
    tools()
    site = Site(Player(LOGS / "metal", VENV, ANSIBLE_PIPELINING="1"))
    if arguments == ["clean"]:
        site.clean()
        return 0
    passed = 0
    try:
        started = time.monotonic()
        (site.serve if arguments else site.up)()
        print(f"a rack: {time.monotonic() - started:.0f} s", flush=True)
        for name, step in STEPS.items():
            if arguments and name not in arguments:
                continue
            started = time.monotonic()
            step(site)
            passed += 1
            print(f"{name}: passed in {time.monotonic() - started:.0f} s", flush=True)
    except (LabError, PlayFailed, Failed, subprocess.SubprocessError) as error:
        print(f"{error}\n{passed} passed, 1 failed; the rack is left for you to look at, with consoles and logs in {site.rack.folder}")
        return 1
    finally:
        site.end()
    if not arguments:
        site.clean()
    print(f"{passed} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
