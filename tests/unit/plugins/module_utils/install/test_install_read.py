# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading what is installed from trees of files as bootc leaves them."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils import _kargs as kargs
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError, OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._install import keys
from ansible_collections.imagemode.bootc.plugins.module_utils._install.errors import InstallIncomplete, InstallUnread
from ansible_collections.imagemode.bootc.plugins.module_utils._install.files import PlacedFile
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import Abilities, Image, Request
from ansible_collections.imagemode.bootc.plugins.module_utils._install.installation import Installation
from ansible_collections.imagemode.bootc.plugins.module_utils._install.installed import commit_digest, parse_aleph, parse_image_url
from ansible_collections.imagemode.bootc.plugins.module_utils._install.layout import read
from ansible_collections.imagemode.bootc.plugins.module_utils._install.plan import Plan, additions, differences
from ansible_collections.imagemode.bootc.plugins.module_utils._install.repair import repair
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import CommandFailed

DIGEST = "sha256:" + "5" * 64
NEWER = "sha256:" + "6" * 64
COMMIT = "ab" + "c" * 62
VERITY = "d" * 128
ME, MINE = str(os.getuid()), str(os.getgid())
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@example.com"


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def ostree_root(root: Path, *, commit: str = COMMIT, stateroot: str = "default", number: int = 1, digest: str | None = None) -> Path:
    """The root file system of a disk that `bootc install to-disk` wrote (ostree backend)."""
    deployment = root / f"ostree/deploy/{stateroot}/deploy/{commit}.0"
    (deployment / "etc").mkdir(parents=True)
    origin = "[origin]\ncontainer-image-reference=ostree-unverified-registry:registry.test:5000/os:1\n"
    write(deployment.parent / f"{commit}.0.origin", origin)
    write(root / ".bootc-aleph.json", f'{{"digest":"{DIGEST}","image":"registry.test:5000/os:1","target-image":"registry.test:5000/os:1"}}')
    link = root / f"ostree/boot.1.1/{stateroot}/{number:064d}/0"
    link.parent.mkdir(parents=True)
    link.symlink_to(f"../../../deploy/{stateroot}/deploy/{commit}.0")
    if not (root / "ostree/boot.1").exists():
        (root / "ostree/boot.1").symlink_to("boot.1.1")
    write(
        root / f"boot/loader.1/entries/ostree-{number}.conf",
        f"title Debian\nversion {number}\nlinux /boot/ostree/x/vmlinuz\n"
        f"options root=UUID=c223130d rw console=ttyS0,115200 ostree=/ostree/boot.1/{stateroot}/{number:064d}/0\n",
    )
    if not (root / "boot/loader").exists():
        (root / "boot/loader").symlink_to("loader.1")
    if digest:
        value = b"\x00\x00ostree.manifest-digest\x00\x00\x00\x00" + digest.encode() + b"\x00\x00s"
        write(root / f"ostree/repo/objects/{commit[:2]}/{commit[2:]}.commit", b"\x01\x02" + value + b"\x03")
    return root


def composefs_roots(base: Path) -> dict[str, Path]:
    """Root and ESP of a disk that `bootc install to-disk --composefs-backend` wrote."""
    root, esp = base / "root", base / "esp"
    (root / f"state/deploy/{VERITY}/etc").mkdir(parents=True)
    write(
        root / f"state/deploy/{VERITY}/{VERITY}.origin",
        "[origin]\ncontainer-image-reference = ostree-unverified-image:docker://registry.test:5000/os:1\n\n"
        f"[boot]\nboot_type = bls\n\n[image]\nmanifest_digest = {DIGEST}\n",
    )
    options = f"root=UUID=2fb79122 rw composefs={VERITY}"
    write(esp / "loader/entries/bootc.conf", f"title x\nversion 1\nlinux /EFI/Linux/x/vmlinuz\noptions {options}\n")
    return {"/dev/vdb3": root, "/dev/vdb2": esp}


def uki_roots(base: Path, entry: str, text: str) -> dict[str, Path]:
    """The same for an image with a unified kernel image.

    :param entry: where the boot entry is, below the ESP or the root
    """
    roots = composefs_roots(base)
    (roots["/dev/vdb2"] / "loader/entries/bootc.conf").unlink()
    write((roots["/dev/vdb3"] if entry.startswith("boot/") else roots["/dev/vdb2"]) / entry, text)
    return roots


# boot.rs of bootc: write_systemd_uki_config, write_grub_uki_menuentry.
BLS = "title Fedora\nversion 43\n{key} /EFI/Linux/bootc/{name}.efi\nsort-key bootc-fedora-0\n"
MENU = """
if [ -f ${{config_directory}}/efiuuid.cfg ]; then
        source ${{config_directory}}/efiuuid.cfg
fi
menuentry "Fedora: ({verity})" {{
insmod fat
insmod chain
search --no-floppy --set=root --fs-uuid "${{EFI_PART_UUID}}"
chainloader /EFI/Linux/{name}.efi
}}
menuentry "Fedora: (old)" {{
chainloader /EFI/Linux/bootc/bootc_composefs-{old}.efi
}}
"""
PREFIXED = f"bootc_composefs-{VERITY}"
UKIS = [
    pytest.param("loader/entries/bootc_fedora-43-1.conf", BLS.format(key="uki", name=PREFIXED), id="systemd-boot 258"),
    pytest.param("loader/entries/bootc_fedora-43-1.conf", BLS.format(key="efi", name=PREFIXED), id="grub-cc, older systemd-boot"),
    pytest.param("loader/entries/bootc-composefs-0.conf", BLS.format(key="efi", name=VERITY), id="bootc 1.10"),
    pytest.param("boot/grub2/user.cfg", MENU.format(verity=VERITY, name=f"bootc/{PREFIXED}", old="e" * 128), id="GRUB"),
    pytest.param("boot/grub2/user.cfg", MENU.format(verity=VERITY, name=VERITY, old="e" * 128), id="GRUB, bootc 1.10"),
]


class Place(Installation):
    """Directories that stand for a disk to which bootc has installed.

    :ivar ended: how it came out
    """

    def __init__(self, roots: dict[str, Path], **asked: Any) -> None:
        super().__init__(None, Request(target="registry.test:5000/os:1", **asked), None)  # type: ignore[arg-type]
        self.roots, self.ended = roots, ""

    place = "/dev/vdb"

    def facts(self) -> dict[str, Any]:
        return {}

    def plan(self, digests: frozenset[str], wipe_confirm: str | None) -> Plan:
        raise NotImplementedError

    def _command(self, what: Plan) -> list[str]:
        raise NotImplementedError

    def _require_room(self, image: Image, abilities: Abilities) -> None: ...

    def _require_unchanged(self) -> None: ...

    def _begin(self, image: Image, name: str, what: Plan) -> None: ...

    def _look_again(self) -> None:
        self.installed = self._read()

    def _undo(self) -> bool:
        raise NotImplementedError

    def _clear(self) -> None:
        self.ended = "cleared"

    def _leave(self) -> None:
        self.ended = "left"

    def _finish(self) -> None:
        self.ended = "finished"

    def _holds_nothing(self) -> bool:
        return not self.roots

    def _mounted(self, work: Callable[[Mapping[str, Path]], Any], *, writable: bool = False) -> Any:
        return work(self.roots)


def read_back(place: Place, digest: str = DIGEST, config: str = "c0ffee", **can: Any) -> tuple[str, ...]:
    """:returns: what was verified"""
    return place.read_back(Image(config, digest, frozenset([digest]), "amd64", 1), Abilities((1, 16, 9), {"kargs": ["quiet"]}, **can))


def test_an_ostree_installation_is_read(tmp_path: Path) -> None:
    found = read({"/dev/vdb3": ostree_root(tmp_path)})
    assert found is not None
    assert (found.backend, found.image, found.transport, found.digest) == ("ostree", "registry.test:5000/os:1", "registry", DIGEST)
    assert (found.stateroot, found.device, found.entry_device) == ("default", "/dev/vdb3", "/dev/vdb3")
    assert "console=ttyS0,115200" in found.kernel_arguments


def test_an_automount_of_an_esp_that_is_not_there_is_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd mounts C(/efi) when somebody looks into it; without a device that looking fails."""
    roots = {"/dev/vda3": ostree_root(tmp_path)}
    look = os.stat

    def stat(path: Any, *words: Any, **options: Any) -> os.stat_result:
        if f"{tmp_path}/efi/" in f"{path}":
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), str(path))
        return look(path, *words, **options)

    monkeypatch.setattr(os, "stat", stat)
    found = read(roots)
    assert found
    assert found.entry


def test_the_commit_counts_more_than_the_aleph(tmp_path: Path) -> None:
    found = read({"/dev/vdb3": ostree_root(tmp_path, digest=NEWER)})
    assert found is not None
    assert found.digest == NEWER


def test_the_newest_boot_entry_decides(tmp_path: Path) -> None:
    ostree_root(tmp_path, number=2, digest=DIGEST)
    newer = "ef" + "0" * 62
    ostree_root(tmp_path, commit=newer, number=10, digest=NEWER)
    found = read({"/dev/vdb3": tmp_path})
    assert found is not None
    assert found.digest == NEWER
    assert newer in found.etc


def test_a_separate_boot_partition_is_read(tmp_path: Path) -> None:
    root, boot = ostree_root(tmp_path / "root"), tmp_path / "boot"
    boot.mkdir()
    (root / "boot/loader.1").rename(boot / "loader.1")
    (root / "boot/loader").unlink()
    (boot / "loader").symlink_to("loader.1")
    found = read({"/dev/vdb4": root, "/dev/vdb3": boot})
    assert found is not None
    assert (found.device, found.entry_device) == ("/dev/vdb4", "/dev/vdb3")


def test_a_composefs_installation_is_read(tmp_path: Path) -> None:
    found = read(composefs_roots(tmp_path))
    assert found is not None
    assert (found.backend, found.image, found.digest) == ("composefs", "registry.test:5000/os:1", DIGEST)
    assert (found.device, found.entry_device) == ("/dev/vdb3", "/dev/vdb2")
    assert "rw" in found.kernel_arguments


@pytest.mark.parametrize(("entry", "text"), UKIS)
def test_a_unified_kernel_image_starts_its_deployment(tmp_path: Path, entry: str, text: str) -> None:
    roots = uki_roots(tmp_path, entry, text)
    found = read(roots)
    assert found is not None
    assert (found.digest, found.etc, found.kernel_arguments) == (DIGEST, f"state/deploy/{VERITY}/etc", None)
    assert found.entry is not None
    assert found.entry_device == ("/dev/vdb3" if entry.startswith("boot/") else "/dev/vdb2")
    assert not differences(found, Request(target="registry.test:5000/os:1"), frozenset([DIGEST]))


@pytest.mark.parametrize(("entry", "text"), UKIS)
def test_an_image_with_a_unified_kernel_image_is_verified(tmp_path: Path, entry: str, text: str) -> None:
    place = Place(uki_roots(tmp_path, entry, text), root_keys=(KEY,), files=(PlacedFile("etc/motd", b"x", owner=ME, group=MINE),))
    assert read_back(place, ukis=("/boot/EFI/Linux/x.efi",)) == ("digest", "target_imgref", "root_ssh_authorized_keys", "files")
    assert place.ended == "finished"


def test_kernel_arguments_of_a_unified_kernel_image_are_refused_and_never_added(tmp_path: Path) -> None:
    found = read(uki_roots(tmp_path, *UKIS[0].values))  # type: ignore[arg-type]
    assert found is not None
    assert additions(found, Request(target=""), ["quiet"]).verb == "none"
    with pytest.raises(OptionError):
        additions(found, Request(target="", kernel_arguments=("a=1",)))
    with pytest.raises(InstallIncomplete):
        repair({}, found, Plan("repair", "", missing_arguments=("a=1",)), ())


@pytest.mark.parametrize("esp", ["boot/efi", "efi"])
def test_boot_entries_on_an_esp_that_is_mounted_on_the_root_are_read(tmp_path: Path, esp: str) -> None:
    root = composefs_roots(tmp_path)["/dev/vdb3"]
    write(root / esp / "loader/entries/x.conf", BLS.format(key="uki", name=PREFIXED))
    found = read({"/dev/vdb3": root})
    assert found is not None
    assert found.entry is not None


@pytest.mark.parametrize(
    ("place", "keys", "expected"),
    [
        ("esp/loader/entries", ("bootc-fedora-0", "bootc-fedora-1"), DIGEST),
        ("esp/loader/entries", ("bootc-fedora-1", "bootc-fedora-0"), NEWER),
        ("esp/loader/entries", ("", "bootc-fedora-1"), NEWER),
        ("esp/loader/entries", ("", ""), NEWER),
        ("root/boot/loader/entries", ("bootc-fedora-0", "bootc-fedora-1"), NEWER),
    ],
)
def test_systemd_boot_starts_what_has_the_lower_sort_key_and_grub_the_newer(
    tmp_path: Path, place: str, keys: tuple[str, str], expected: str
) -> None:
    """After a rollback, the older version has the lower key."""
    roots, newer = composefs_roots(tmp_path), "e" * 128
    (tmp_path / "esp/loader/entries/bootc.conf").unlink()
    (tmp_path / "esp/EFI/Linux").mkdir(parents=True)
    state = tmp_path / "root/state/deploy"
    write(state / newer / f"{newer}.origin", (state / VERITY / f"{VERITY}.origin").read_text().replace(DIGEST, NEWER))
    for version, verity, key in (("42.1", VERITY, keys[0]), ("43.1", newer, keys[1])):
        text = f"version {version}\noptions composefs={verity}\n" + (f"sort-key {key}\n" if key else "")
        write(tmp_path / place / f"bootc_fedora-{version}-0.conf", text)
    found = read(roots)
    assert found is not None
    assert found.digest == expected


def test_what_is_installed_and_verified_is_kept(tmp_path: Path) -> None:
    place = Place(composefs_roots(tmp_path), kernel_arguments=("a=1",), root_keys=(KEY,))
    assert read_back(place) == ("digest", "target_imgref", "kernel_arguments", "root_ssh_authorized_keys")
    assert (place.ended, place.unread) == ("finished", ())


@pytest.mark.parametrize(
    ("gone", "unread"),
    [
        ("loader/entries/bootc.conf", "no boot entry that is known to start it"),
        (f"state/deploy/{VERITY}/{VERITY}.origin", "no deployment of a kind that is known"),
        ("manifest_digest", "digest not known"),
        ("container-image-reference", "what it follows not known"),
    ],
)
def test_what_cannot_be_read_is_neither_verified_nor_cleared(tmp_path: Path, gone: str, unread: str) -> None:
    roots = composefs_roots(tmp_path)
    origin = roots["/dev/vdb3"] / f"state/deploy/{VERITY}/{VERITY}.origin"
    for root in roots.values():
        (root / gone).unlink(missing_ok=True)
    if origin.exists():
        origin.write_text("\n".join(line for line in origin.read_text().splitlines() if not line.startswith(gone)))
    place = Place(roots, kernel_arguments=("a=1",), root_keys=(KEY,))
    assert read_back(place) == ()
    assert (place.ended, place.unread) == ("finished", (unread,))


def test_a_program_that_fails_while_reading_is_no_reason_to_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> None:
        raise CommandFailed("umount failed", stderr="target is busy")

    monkeypatch.setattr(Place, "_add", fail)
    place = Place(composefs_roots(tmp_path), root_keys=(KEY,))
    with pytest.raises(CommandFailed):
        read_back(place)
    assert place.ended == "left"


ID = "c0ffee" * 10 + "beef"


def imginfo(roots: dict[str, Path]) -> Path:
    """The disk as bootc 1.12.0 to 1.15.2 left it: no digest in the origin, but manifest and configuration."""
    state = roots["/dev/vdb3"] / f"state/deploy/{VERITY}"
    origin = state / f"{VERITY}.origin"
    origin.write_text(origin.read_text().partition("[image]")[0])
    path = state / f"{VERITY}.imginfo"
    path.write_text(json.dumps({"config": {}, "manifest": {"schemaVersion": 2, "config": {"digest": f"sha256:{ID}"}, "layers": []}}))
    return path


def test_the_image_is_told_by_its_configuration_where_bootc_wrote_no_digest(tmp_path: Path) -> None:
    roots = composefs_roots(tmp_path)
    imginfo(roots)
    request = Request(target="registry.test:5000/os:1")
    found = read(roots)
    assert found is not None
    assert (found.digest, found.config) == (None, ID)
    assert differences(found, request, frozenset([DIGEST]))
    assert not differences(found.known_as(ID, DIGEST), request, frozenset([DIGEST]))
    assert differences(found.known_as("another", DIGEST), request, frozenset([DIGEST]))
    place = Place(roots, root_keys=(KEY,))
    assert read_back(place, config=ID) == ("digest", "target_imgref", "root_ssh_authorized_keys")
    assert place.installed is not None
    assert (place.ended, place.installed.digest) == ("finished", DIGEST)


def test_another_configuration_is_another_image(tmp_path: Path) -> None:
    roots = composefs_roots(tmp_path)
    imginfo(roots)
    place = Place(roots)
    with pytest.raises(InstallIncomplete):
        read_back(place, config="another")
    assert place.ended == "cleared"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"manifest": {"config": {}}}', '{"manifest": {"config": {"digest": 1}}}', "\0"])
def test_a_damaged_imginfo_tells_nothing(tmp_path: Path, text: str) -> None:
    roots = composefs_roots(tmp_path)
    imginfo(roots).write_text(text)
    place = Place(roots)
    assert read_back(place) == ()
    assert place.unread == ("digest not known",)


def test_files_that_have_no_place_are_told_and_what_was_installed_is_left(tmp_path: Path) -> None:
    place = Place({"/dev/vdb1": tmp_path}, files=(PlacedFile("etc/motd", b"x"),))
    with pytest.raises(InstallUnread) as caught:
        read_back(place)
    assert (place.ended, caught.value.error, caught.value.details["changed"]) == ("left", "install_incomplete", True)


@pytest.mark.parametrize(
    "wrong", ["another digest", "another target", "no boot entry of ostree", "nothing at all", "an owner that is not there"]
)
def test_what_is_wrong_for_sure_is_cleared(tmp_path: Path, wrong: str) -> None:
    roots = {"/dev/vdb3": ostree_root(tmp_path)}
    if wrong == "another target":
        next(tmp_path.glob("ostree/deploy/*/deploy/*.origin")).write_text(
            "[origin]\ncontainer-image-reference=ostree-unverified-registry:registry.test:5000/os:2\n"
        )
    if wrong == "no boot entry of ostree":
        (tmp_path / "boot/loader").unlink()
    files = (PlacedFile("etc/motd", b"x", owner="nobody-known"),) if wrong.startswith("an owner") else ()
    place = Place({} if wrong == "nothing at all" else roots, files=files)
    with pytest.raises(ImageModeError) as caught:
        read_back(place, NEWER if wrong == "another digest" else DIGEST)
    assert (place.ended, caught.value.error) == ("cleared", "install_incomplete")


def test_an_installation_that_nothing_boots_has_no_entry(tmp_path: Path) -> None:
    ostree_root(tmp_path)
    (tmp_path / "boot/loader").unlink()
    found = read({"/dev/vdb3": tmp_path})
    assert found is not None
    assert found.entry is None


@pytest.mark.parametrize("origin", ["[origin]\nrefspec=debian:stable\n", "", "not an ini file", "[origin"])
def test_a_plain_ostree_system_is_no_installation(tmp_path: Path, origin: str) -> None:
    ostree_root(tmp_path)
    next(tmp_path.glob("ostree/deploy/*/deploy/*.origin")).write_text(origin)
    assert read({"/dev/vdb3": tmp_path}) is None


def test_other_systems_are_no_installation(tmp_path: Path) -> None:
    write(tmp_path / "etc/os-release", "ID=debian\n")
    write(tmp_path / "boot/loader/entries/debian.conf", "options root=/dev/sda1\n")
    assert read({"/dev/vdb1": tmp_path}) is None
    assert read({}) is None


def test_links_on_the_disk_do_not_lead_out_of_it(tmp_path: Path) -> None:
    root = ostree_root(tmp_path / "root")
    (root / "ostree/boot.1").unlink()
    (root / "ostree/boot.1").symlink_to("/../../../../etc")
    found = read({"/dev/vdb3": root})
    assert found is not None
    assert found.entry is None


def test_missing_kernel_arguments_and_keys_are_put_there(tmp_path: Path) -> None:
    roots = composefs_roots(tmp_path)
    found = read(roots)
    assert found is not None
    repair(roots, found, Plan("repair", "", missing_arguments=("console=ttyS0", 'x="a b"'), keys=True), (KEY,))
    again = read(roots)
    assert again is not None
    assert again.root_keys == (KEY,)
    assert again.kernel_arguments == (*found.kernel_arguments, "console=ttyS0", 'x="a b"')
    entry = (roots["/dev/vdb2"] / "loader/entries/bootc.conf").read_text()
    assert entry.startswith("title x\nversion 1\nlinux ")
    assert entry.count("options ") == 1


def test_no_keys_asked_takes_the_drop_in_away(tmp_path: Path) -> None:
    roots = {"/dev/vdb3": ostree_root(tmp_path)}
    for wanted in ((KEY,), (), ()):
        found = read(roots)
        assert found is not None
        repair(roots, found, Plan("repair", "", keys=True), wanted)
        again = read(roots)
        assert again is not None
        assert again.root_keys == wanted
        assert (roots["/dev/vdb3"] / found.etc / keys.DROP_IN).exists() is bool(wanted)


@pytest.mark.parametrize("lacks", ["entry", "entry_device", "arguments of its own"])
def test_arguments_that_no_boot_entry_takes_are_told(tmp_path: Path, lacks: str) -> None:
    roots = {"/dev/vdb3": ostree_root(tmp_path)}
    found = read(roots)
    assert found is not None
    assert found.entry is not None
    found = replace(
        found, **({lacks: None} if lacks != "arguments of its own" else {"entry": replace(found.entry, uki="/EFI/Linux/a.efi")})
    )
    with pytest.raises(InstallIncomplete, match="no boot entry takes them"):
        repair(roots, found, Plan("repair", "", missing_arguments=("quiet",)), ())


@pytest.mark.parametrize(
    ("path", "home"), [("/root", "/root"), ("/var/roothome", "/var/roothome"), ("//var/roothome", "/var/roothome"), ("/var/r", "/var/r")]
)
def test_bootcs_own_drop_in_is_understood(path: str, home: str) -> None:
    """The lines that osconfig.rs of bootc 1.16.9 writes for C(/root) as a directory, and as a link."""
    line = f"f~ {path}/.ssh/authorized_keys 600 root root - c3NoLWVkMjU1MTkgQUFBQUMzIG1lCg==\n"
    assert (keys.from_drop_in(line), keys.home_in(line)) == (("ssh-ed25519 AAAAC3 me",), home)
    again = keys.drop_in([KEY, KEY + "2"], home)
    assert (keys.from_drop_in(again), keys.home_in(again)) == ((KEY, KEY + "2"), home)


def test_other_drop_ins_have_no_keys() -> None:
    for other in ("", "d /root/.ssh 0700 root root -\n", "f~ /root/.ssh/authorized_keys 600 root root - !!!\n"):
        assert keys.from_drop_in(other) == ()


def test_roots_home_is_made_before_its_keys_where_it_is_a_link() -> None:
    lines = [line.split()[:3] for line in keys.drop_in([KEY], "/var/roothome").splitlines()]
    assert lines == [
        ["d", "/var/roothome", "0700"],
        ["d", "/var/roothome/.ssh", "0700"],
        ["f~", "/var/roothome/.ssh/authorized_keys", "600"],
    ]
    assert [line.split()[1] for line in keys.drop_in([KEY], "/root").splitlines()] == ["/root/.ssh", "/root/.ssh/authorized_keys"]


@pytest.mark.parametrize(
    ("link", "home"), [("var/roothome", "/var/roothome"), ("/var/roothome", "/var/roothome"), ("../../home", "/home"), (None, "/root")]
)
def test_keys_go_to_where_the_deployments_root_leads(tmp_path: Path, link: str | None, home: str) -> None:
    roots = {"/dev/vdb3": ostree_root(tmp_path)}
    deployment = tmp_path / f"ostree/deploy/default/deploy/{COMMIT}.0"
    if link:
        (deployment / "root").symlink_to(link)
    else:
        (deployment / "root").mkdir()
    found = read(roots)
    assert found is not None
    repair(roots, found, Plan("repair", "", keys=True), (KEY,))
    assert keys.home_in((deployment / "etc" / keys.DROP_IN).read_text()) == home


@pytest.mark.parametrize(("told", "home"), [(None, "/var/roothome"), ("/var/home/root", "/var/home/root")])
def test_keys_go_to_where_the_image_says_if_the_disk_does_not(tmp_path: Path, told: str | None, home: str) -> None:
    roots = composefs_roots(tmp_path)
    found = read(roots)
    assert found is not None
    assert found.root_home is None
    repair(roots, replace(found, root_home=told), Plan("repair", "", keys=True), (KEY,))
    again = read(roots)
    assert again is not None
    assert (again.root_keys, again.root_home) == ((KEY,), home)


@pytest.mark.parametrize("text", ["not a key", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc", "ssh-rsa", "ssh-ed25519 BBBB x"])
def test_what_is_not_a_public_key_is_refused_without_repeating_secrets(text: str) -> None:
    with pytest.raises(keys.OptionError) as caught:
        keys.checked([text])
    assert "abc" not in caught.value.message


def test_keys_may_have_options_and_come_as_a_file() -> None:
    assert keys.checked([f'from="10.0.0.0/8" {KEY}\n', f"\n{KEY}\n{KEY}\n"]) == (f'from="10.0.0.0/8" {KEY}', KEY)


@pytest.mark.parametrize(
    ("line", "words"),
    [("a=1 b", ("a=1", "b")), ('x="a b" c', ('x="a b"', "c")), ("  ", ()), ('dyndbg="file a +p"  quiet', ('dyndbg="file a +p"', "quiet"))],
)
def test_a_kernel_command_line_is_split_as_the_kernel_does(line: str, words: tuple[str, ...]) -> None:
    assert kargs.split(line) == words


def test_missing_arguments_are_told_once_and_in_order() -> None:
    assert kargs.missing(["b a=1", "b", "c"], ("a=1",)) == ("b", "c")
    assert kargs.value("root", "root=1 x root=2") == "2"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("ostree-unverified-registry:quay.io/a/b:1", ("registry", "quay.io/a/b:1")),
        ("ostree-unverified-image:docker://quay.io/a/b", ("registry", "quay.io/a/b")),
        ("ostree-image-signed:docker://quay.io/a/b", ("registry", "quay.io/a/b")),
        ("ostree-remote-registry:fedora:quay.io/a/b", ("registry", "quay.io/a/b")),
        ("ostree-remote-image:fedora:docker://quay.io/a/b", ("registry", "quay.io/a/b")),
        ("ostree-unverified-image:oci:/var/image", ("oci", "/var/image")),
        ("ostree-unverified-image:containers-storage:localhost/os", ("containers-storage", "localhost/os")),
        ("docker://quay.io/a/b", ("registry", "quay.io/a/b")),
        ("", (None, None)),
        ("fedora", (None, None)),
        ("ostree-unverified-registry:", (None, None)),
    ],
)
def test_references_in_origins(text: str, result: tuple[str | None, str | None]) -> None:
    assert parse_image_url(text) == result


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_aleph_tells_nothing(text: str) -> None:
    assert parse_aleph(text) == {}


def test_a_commit_without_the_key_tells_nothing() -> None:
    assert commit_digest(b"ostree.manifest-digest\x00\x00sha256:123\x00") is None
    assert commit_digest(b"") is None
