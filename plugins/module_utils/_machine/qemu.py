# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What QEMU is called and told on each architecture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Platform:
    """:ivar console: the kernel's name for the first serial port"""

    program: str
    machine: str
    console: str


# `uname -m` → what QEMU is told.
PLATFORMS = {
    "x86_64": Platform("qemu-system-x86_64", "q35", "ttyS0"),
    "aarch64": Platform("qemu-system-aarch64", "virt", "ttyAMA0"),
    "ppc64le": Platform("qemu-system-ppc64", "pseries", "hvc0"),
    "s390x": Platform("qemu-system-s390x", "s390-ccw-virtio", "ttysclp0"),
}
# Where Enterprise Linux keeps it, for its own architecture only.
ENTERPRISE = "/usr/libexec/qemu-kvm"


def processor(accelerator: str, cpus: int) -> list[str]:
    """:param accelerator: C(kvm) or C(tcg)
    :returns: arguments for QEMU
    """
    if accelerator == "kvm":
        return ["-accel", "kvm", "-cpu", "host", "-smp", str(cpus)]
    # With several emulated processors guests have been seen to panic on each other's half-patched code (QEMU 7.2).
    return ["-accel", "tcg", "-cpu", "max", "-smp", "1"]
