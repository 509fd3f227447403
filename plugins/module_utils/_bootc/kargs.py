# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel arguments that belong to a source: what to run so that a source owns exactly the arguments wanted.

Two ways lead there. `bootc loader-entries` keeps the owners in the boot entry, and needs bootc 1.15.2 and libostree
2026.1 (contract.md 1.10). Before, libostree's own `ostree admin deploy --stage` makes the same deployment, and a file
under /var remembers what each source has set: libostree drops keys of a boot entry that it does not know.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from .._kargs import checked, missing, present, split
from .._replace import replace_file
from . import boot_entry
from .boot_entry import BootEntry
from .client import Bootc
from .errors import BootcError, NotManaged, Refused, Unsupported
from .plan import Step
from .status import Host

LIBOSTREE_NEEDED = (2026, 1)
RECORD = "var/lib/imagemode-bootc/kargs.json"

Kargs = tuple[str, ...]


@dataclass(frozen=True)
class KargsPlan:
    """:ivar after: the next boot's entry as it will be
    :ivar steps: commands in order
    :ivar record: what is to be remembered of this source under /var; C(None) if that is not touched
    """

    reason: str
    before: BootEntry
    after: BootEntry
    steps: tuple[Step, ...] = ()
    record: Kargs | None = None


def check_source(name: str) -> None:
    """:raises BootcError: C(option_invalid), bootc would not take that name"""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise BootcError(
            f"'{name}' is not the name of a source.",
            error="option_invalid",
            hint="Write it with letters, digits, hyphens and underscores.",
        )


def check_kargs(kargs: Kargs) -> None:
    """:raises ImageModeError: C(option_invalid), an item is not one kernel argument"""
    for word in checked(kargs):
        if split(word) != (word,) or word.startswith("ostree="):
            raise BootcError(
                f"'{word}' is not one kernel argument that can be set.",
                error="option_invalid",
                hint='Give each argument as an item of its own, a value with blanks in double quotes: name="a b".',
            )


def check_host(host: Host) -> None:
    """:raises ImageModeError: kernel arguments of this host cannot be changed"""
    if host.booted is None or not host.managed:
        raise (
            Refused(
                "The host's deployment was changed by rpm-ostree; bootc does not manage its kernel arguments.",
                error="host_layered",
                hint="Use 'rpm-ostree kargs', or run 'rpm-ostree reset' first.",
            )
            if host.layered
            else NotManaged(
                "This host is not managed by bootc: it does not run a bootable container image.",
                hint="Use what the host's distribution has for kernel arguments, for example grubby.",
            )
        )
    if host.read_only:
        raise Refused(
            "This is a live system: its /sysroot is on a read-only device.",
            error="host_read_only",
            hint="Give kernel arguments when it is installed: 'kargs' of bootc_install.",
        )
    if host.backend == "composefs":
        raise Unsupported(
            "The composefs backend of bootc has no way to change kernel arguments of an installed host.",
            hint="Build them into the image (/usr/lib/bootc/kargs.d/*.toml), or give them when it is installed.",
        )
    if host.staged and host.staged.download_only:
        raise Refused(
            "An update is staged that must not be applied at the next boot; changing kernel arguments would unlock it.",
            hint="Apply it first (bootc_upgrade with 'from_downloaded: true'), or drop it.",
        )


def plan_kargs(entry: BootEntry, record: Record, source: str, wanted: Kargs, *, native: bool, deploy: Step) -> KargsPlan:
    """Plan that a source owns exactly these arguments; none means that the source is forgotten.

    An argument that is there already and has no owner becomes the source's, as bootc does it.

    :param entry: the next boot's entry as it is
    :param native: whether `bootc loader-entries` can do it
    :param deploy: else, the command that stages the deployment; the arguments are put before its last word
    """
    wanted = missing(wanted, ())
    before = record.with_owners(entry)
    owned = before.sources.get(source, ())
    # What was set before `bootc loader-entries` was there has to become bootc's, too.
    adopted = native and bool(owned) and source not in entry.sources
    other = bool(missing(owned, wanted) or missing(wanted, owned))
    if not other and not missing(wanted, entry.kargs) and not adopted:
        return KargsPlan(_said(source, wanted, "already"), before, before)
    sources = {name: words for name, words in before.sources.items() if name != source}
    theirs = tuple(word for words in sources.values() for word in words)
    # bootc takes away what the source gives up, also what another source has, too (loader_entries.rs, compute_merged_options).
    given_up = owned if native else missing(owned, theirs)
    kept = tuple(word for word in entry.kargs if missing((word,), given_up))
    kept += missing(wanted, kept)
    robbed = [name for name, words in sources.items() if missing(present(words, entry.kargs), kept)]
    kept += missing((word for name in robbed for word in sources[name]), kept)
    after = BootEntry(kept, {**sources, source: wanted} if wanted else sources)
    reason = _said(source, wanted, "from the next boot on")
    if native:
        first = [_set(source, owned)] if adopted and other else []
        again = [_set(name, sources[name]) for name in robbed]
        return KargsPlan(reason, before, after, (*first, _set(source, wanted), *again), () if source in record.sources else None)
    stage = (*deploy[:-1], *(f"--karg-append={word}" for word in kept), *deploy[-1:])
    steps = (stage,) if after.kargs != entry.kargs else ()
    return KargsPlan(reason, before, after, steps, missing((*wanted, *record.sources.get(source, ())), ()))


def deploy_command(host: Host) -> Step:
    """libostree's command that stages what boots next again, without any kernel argument yet; the last word is its commit.

    :raises BootcError: C(boot_entry_invalid)
    """
    deployment = host.staged or host.booted
    if deployment is None or deployment.identity is None or host.booted is None:
        raise BootcError("'bootc status' names no ostree deployment.", error="boot_entry_invalid")
    where = boot_entry.deployment_root(host.booted).rpartition("/deploy/")[0]
    checksum = deployment.identity.rpartition(".")[0]
    return (
        "ostree",
        "admin",
        "deploy",
        "--stage",
        "--no-prune",
        f"--stateroot={os.path.basename(where)}",
        f"--origin-file={where}/deploy/{deployment.identity}.origin",
        "--karg-none",
        checksum,
    )


def has_loader_entries(bootc: Bootc) -> bool:
    """Whether this bootc and its libostree keep owners themselves."""
    return bootc.capabilities.has("loader_entries") and libostree_version(bootc.run(("ostree", "--version"))) >= LIBOSTREE_NEEDED


def libostree_version(text: str) -> tuple[int, int]:
    """Read C(ostree --version); C((0, 0)) if there is none in it."""
    match = re.search(r"Version: '?(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


@dataclass
class Record:
    """What each source has set while `bootc loader-entries` was not to be had, as far as it is in any boot entry still."""

    sources: dict[str, Kargs] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Record:
        try:
            found = json.loads(Path(boot_entry.ROOT, RECORD).read_text())
            return cls({str(name): tuple(map(str, words)) for name, words in found.items()})
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise BootcError(
                f"/{RECORD} cannot be read: {error}.",
                error="boot_entry_invalid",
                hint="It remembers which kernel arguments belong to whom. Mend it, or remove it to have them belong to nobody.",
            ) from None

    def with_owners(self, entry: BootEntry) -> BootEntry:
        """:returns: the entry with the owners that only the record knows"""
        owned = {name: present(words, entry.kargs) for name, words in self.sources.items()}
        return replace(entry, sources={**{name: words for name, words in owned.items() if words}, **entry.sources})

    def write(self, source: str, kargs: Kargs) -> None:
        self.sources[source] = present(kargs, boot_entry.all_kargs())
        self.sources = {name: words for name, words in self.sources.items() if words}
        path = Path(boot_entry.ROOT, RECORD)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(self.sources, indent=1) + "\n", 0o644)


def _set(source: str, kargs: Kargs) -> Step:
    step: Step = ("bootc", "loader-entries", "set-options-for-source", "--source", source)
    return (*step, "--options", " ".join(kargs)) if kargs else step


def _said(source: str, kargs: Kargs, when: str) -> str:
    return f"'{source}' owns {' '.join(kargs) or 'no kernel arguments'} {when}"
