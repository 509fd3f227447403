# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""Which accelerator QEMU gets: KVM where a guest really boots under it, else one emulated thread."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from . import base, store
from .say import say

# Two emulated threads sometimes see each other's half-patched code: a guest kernel panicked in one boot of fifteen.
EMULATED = ["-accel", "tcg,thread=multi", "-smp", "1"]
# Instructions for vectors cost more than they save where each is emulated: a boot takes a fifth longer with them (QEMU 7.2). Images of
# others may need them.
CPU = "max" if base.chosen() else "qemu64"
KVM = ["-accel", "kvm", "-smp", "2", "-cpu", "host"]


def arguments(kernel: Path) -> list[str]:
    verdict_file = store.directory() / "accel.json"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = store.read(verdict_file)
    if not known or known["boot"] != boot:
        known = {"boot": boot, "kvm": _boots_under_kvm(kernel)}
        store.write(verdict_file, known)
        say("guests run under KVM" if known["kvm"] else "KVM does not boot a guest here: guests are emulated")
    return KVM if known["kvm"] else [*EMULATED, "-cpu", CPU]


def _boots_under_kvm(kernel: Path) -> bool:
    """A kernel without a root file system ends in a known panic within a second or two, or it does not run."""
    if platform.machine() != "x86_64" or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = ["qemu-system-x86_64", *KVM, "-m", "512", "-display", "none", "-serial", "stdio", "-no-reboot", "-nodefaults",
               "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]  # fmt: skip
    try:
        shown = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False).stdout
    except subprocess.TimeoutExpired:
        return False
    return b"Unable to mount root fs" in shown
