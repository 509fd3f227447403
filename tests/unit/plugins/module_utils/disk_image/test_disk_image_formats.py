# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files as hypervisors read them: by real qemu-img and real skopeo."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image import formats, ova
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.ova import Appliance
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

SIZE = 64 << 20
OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
RASD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
NEEDS = pytest.mark.skipif(Runner().find("qemu-img") is None, reason="qemu-img is not installed")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    with path.open("wb") as stream:
        stream.truncate(SIZE)
        stream.seek(3 << 20)
        stream.write(b"bootc" * 1000)
    return path


def content(path: Path) -> str:
    raw = path.with_suffix(".back")
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(path), str(raw)], check=True)
    return hashlib.sha256(raw.read_bytes()).hexdigest()


@NEEDS
@pytest.mark.parametrize("name", sorted(formats.QEMU_IMG))
def test_a_format_holds_the_same_disk_and_takes_what_is_in_it(raw: Path, name: str) -> None:
    expected = hashlib.sha256(raw.read_bytes()).hexdigest()
    made = formats.convert(Runner(), raw, name, Appliance(), "amd64")
    assert json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", str(made)]))["format"] == name
    assert formats.virtual_size(Runner(), made) == SIZE
    assert content(made) == expected
    assert made.stat().st_blocks * 512 < SIZE // 2


@NEEDS
def test_an_ova_is_what_its_manifest_says(raw: Path, tmp_path: Path) -> None:
    expected = hashlib.sha256(raw.read_bytes()).hexdigest()
    made = formats.convert(Runner(), raw, "ova", Appliance("web", 4, 8192, "uefi"), "amd64")
    with tarfile.open(made) as archive:
        assert archive.getnames() == ["web.ovf", "web-disk1.vmdk", "web.mf"]
        archive.extractall(tmp_path / "out", filter="data")
    out = tmp_path / "out"
    lines = dict(line.removeprefix("SHA256(").split(")= ") for line in (out / "web.mf").read_text().splitlines())
    assert lines == {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in ("web.ovf", "web-disk1.vmdk")}
    assert content(out / "web-disk1.vmdk") == expected
    assert b'createType="streamOptimized"' in (out / "web-disk1.vmdk").read_bytes()[:4096]
    tree = ElementTree.parse(out / "web.ovf")
    file, disk = tree.find(f".//{OVF}File"), tree.find(f".//{OVF}Disk")
    assert file is not None
    assert disk is not None
    assert file.get(f"{OVF}size") == str((out / "web-disk1.vmdk").stat().st_size)
    assert disk.get(f"{OVF}capacity") == str(SIZE)
    items = {item.findtext(f"{RASD}ResourceType"): item for item in tree.iter(f"{OVF}Item")}
    assert items["3"].findtext(f"{RASD}VirtualQuantity") == "4"
    assert items["4"].findtext(f"{RASD}VirtualQuantity") == "8192"
    assert items["17"].findtext(f"{RASD}Parent") == items["20"].findtext(f"{RASD}InstanceID")


@NEEDS
def test_a_container_disk_is_an_image_with_one_disk(raw: Path, tmp_path: Path) -> None:
    expected = hashlib.sha256(raw.read_bytes()).hexdigest()
    made = formats.convert(Runner(), raw, "container-disk", Appliance(), "amd64")
    if Runner().find("skopeo"):
        said = json.loads(subprocess.check_output(["skopeo", "inspect", "--config", f"oci-archive:{made}"]))
        assert (said["architecture"], said["os"]) == ("amd64", "linux")
        subprocess.run(["skopeo", "copy", "-q", f"oci-archive:{made}", f"dir:{tmp_path}/pulled"], check=True)
        manifest = json.loads((tmp_path / "pulled/manifest.json").read_text())
        layer = tmp_path / "pulled" / manifest["layers"][0]["digest"].partition(":")[2]
    with tarfile.open(layer) as archive:
        member = archive.getmember("disk/disk.qcow2")
        assert (member.uid, member.gid, member.mode) == (107, 107, 0o440)
        archive.extract(member, tmp_path / "out", filter="data")
    assert content(tmp_path / "out/disk/disk.qcow2") == expected


def test_the_command_line_is_the_recorded_one() -> None:
    said = formats.convert_command(Path("/srv/d/disk.raw"), "vmdk", Path("/srv/d/web-disk1.vmdk"))
    assert " ".join(said) == "qemu-img convert -f raw -O vmdk -o subformat=streamOptimized -S 4k /srv/d/disk.raw /srv/d/web-disk1.vmdk"


@pytest.mark.parametrize("name", ["web/1", "", "..", "x" * 81])
def test_an_appliance_has_a_name_that_its_files_can_have(name: str) -> None:
    """It is refused before the disk is made, which takes minutes."""
    with pytest.raises(OptionError, match="cannot name an appliance"):
        Appliance(name)


def test_the_longest_name_of_an_appliance_fits_into_its_archive(tmp_path: Path) -> None:
    disk = tmp_path / f"{'x' * 80}-disk1.vmdk"
    disk.write_bytes(b"disk")
    assert ova.write(tmp_path / "disk.ova", disk, 4, Appliance("x" * 80)).is_file()
