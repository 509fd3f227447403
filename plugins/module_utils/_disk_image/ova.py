# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An OVA: OVF 1.1 descriptor, disk and manifest in one tar, as vSphere and VirtualBox import it (DMTF DSP0243)."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from .._errors import OptionError
from .sidecar import sha256

# POSIX tar has eleven octal digits for a size.
_USTAR_LIMIT = 8 << 30
_FORMAT = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"


# Type of the resource (CIM), VMware's name of its kind, and of the network card that goes with it.
CONTROLLERS = {"sata": (20, "vmware.sata.ahci", "E1000"), "pvscsi": (6, "VirtualSCSI", "VmxNet3")}


@dataclass(frozen=True)
class Appliance:
    """What the descriptor says of the machine; whoever imports it may change all of it.

    :ivar name: also of the files in it
    :ivar memory: MiB
    :ivar firmware: C(bios) or C(uefi)
    :ivar controller: of its disk, one of C(CONTROLLERS)
    """

    name: str = "bootc"
    cpus: int = 2
    memory: int = 2048
    firmware: str = "uefi"
    controller: str = "sata"

    def __post_init__(self) -> None:
        """:raises OptionError: no name for its files, which POSIX tar gives 100 bytes"""
        if not self.name or self.name[0] == "." or "/" in self.name or len(self.name.encode()) > 80:
            raise OptionError(
                f"'{self.name}' cannot name an appliance: the files in it are named by it.",
                hint="Write at most 80 characters, no '/' among them and no '.' in front.",
            )


def write(target: Path, disk: Path, size: int, appliance: Appliance) -> Path:
    """:param disk: stream-optimized VMDK
    :param size: bytes that a machine sees
    """
    text = descriptor(appliance, disk.name, disk.stat().st_size, size).encode()
    lines = {f"{appliance.name}.ovf": hashlib.sha256(text).hexdigest(), disk.name: sha256(disk)}
    manifest = "".join(f"SHA256({name})= {digest}\n" for name, digest in lines.items()).encode()
    layout = tarfile.USTAR_FORMAT if disk.stat().st_size < _USTAR_LIMIT else tarfile.GNU_FORMAT
    with tarfile.open(target, "w", format=layout) as archive:
        _add(archive, f"{appliance.name}.ovf", text)
        with disk.open("rb") as file:
            archive.addfile(_member(disk.name, disk.stat().st_size), file)
        _add(archive, f"{appliance.name}.mf", manifest)
    disk.unlink()
    return target


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_member(name, len(content)), BytesIO(content))


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def descriptor(appliance: Appliance, disk: str, file_size: int, size: int) -> str:
    """:returns: the OVF document"""
    name, href = escape(appliance.name), quoteattr(disk)
    controller, subtype, card = CONTROLLERS[appliance.controller]
    firmware = "efi" if appliance.firmware == "uefi" else "bios"
    items = "".join(
        _item(number, *words)
        for number, words in enumerate(
            (
                (3, f"{appliance.cpus} CPUs", f"<rasd:VirtualQuantity>{appliance.cpus}</rasd:VirtualQuantity>"),
                (
                    4,
                    f"{appliance.memory} MiB of memory",
                    "<rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>"
                    f"<rasd:VirtualQuantity>{appliance.memory}</rasd:VirtualQuantity>",
                ),
                (controller, "Disk controller", f"<rasd:ResourceSubType>{subtype}</rasd:ResourceSubType>"),
                (
                    17,
                    "Disk",
                    "<rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>"
                    "<rasd:Parent>3</rasd:Parent>",
                ),
                (
                    10,
                    "Network",
                    "<rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>network</rasd:Connection>"
                    f"<rasd:ResourceSubType>{card}</rasd:ResourceSubType>",
                ),
            ),
            start=1,
        )
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
 xmlns:vmw="http://www.vmware.com/schema/ovf">
 <References><File ovf:id="file1" ovf:href={href} ovf:size="{file_size}"/></References>
 <DiskSection><Info>Disks</Info>
  <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="{size}" ovf:capacityAllocationUnits="byte" ovf:format="{_FORMAT}"/>
 </DiskSection>
 <NetworkSection><Info>Networks</Info>
  <Network ovf:name="network"><Description>The machine's network</Description></Network>
 </NetworkSection>
 <VirtualSystem ovf:id={quoteattr(appliance.name)}><Info>A machine</Info><Name>{name}</Name>
  <OperatingSystemSection ovf:id="101" vmw:osType="otherLinux64Guest"><Info>Guest</Info></OperatingSystemSection>
  <VirtualHardwareSection><Info>Hardware</Info>
   <System><vssd:ElementName>Virtual hardware</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
    <vssd:VirtualSystemIdentifier>{name}</vssd:VirtualSystemIdentifier>
    <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
{items}   <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="{firmware}"/>
  </VirtualHardwareSection>
 </VirtualSystem>
</Envelope>
"""


def _item(number: int, kind: int, name: str, more: str) -> str:
    # The schema wants the elements in the order of their names.
    elements = [
        f"<rasd:ElementName>{name}</rasd:ElementName>",
        f"<rasd:InstanceID>{number}</rasd:InstanceID>",
        f"<rasd:ResourceType>{kind}</rasd:ResourceType>",
        *(f"<rasd:{part}" for part in more.split("<rasd:") if part),
    ]
    return f"   <Item>{''.join(sorted(elements))}</Item>\n"
