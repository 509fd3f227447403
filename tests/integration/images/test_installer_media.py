# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Media of the live installer, made of the reference host's image and read with other tools; the stage `metal` boots them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHtest0000000000000000000000000000000000000000 operator"
MAC = "52:54:00:AB:00:01"
Run = Callable[..., dict[str, Any]]


def options(image: str, directory: Path, **more: Any) -> dict[str, Any]:
    return {
        "image": image,
        "directory": str(directory),
        "url": "http://192.0.2.1:8080/netboot",
        "kernel_arguments": ["console=ttyS0"],
        "network_renderer": "systemd-networkd",
        "root_ssh_authorized_keys": [KEY],
        "hosts": [
            {
                "name": "web1",
                "macs": [MAC],
                "hostname": "web1-live",
                "network": [{"mac": MAC, "addresses": ["192.0.2.10/24"], "gateways": ["192.0.2.1"]}],
            },
            {"name": "web2", "serial": "CZ1", "root_ssh_authorized_keys": [KEY.replace("operator", "second")]},
        ],
        **more,
    }


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


def unpacked(archive: Path, where: Path) -> Path:
    where.mkdir()
    with archive.open("rb") as stream:
        subprocess.run(["cpio", "--extract", "--quiet", "--make-directories"], cwd=where, stdin=stream, check=True)
    return where


def on_cd(cd: Path, path: str, target: Path) -> Path:
    subprocess.run(["xorriso", "-osirrox", "on", "-indev", str(cd), "-extract", path, str(target)], check=True, capture_output=True)
    return target


def test_media_are_made_once(module: Run, base_image: str, directory: Path) -> None:
    predicted = module("bootc_installer_media", check_mode=True, **options(base_image, directory))
    assert predicted["changed"]
    assert os.listdir(directory) == []
    made = module("bootc_installer_media", **options(base_image, directory))
    assert made["changed"]
    assert made["made"] == predicted["made"]
    assert sorted(made["files"]) == [
        "live.iso",
        *(f"netboot/{name}" for name in ("boot.ipxe", "grub.cfg", "initrd", "root.img", "settings.img", "vmlinuz")),
    ]
    assert made["firmware"] == ["bios", "uefi"]
    again = module("bootc_installer_media", **options(base_image, directory))
    assert not again["changed"]
    assert again["files"] == made["files"]
    hidden = [path.name for path in directory.rglob(".*")]
    assert hidden == [".imagemode-media.json"]


def test_cd_boots_both_kinds_of_firmware_with_the_same_files(directory: Path, tmp_path: Path) -> None:
    report = subprocess.run(
        ["xorriso", "-indev", str(directory / "live.iso"), "-report_el_torito", "plain"], check=True, capture_output=True, text=True
    ).stdout
    assert re.search(r"El Torito boot img :\s+\d+\s+BIOS", report)
    assert re.search(r"El Torito boot img :\s+\d+\s+UEFI", report)
    for name in ("vmlinuz", "initrd", "root.img", "settings.img"):
        assert on_cd(directory / "live.iso", f"/live/{name}", tmp_path / name).read_bytes() == (directory / "netboot" / name).read_bytes()
    menu = on_cd(directory / "live.iso", "/boot/grub/grub.cfg", tmp_path / "grub.cfg").read_text()
    assert "initrd /live/initrd /live/root.img /live/settings.img" in menu
    assert "console=ttyS0" in menu
    assert "rd.lvm=0" in menu
    assert "rd.md=0" in menu
    assert "root=" not in menu


def test_root_is_the_image_and_brings_the_modules_that_mount_it(directory: Path, tmp_path: Path) -> None:
    tree = unpacked(directory / "netboot/root.img", tmp_path / "tree")
    modules = sorted(path.name.partition(".")[0] for path in (tree / "live/modules").iterdir())
    assert modules == ["00-loop", "01-squashfs", "02-overlay"]
    assert os.readlink(tree / "live/insmod") == "/usr/bin/kmod"
    listed = subprocess.run(["unsquashfs", "-l", str(tree / "live/root.squashfs")], check=True, capture_output=True, text=True).stdout
    assert "squashfs-root/usr/bin/podman" in listed
    assert "squashfs-root/usr/sbin/sshd" in listed
    assert not re.search(r"modules/[^/]+/(vmlinuz|initramfs\.img)$", listed, re.M)
    assert subprocess.run(["sh", "-n", str(tree / "live/mount")], check=False).returncode == 0


def test_settings_tell_the_machines_apart_and_quiet_the_disks(directory: Path, tmp_path: Path) -> None:
    tree = unpacked(directory / "netboot/settings.img", tmp_path / "tree") / "live/settings"
    first, second = tree / "etc/live/hosts/web1", tree / "etc/live/hosts/web2"
    assert (first / "macs").read_text() == f"{MAC.lower()}\n"
    assert (first / "files/etc/hostname").read_text() == "web1-live\n"
    assert "Address=192.0.2.10/24" in next((first / "files/etc/systemd/network").iterdir()).read_text()
    assert (second / "serial").read_text() == "CZ1\n"
    assert (second / "keys.conf").exists()
    for rule in ("64-md-raid-assembly.rules", "69-dm-lvm.rules"):
        assert os.readlink(tree / "etc/udev/rules.d" / rule) == "/dev/null"
    assert subprocess.run(["sh", "-n", str(tree / "etc/live/settings")], check=False).returncode == 0


def test_another_key_makes_only_what_it_goes_into(module: Run, base_image: str, directory: Path) -> None:
    changed = options(base_image, directory, root_ssh_authorized_keys=[KEY.replace("operator", "other")])
    assert module("bootc_installer_media", **changed)["made"] == ["netboot/settings.img", "live.iso"]


def test_a_file_that_was_changed_is_made_again_and_one_that_was_touched_is_not(module: Run, base_image: str, directory: Path) -> None:
    asked = options(base_image, directory)
    module("bootc_installer_media", **asked)
    os.utime(directory / "netboot/initrd")
    assert not module("bootc_installer_media", **asked)["changed"]
    with (directory / "netboot/vmlinuz").open("r+b") as stream:
        stream.write(b"broken")
    assert module("bootc_installer_media", **asked)["made"] == ["netboot/vmlinuz"]


def test_without_a_cd_the_old_one_goes_and_a_foreign_one_stays(module: Run, base_image: str, directory: Path, tmp_path: Path) -> None:
    module("bootc_installer_media", **options(base_image, directory))
    assert module("bootc_installer_media", **options(base_image, directory, cd="none"))["removed"] == ["live.iso"]
    assert not (directory / "live.iso").exists()
    (directory / "live.iso").write_text("of somebody else")
    refused = module("bootc_installer_media", **options(base_image, directory))
    assert refused["failed"]
    assert refused["error"] == "file_foreign"
    assert (directory / "live.iso").read_text() == "of somebody else"


def test_an_image_that_cannot_be_live_is_refused(module: Run, tmp_path: Path) -> None:
    importing = "cd / && tar -c --no-recursion tmp | podman import -q - localhost/not-live:1"
    subprocess.run(["sh", "-c", importing], check=True, capture_output=True)
    refused = module("bootc_installer_media", image="localhost/not-live:1", directory=str(tmp_path))
    assert refused["failed"]
    assert refused["error"] == "image_not_live"
    assert refused["missing"] == ["podman", "an SSH server", "systemd"]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "hosts",
    [
        [{"name": "a"}],
        [{"name": "a", "macs": ["52:54:00:00:00"]}],
        [{"name": "a", "serial": "1"}, {"name": "b", "serial": "1"}],
        [{"name": "a/b", "serial": "1"}],
        [{"name": "a", "serial": "1", "root_ssh_authorized_keys": ["-----BEGIN OPENSSH PRIVATE KEY-----"]}],
    ],
)
def test_hosts_that_cannot_be_meant_are_refused(module: Run, base_image: str, tmp_path: Path, hosts: list[dict[str, Any]]) -> None:
    refused = module("bootc_installer_media", image=base_image, directory=str(tmp_path), hosts=hosts)
    assert refused["failed"]
    assert refused["error"] == "option_invalid"
    assert "PRIVATE" not in refused["msg"]


def kickstart(tmp_path: Path, **more: Any) -> tuple[str, int]:
    """Rendered by the role; its text, and how many tasks changed something."""
    done = play(tmp_path, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return (tmp_path / "web1.ks").read_text(), sum(map(int, re.findall(r"changed=(\d+)", done.stdout)))


def play(tmp_path: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    asked = {"path": str(tmp_path / "web1.ks"), "image": "registry.example.com/os:1", "disk": "disk/by-id/nvme-1", **more}
    plays = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "tasks": [
                {
                    "ansible.builtin.include_role": {"name": "imagemode.bootc.installer_media", "tasks_from": "kickstart"},
                    "vars": {"installer_media_kickstarts": [asked]},
                }
            ],
        }
    ]
    (tmp_path / "play.json").write_text(json.dumps(plays))
    return subprocess.run(
        ["ansible-playbook", "-e", f"ansible_python_interpreter={sys.executable}", str(tmp_path / "play.json")],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "version"), [("ostreecontainer", "RHEL9"), ("ostreecontainer", "F41"), ("bootc", "F43"), ("bootc", "RHEL10")]
)
def test_kickstart_is_what_anaconda_reads(tmp_path: Path, command: str, version: str) -> None:
    more = {
        "command": command,
        "hostname": "web1",
        "root_ssh_authorized_keys": [KEY],
        "kernel_arguments": ["quiet"],
        "network": [
            {
                "mac": MAC,
                "addresses": ["192.0.2.10/20", "2001:db8::2/64"],
                "gateways": ["192.0.2.1"],
                "dns": ["192.0.2.53"],
                "search": ["example.com", "example.org"],
            }
        ],
    }
    text, changed = kickstart(tmp_path, **more)
    assert changed == 1
    parser = KickstartParser(makeVersion(version))
    parser.readKickstartFromString(text)
    read = parser.handler
    assert read.ignoredisk.onlyuse == ["disk/by-id/nvme-1"]
    assert read.clearpart.drives == []
    assert (read.ostreecontainer.url if command == "ostreecontainer" else read.bootc.sourceImgRef) in (
        "registry.example.com/os:1",
        "registry:registry.example.com/os:1",
    )
    assert command == "ostreecontainer" or read.bootc.targetImgRef == "registry.example.com/os:1"
    link = read.network.network[0]
    assert (link.ipv4_dns_search, link.ipv6_dns_search) == ("example.com,example.org",) * 2
    assert (link.ip, link.netmask, link.gateway, link.ipv6) == ("192.0.2.10", "255.255.240.0", "192.0.2.1", "2001:db8::2/64")
    assert read.rootpw.lock
    assert read.sshkey.sshUserList[0].key == KEY
    assert kickstart(tmp_path, **more)[1] == 0


def test_kickstart_keeps_quotes_of_keys_and_arguments(tmp_path: Path) -> None:
    key = f'from="192.0.2.0/24",no-pty {KEY}'
    parser = KickstartParser(makeVersion("RHEL9"))
    argument = 'dyndbg="file ec.c +p"'
    parser.readKickstartFromString(kickstart(tmp_path, root_ssh_authorized_keys=[key], kernel_arguments=["quiet", argument])[0])
    assert parser.handler.sshkey.sshUserList[0].key == key
    assert parser.handler.bootloader.appendLine == f"quiet {argument}"


def test_kickstart_clears_a_disk_only_when_told(tmp_path: Path) -> None:
    text, _changed = kickstart(tmp_path, wipe=True)
    assert "zerombr" in text
    assert "clearpart --all --initlabel --drives=disk/by-id/nvme-1" in text


def test_kickstart_of_a_link_without_ipv4(tmp_path: Path) -> None:
    link = {"mac": MAC, "addresses": ["2001:db8::2/64"], "gateways": ["2001:db8::1"]}
    parser = KickstartParser(makeVersion("RHEL9"))
    parser.readKickstartFromString(kickstart(tmp_path, network=[link])[0])
    read = parser.handler.network.network[0]
    assert (read.noipv4, read.ipv6, read.ipv6gateway) == (True, "2001:db8::2/64", "2001:db8::1")


@pytest.mark.parametrize("more", [{"addresses": ["192.0.2.10/24", "192.0.2.11/24"]}, {"gateways": ["2001:db8::1", "2001:db8::3"]}])
def test_kickstart_has_no_place_for_a_second_address(tmp_path: Path, more: dict[str, Any]) -> None:
    done = play(tmp_path, network=[{"mac": MAC, "addresses": ["192.0.2.10/24", "2001:db8::2/64"], **more}])
    assert done.returncode != 0
    assert "a kickstart takes one address" in done.stdout.replace("\n", " ")
    assert not (tmp_path / "web1.ks").exists()
