# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shell that asks the image and then becomes its installer, with a fake bootc and without a container."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._install.command import probe_first
from ansible_collections.imagemode.bootc.plugins.module_utils._install.container import InstallContainer
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import PROBE, Abilities, parse_probe
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

FAKE_BOOTC = """#!/bin/sh
case "$*" in
  --version) echo bootc {version};;
  "install print-configuration --all") echo '{{"kargs": ["rw"]}}';;
  *) echo "$*" > {log}; echo "error: it is full: No space left on device" >&2; exit {rc};;
esac
"""
INNER = ["bootc", "install", "to-disk", "/dev/vdb"]


class Machine:
    def __init__(self, directory: Path, version: str = "1.16.9", rc: int = 0) -> None:
        self.log = directory / "log"
        (directory / "bootc").write_text(FAKE_BOOTC.format(version=version, log=self.log, rc=rc))
        (directory / "bootc").chmod(0o755)
        self.runner = Runner({"PATH": f"{directory}:/usr/bin:/bin"})


def test_what_the_image_says_is_checked_before_it_installs(tmp_path: Path) -> None:
    machine, asked = Machine(tmp_path), []

    def check(said: str) -> Abilities:
        asked.append(machine.log.exists())
        return parse_probe(said)

    container = InstallContainer(INNER, check)
    abilities = container.run(machine.runner, probe_first(INNER), 60)
    assert asked == [False]
    assert (abilities.version, abilities.kernel_arguments) == ((1, 16, 9), ("rw",))
    assert machine.log.read_text() == "install to-disk /dev/vdb\n"
    assert container.started
    assert container.argv == tuple(INNER)


def probed(machine: Machine, image: Path) -> Abilities:
    """What an image says of itself whose directories are below I(image)."""
    script = PROBE
    for directory in ("/usr/lib/", "/boot/", "/root"):
        script = script.replace(directory, f"{image}{directory}")
    return parse_probe(machine.runner.run(["/bin/sh", "-c", script], check=False).stdout)


def test_only_unified_kernel_images_that_bootc_takes_count(tmp_path: Path) -> None:
    modules, boot = tmp_path / "image/usr/lib/modules/6.12", tmp_path / "image/boot/EFI/Linux"
    for file in (modules / "vmlinuz", modules / "initramfs.img", modules / "vmlinuz-virt.efi"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    machine = Machine(tmp_path)
    found = probed(machine, tmp_path / "image")
    assert (found.kernels, found.ukis) == (("6.12",), ())
    boot.mkdir(parents=True)
    (boot / "6.12.efi").touch()
    assert probed(machine, tmp_path / "image").ukis == (f"{boot}/6.12.efi",)


def test_kernels_are_counted_as_bootc_does(tmp_path: Path) -> None:
    """bootabletree.rs, find_kernel_dir_fs: directories with vmlinuz, whatever else is there, and no links."""
    modules = tmp_path / "image/usr/lib/modules"
    for name in ("6.11/vmlinuz", "6.12/vmlinuz", "6.12/initramfs.img", "6.13/modules.dep"):
        (modules / name).parent.mkdir(parents=True, exist_ok=True)
        (modules / name).touch()
    (modules / "current").symlink_to("6.12")
    found = probed(Machine(tmp_path), tmp_path / "image")
    assert found.vmlinuz == ("6.11", "6.12")


def test_an_old_bootc_is_told_not_to_fetch_the_target(tmp_path: Path) -> None:
    machine = Machine(tmp_path, version="1.1.6")
    InstallContainer(INNER, parse_probe).run(machine.runner, probe_first(INNER), 60)
    assert machine.log.read_text() == "install to-disk /dev/vdb --skip-fetch-check\n"


def test_what_does_not_fit_is_never_installed(tmp_path: Path) -> None:
    machine = Machine(tmp_path)

    def check(said: str) -> Abilities:
        raise ImageModeError("too small", error="disk_too_small")

    container = InstallContainer(INNER, check)
    with pytest.raises(ImageModeError, match="too small"):
        container.run(machine.runner, probe_first(INNER), 60)
    assert not container.started
    assert not machine.log.exists()


def test_a_failing_installer_is_told_apart_from_one_that_cannot_be_asked(tmp_path: Path) -> None:
    machine = Machine(tmp_path, rc=1)
    container = InstallContainer(INNER, parse_probe)
    with pytest.raises(ImageModeError) as caught:
        container.run(machine.runner, probe_first(INNER), 60)
    assert caught.value.error == "disk_too_small"
    assert container.started
    container = InstallContainer(INNER, parse_probe)
    with pytest.raises(ImageModeError) as caught:
        container.run(machine.runner, ["/bin/sh", "-c", "echo no such interpreter >&2; exit 127"], 60)
    assert caught.value.error == "image_not_bootable"
    assert "no such interpreter" in str(caught.value)
    assert not container.started


def test_files_of_the_image_are_told_line_by_line(tmp_path: Path) -> None:
    for name in ("usr/lib/ostree/prepare-root.conf", "usr/lib/composefs/setup-root-conf.toml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("[etc]\ntransient = true")  # without a line break at its end
    script = PROBE.replace(" /usr/lib/", f" {tmp_path}/usr/lib/").replace(" /etc/", f" {tmp_path}/etc/")
    Machine(tmp_path)
    said = Runner({"PATH": f"{tmp_path}:/usr/bin:/bin"}).run(["/bin/sh", "-c", script], check=False).stdout
    assert parse_probe(said).transient_etc == {"ostree", "composefs"}
