# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deciding about a disk and an image, and the command lines that come of it."""

from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils import _kargs as kargs
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc import client
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import DigestMismatch, readable
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.device import Device, Signature
from ansible_collections.imagemode.bootc.plugins.module_utils._disk.hints import Hints
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError, OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._install import on_disk
from ansible_collections.imagemode.bootc.plugins.module_utils._install import stamp as stamps
from ansible_collections.imagemode.bootc.plugins.module_utils._install.command import (
    podman_install,
    to_disk,
    to_existing_root,
    to_filesystem,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._install.errors import DiskHasData, DiskHasOtherImage, failure
from ansible_collections.imagemode.bootc.plugins.module_utils._install.files import PlacedFile
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import (
    MIB,
    Abilities,
    Image,
    Request,
    parse_probe,
    require_bootable,
    require_bound_images,
    require_installable,
    require_room,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._install.installed import BootEntry, Installed
from ansible_collections.imagemode.bootc.plugins.module_utils._install.on_disk import DiskInstallation
from ansible_collections.imagemode.bootc.plugins.module_utils._install.plan import Plan, additions, differences, plan
from ansible_collections.imagemode.bootc.plugins.module_utils._install.source import Source, Wanted, manifest_digests
from ansible_collections.imagemode.bootc.plugins.module_utils._install.stamp import (
    BLOCK,
    Stamp,
    clear_starts,
    decode,
    encode,
    identity,
    read_block,
    write_block,
)

RECORDINGS = Path(__file__).with_name("recordings.jsonl")
GIB = 1024 * MIB
DIGEST, OTHER = "sha256:" + "5" * 64, "sha256:" + "6" * 64
DISK = Device("vdb", "/dev/vdb", "disk", 12 * GIB, serial="TARGET01")
REQUEST = Request(target="registry.test:5000/os:1", filesystem="ext4")
PROGRAMS = frozenset(["sfdisk", "wipefs", "mkfs.fat", "mkfs.ext4", "bootupctl"])
ABILITIES = Abilities((1, 16, 9), {"block": ["direct"], "kargs": ["rw"]}, kernels=("6.1",), bootupd=True, programs=PROGRAMS)
IMAGE = Image("1", DIGEST, frozenset([DIGEST]), "amd64", 1200 * MIB, {"containers.bootc": "1"})
INSTALLED = Installed(
    "ostree",
    "registry.test:5000/os:1",
    "registry",
    DIGEST,
    "default",
    ("rw", "root=UUID=1"),
    ("KEY",),
    "/dev/vdb3",
    "etc",
    "/dev/vdb3",
    BootEntry("boot/loader/entries/1.conf", "rw root=UUID=1"),
)
CONTENTS = ("/dev/vdb3: 11.5 GiB, ext4",)


def decide(
    installed: Installed | None = INSTALLED,
    contents: tuple[str, ...] = CONTENTS,
    confirmed: bool = False,
    digests: frozenset[str] = frozenset([DIGEST]),
    **request: Any,
) -> Plan:
    return plan(DISK, contents, installed, replace(REQUEST, **request), digests, confirmed=confirmed, confirmation="TARGET01")


def test_an_empty_disk_is_installed_without_wiping() -> None:
    assert decide(None, ()) == Plan("install", "/dev/vdb is empty")


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_disk_with_this_image_is_left_alone(confirmed: bool) -> None:
    for contents in (CONTENTS, ()):
        made = decide(contents=contents, confirmed=confirmed, root_keys=("KEY",), kernel_arguments=("rw",))
        assert (made.verb, made.changes) == ("none", False)


@pytest.mark.parametrize(
    ("installed", "request_"),
    [
        ({}, {"block_setup": "direct"}),
        ({"filesystem": None}, {"filesystem": "ext4"}),
        ({"filesystem": "ext4"}, {"filesystem": "ext4"}),
        ({"filesystem": "xfs"}, {"filesystem": None}),
    ],
)
def test_partitions_as_they_were_asked_for_are_no_difference(installed: dict[str, Any], request_: dict[str, Any]) -> None:
    assert decide(replace(INSTALLED, **installed), **request_).verb == "none"


def test_one_of_several_digests_is_enough() -> None:
    assert decide(digests=frozenset([OTHER, DIGEST])).verb == "none"


def test_an_equal_reference_written_otherwise_is_equal() -> None:
    assert decide(replace(INSTALLED, image="docker.io/library/os:latest"), target="os").verb == "none"


@pytest.mark.parametrize(
    ("installed", "request_", "why"),
    [
        ({"digest": OTHER}, {}, "digest"),
        ({"digest": None}, {}, "digest not known"),
        ({"image": "registry.test:5000/os:2"}, {}, "follows registry.test:5000/os:2"),
        ({"transport": "oci"}, {}, "transport"),
        ({}, {"composefs": True}, "backend ostree"),
        ({"backend": "composefs"}, {"composefs": False}, "backend composefs"),
        ({}, {"stateroot": "other"}, "stateroot default"),
        ({"entry": None}, {}, "no boot entry"),
        ({"entry": None, "backend": "composefs"}, {}, "no boot entry"),
        ({"image": None}, {}, "follows not known"),
        ({}, {"block_setup": "tpm2-luks"}, "not encrypted"),
        ({"filesystem": "xfs"}, {"filesystem": "ext4"}, "file system is xfs"),
    ],
)
def test_another_installation_is_refused_and_replaced_when_confirmed(installed: dict[str, Any], request_: dict[str, Any], why: str) -> None:
    there = replace(INSTALLED, **installed)
    with pytest.raises(DiskHasOtherImage) as caught:
        decide(there, **request_)
    assert why in caught.value.message
    assert (caught.value.error, caught.value.details["wipe_confirm_needed"]) == ("disk_has_other_image", "TARGET01")
    assert "'wipe_confirm: \"TARGET01\"'" in (caught.value.hint or "")
    made = decide(there, confirmed=True, **request_)
    assert (made.verb, made.wipe) == ("install", True)

    assert (caught.value.details["installed"], caught.value.details["contents"]) == (there.facts(), list(CONTENTS))
    assert caught.value.hint
    assert "use bootc_switch there" in caught.value.hint


@pytest.mark.parametrize(
    ("installed", "request_", "told"),
    [
        ({}, {}, []),
        ({}, {"composefs": False, "stateroot": "default", "transport": "registry"}, []),
        ({"backend": "composefs"}, {"composefs": True}, []),
        ({"backend": "composefs"}, {"stateroot": "ignored"}, []),
        ({"transport": None}, {}, []),
        ({"image": None}, {"transport": "oci"}, ["what it follows not known"]),
        ({"transport": "oci"}, {}, ["by transport oci, not registry"]),
        ({"digest": OTHER}, {}, [f"digest {OTHER}, not {DIGEST}"]),
        ({"digest": None}, {}, ["digest not known"]),
        ({"digest": None, "config": "c0ffee"}, {}, ["image c0ffee, of a digest that is not known"]),
        ({"config": "c0ffee"}, {}, []),
        ({"entry": None}, {}, ["no boot entry starts it: an unfinished installation"]),
        ({"entry": None, "backend": "composefs"}, {}, ["no boot entry that is known to start it"]),
    ],
)
def test_what_differs_is_told_in_words(installed: dict[str, Any], request_: dict[str, Any], told: list[str]) -> None:
    assert differences(replace(INSTALLED, **installed), replace(REQUEST, **request_), frozenset([DIGEST])) == told


def test_an_image_of_which_no_digest_is_known_is_another_one() -> None:
    assert differences(INSTALLED, REQUEST, frozenset()) == [f"digest {DIGEST}, not that of the image"]


def test_foreign_data_is_refused_and_replaced_when_confirmed() -> None:
    with pytest.raises(DiskHasData) as caught:
        decide(None)
    assert caught.value.message == f"/dev/vdb (serial TARGET01, 12.0 GiB) is not empty. It holds {CONTENTS[0]}."
    assert (caught.value.details["installed"], caught.value.details["contents"]) == (None, list(CONTENTS))
    assert caught.value.hint
    assert "TARGET01" in caught.value.hint
    assert "bootc_switch" not in caught.value.hint
    assert decide(None, confirmed=True).wipe


@pytest.mark.parametrize(
    ("request_", "arguments", "keys"),
    [
        ({"kernel_arguments": ("quiet", "rw")}, ("quiet",), False),
        ({"root_keys": ("KEY", "SECOND")}, (), True),
        ({"root_keys": ()}, (), True),
        ({"root_keys": ("OTHER",), "kernel_arguments": ("a", "b")}, ("a", "b"), True),
    ],
)
def test_what_is_missing_is_added_without_installing_anew(request_: dict[str, Any], arguments: tuple[str, ...], keys: bool) -> None:
    made = decide(**request_)
    assert (made.verb, made.missing_arguments, made.keys) == ("repair", arguments, keys)


def test_all_that_is_missing_is_told() -> None:
    made = decide(replace(INSTALLED, lacking=("etc/motd",)), kernel_arguments=("quiet",), root_keys=("OTHER",))
    assert made.reason == "/dev/vdb3 holds this image already, without kernel arguments quiet, root's SSH keys, /etc/motd as asked"
    assert made.files == ("etc/motd",)
    assert decide(replace(INSTALLED, lacking=("etc/motd",))).reason == "/dev/vdb3 holds this image already, without /etc/motd as asked"


def test_arguments_of_the_image_that_bootc_left_out_are_added_too() -> None:
    assert additions(INSTALLED, REQUEST, ["rw", "console=ttyS0"]).missing_arguments == ("console=ttyS0",)


@pytest.mark.parametrize("installed", [{"kernel_arguments": None}, {"kernel_arguments": None, "entry": None}])
def test_nothing_is_added_to_arguments_that_cannot_be_read(installed: dict[str, Any]) -> None:
    asked = replace(REQUEST, kernel_arguments=("quiet",), root_keys=("OTHER",))
    made = additions(replace(INSTALLED, **installed), asked)
    assert (made.verb, made.missing_arguments, made.keys) == ("repair", (), True)
    assert made.reason == "/dev/vdb3 holds this image already, without root's SSH keys"


def test_a_unified_kernel_image_needs_no_arguments() -> None:
    there = replace(INSTALLED, kernel_arguments=None, entry=BootEntry("loader/entries/1.conf", "", uki="/EFI/Linux/a.efi"))
    assert additions(there, REQUEST).verb == "none"
    with pytest.raises(ImageModeError) as caught:
        additions(there, replace(REQUEST, kernel_arguments=("quiet",)))
    assert caught.value.error == "option_invalid"


@pytest.mark.parametrize(
    ("deletions", "left"),
    [
        ([], ("rw", "console=tty0", "console=ttyS0", 'x="a b"')),
        (["console"], ("rw", 'x="a b"')),
        (["console=tty0"], ("rw", "console=ttyS0", 'x="a b"')),
        (["console=tty", "tty0", "con"], ("rw", "console=tty0", "console=ttyS0", 'x="a b"')),
        (["rw", "x"], ("console=tty0", "console=ttyS0")),
    ],
)
def test_arguments_that_the_image_deletes_are_not_added(deletions: list[str], left: tuple[str, ...]) -> None:
    configuration = {"kargs": ["rw console=tty0", "console=ttyS0", 'x="a b"'], "karg-deletes": deletions}
    assert replace(ABILITIES, configuration=configuration).kernel_arguments == left


def test_names_of_arguments_are_the_same_with_either_dash() -> None:
    assert kargs.without(["intel-iommu", "a-b=c-d"], ["intel_iommu=on a_b=c_d a_b=c-d"]) == ("a_b=c_d",)


@pytest.mark.parametrize(
    ("image", "digest", "name", "target"),
    [
        ("registry.test:5000/os:1", None, "registry.test:5000/os:1", "registry.test:5000/os:1"),
        ("registry.test:5000/os:1", DIGEST, f"registry.test:5000/os@{DIGEST}", "registry.test:5000/os:1"),
        (f"registry.test:5000/os:1@{DIGEST}", None, f"registry.test:5000/os@{DIGEST}", "registry.test:5000/os:1"),
        (f"registry.test:5000/os@{DIGEST}", DIGEST, f"registry.test:5000/os@{DIGEST}", f"registry.test:5000/os@{DIGEST}"),
        ("os", None, "docker.io/library/os:latest", "docker.io/library/os:latest"),
    ],
)
def test_a_pinned_image_is_pulled_by_digest_and_followed_by_tag(image: str, digest: str | None, name: str, target: str) -> None:
    wanted = Wanted.parse(image, digest)
    assert (wanted.name, wanted.target) == (name, target)


@pytest.mark.parametrize(("image", "digest"), [(f"os@{DIGEST}", OTHER), ("os", "sha256:1"), ("OS", None), ("os", "")])
def test_digests_that_cannot_be_meant_are_refused(image: str, digest: str | None) -> None:
    with pytest.raises(ImageModeError):
        Wanted.parse(image, digest)


def test_an_image_with_another_digest_is_refused() -> None:
    wanted = Wanted.parse("os", DIGEST)
    wanted.require_digest(frozenset([OTHER, DIGEST]))
    with pytest.raises(DigestMismatch):
        wanted.require_digest(frozenset([OTHER]))


def test_an_index_is_known_by_its_own_and_its_platforms_digest() -> None:
    raw = json.dumps(
        {
            "manifests": [
                {"digest": "sha256:arm", "platform": {"os": "linux", "architecture": "arm64"}},
                {"digest": "sha256:v3", "platform": {"os": "linux", "architecture": "amd64", "variant": "v3"}},
                {"digest": "sha256:amd", "platform": {"os": "linux", "architecture": "amd64"}},
            ]
        }
    )
    assert manifest_digests(raw, "amd64") == {f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}", "sha256:amd"}
    assert len(manifest_digests(raw, "s390x")) == 1


class Registry:
    """Skopeo before a registry with an index; nothing is in Podman's storage but what was pulled."""

    def __init__(self, skopeo: bool = True) -> None:
        self.there, self.pulled = skopeo, False
        self.manifest = json.dumps({"config": {"digest": "sha256:c0ffee"}})
        self.digest = f"sha256:{hashlib.sha256(self.manifest.encode()).hexdigest()}"
        self.index = json.dumps({"manifests": [{"digest": self.digest, "platform": {"os": "linux", "architecture": "amd64"}}]})

    def find(self, program: str) -> str | None:
        return program if self.there else None

    def run(self, argv: list[str], **_options: Any) -> SimpleNamespace:
        if argv[0] == "skopeo":
            return SimpleNamespace(rc=0, stdout=self.manifest if argv[-1].endswith(f"@{self.digest}") else self.index)
        if argv[:2] == ["podman", "pull"]:
            self.pulled = True
        image = {"Id": "c0ffee", "Digest": self.digest, "RepoDigests": [], "Architecture": "amd64", "Size": 1}
        return SimpleNamespace(rc=0 if self.pulled else 1, stdout=json.dumps([image]))


def test_an_images_id_is_learned_without_a_pull_where_skopeo_is() -> None:
    registry: Any = Registry()
    source = Source(registry, Wanted.parse("registry.test/os:1", None), validate_certs=True, timeout=1)
    assert source.known_id(None, "x86_64", "always") == ("c0ffee", registry.digest)
    assert source.known_id(None, "x86_64", "never") is None
    assert not registry.pulled


def test_an_images_id_is_learned_from_what_was_pulled_for_its_digest() -> None:
    registry: Any = Registry(skopeo=False)
    source = Source(registry, Wanted.parse("registry.test/os:1", None), validate_certs=True, timeout=1)
    assert source.known_id(None, "x86_64", "always") is None
    source.known_digests(INSTALLED, None, "x86_64", "always", may_pull=True)
    assert source.known_id(None, "x86_64", "always") == ("c0ffee", registry.digest)


def test_an_image_in_podmans_storage_is_known_by_all_its_digests() -> None:
    parsed = Image.parse(
        {
            "Id": "1",
            "Digest": DIGEST,
            "RepoDigests": [f"r/os@{DIGEST}", f"r/os@{OTHER}"],
            "Architecture": "amd64",
            "Size": 5,
            "Labels": None,
        }
    )
    assert parsed.digests == {DIGEST, OTHER}
    assert parsed.labels == {}


@pytest.mark.parametrize(
    ("image", "code"), [(replace(IMAGE, labels={}), "image_not_bootable"), (replace(IMAGE, architecture="arm64"), "architecture_mismatch")]
)
def test_what_podman_knows_is_checked_first(image: Image, code: str) -> None:
    require_bootable(IMAGE, "x86_64")
    with pytest.raises(ImageModeError) as caught:
        require_bootable(image, "x86_64")
    assert caught.value.error == code


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [
        ("x86_64", "amd64"),
        ("aarch64", "arm64"),
        ("ppc64le", "ppc64le"),
        ("s390x", "s390x"),
        ("riscv64", "riscv64"),
        ("loongarch64", "loong64"),
    ],
)
def test_an_image_is_for_the_machine_under_the_name_that_images_have_for_it(
    machine: str, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_bootable(replace(IMAGE, architecture=architecture), machine)
    monkeypatch.setattr(client.os, "uname", lambda: SimpleNamespace(machine=machine))
    assert client.architecture() == architecture


COMPOSEFS = replace(ABILITIES, bootupd=False, systemd_boot=True)


@pytest.mark.parametrize(
    ("abilities", "request_", "code"),
    [
        ({"kernels": ()}, {}, "image_not_bootable"),
        ({"vmlinuz": ("6.1", "6.2")}, {}, "image_not_bootable"),
        ({"bootupd": False}, {}, "bootloader_missing"),
        ({"bootupd": False}, {"bootloader": "grub"}, "bootloader_missing"),
        ({"bootupd": False, "systemd_boot": True}, {}, "bootloader_missing"),
        ({"systemd_boot": True}, {"bootloader": "systemd"}, "bootloader_missing"),
        ({"bootupd": False}, {"composefs": True}, "bootloader_missing"),
        ({"bootupd": False, "systemd_boot": True}, {"composefs": True, "bootloader": "grub"}, "bootloader_missing"),
        ({}, {"composefs": True, "bootloader": "none"}, "option_invalid"),
        ({}, {"composefs": True, "stateroot": "mine"}, "option_invalid"),
        ({}, {"block_setup": "tpm2-luks"}, "block_setup_unsupported"),
        ({"configuration": {"block": ["tpm2-luks"]}}, {"block_setup": "direct"}, "block_setup_unsupported"),
        ({}, {"filesystem": None}, "filesystem_missing"),
        ({}, {"filesystem": "xfs"}, "image_not_bootable"),
        ({"programs": frozenset()}, {}, "image_not_bootable"),
        ({"configuration": {"block": ["tpm2-luks"]}}, {"block_setup": "tpm2-luks"}, "image_not_bootable"),
        ({"configuration": {"block": ["tpm2-luks", "direct"]}}, {}, "image_not_bootable"),
        (
            {"configuration": {"block": ["tpm2-luks"]}, "programs": PROGRAMS | {"cryptsetup", "systemd-cryptenroll"}},
            {"files": (PlacedFile("etc/hostname", b"x"),)},
            "option_invalid",
        ),
        ({"ukis": ("/boot/EFI/Linux/a.efi",)}, {"kernel_arguments": ("quiet",)}, "option_invalid"),
        ({"ukis": ("/boot/EFI/Linux/a.efi",)}, {"composefs": False}, "option_invalid"),
        ({"version": (1, 9, 0)}, {"composefs": True}, "bootc_unsupported"),
        ({"version": (1, 12, 1)}, {"bootloader": "none"}, "bootc_unsupported"),
        ({"version": (1, 9, 0)}, {"bootloader": "grub"}, "bootc_unsupported"),
        ({"version": (1, 12, 1), "systemd_boot": True}, {"bootloader": "systemd"}, "bootloader_missing"),
        ({"version": (1, 16, 2)}, {"bootloader": "grub-cc"}, "bootc_unsupported"),
        ({}, {"bootloader": "grub-cc", "composefs": True}, "bootloader_missing"),
        ({"bootupd": False, "grub_cc": True}, {"bootloader": "grub-cc", "composefs": True}, "bootloader_missing"),
        ({"grub_cc": True}, {"bootloader": "grub-cc"}, "bootloader_missing"),
        ({"version": (1, 13, 0)}, {"composefs": True, "filesystem": "xfs"}, "bootc_unsupported"),
        ({"version": (1, 13, 0), "ukis": ("a.efi",)}, {"filesystem": "xfs"}, "bootc_unsupported"),
    ],
)
def test_what_bootc_finds_out_after_the_wipe_is_refused_before(abilities: dict[str, Any], request_: dict[str, Any], code: str) -> None:
    with pytest.raises(ImageModeError) as caught:
        require_installable(replace(ABILITIES, **abilities), replace(REQUEST, **request_))
    assert caught.value.error == code


@pytest.mark.parametrize(
    ("abilities", "request_"),
    [
        (ABILITIES, {}),
        (ABILITIES, {"bootloader": "grub", "stateroot": "mine", "kernel_arguments": ("quiet",)}),
        (replace(ABILITIES, configuration={}), {"block_setup": "direct"}),
        (replace(COMPOSEFS, version=(1, 10, 0)), {"composefs": True}),
        (replace(ABILITIES, version=(1, 13, 0)), {"bootloader": "none"}),
        (replace(ABILITIES, version=(1, 10, 0)), {"bootloader": "grub"}),
        (replace(COMPOSEFS, version=(1, 10, 0), bootupd=True), {"composefs": True, "bootloader": "systemd"}),
        (replace(ABILITIES, version=(1, 16, 3), grub_cc=True), {"bootloader": "grub-cc", "composefs": True}),
        (replace(ABILITIES, version=(1, 1, 3)), {"bound_images": "skip"}),
        (replace(ABILITIES, bootupd=False), {"bootloader": "none"}),
        (replace(ABILITIES, bootupd=False, configuration={"bootloader": "none"}), {}),
        (replace(ABILITIES, configuration={"filesystem": {"root": {"type": "ext4"}}}), {"filesystem": None}),
        (replace(ABILITIES, configuration={"root-fs-type": "ext4"}), {"filesystem": None}),
        (replace(ABILITIES, configuration={"block": ["tpm2-luks", "direct"]}), {"block_setup": "direct"}),
        (COMPOSEFS, {"composefs": True}),
        (COMPOSEFS, {"composefs": True, "bootloader": "systemd", "stateroot": "default"}),
        (replace(COMPOSEFS, ukis=("a.efi",), kernels=()), {}),
        (replace(ABILITIES, grub_cc=True), {"bootloader": "grub-cc", "composefs": True}),
        (replace(COMPOSEFS, version=(1, 13, 0)), {"composefs": True}),
        (replace(ABILITIES, version=(1, 14, 0), programs=PROGRAMS | {"mkfs.xfs"}), {"composefs": True, "filesystem": "xfs"}),
        (replace(ABILITIES, version=(1, 13, 0), programs=PROGRAMS | {"mkfs.xfs"}), {"filesystem": "xfs"}),
        (replace(COMPOSEFS, ukis=("a.efi",), kernels=()), {"composefs": True}),
        (replace(COMPOSEFS, ukis=("a.efi",), vmlinuz=("6.1", "6.2")), {}),
    ],
)
def test_what_can_be_installed_is_let_through(abilities: Abilities, request_: dict[str, Any]) -> None:
    require_installable(abilities, replace(REQUEST, **request_))


def test_partitions_that_are_there_need_no_programs_to_make_them() -> None:
    there, asked = replace(ABILITIES, programs=frozenset(["bootupctl"])), replace(REQUEST, filesystem=None)
    require_installable(there, asked, formats=False)
    with pytest.raises(ImageModeError):
        require_installable(there, asked)


@pytest.mark.parametrize(
    ("version", "request_", "said"),
    [
        ((1, 9, 9), {"composefs": True}, "'composefs_backend: True' needs bootc 1.10.0 or newer in the image; it has 1.9.9."),
        ((1, 12, 1), {"bootloader": "none"}, "'bootloader: none' needs bootc 1.13.0 or newer in the image; it has 1.12.1."),
        ((1, 1, 2), {"bound_images": "pull"}, "'bound_images: pull' needs bootc 1.1.3 or newer in the image; it has 1.1.2."),
    ],
)
def test_what_an_older_bootc_has_not_is_told_by_the_options_name(version: Any, request_: dict[str, Any], said: str) -> None:
    with pytest.raises(ImageModeError) as caught:
        require_installable(replace(ABILITIES, version=version), replace(REQUEST, **request_))
    assert caught.value.message == said
    assert f"leave '{said[1:].partition(':')[0]}' out" in (caught.value.hint or "")


@pytest.mark.parametrize(("asked", "looks"), [(None, True), ("stored", True), ("pull", False), ("skip", False)])
def test_images_that_belong_to_the_image_are_in_the_storage_or_not_needed(asked: str | None, looks: bool) -> None:
    stored: Any = SimpleNamespace(run=lambda argv, **_options: SimpleNamespace(rc=int(argv[-1] != "r/a:1")))
    there, request = replace(ABILITIES, bound=("r/a:1", "r/b:1")), replace(REQUEST, bound_images=asked)
    require_bound_images(replace(there, bound=("r/a:1",)), request, stored)
    if not looks:
        return require_bound_images(there, request, stored)
    with pytest.raises(ImageModeError) as caught:
        require_bound_images(there, request, stored)
    assert (caught.value.error, caught.value.details["missing"]) == ("bound_image_missing", ["r/b:1"])


@pytest.mark.parametrize(
    ("said", "bootupd", "firmwares"),
    [
        ("program\tbootupctl\n", False, set()),
        ("updates\t/usr/lib/bootupd/updates/EFI.json\n", False, {"EFI"}),
        ("program\tbootupctl\nupdates\t/usr/lib/bootupd/updates/BIOS.json\n", True, {"BIOS"}),
        ("program\tbootupctl\nupdates\t/x/BIOS.json\nupdates\t/x/EFI.json\nupdates\t/x/EFI\n", True, {"EFI", "BIOS"}),
    ],
)
def test_a_boot_loader_needs_bootupd_and_its_files(said: str, bootupd: bool, firmwares: set[str]) -> None:
    found = parse_probe(f"bootc\tbootc 1.16.9\n{said}")
    assert (found.bootupd, found.firmwares) == (bootupd, firmwares)


def test_a_unified_kernel_image_needs_room_on_the_esp() -> None:
    small = replace(DISK, size=2 * GIB)
    require_room(IMAGE, ABILITIES, REQUEST, small)
    with pytest.raises(ImageModeError):
        require_room(IMAGE, replace(ABILITIES, ukis=("a.efi",)), REQUEST, small)


def test_an_image_with_a_unified_kernel_image_has_the_etc_of_composefs() -> None:
    there = replace(COMPOSEFS, ukis=("a.efi",), transient_etc=frozenset(["composefs"]))
    with pytest.raises(ImageModeError) as caught:
        require_installable(there, replace(REQUEST, root_keys=("KEY",)))
    assert (caught.value.error, caught.value.details["lost"]) == ("etc_transient", ["root's SSH keys"])


@pytest.mark.parametrize(
    ("size", "request_", "fits"),
    [
        (12 * GIB, {}, True),
        (2 * GIB, {}, True),
        (1800 * MIB, {}, False),
        (2 * GIB, {"composefs": True}, False),
        (12 * GIB, {"root_size": 9 * 1024 * GIB}, False),
        (12 * GIB, {"root_size": 10 * GIB}, True),
        (12 * GIB, {"root_size": 1 * GIB}, False),
    ],
)
def test_whether_the_image_fits_is_known_before(size: int, request_: dict[str, Any], fits: bool) -> None:
    disk = replace(DISK, size=size)
    if fits:
        return require_room(IMAGE, ABILITIES, replace(REQUEST, **request_), disk)
    with pytest.raises(ImageModeError) as caught:
        require_room(IMAGE, ABILITIES, replace(REQUEST, **request_), disk)
    assert caught.value.error == "disk_too_small"


def test_an_image_that_encrypts_unasked_needs_what_encrypting_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    encrypting, job = replace(ABILITIES, configuration={"block": ["tpm2-luks", "direct"]}), DiskInstallation.__new__(DiskInstallation)
    job._request, job.disk = REQUEST, replace(DISK, size=2 * GIB)
    monkeypatch.setattr(on_disk.os.path, "exists", lambda _path: False)
    with pytest.raises(ImageModeError) as caught:
        job._require_room(IMAGE, encrypting)
    assert caught.value.error == "tpm_missing"
    monkeypatch.setattr(on_disk.os.path, "exists", lambda _path: True)
    with pytest.raises(ImageModeError) as caught:
        job._require_room(IMAGE, encrypting)  # what /boot takes beside it
    assert caught.value.error == "disk_too_small"
    job._request = replace(REQUEST, block_setup="direct")
    job._require_room(IMAGE, encrypting)


def test_the_images_answers_are_read() -> None:
    found = parse_probe(
        'bootc\tbootc 1.16.9\nconfiguration\t{"block":["direct"],"root-fs-type":"xfs","kargs":["rw"]}\nkernel\t6.12\n'
        "updates\t/usr/lib/bootupd/updates/EFI.json\nprogram\tbootupctl\nprogram\tsfdisk\nsystemd_boot\t/x.efi\ngrub_cc\tyes\n"
        "root_home\t/var/roothome\n"
    )
    assert found.root_home == "/var/roothome"
    assert (found.version, found.filesystem, found.kernel_arguments, found.kernels) == ((1, 16, 9), "xfs", ("rw",), ("6.12",))
    assert found.bootupd
    assert found.systemd_boot
    assert found.grub_cc


@pytest.mark.parametrize("text", ["", "bootc\tsh: bootc: not found\n", "bootc\tbootc 1.2.3\nconfiguration\t{broken\n"])
def test_an_image_without_bootc_is_not_bootable(text: str) -> None:
    with pytest.raises(ImageModeError) as caught:
        parse_probe(text)
    assert caught.value.error == "image_not_bootable"


def test_the_plain_command() -> None:
    assert to_disk(REQUEST, "/dev/vdb", wipe=False) == [
        "bootc",
        "install",
        "to-disk",
        "--target-imgref",
        "registry.test:5000/os:1",
        "--filesystem",
        "ext4",
        "/dev/vdb",
    ]


def test_everything_asked_is_in_the_command() -> None:
    request = Request("oci/path", "oci", "xfs", 20 * GIB, "none", ("a=1", "b"), ("KEY",), "mine", True, True, "tpm2-luks", "skip")
    argv = to_disk(request, "/dev/vdb", wipe=True)
    assert argv == [
        "bootc",
        "install",
        "to-disk",
        "--target-imgref",
        "oci/path",
        "--target-transport",
        "oci",
        "--bootloader",
        "none",
        "--stateroot",
        "mine",
        "--bound-images",
        "skip",
        "--root-ssh-authorized-keys",
        "/root-ssh-authorized-keys",
        "--karg",
        "a=1",
        "--karg",
        "b",
        "--composefs-backend",
        "--generic-image",
        "--filesystem",
        "xfs",
        "--root-size",
        "20480M",
        "--block-setup",
        "tpm2-luks",
        "--wipe",
        "/dev/vdb",
    ]


def test_file_systems_are_left_writable_for_the_machines_files() -> None:
    assert to_filesystem(replace(REQUEST, filesystem=None, root_mount_spec="LABEL=root")) == [
        "bootc",
        "install",
        "to-filesystem",
        "--target-imgref",
        "registry.test:5000/os:1",
        "--root-mount-spec",
        "LABEL=root",
        "--skip-finalize",
        "/target",
    ]


def test_the_running_root_is_found_as_it_is_now() -> None:
    argv = to_existing_root(replace(REQUEST, root_mount_spec="LABEL=root", boot_mount_spec="LABEL=boot"))
    # bootc has no options for it there, in no version up to 1.16.9 (InstallToExistingRootOpts).
    assert argv[3:] == ["--target-imgref", "registry.test:5000/os:1", "--acknowledge-destructive", "/target"]


def test_the_container_gets_what_bootc_asks_for_and_no_network() -> None:
    argv = podman_install("os:1", "bootc-install-vdb", ["bootc", "install"], "/run/keys")
    assert {"--privileged", "--pid=host", "--ipc=host", "--pull=never", "--network=none"} <= set(argv)
    assert "/run/keys:/root-ssh-authorized-keys:ro" in argv
    assert argv[-4:] == ["--entrypoint", "bootc", "os:1", "install"]
    assert "--network=none" not in podman_install("os:1", "x", ["bootc"], None, online=True)


@pytest.mark.parametrize(
    ("firmwares", "firmware", "request_", "fits"),
    [
        (("EFI", "BIOS"), "bios", {}, True),
        (("EFI",), "uefi", {}, True),
        (("EFI",), "bios", {}, False),
        (("BIOS",), "uefi", {}, False),
        (("EFI",), "bios", {"generic_image": True}, True),
        (("EFI",), "bios", {"bootloader": "none"}, True),
        ((), "bios", {}, True),
    ],
)
def test_a_boot_loader_for_the_other_firmware_is_refused(
    firmwares: tuple[str, ...], firmware: str, request_: dict[str, Any], fits: bool
) -> None:
    there = replace(ABILITIES, firmwares=frozenset(firmwares))
    if fits:
        return require_installable(there, replace(REQUEST, **request_), firmware)
    with pytest.raises(ImageModeError) as caught:
        require_installable(there, replace(REQUEST, **request_), firmware)
    assert caught.value.error == "firmware_mismatch"


@pytest.mark.parametrize(
    ("configuration", "bootloader"),
    [({}, "systemd"), ({"bootloader": "systemd"}, None), ({}, None)],
    ids=["asked", "of the image", "alone"],
)
def test_systemd_boot_does_not_start_from_bios(configuration: dict[str, Any], bootloader: str | None) -> None:
    there, asked = replace(COMPOSEFS, configuration=configuration), replace(REQUEST, composefs=True, bootloader=bootloader)
    require_installable(there, asked, "uefi")
    with pytest.raises(ImageModeError, match=r"started by legacy BIOS firmware, .* for EFI only\.$") as caught:
        require_installable(there, asked, "bios")
    assert caught.value.error == "firmware_mismatch"


def test_an_image_that_brings_no_boot_loader_fits_any_firmware() -> None:
    there = replace(ABILITIES, configuration={"bootloader": "none"}, firmwares=frozenset(["BIOS"]))
    require_installable(there, REQUEST, "uefi")
    with pytest.raises(ImageModeError, match=r"started by UEFI firmware, .* for BIOS only\.$"):
        require_installable(replace(there, configuration={}), REQUEST, "uefi")


@pytest.mark.parametrize(("bootloader", "said"), [(None, "a boot loader: that needs"), ("grub", "a boot loader 'grub': that needs")])
def test_the_boot_loader_that_was_asked_for_is_named(bootloader: str | None, said: str) -> None:
    with pytest.raises(ImageModeError, match=said) as caught:
        require_installable(replace(ABILITIES, bootupd=False), replace(REQUEST, bootloader=bootloader))
    assert caught.value.details["bootloader"] == bootloader


def test_a_network_program_that_the_image_lacks_is_refused() -> None:
    with pytest.raises(ImageModeError, match="NetworkManager"):
        require_installable(ABILITIES, replace(REQUEST, network_program="NetworkManager"))
    require_installable(replace(ABILITIES, programs=PROGRAMS | {"NetworkManager"}), replace(REQUEST, network_program="NetworkManager"))


def test_images_in_files_need_something_to_follow() -> None:
    with pytest.raises(ImageModeError, match="follows for its updates"):
        Wanted.parse("oci:/media/os:1", None)
    wanted = Wanted.parse("oci-archive:/media/os.tar", DIGEST, "registry.test:5000/os:1")
    assert (wanted.name, wanted.url, wanted.target) == ("oci-archive:/media/os.tar", "oci-archive:/media/os.tar", "registry.test:5000/os:1")
    with pytest.raises(ImageModeError) as caught:
        wanted.require_files()
    assert caught.value.error == "image_missing"


def stamped(**more: str) -> Stamp:
    return replace(Stamp("begun", identity(DISK), "os:1", REQUEST.target, DIGEST, ""), **more)


@pytest.mark.parametrize(
    ("path", "said", "code", "hint"),
    [
        ("/dev/full", "No space left on device", "disk_failed", "SMART"),
        ("/dev/that-is-gone", "No such file or directory", "disk_gone", "cabling"),
    ],
)
def test_a_disk_that_takes_no_write_is_told_with_why(path: str, said: str, code: str, hint: str) -> None:
    for write in (lambda disk: write_block(disk, encode(stamped())), clear_starts):
        with pytest.raises(ImageModeError) as caught:
            write(replace(DISK, path=path))
        assert caught.value.message == f"{path} (serial TARGET01, 12.0 GiB) does not take a write: {said}."
        assert (caught.value.error, caught.value.details["disk"]["serial"]) == (code, "TARGET01")
        assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EBUSY, "disk_in_use"),
        (errno.EROFS, "disk_read_only"),
        (errno.ENOENT, "disk_gone"),
        (errno.ENXIO, "disk_gone"),
        (errno.EIO, "disk_failed"),
    ],
)
def test_what_the_kernel_says_of_a_write_has_its_code(number: int, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any) -> int:
        raise OSError(number, "it says")

    monkeypatch.setattr(stamps.os, "open", refuse)
    with pytest.raises(ImageModeError, match="does not take a write: it says") as caught:
        write_block(DISK, encode(stamped()))
    assert caught.value.error == code
    assert read_block(DISK) == b""


def test_which_disk_a_stamp_is_for_is_not_shown() -> None:
    assert stamped().facts() == {"state": "begun", "image": "os:1", "target": REQUEST.target, "digest": DIGEST, "when": ""}


ROOT_TYPE = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"


def partition(number: int, kind: str, name: str | None, *marks: tuple[str, str]) -> Device:
    """:param marks: type and label of what is in it"""
    path = f"/dev/vdb{number}"
    signatures = tuple(Signature(path, filesystem, label=label) for filesystem, label in marks)
    return Device(f"vdb{number}", path, "part", GIB, partition_type=kind, partition_label=name, signatures=signatures)


def half_written(*partitions: Device, **disk: Any) -> Device:
    return replace(DISK, children=partitions, **disk)


BIOS = partition(1, "21686148-6449-6E6F-744E-656564454649", "BIOS-BOOT")
ESP = partition(2, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "EFI-SYSTEM", ("vfat", "EFI-SYSTEM"))
ROOT = partition(3, ROOT_TYPE, "root", ("ext4", "root"))


@pytest.mark.parametrize(
    ("disk", "stamp", "resumed"),
    [
        (half_written(), stamped(), True),
        (half_written(BIOS, ESP, ROOT), stamped(), True),
        (half_written(BIOS, replace(ESP, signatures=()), replace(ROOT, signatures=())), stamped(), True),
        (half_written(BIOS, partition(2, str(ESP.partition_type), "EFI-SYSTEM", ("vfat", "")), ROOT), stamped(), True),
        (
            half_written(ESP, partition(3, ROOT_TYPE, "boot", ("xfs", "boot")), partition(4, ROOT_TYPE, "root", ("crypto_LUKS", ""))),
            stamped(),
            True,
        ),
        (half_written(BIOS, ESP, ROOT), stamped(state="finished"), False),
        (half_written(ROOT, serial="COPY"), stamped(), False),
        (half_written(ROOT, size=13 * GIB), stamped(), False),
        (half_written(partition(1, "e6d6d379-f507-44c2-a23c-238f2a3df928", "root")), stamped(), False),
        (half_written(ESP, partition(3, ROOT_TYPE, None, ("ext4", "customer-data"))), stamped(), False),
        (half_written(BIOS, partition(2, str(ESP.partition_type), "EFI-SYSTEM", ("vfat", "CUSTOMER")), ROOT), stamped(), False),
        (half_written(ESP, partition(3, ROOT_TYPE, "root", ("crypto_LUKS", "customer-data"))), stamped(), False),
        (half_written(ESP, partition(3, ROOT_TYPE, "data")), stamped(), False),
        (half_written(Device("vdb1", "/dev/vdb1", "part", GIB, partition_label="root")), stamped(), False),
        (half_written(BIOS, ESP, partition(3, ROOT_TYPE, "root", ("ext4", "customer-data"))), stamped(), False),
        (half_written(BIOS, ESP, partition(3, ROOT_TYPE, "root", ("ext4", ""))), stamped(), False),
        (half_written(BIOS, ESP, partition(3, ROOT_TYPE, "root", ("LVM2_member", ""))), stamped(), False),
        (half_written(signatures=(Signature("/dev/vdb", "ext4"),)), stamped(), False),
    ],
)
def test_only_what_an_interrupted_installation_left_is_made_anew_unasked(disk: Device, stamp: Stamp, resumed: bool) -> None:
    assert stamp.resumable(disk) == resumed
    if resumed:
        made = plan(disk, CONTENTS, None, REQUEST, frozenset(), confirmed=False, confirmation="TARGET01", stamp=stamp)
        assert (made.verb, made.wipe) == ("install", True)
        assert "interrupted" in made.reason
    else:
        with pytest.raises(DiskHasData):
            plan(disk, CONTENTS, None, REQUEST, frozenset([DIGEST]), confirmed=False, confirmation="TARGET01", stamp=stamp)


@pytest.mark.parametrize(
    ("now", "error"),
    [
        (DISK, None),
        (replace(DISK, serial="ANOTHER"), "disk_changed"),
        (replace(DISK, signatures=(Signature("/dev/vdb", "ext4"),)), "disk_changed"),
        (replace(DISK, mountpoints=("/mnt",)), "disk_in_use"),
    ],
)
def test_the_disk_is_looked_at_once_more_before_something_is_added_to_it(
    now: Device, error: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    job: Any = DiskInstallation.__new__(DiskInstallation)
    job.disk, job._hints = DISK, Hints(name="/dev/vdb")
    job._claim = SimpleNamespace(take=lambda: done.append("claim"))
    job._scanner = SimpleNamespace(devices=lambda: (now,), examine=lambda disk: done.append("look") or disk)
    monkeypatch.setattr(DiskInstallation, "_add", lambda _self, _what: done.append("write"))
    if error is None:
        job.repair(Plan("repair", ""))
    else:
        with pytest.raises(ImageModeError) as caught:
            job.repair(Plan("repair", ""))
        assert caught.value.error == error
    assert done == ["claim", "look", *(["write"] if error is None else [])]


def test_an_encrypted_disk_is_told_by_its_stamp() -> None:
    disk = replace(DISK, children=(ESP, Device("vdb3", "/dev/vdb3", "part", GIB, filesystem="crypto_LUKS")))

    def decided(stamp: Stamp, **request: Any) -> Plan:
        asked = replace(REQUEST, **request)
        return plan(disk, CONTENTS, None, asked, frozenset([DIGEST]), confirmed=False, confirmation="TARGET01", stamp=stamp)

    for setup in (None, "tpm2-luks"):
        assert decided(stamped(state="finished"), block_setup=setup).verb == "none"
    with pytest.raises(DiskHasOtherImage):  # an encrypted data partition beside it hides nothing
        plan(
            disk,
            CONTENTS,
            replace(INSTALLED, digest=OTHER),
            REQUEST,
            frozenset([DIGEST]),
            confirmed=False,
            confirmation="TARGET01",
            stamp=stamped(state="finished"),
        )
    with pytest.raises(DiskHasData):
        decided(stamped(state="finished"), block_setup="direct")
    finished = stamped(state="finished")
    for other in (stamped(), replace(finished, digest=OTHER), replace(finished, target="os:2"), replace(finished, disk="x/1")):
        with pytest.raises(DiskHasData):
            decided(other)


def test_what_the_disk_does_not_tell_is_told_by_its_stamp() -> None:
    there = replace(INSTALLED, backend="composefs", digest=None)

    def decided(installed: Installed, stamp: Stamp) -> Plan:
        return plan(DISK, CONTENTS, installed, REQUEST, frozenset([DIGEST]), confirmed=False, confirmation="TARGET01", stamp=stamp)

    assert decided(there, stamped(state="finished")).verb == "none"
    assert decided(replace(there, lacking=("etc/motd",)), stamped(state="finished")).verb == "repair"
    assert decided(replace(there, lacking=("etc/motd",), entry=None), stamped(state="finished")).verb == "none"
    for other in (stamped(state="finished", digest=OTHER), stamped(state="finished", disk="x/1")):
        with pytest.raises(DiskHasOtherImage, match="digest not known"):
            decided(there, other)
    for wrong in (replace(there, image="os:2"), replace(there, digest=OTHER), replace(there, digest=OTHER, entry=None)):
        with pytest.raises(DiskHasOtherImage):
            decided(wrong, stamped(state="finished"))


def test_a_stamp_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(b"\1" * MIB)
    disk = replace(DISK, path=str(file))
    assert decode(read_block(disk)) is None
    write_block(disk, encode(stamped()))
    assert decode(read_block(disk)) == stamped()
    assert file.read_bytes()[: MIB - BLOCK] == b"\1" * (MIB - BLOCK)
    assert file.stat().st_size == MIB
    assert decode(encode(stamped()).replace(b'"digest"', b'"digset"')) is None
    assert decode(encode(stamped()).replace(b"stamp 1", b"stamp 2")) is None


def test_a_stamp_is_for_a_disk_by_its_serial_or_else_its_wwn() -> None:
    disks = (DISK, replace(DISK, wwn="0x5"), replace(DISK, serial=None, wwn="0x5"), replace(DISK, serial=None))
    assert [identity(disk) for disk in disks] == [f"{name}/{12 * GIB}" for name in ("TARGET01", "TARGET01", "0x5", "")]


@pytest.mark.parametrize("root", [514, 1026, 1024, 513, 5])
def test_an_old_file_system_is_gone_where_a_new_one_begins(tmp_path: Path, root: int) -> None:
    """XFS where bootc's root partition will be, on a disk whose partition table was taken away."""
    file = tmp_path / "disk"
    with file.open("wb") as stream:
        for offset in (0, root * MIB, 2 * GIB - MIB):
            stream.seek(offset)
            stream.write(b"XFSB".ljust(MIB, b"\1"))
    disk = replace(DISK, path=str(file), size=2 * GIB)
    write_block(disk, encode(stamped()))
    clear_starts(disk)
    assert decode(read_block(disk)) == stamped()
    assert file.stat().st_size == 2 * GIB
    with file.open("rb") as stream:
        for offset, left in ((0, b"XFSB"), (root * MIB, bytes(4)), (2 * GIB - MIB, bytes(4)), (2 * GIB - 4, bytes(4))):
            stream.seek(offset)
            assert stream.read(4) == left


def test_a_small_disk_does_not_grow(tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(b"\1" * 3 * MIB)
    clear_starts(replace(DISK, path=str(file), size=3 * MIB))
    assert file.read_bytes() == b"\1" * MIB + bytes(2 * MIB)


@pytest.mark.parametrize(("wipe", "done"), [(False, ["look", "stamp", "clear"]), (True, ["look", "stamp"])])
def test_only_a_disk_that_holds_nothing_is_cleared_before_bootc_wipes_it(
    wipe: bool, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else data would be gone although bootc did not get to writing."""
    steps: list[str] = []
    job: Any = DiskInstallation.__new__(DiskInstallation)
    job.disk, job._request, job._scanner = DISK, REQUEST, SimpleNamespace(settle=lambda: None)
    monkeypatch.setattr(DiskInstallation, "_require_unchanged", lambda _self: steps.append("look"))
    monkeypatch.setattr(on_disk.stamps, "write_block", lambda *_arguments: steps.append("stamp"))
    monkeypatch.setattr(on_disk.stamps, "clear_starts", lambda *_arguments: steps.append("clear"))
    job._begin(IMAGE, "os:1", Plan("install", "", wipe=wipe))
    assert steps == done


@pytest.mark.parametrize(
    "said",
    [
        "mkfs.xfs: /dev/vdb3 appears to contain an existing filesystem (ext4).\nmkfs.xfs: Use the -f option.\nerror: x",
        "ERROR: /dev/vdb3 appears to contain an existing filesystem (xfs)\nERROR: use the -f option\nerror: x",
    ],
)
def test_an_old_file_system_in_the_way_has_its_code(said: str) -> None:
    assert failure("x", 1, said).error == "disk_has_data"


# bootc 1.16.9, with a bootupctl that calls grub-install.
BOOTLOADER_FAILED = """grub-install: warning: cannot open directory `/usr/share/locale': No such file or directory.
grub-install: error: cannot open `/usr/lib/grub/i386-pc/blscfg.mod': No such file or directory.
error: Installing to disk: Installing bootloader: Failed to run command: Command {
    program: "bootupctl",
    args: [
        "bootupctl",
        "backend",
        "install",
        "--device",
        "/dev/vdb",
        "/",
    ],
    env: CommandEnv {
        clear: true,
        vars: {
            "PATH": Some(
                "/bin:/usr/bin",
            ),
        },
    },
    create_pidfd: false,
}
"""


def test_a_boot_loader_that_fails_is_told_in_its_own_words() -> None:
    failed = failure("bootc install", 1, BOOTLOADER_FAILED)
    assert failed.error == "bootloader_failed"
    assert failed.message == (
        "'bootc install' failed: error: Installing to disk: Installing bootloader: Failed to run command: "
        "'bootupctl backend install --device /dev/vdb /' (before that: "
        "grub-install: error: cannot open `/usr/lib/grub/i386-pc/blscfg.mod': No such file or directory.)"
    )
    assert len(failed.details["stderr"].splitlines()) == 3


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ('Command {\n    program: "true",\n    args: [],\n}', "'true'"),
        ("one\n\n  two", "one"),
        ("Command {", "Command {"),
    ],
)
def test_other_texts_stay_as_they_are(said: str, line: str) -> None:
    assert readable(said)[0] == line


@pytest.mark.parametrize(
    "asked", [["isolcpus=1", 2], ["nohz_full=1-3", "5"], ["rcu-nocbs=0", "2", "4"], ["isolcpus=domain", "1-3"], ["a=0-1", "3-4"]]
)
def test_the_rest_of_a_list_of_processors_is_no_argument(asked: list[Any]) -> None:
    with pytest.raises(OptionError, match="is no kernel argument") as refusal:
        kargs.checked(map(str, asked))
    assert f"'{asked[0]},{asked[1]}' is one argument" in str(refusal.value.hint)


@pytest.mark.parametrize("rest", ["115200", "115200n8", "8250"])
def test_what_yaml_cut_off_at_a_comma_is_no_argument(rest: str) -> None:
    with pytest.raises(OptionError) as caught:
        kargs.checked(["quiet", "console=ttyS0", rest])
    assert caught.value.hint is not None
    assert f"'console=ttyS0,{rest}'" in caught.value.hint


@pytest.mark.parametrize("words", [["3"], ["quiet", "3"], ["115200"], ["quiet", "8250.nr_uarts=4"], ["a", "x11"]])
def test_other_words_are_arguments(words: list[str]) -> None:
    assert kargs.checked(words) == tuple(words)


CODES = {
    "no-such-device": "disk_not_found",
    "not-a-block-device": "disk_not_found",
    "loopback-missing-file": "disk_not_found",
    "mounted-partition": "disk_in_use",
    "existing-partitions": "disk_has_data",
    "lvm-member": "disk_in_use",
    "no-pid-host": "podman_unsuitable",
    "not-privileged": "podman_unsuitable",
    "no-filesystem-flag-unknown": "bootc_unsupported",
    "too-small-loop": "disk_too_small",
    "grub-without-bootupd": "bootloader_missing",
    "luks-not-enabled": "block_setup_unsupported",
    "to-filesystem-not-mountpoint": "install_failed",
}


def test_every_recorded_failure_has_its_code() -> None:
    steps = [json.loads(line) for line in RECORDINGS.read_text().splitlines() if line.strip()]
    failed = {step["name"]: step for step in steps if step["rc"] != 0}
    assert {name: failure("x", step["rc"], step["stderr"]).error for name, step in failed.items()} == CODES


HOSTNAME = PlacedFile("etc/hostname", b"web1\n")


@pytest.mark.parametrize(
    ("conf", "transient"),
    [
        (("root_ostree", "[composefs]", "enabled = yes", "[etc]", "transient = true"), "ostree"),
        (("root_ostree", "[etc]", "transient=true", "[etc]", "transient=false  # in /etc/ostree"), None),
        (("root_ostree", "[root]", "transient = true"), None),
        (("root_composefs", "[etc]", 'mount = "transient"'), "composefs"),
        (("root_composefs", "[etc]", 'mount = "bind"', "transient = true"), None),
        (("root_composefs", "etc.transient = true"), "composefs"),
        (("root_composefs",), None),
    ],
)
def test_an_etc_that_is_made_anew_at_every_boot_takes_no_files(conf: tuple[str, ...], transient: str | None) -> None:
    lines = "".join(f"{conf[0]}\t{line}\n" for line in conf[1:])
    there = replace(ABILITIES, systemd_boot=True, transient_etc=parse_probe(f"bootc\tbootc 1.16.9\n{lines}").transient_etc)
    for backend, request in (
        ("ostree", {"files": (HOSTNAME,)}),
        ("ostree", {"root_keys": ("KEY",)}),
        ("composefs", {"files": (HOSTNAME,)}),
    ):
        asked = replace(REQUEST, composefs=backend == "composefs", **request)
        if backend != transient:
            require_installable(there, asked)
            continue
        with pytest.raises(ImageModeError) as caught:
            require_installable(there, asked)
        assert caught.value.error == "etc_transient"
    require_installable(there, replace(REQUEST, files=(PlacedFile("var/lib/x", b""),)))
