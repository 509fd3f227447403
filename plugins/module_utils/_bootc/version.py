# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which bootc can do what. Source of every number: contract.md 2.1, read from bootc's release tags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import BootcError, Unsupported

Version = tuple[int, int, int]

OLDEST: Version = (1, 1, 6)  # RHEL 9.6 and 10.0

CAPABILITIES: dict[str, Version] = {
    "rollback": (0, 1, 10),
    "progress": (1, 1, 4),
    "soft_reboot": (1, 7, 0),
    "docker_daemon": (1, 11, 0),
    "download_only": (1, 12, 0),
    "from_downloaded": (1, 12, 0),
    # Before, the status has what the registry holds by now as the digest of each deployment (bootc_composefs/status.rs).
    "composefs_own_digests": (1, 12, 0),
    "composefs_download_only": (1, 13, 0),
    # Before, the option is not looked at; with 1.12 bootc ends with `systemctl soft-reboot` (bootc_composefs/update.rs, `do_upgrade`).
    "composefs_soft_reboot": (1, 13, 0),
    # It came with 1.11.0. Before 1.14.0 it removes kernel and initrd where another deployment shares them: the booted one does not start
    # any more (bootc_composefs/delete.rs, `delete_type1_entry`).
    "delete_deployment": (1, 14, 0),
    # Before, a second rollback queues it again (bootc_composefs/rollback.rs: the sort keys were written, not swapped).
    "composefs_rollback_cancel": (1, 14, 0),
    "usr_overlay_status": (1, 14, 0),
    "tag": (1, 15, 0),
    "usr_overlay_read_only": (1, 15, 0),
    "karg_delete": (1, 15, 1),
    "loader_entries": (1, 15, 2),
    # Before, what is staged stays, and its boot entries are lost or left over ("Multiple extra entries in /boot").
    "composefs_rollback_staged": (1, 16, 0),
    # Before, what is staged does not count, and the image's name is "unchanged" (contract.md 2.2, spec.image).
    "composefs_switch_back": (1, 16, 3),
    # Before, the status has the digest of the configuration (contract.md 2.2).
    "composefs_manifest_digest": (1, 16, 4),
}


# Words of a command line that a capability brought, and what they were asked for.
_WORDS: dict[str, tuple[str, str]] = {
    "--download-only": ("download_only", "Staging an update that a reboot does not apply (download_only)"),
    "--from-downloaded": ("from_downloaded", "Applying what was downloaded (from_downloaded)"),
    "--soft-reboot": ("soft_reboot", "Preparing a soft reboot (soft_reboot)"),
    "docker-daemon": ("docker_daemon", "The transport docker-daemon"),
    "--read-only": ("usr_overlay_read_only", "A read-only overlay on /usr (read_only)"),
    "--tag": ("tag", "Downloading another tag without applying it (tag with download_only)"),
    "loader-entries": ("loader_entries", "Kernel arguments owned by a source"),
}


@dataclass(frozen=True)
class Capabilities:
    """What the bootc of a host can do.

    :ivar version: release, for example C((1, 16, 9))
    """

    version: Version

    @property
    def text(self) -> str:
        return ".".join(map(str, self.version))

    def has(self, capability: str) -> bool:
        return self.version >= CAPABILITIES[capability]

    def need(self, capability: str, asked: str, instead: str = "leave the option out") -> None:
        """
        :param instead: what can be done where bootc stays as it is
        :raises Unsupported: this bootc is too old; the message names the version needed"""
        if not self.has(capability):
            needed = ".".join(map(str, CAPABILITIES[capability]))
            raise Unsupported(
                f"{asked} needs bootc {needed} or newer; this host has {self.text}.",
                hint=f"Update the host to an image with bootc {needed}, or {instead}.",
                bootc_version=self.text,
                bootc_version_needed=needed,
            )

    def need_for(self, step: Sequence[str]) -> None:
        """:raises Unsupported: this bootc is too old for a word of the command line"""
        for word in step:
            if word == "--":  # what follows is a name, not an option
                return
            if word.split("=")[0] in _WORDS:
                self.need(*_WORDS[word.split("=")[0]])

    def as_dict(self) -> dict[str, bool]:
        return {name: self.has(name) for name in sorted(CAPABILITIES)}


def parse_version(text: str) -> Version:
    """Read the output of C(bootc --version): C(bootc X.Y.Z), words may follow.

    :raises BootcError: there is no version in the text
    """
    match = re.search(r"\bbootc (\d+)\.(\d+)\.(\d+)", text)
    if not match:
        raise BootcError(
            f"'bootc --version' printed {text.strip()!r}, which holds no version.",
            error="bootc_version_unknown",
            hint="Is the 'bootc' on the host's PATH the real one?",
        )
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch)
