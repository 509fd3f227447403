# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept of a system that is taken over."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.scan import MountEntry
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._install import keys, network, note, on_root
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import Request
from ansible_collections.imagemode.bootc.plugins.module_utils._install.installed import BootEntry, Installed
from ansible_collections.imagemode.bootc.plugins.module_utils._install.plan import Plan

LINKS = [
    {
        "ifname": "lo",
        "link_type": "loopback",
        "address": "00:00:00:00:00:00",
        "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host", "family": "inet"}],
    },
    {
        "ifname": "eth0",
        "link_type": "ether",
        "address": "52:54:00:00:00:01",
        "addr_info": [
            {"local": "192.0.2.10", "prefixlen": 24, "scope": "global", "family": "inet"},
            {"local": "fe80::1", "prefixlen": 64, "scope": "link", "family": "inet6"},
        ],
    },
    {
        "ifname": "eth1",
        "link_type": "ether",
        "address": "52:54:00:00:00:02",
        "addr_info": [{"local": "198.51.100.7", "prefixlen": 24, "scope": "global", "family": "inet", "dynamic": True}],
    },
    {
        "ifname": "podman0",
        "link_type": "ether",
        "address": "52:54:00:00:00:03",
        "addr_info": [{"local": "10.88.0.1", "prefixlen": 16, "scope": "global", "family": "inet"}],
    },
]
ROUTES = [
    {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0", "protocol": "static"},
    {"dst": "default", "gateway": "198.51.100.1", "dev": "eth1", "protocol": "dhcp"},
]


class Answers:
    """Says what `ip` says."""

    def __init__(self, links: list[dict[str, Any]] | None = None, routes: list[dict[str, Any]] | None = None) -> None:
        self.links, self.routes = LINKS if links is None else links, ROUTES if routes is None else routes

    def run(self, argv: list[str], **_options: Any) -> SimpleNamespace:
        said = self.links if "address" in argv else [] if "-6" in argv else self.routes
        return SimpleNamespace(rc=0, stdout=json.dumps(said))


def test_the_network_is_kept_as_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"/sys/class/net/eth0/device", "/sys/class/net/eth1/device"}
    monkeypatch.setattr(Path, "exists", lambda self: str(self) in there)
    found = on_root.running_network(Answers())  # type: ignore[arg-type]
    assert found == [
        {
            "mac": "52:54:00:00:00:01",
            "dhcp": False,
            "accept_ra": None,
            "addresses": ["192.0.2.10/24"],
            "gateways": ["192.0.2.1"],
            "dns": [],
        },
        {"mac": "52:54:00:00:00:02", "dhcp": True, "accept_ra": None, "addresses": [], "gateways": [], "dns": []},
    ]
    assert [file.path for file in network.files(found, "systemd-networkd")] == [
        "etc/systemd/network/05-52-54-00-00-00-01.network",
        "etc/systemd/network/05-52-54-00-00-00-02.network",
    ]


def card(*addresses: dict[str, Any], name: str = "eth0") -> dict[str, Any]:
    return {
        "ifname": name,
        "link_type": "ether",
        "address": "52:54:00:00:00:01",
        "addr_info": [{"scope": "global", **one} for one in addresses],
    }


STATIC4 = {"family": "inet", "local": "192.0.2.10", "prefixlen": 24}
STATIC6 = {"family": "inet6", "local": "2001:db8::10", "prefixlen": 64}
BY_DHCP = {"family": "inet", "local": "192.0.2.77", "prefixlen": 24, "dynamic": True}
BY_RA = {"family": "inet6", "local": "2001:db8::77", "prefixlen": 64, "dynamic": True}


@pytest.mark.parametrize(
    ("addresses", "dhcp", "accept_ra", "static", "dns"),
    [
        ([STATIC4, BY_RA], False, True, ["192.0.2.10/24"], ["192.0.2.53"]),
        ([STATIC4, STATIC6], False, None, ["192.0.2.10/24", "2001:db8::10/64"], ["192.0.2.53"]),
        ([BY_DHCP, BY_RA], True, True, [], []),
        ([BY_DHCP, STATIC6], True, None, ["2001:db8::10/64"], ["192.0.2.53"]),
        ([BY_RA], True, True, [], []),
    ],
)
def test_static_addresses_stay_static_beside_those_of_a_router(
    monkeypatch: pytest.MonkeyPatch, addresses: list[dict[str, Any]], dhcp: bool, accept_ra: bool | None, static: list[str], dns: list[str]
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _self: True)
    monkeypatch.setattr(
        Path, "read_text", lambda _self, **_options: "nameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\n"
    )
    (found,) = on_root.running_network(Answers([card(*addresses)]))  # type: ignore[arg-type]
    assert (found["dhcp"], found["accept_ra"], found["addresses"], found["dns"]) == (dhcp, accept_ra, static, dns)


def test_a_route_without_a_gateway_and_an_empty_name_server_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _self: True)
    monkeypatch.setattr(Path, "read_text", lambda _self, **_options: "nameserver \nsearch x y\nnameserver 192.0.2.53\n")
    routes = [{"dst": "default", "dev": "eth0", "protocol": "static"}, {"dst": "default", "gateway": "192.0.2.1", "dev": "eth9"}]
    (found,) = on_root.running_network(Answers([card(STATIC4)], routes))  # type: ignore[arg-type]
    assert (found["gateways"], found["dns"]) == ([], ["192.0.2.53"])


@pytest.mark.parametrize(
    ("addresses", "gateways"),
    [
        ([BY_DHCP], []),
        ([STATIC4], ["192.0.2.1"]),
        ([STATIC4, {**STATIC6, "dynamic": True}], ["192.0.2.1"]),
        ([STATIC4, STATIC6], ["192.0.2.1", "fe80::1"]),
    ],
)
def test_a_gateway_is_kept_beside_a_static_address_of_its_protocol(
    monkeypatch: pytest.MonkeyPatch, addresses: list[dict[str, Any]], gateways: list[str]
) -> None:
    """dhclient does not say that a route is its own, and the kernel lists the better one first."""
    monkeypatch.setattr(Path, "exists", lambda self: str(self) == "/sys/class/net/eth0/device")
    routes = [{"dst": "default", "gateway": gateway, "dev": "eth0"} for gateway in ("192.0.2.1", "192.0.2.2", "fe80::1")]
    found = on_root.running_network(Answers([card(*addresses)], routes))  # type: ignore[arg-type]
    assert found[0]["gateways"] == gateways
    assert network.files(found, "networkmanager")


def test_router_advertisements_are_accepted_beside_static_addresses() -> None:
    link = {"mac": "52:54:00:00:00:01", "addresses": ["192.0.2.10/24"], "accept_ra": True}
    text = network.files([link], "networkmanager")[0].content.decode()
    assert "[ipv4]\nmethod=manual\n" in text
    assert "[ipv6]\nmethod=auto\n" in text
    assert "IPv6AcceptRA=yes\n" in network.files([link], "systemd-networkd")[0].content.decode()


@pytest.mark.parametrize(("over", "ok"), [(["eth0"], True), (["bond0"], False), (["bond0", "eth0"], True), ([], True)])
def test_a_machine_that_is_reached_by_no_card_of_its_own_is_not_taken_over(
    monkeypatch: pytest.MonkeyPatch, over: list[str], ok: bool
) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: str(self) == "/sys/class/net/eth0/device")
    routes = [{"dst": "default", "gateway": "192.0.2.1", "dev": name} for name in over]
    finding = on_root.uplink(Answers([card(STATIC4), card(STATIC4, name="bond0")], routes))  # type: ignore[arg-type]
    assert finding.ok == ok
    assert ok or "bond0" in finding.said


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== me@desk"
OF_A_CLOUD = f"""no-port-forwarding,no-agent-forwarding,command="echo 'Please login as the user \\"ubuntu\\", not root.';sleep 10" {KEY}"""


@pytest.mark.parametrize(
    ("line", "lets_in"),
    [
        (KEY, True),
        (f"  {KEY}", True),
        (f'from="10.0.0.0/8,command=x",environment="A=b c" {KEY} command=no', True),
        (OF_A_CLOUD, False),
        (f'COMMAND="x" {KEY}', False),
        (f"  # {KEY}", False),
        ("what sshd overlooks", False),
        ("", False),
    ],
)
def test_only_keys_that_let_somebody_in_are_kept(line: str, lets_in: bool) -> None:
    assert keys.usable(f"# managed\n{line}\n") == ((line.strip(),) if lets_in else ())


def test_the_keys_of_who_became_root_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("root", OF_A_CLOUD), ("ubuntu", KEY)):
        (tmp_path / name / ".ssh").mkdir(parents=True)
        (tmp_path / name / ".ssh/authorized_keys").write_text(f"{text}\n")
    monkeypatch.setattr(on_root.pwd, "getpwnam", lambda name: SimpleNamespace(pw_dir=str(tmp_path / name)))
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert on_root.running_keys() == ()
    monkeypatch.setenv("SUDO_USER", "ubuntu")
    assert on_root.running_keys() == (KEY,)


@pytest.mark.parametrize(
    ("layers", "command_line", "arguments", "ok"),
    [
        (["crypt", "part", "disk"], "root=UUID=1 rd.luks.uuid=luks-2 ro\n", (), True),
        (["crypt", "part", "disk"], "rd.luks.uuid=luks-2 ro\n", (), False),
        (["crypt", "part", "disk"], "root=/dev/mapper/root ro\n", (), False),
        (["crypt", "part", "disk"], "root=/dev/mapper/root ro\n", ("rd.luks.uuid=2",), True),
        (["lvm", "part", "disk"], "root=UUID=1\n", (), True),
    ],
)
def test_what_opens_the_root_now_opens_it_afterwards(layers: list[str], command_line: str, arguments: tuple[str, ...], ok: bool) -> None:
    assert on_root.unlocking(layers, command_line, arguments).ok == ok


def test_a_machine_that_nobody_could_log_in_to_is_not_taken_over() -> None:
    assert not on_root.login(()).ok
    assert on_root.login((KEY,)).ok
    assert on_root.login(None).ok


def test_files_are_kept_with_mode_and_owner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(on_root, "_ROOT", tmp_path)
    for name in ("etc/ssh/ssh_host_a_key", "etc/ssh/ssh_host_b_key", "etc/ssh/sshd_config", "etc/backup/sub/key"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o600)
    for name, target in (("etc/linked", "backup"), ("etc/broken", "nowhere")):
        (tmp_path / name).symlink_to(target)
    found = on_root.kept(["/etc/ssh/ssh_host_*", "/etc/backup", "/etc/nothing", "/etc/linked", "/etc/broken"])
    inner = [file.path.removeprefix(str(tmp_path).lstrip("/") + "/") for file in found]
    assert inner == ["etc/ssh/ssh_host_a_key", "etc/ssh/ssh_host_b_key", "etc/backup/sub/key"]
    assert {file.mode for file in found} == {0o600}


def test_private_host_keys_are_roots_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(on_root, "_ROOT", tmp_path)
    for name, mode in (("ssh_host_a_key", 0o640), ("ssh_host_a_key.pub", 0o644)):
        (tmp_path / "etc/ssh").mkdir(parents=True, exist_ok=True)
        (tmp_path / "etc/ssh" / name).touch()
        (tmp_path / "etc/ssh" / name).chmod(mode)
    private, public = on_root.kept(["/etc/ssh/ssh_host_*"])
    assert (private.mode, private.owner, private.group) == (0o600, "0", "0")
    assert public.mode == 0o644


@pytest.mark.parametrize("pattern", ["/usr/lib/x", "etc/x", "/etc", "/", "/etc/../root/x", "/home/me"])
def test_only_files_of_the_machine_are_kept(pattern: str) -> None:
    with pytest.raises(ImageModeError) as caught:
        on_root.kept([pattern])
    assert caught.value.error == "option_invalid"


class Server(on_root.RootInstallation):
    """A machine whose file systems are said here; the root has 10 GiB, a quarter of it free."""

    def __init__(self, table: dict[str, str], kind: str = "ext4") -> None:
        self._table = tuple(MountEntry("", path, "", source) for path, source in table.items())
        self._runner = SimpleNamespace(run=lambda argv, **_options: SimpleNamespace(rc=int(argv[0] != "findmnt"), stdout=f"{kind}\n"))
        self._request = SimpleNamespace(kernel_arguments=(), root_keys=("ssh-ed25519 AAAA me",))
        self.hostname, self.old_boot = "cloud1", SimpleNamespace(said="GRUB, in the ESP.")
        self.findings = tuple(self._look())


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """MiB by path; a quarter of each is free."""
    found = {"/": 10240, "/boot": 1024}
    monkeypatch.setattr(
        on_root.os, "statvfs", lambda path: SimpleNamespace(f_blocks=found[path], f_frsize=1 << 20, f_bavail=found[path] // 4)
    )
    monkeypatch.setattr(on_root, "_size", lambda _path: 0)
    return found


@pytest.mark.parametrize(
    ("table", "kind", "boot", "said"),
    [
        ({"/": "/dev/vda2"}, "ext4", 10240, ""),
        ({"/": "/dev/vda2", "/boot": "/dev/sdb1"}, "xfs", 1024, ""),
        ({"/": "/dev/vda2", "/boot": "/dev/sdb1"}, "xfs", 100, "/boot is on /dev/sdb1 with 100.0 MiB"),
        ({"/": "rpool/ROOT"}, "zfs", 10240, "The root is rpool/ROOT (zfs)"),
    ],
)
def test_a_server_is_looked_at_before_it_is_taken_over(
    sizes: dict[str, int], table: dict[str, str], kind: str, boot: int, said: str
) -> None:
    sizes["/boot"] = boot
    server = Server(table, kind)
    if not said:
        server.require_suitable()
        return
    with pytest.raises(ImageModeError) as refused:
        server.require_suitable()
    assert refused.value.error == "takeover_unsuitable"
    assert said in refused.value.message
    assert [finding["name"] for finding in refused.value.details["findings"] if not finding["ok"]]


@pytest.mark.usefixtures("sizes")
def test_what_the_new_system_does_not_mount_is_told() -> None:
    server = Server({"/": "/dev/vda2", "/home": "/dev/mapper/vg-home", "/srv": "/dev/sdb1", "/mnt": "/dev/sdc1"})
    assert [finding.said for finding in server.findings if finding.name == "separate"] == [
        "File systems that the new system mounts only if told: /home, /srv."
    ]


@pytest.mark.usefixtures("sizes")
def test_encryption_below_the_root_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = json.dumps({"blockdevices": [{"type": kind} for kind in ("crypt", "lvm", "crypt", "part", "disk")]})
    asked: list[str] = []

    def run(argv: list[str], **_options: Any) -> SimpleNamespace:
        asked.append(" ".join(argv))
        return SimpleNamespace(rc=0, stdout=layers if argv[0] == "lsblk" else "")

    server = Server({"/": "/dev/mapper/root"})
    server._runner = SimpleNamespace(run=run)  # type: ignore[assignment]
    monkeypatch.setattr(Path, "read_text", lambda self: {"/proc/cmdline": "root=/dev/mapper/root"}[str(self)])
    findings = {finding.name: finding for finding in server._look()}
    assert (findings["layers"].ok, findings["layers"].said.startswith("Below the root: crypt, lvm, part, disk.")) == (False, True)
    assert asked[-1].endswith(" /dev/mapper/root")
    assert findings["root"].said == "The root is /dev/mapper/root (not known); it must be ext4, xfs, btrfs."
    server._table = ()
    list(server._look())
    assert asked[-1].endswith(" TYPE ")


@pytest.mark.parametrize("keep_network", [True, False])
def test_how_the_machine_is_reached_matters_if_its_network_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, keep_network: bool
) -> None:
    monkeypatch.setattr(note, "DIRECTORY", tmp_path)
    monkeypatch.setattr(on_root, "OldBoot", lambda *_arguments: None)
    monkeypatch.setattr(on_root, "uplink", lambda _runner: on_root.Finding("network", False, "Over bond0."))
    monkeypatch.setattr(on_root, "mount_table", lambda process="self": (MountEntry("", "/", "", f"root of {process}"),))
    for method in ("_look", "_read"):
        monkeypatch.setattr(on_root.RootInstallation, method, lambda _self: ())
    job = on_root.RootInstallation(SimpleNamespace(), Request(target="os:1"), may_write=True, keep_network=keep_network)  # type: ignore[arg-type]
    assert [finding["name"] for finding in job.facts()["findings"]] == (["network"] if keep_network else [])
    assert job.facts()["root"] == "root of 1", "a task may have mounts of its own"


@pytest.mark.usefixtures("sizes")
def test_an_image_that_does_not_fit_beside_the_old_system_is_refused() -> None:
    server = Server({"/": "/dev/vda2"})
    server._require_room(SimpleNamespace(size=1 << 30), None)  # type: ignore[arg-type]
    with pytest.raises(ImageModeError) as refused:
        server._require_room(SimpleNamespace(size=3 << 30), None)  # type: ignore[arg-type]
    assert refused.value.error == "disk_too_small"


class Taken(on_root.RootInstallation):
    """A machine with nothing but what its take-over touches: a root in a directory, and what it boots from."""

    def __init__(self, root: Path) -> None:
        self.hostname, self.done = "cloud1", list[str]()
        self.old_boot = SimpleNamespace(
            **{name: lambda name=name: self.done.append(name) for name in ("save", "restore", "forget", "require_no_doubt")}
        )
        self._table, self._note = (MountEntry("", "/", "", "/dev/vda2"),), note.Note("takeover.json")
        self._noted = self._note.read()
        self._request, self.installed, self._root = Request(target="registry.test/os:1"), None, root
        self.findings = (on_root.Finding("root", True, "The root is fine."),)


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Taken:
    monkeypatch.setattr(note, "DIRECTORY", tmp_path / "notes")
    monkeypatch.setattr(on_root, "DIRECTORY", tmp_path / "notes")
    monkeypatch.setattr(on_root, "_ROOT", tmp_path / "root")
    for name in ("home", "usr"):
        (tmp_path / "root" / name).mkdir(parents=True)
    return Taken(tmp_path)


RUNS_IT = Installed(
    "ostree", "registry.test/os:1", "registry", "sha256:1", "default", entry=BootEntry("boot/1.conf", ""), device="/dev/vda2"
)


@pytest.mark.parametrize(
    ("installed", "suitable", "confirm", "outcome"),
    [
        (None, True, "cloud1", "install"),
        (None, True, None, "disk_has_data"),
        (None, True, "cloud2", "wipe_confirm_mismatch"),
        (None, False, "cloud1", "takeover_unsuitable"),
        (RUNS_IT, False, None, "none"),
        (RUNS_IT, True, "cloud2", "wipe_confirm_mismatch"),
        (replace(RUNS_IT, digest="sha256:2"), True, None, "disk_has_data"),
        (replace(RUNS_IT, digest="sha256:2"), True, "cloud1", "install"),
    ],
)
def test_only_a_machine_that_is_named_and_fits_is_taken_over(
    taken: Taken, installed: Installed | None, suitable: bool, confirm: str | None, outcome: str
) -> None:
    taken.installed, taken.findings = installed, (on_root.Finding("root", suitable, "The root is on ZFS."),)
    if outcome in ("install", "none"):
        assert taken.plan(frozenset(["sha256:1"]), confirm).verb == outcome
        return
    with pytest.raises(ImageModeError) as refused:
        taken.plan(frozenset(["sha256:1"]), confirm)
    assert refused.value.error == outcome
    assert outcome == "takeover_unsuitable" or refused.value.details["wipe_confirm_needed"] == "cloud1"


def begin(taken: Taken) -> None:
    taken._begin(SimpleNamespace(digest="sha256:1"), "os:1", Plan("install", ""))  # type: ignore[arg-type]


def test_what_the_machine_boots_from_is_saved_once_and_before_the_first_try(taken: Taken, tmp_path: Path) -> None:
    begin(taken)
    begin(taken)
    assert taken.done == ["save"]
    again = Taken(tmp_path)
    begin(again)
    assert again.done == []
    again._finish()
    assert note.Note("takeover.json").read()["state"] == "finished"
    begin(Taken(tmp_path))
    assert note.Note("takeover.json").read()["state"] == "begun"


def test_what_the_old_system_had_is_listed_before_the_first_try(taken: Taken, tmp_path: Path) -> None:
    """Nothing else may be removed afterwards."""
    listed = tmp_path / "root/.imagemode-bootc-old.json"
    begin(taken)
    assert json.loads(listed.read_text()) == ["home", "usr"]
    (tmp_path / "root/of-the-new-system").mkdir()
    begin(Taken(tmp_path))
    assert json.loads(listed.read_text()) == ["home", "usr"]
    taken._undo()
    assert not listed.exists()


def test_what_the_machine_will_boot_is_read_again(taken: Taken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Taken, "_read", lambda _self: RUNS_IT)
    taken._look_again()
    assert taken.installed == RUNS_IT


@pytest.mark.parametrize("had_ostree", [True, False])
def test_a_takeover_that_failed_is_undone(taken: Taken, monkeypatch: pytest.MonkeyPatch, had_ostree: bool) -> None:
    removed: list[str] = []
    monkeypatch.setattr(on_root, "make_mutable", lambda root: removed.append(f"make {root} mutable"))
    monkeypatch.setattr(on_root, "remove", lambda path: removed.append(str(path)))
    monkeypatch.setattr(Path, "exists", lambda self: had_ostree and str(self) == "/ostree")
    begin(taken)
    assert taken._undo() is True
    assert taken.done == ["save", "restore", "forget", "require_no_doubt"]
    root = taken._root / "root"
    assert removed == [
        *([] if had_ostree else [f"make {root} mutable", "/ostree", "/.bootc-aleph.json"]),
        f"{root}/.imagemode-bootc-old.json",
    ]
    assert note.Note("takeover.json").read() == {}


def test_a_takeover_that_cannot_be_undone_is_not_forgotten(taken: Taken) -> None:
    def fail() -> None:
        raise ImageModeError("could not be put back", error="takeover_not_undone")

    begin(taken)
    taken.old_boot.restore = fail
    with pytest.raises(ImageModeError):
        taken._undo()
    assert taken.done == ["save"]
    assert note.Note("takeover.json").read()["state"] == "begun"


def test_a_path_is_on_the_file_system_that_is_mounted_nearest() -> None:
    taken = Taken(Path("/"))
    taken._table = tuple(MountEntry("", path, "", source) for path, source in (("/", "a"), ("/boot", "b"), ("/bo", "c")))
    assert [taken._source(path) for path in ("/", "/boot", "/boot/efi", "/bootx", "/bo/x")] == ["a", "b", "b", "a", "c"]
    taken._table = ()
    assert taken._source("/") == "?"
