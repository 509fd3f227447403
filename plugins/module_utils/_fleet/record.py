# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host of the fleet as it was seen: what runs, what is next, what was wanted, how the last run ended. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

# What a host is called in a report, worst first. A host has the first one that fits.
STATES = ("unreachable", "unmanaged", "failed", "rolled_back", "reboot_required", "drifted", "current", "unknown")
_FAILURES = ("failed", "rolled_back")
# The types of a record's fields, as annotated → whether a value of JSON is one.
_IS: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "str | None": lambda value: value is None or isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "tuple[str, ...]": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
}


@dataclass(frozen=True)
class Record:
    """One look at a host.

    :ivar time: when it was looked at, ISO 8601 in UTC; empty if nobody has yet
    :ivar wanted: the digest that it should run; C(None) if nobody said
    :ivar platform_digest: the other digest of the wanted image: for the host's platform, where I(wanted) is that of an index, or the one
        under which the host has the same files
    :ivar result: how the last run over it ended: C(unchanged), C(staged), C(updated), C(rolled_back), C(failed), C(unreachable),
        C(waiting) for its window
    :ivar created: when the booted image was made, ISO 8601
    :ivar timer: C(active), C(inactive), or C(None) if it was not asked for
    """

    host: str
    time: str
    managed: bool = False
    image: str | None = None
    digest: str | None = None
    version: str | None = None
    created: str | None = None
    staged_digest: str | None = None
    download_only: bool = False
    rollback_digest: str | None = None
    rollback_queued: bool = False
    reboot_required: bool = False
    backend: str | None = None
    bootloader: str | None = None
    bootc_version: str | None = None
    timer: str | None = None
    wanted: str | None = None
    platform_digest: str | None = None
    wave: str | None = None
    result: str | None = None
    message: str | None = None
    groups: tuple[str, ...] = ()

    @property
    def drifted(self) -> bool | None:
        """Whether another image runs than the wanted one; C(None) if nobody said which is wanted."""
        return None if self.wanted is None else self.digest not in (self.wanted, self.platform_digest or self.wanted)

    @property
    def age_days(self) -> int | None:
        """How old the booted image was when the host was looked at; C(None) where bootc tells no date of it."""
        made, seen = _moment(self.created), _moment(self.time)
        return (seen - made).days if made and seen else None

    @property
    def state(self) -> str:
        if not self.time:
            return "unknown"
        if self.result == "unreachable":
            return "unreachable"
        if self.result in _FAILURES and self.drifted is not False:
            return str(self.result)
        if not self.managed:
            return "unmanaged"
        if self.reboot_required:
            return "reboot_required"
        return {None: "unknown", True: "drifted", False: "current"}[self.drifted]

    def as_row(self) -> dict[str, Any]:
        """:returns: the record and what follows from it, flat"""
        follows = {"drifted": self.drifted, "age_days": self.age_days}
        return {"host": self.host, "state": self.state, **asdict(self), "groups": list(self.groups), **follows}


_CHECKS = {field.name: _IS[str(field.type)] for field in fields(Record)}
COLUMNS = ("host", "state", *(field.name for field in fields(Record) if field.name != "host"), "drifted", "age_days")


def _moment(text: str | None) -> datetime | None:
    """To the second, and as if in UTC: a difference of days wants no more, and Python before 3.11 reads no nanoseconds and no Z."""
    try:
        return datetime.fromisoformat((text or "")[:19])
    except ValueError:
        return None


def from_info(host: str, time: str, info: Mapping[str, Any], **more: Any) -> Record:
    """:param info: what the module bootc_info returned; empty if the host could not be asked
    :param more: fields that the host itself does not know
    """
    state: Mapping[str, Any] = info.get("host") or {}
    booted: Mapping[str, Any] = state.get("booted") or {}
    staged: Mapping[str, Any] = state.get("staged") or {}
    timer = info.get("timer")
    return Record(
        host=host,
        time=time,
        managed=bool(info.get("managed")),
        image=state.get("image"),
        digest=booted.get("digest"),
        version=booted.get("version"),
        created=booted.get("timestamp"),
        staged_digest=staged.get("digest"),
        download_only=bool(staged.get("download_only")),
        rollback_digest=(state.get("rollback") or {}).get("digest"),
        rollback_queued=bool(state.get("rollback_queued")),
        reboot_required=bool(info.get("reboot_required")),
        backend=info.get("backend"),
        bootloader=booted.get("bootloader"),
        bootc_version=info.get("bootc_version"),
        timer=None if timer is None else ("active" if timer.get("active") else "inactive"),
        **more,
    )


def after(before: Record | None, seen: Record) -> Record:
    """What is known of a host after another look: a look that was not told what is wanted, or how a run ended, leaves that as it
    was; a host that could not be reached is as it was seen last.
    """
    if before is None:
        return seen
    if seen.result == "unreachable":
        new = seen.wanted not in (None, before.wanted)
        wanted: dict[str, Any] = {"wanted": seen.wanted, "platform_digest": seen.platform_digest} if new else {}
        return replace(before, time=seen.time, result="unreachable", message=seen.message, wave=seen.wave or before.wave, **wanted)
    if seen.wanted is not None and seen.wanted == before.platform_digest and seen.platform_digest is None:
        # A report names the image for the platform, and a rollout that goes on knows it by its index.
        seen = replace(seen, wanted=before.wanted)
    kept = {name: getattr(before, name) for name in ("wanted", "wave", "timer") if getattr(seen, name) is None}
    if seen.wanted in (None, before.wanted) and seen.platform_digest is None:
        kept["platform_digest"] = before.platform_digest
    if seen.result is None and before.result != "unreachable":
        kept.update(result=before.result, message=before.message)
    return replace(seen, **kept)


def from_json(document: Mapping[str, Any]) -> Record:
    """:param document: a line of the journal; fields that this version does not know are left out
    :raises TypeError: it names no host or no time, or a field is of another type
    """
    values = {name: document[name] for name in _CHECKS if name in document}
    wrong = [name for name, value in values.items() if not _CHECKS[name](value)]
    if wrong:
        raise TypeError(f"of another type: {', '.join(wrong)}")
    return Record(**{**values, "groups": tuple(values.get("groups", ()))})
