# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Platforms: C(os/architecture[/variant]), written as the kernel or as Go writes them."""

from __future__ import annotations

import platform as machine
from dataclasses import dataclass

from .._errors import OptionError

# Left as `uname -m` and people write it, right as GOARCH and variant: containerd's platforms/database.go.
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "powerpc64le": ("ppc64le", ""),
}
# GOOS and GOARCH as Go and containerd know them: internal/syslist, and containerd's platforms/database.go.
_GOOS = "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows zos"
_GOARCH = (
    "386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc ppc64 ppc64le riscv"
    " riscv64 s390 s390x sparc sparc64 wasm"
)


@dataclass(frozen=True)
class Platform:
    """An operating system, an architecture as Go names it, and its variant, C("") being the usual one."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def of(cls, os: str, architecture: str, variant: str = "") -> Platform:
        """Normalise: C(x86_64) is C(amd64), and C(arm64/v8) is C(arm64)."""
        architecture, implied = _ARCHITECTURES.get(architecture.lower(), (architecture.lower(), ""))
        variant = variant or implied
        if (architecture, variant) in (("arm64", "v8"), ("amd64", "v1")):
            variant = ""
        if architecture == "arm" and not variant:
            variant = "v7"
        return cls(os.lower(), architecture, variant)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Parse C(linux/arm64/v8), C(arm64) or C(x86_64); C(linux) is for the architecture of this machine.

        :raises OptionError: the text has another form, or no such architecture is known
        """
        words = text.strip().split("/")
        hint = "Write it as os/architecture or os/architecture/variant: linux/arm64."
        if not all(words) or len(words) > 3:
            raise OptionError(f"'{text}' is not a platform.", hint=hint)
        if len(words) == 1:
            words = [words[0], machine.machine()] if words[0].lower() in _GOOS.split() else ["linux", words[0]]
        platform = cls.of(*words)
        if platform.architecture not in _GOARCH.split():
            raise OptionError(f"'{text}' is not a platform: '{platform.architecture}' is no architecture that is known.", hint=hint)
        return platform

    @classmethod
    def here(cls) -> Platform:
        """The platform of the machine that this runs on."""
        return cls.of("linux", machine.machine())

    def __str__(self) -> str:
        return "/".join(word for word in (self.os, self.architecture, self.variant) if word)
