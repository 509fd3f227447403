# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of one machine: their text, and putting them into a deployment."""

from __future__ import annotations

import configparser
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError, OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._install import network
from ansible_collections.imagemode.bootc.plugins.module_utils._install.files import (
    Deployed,
    PlacedFile,
    checked,
    hostname,
    lacking,
    place,
    without_duplicates,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._install_module import FILE

STATIC: dict[str, Any] = {
    "interface": "eth0",
    "mac": None,
    "dhcp": False,
    "addresses": ["192.0.2.10/24", "2001:db8::10/64"],
    "gateways": ["192.0.2.1", "2001:db8::1"],
    "dns": ["192.0.2.53"],
    "search": ["example.com"],
    "mtu": 1400,
}


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    etc, var, lib = (tmp_path / name for name in ("deploy/etc", "var", "deploy/usr/lib"))
    for directory in (etc, var, lib):
        directory.mkdir(parents=True)
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (lib / "passwd").write_text(f"me:x:{os.getuid()}:{os.getgid()}::/:/bin/sh\n")
    (lib / "group").write_text(f"us:x:{os.getgid()}:\n")
    return Deployed(etc, var, (etc, lib))


def mine(path: str, content: bytes = b"1\n", mode: int = 0o640) -> PlacedFile:
    return PlacedFile(path, content, mode, "me", "us")


@pytest.mark.parametrize("mode", ["0400", "400", "0o400", yaml.safe_load("0400")])
def test_a_mode_is_taken_as_ansible_takes_it(mode: object) -> None:
    assert FILE["mode"]["type"] == "raw"  # as text, a number would have lost that it was one
    assert checked([{"dest": "/etc/key", "content": "x", "mode": mode}])[0].mode == 0o400


@pytest.mark.parametrize("mode", ["u=r", "0900", "40", True, 0o10000, -1, 4.0])
def test_what_is_no_mode_is_refused(mode: object) -> None:
    with pytest.raises(OptionError, match="is not a mode"):
        checked([{"dest": "/etc/key", "content": "x", "mode": mode}])


def test_files_are_put_there_with_mode_and_owner_and_then_nothing_is_lacking(deployed: Deployed) -> None:
    files = [mine("etc/hostname"), mine("etc/a/b/c", b"\0\xff"), mine("var/lib/x/key", mode=0o600)]
    assert lacking(deployed, files) == ("etc/hostname", "etc/a/b/c", "var/lib/x/key")
    place(deployed, files)
    assert lacking(deployed, files) == ()
    assert (deployed.etc / "a/b/c").read_bytes() == b"\0\xff"
    assert (deployed.var / "lib/x/key").stat().st_mode & 0o7777 == 0o600
    assert (deployed.etc / "a").stat().st_mode & 0o7777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="the drop-in is root's")
def test_a_policy_of_the_image_labels_what_was_put_there(deployed: Deployed) -> None:
    drop_in = deployed.etc / "tmpfiles.d/imagemode-labels.conf"
    place(deployed, [mine("etc/hostname")])
    assert not drop_in.exists()  # without a policy
    (deployed.etc / "selinux/targeted/policy").mkdir(parents=True)
    (deployed.etc / "selinux/targeted/policy/policy.33").touch()
    files = [mine("etc/hostname"), mine("var/home/me/.ssh/authorized keys")]
    place(deployed, files)
    paths = ["/etc/hostname", *(f"/var/home{inner}" for inner in ("", "/me", "/me/.ssh", "/me/.ssh/authorized?keys"))]
    assert drop_in.read_text() == "".join(f"z! {path} - - - -\n" for path in paths)
    assert drop_in.stat().st_mode & 0o7777 == 0o644
    assert lacking(deployed, files) == ()
    # A file that is no longer asked for stays, and so does its line.
    place(deployed, [mine("etc/motd")])
    assert [line.split()[1] for line in drop_in.read_text().splitlines()] == ["/etc/hostname", "/etc/motd", *paths[1:]]


@pytest.mark.parametrize("other", [mine("etc/f", b"2\n"), mine("etc/f", mode=0o600)])
def test_a_file_that_differs_is_put_there_again(deployed: Deployed, other: PlacedFile) -> None:
    place(deployed, [mine("etc/f")])
    assert lacking(deployed, [other]) == ("etc/f",)
    place(deployed, [other])
    assert lacking(deployed, [other]) == ()
    assert list(deployed.etc.glob(".f*")) == []


def test_links_in_the_image_lead_nowhere_else(deployed: Deployed, tmp_path: Path) -> None:
    (deployed.etc / "out").symlink_to("/")
    (deployed.etc / "up").symlink_to("../../../..")
    (deployed.etc / "link").symlink_to(tmp_path / "victim")
    (tmp_path / "victim").write_text("mine")
    place(deployed, [mine("etc/out/one"), mine("etc/up/two"), mine("etc/link")])
    assert (tmp_path / "victim").read_text() == "mine"
    assert {path.name for path in deployed.etc.iterdir()} >= {"one", "two"}
    assert not (deployed.etc / "link").is_symlink()
    (deployed.etc / "round").symlink_to("round")
    with pytest.raises(ImageModeError, match="circles"):
        place(deployed, [mine("etc/round/three")])


def test_an_owner_that_the_image_does_not_know_is_refused(deployed: Deployed) -> None:
    with pytest.raises(ImageModeError, match="nobody-here"):
        place(deployed, [PlacedFile("etc/f", b"", owner="nobody-here")])
    assert not (deployed.etc / "f").exists()


@pytest.mark.parametrize(
    "option",
    [
        *({"dest": dest, "content": ""} for dest in ("/usr/lib/x", "etc/x", "/etc", "/etc/", "/etc/../usr/x", "/var/x/")),
        {"dest": "/etc/x"},
        {"dest": "/etc/x", "content": "", "src": "/x"},
        {"dest": "/etc/x", "src": "/nonexistent"},
        {"dest": "/etc/x", "content": "", "mode": "rw"},
        {"dest": "/etc/x", "content": "", "mode": "0999"},
    ],
)
def test_files_that_cannot_be_meant_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        checked([option])


def test_a_file_asked_for_twice_is_refused() -> None:
    with pytest.raises(OptionError, match="/etc/hostname"):
        without_duplicates([*checked([{"dest": "/etc//hostname", "content": "a"}]), hostname("b")])


# Linux has 64 characters for it, and systemd cuts what is longer in /etc/hostname.
@pytest.mark.parametrize("name", ["-web", "a b", "x" * 64, "a..b", "web.", f"web1.{'x' * 48}.example.com"])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(OptionError):
        hostname(name)


@pytest.mark.parametrize("name", ["web1", "web1.example.com", "Web-1", f"web1.{'x' * 47}.example.com"])
def test_a_host_name_is_a_file(name: str) -> None:
    assert hostname(name).content == f"{name}\n".encode()


def test_a_secret_does_not_show_in_a_message() -> None:
    assert "s3cret" not in repr(PlacedFile("etc/x", b"s3cret"))


def test_a_keyfile_has_both_protocols_and_is_private() -> None:
    (file,) = network.files([STATIC], "networkmanager")
    assert (file.path, file.mode) == ("etc/NetworkManager/system-connections/eth0.nmconnection", 0o600)
    parsed = configparser.ConfigParser()
    parsed.read_string(file.content.decode())
    assert dict(parsed["ipv4"]) == {
        "method": "manual",
        "address1": "192.0.2.10/24",
        "gateway": "192.0.2.1",
        "dns": "192.0.2.53;",
        "dns-search": "example.com;",
    }
    assert parsed["ipv6"]["address1"] == "2001:db8::10/64"
    assert parsed["connection"]["interface-name"] == "eth0"
    assert parsed["ethernet"]["mtu"] == "1400"
    assert network.files([STATIC], "networkmanager")[0].content == file.content


def test_a_network_file_comes_before_those_of_the_image() -> None:
    (file,) = network.files([{**STATIC, "interface": None, "mac": "52:54:00:12:34:56"}], "systemd-networkd")
    assert file.path == "etc/systemd/network/05-52-54-00-12-34-56.network"
    lines = file.content.decode().splitlines()
    addresses = {"Address=192.0.2.10/24", "Gateway=2001:db8::1", "DNS=192.0.2.53"}
    assert {"MACAddress=52:54:00:12:34:56", "DHCP=no", "MTUBytes=1400", *addresses} <= set(lines)


@pytest.mark.parametrize(
    "change",
    [
        {"interface": None},
        {"mac": "52:54:00:12:34:56"},
        {"interface": "a b"},
        {"interface": None, "mac": "52:54"},
        {"addresses": ["192.0.2.10"]},
        {"addresses": ["192.0.2.300/24"]},
        {"addresses": []},
        {"gateways": ["router"]},
        {"gateways": ["192.0.2.1", "192.0.2.2"]},
        {"dns": ["192.0.2.53/24"]},
    ],
)
def test_links_that_cannot_be_meant_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        network.files([{**STATIC, **change}], "networkmanager")


@pytest.mark.parametrize(
    "change",
    [
        {"addresses": ["2001:db8::10/64"]},
        {"addresses": [], "dhcp": True},
        {"addresses": ["192.0.2.10/24"], "gateways": ["fe80::1"], "accept_ra": True},
    ],
)
def test_networkmanager_takes_no_gateway_without_an_address(change: dict[str, Any]) -> None:
    """Of such a keyfile it says "gateway cannot be set if there are no addresses configured", and does not load it at all."""
    with pytest.raises(OptionError, match="no address of its own protocol"):
        network.files([{**STATIC, **change}], "networkmanager")
    (file,) = network.files([{**STATIC, **change}], "systemd-networkd")
    assert b"Gateway=" in file.content
