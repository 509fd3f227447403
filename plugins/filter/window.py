# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a maintenance window is open."""

from __future__ import annotations

DOCUMENTATION = r"""
name: window
short_description: Whether a maintenance window is open, and when the next one opens
version_added: 0.1.0
author: Contributors to the imagemode.bootc project (@imagemode)
description:
  - Tells for one or several weekly windows whether one of them is open.
  - The clock is the controller's; the hosts' clocks do not count.
options:
  _input:
    description:
      - A window, or a list of them. An empty value is a window that is always open.
      - Each has C(start) and C(end), both C(HH:MM). One that ends before it starts ends on the next day;
        one that ends when it starts lasts a day.
      - C(timezone) is a name of the time zone database, V(UTC) unless told. Daylight saving time is followed.
        In the night in which the clock jumps, a time that it jumps over is that of the jump.
      - C(jitter) is a number of minutes by which the window opens later, up to it; how much depends on O(host), so that not all hosts
        come at the same time. The window closes as told, and may not be shorter than its jitter.
      - C(weekdays) are the days on which it starts, by their first three letters or more, a list or words. Every day unless told.
    type: raw
    required: true
  host:
    description: Name of the host, for C(jitter).
    type: str
    default: ""
  now:
    description: The time to look at, as ISO 8601 with an offset, instead of now.
    type: str
"""

EXAMPLES = r"""
- name: Say when the weekend's night is
  ansible.builtin.debug:
    msg: "Open: {{ state.open }}. Opens at {{ state.opens }}."
  vars:
    state: "{{ {'start': '22:00', 'end': '04:00', 'timezone': 'Europe/Berlin', 'weekdays': ['sat', 'sun']} | imagemode.bootc.window }}"
"""

RETURN = r"""
_value:
  description:
    - C(open), a boolean; C(closes), when the open window closes; C(opens), when the next one opens.
    - Times are ISO 8601 in the window's time zone, or null.
  type: dict
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ansible.errors import AnsibleFilterError
from ansible_collections.imagemode.bootc.plugins.filter.listed import listed

_NEEDED = {"start", "end"}
_KNOWN = {"start", "end", "timezone", "weekdays", "jitter"}
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def window(windows: Any, now: str | None = None, host: str = "") -> dict[str, Any]:
    moment = datetime.fromisoformat(now) if now else datetime.now(timezone.utc)
    if moment.tzinfo is None:
        raise AnsibleFilterError(f"The time {now!r} has no offset from UTC.")
    described = listed(windows)
    if not described:
        return {"open": True, "opens": None, "closes": None}
    # In UTC, because times in the same zone are compared by the clock on the wall, which goes back once a year.
    moment = moment.astimezone(timezone.utc)
    openings = [opening for each in described for opening in _openings(each, moment, host)]
    closes = [end for start, end in openings if start <= moment < end]
    opens = [start for start, _end in openings if start > moment]
    return {
        "open": bool(closes),
        "closes": max(closes, key=datetime.timestamp).isoformat(timespec="minutes") if closes else None,
        "opens": min(opens, key=datetime.timestamp).isoformat(timespec="minutes") if opens else None,
    }


def _openings(described: Any, moment: datetime, host: str) -> Iterator[tuple[datetime, datetime]]:
    """Those from yesterday to a week ahead."""
    if not isinstance(described, Mapping) or not _NEEDED <= set(described) <= _KNOWN:
        raise AnsibleFilterError(f"Not a window: {described!r}. It has start and end, and may have timezone, weekdays and jitter.")
    start, end = _clock(described["start"]), _clock(described["end"])
    name = described.get("timezone") or "UTC"
    try:
        zone = ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # that of a directory is IsADirectoryError
        raise AnsibleFilterError(f"The controller knows no time zone {name!r}. Names are like Europe/Berlin.") from None
    weekdays = [_weekday(word) for word in listed(described.get("weekdays"), "words") or DAYS]
    later = _jitter(described.get("jitter") or 0, host, _length(start, end))
    today = moment.astimezone(zone).date()
    for offset in range(-1, 9):
        day = today + timedelta(days=offset)
        if day.weekday() in weekdays:
            opens = _at(day, start, zone) + later
            closes = _at(day + timedelta(days=int(end <= start)), end, zone)
            if opens < closes:
                yield opens.astimezone(zone), closes.astimezone(zone)


def _length(start: time, end: time) -> int:
    """In minutes, as the clock on the wall has it."""
    return (60 * (end.hour - start.hour) + end.minute - start.minute) % (24 * 60) or 24 * 60


def _jitter(minutes: Any, host: str, length: int) -> timedelta:
    """How much later the window of a host opens: always the same for a host, and spread evenly over hosts."""
    if not str(minutes).isdecimal():
        raise AnsibleFilterError(f"Not a number of minutes for jitter: {minutes!r}.")
    if int(minutes) > length:
        raise AnsibleFilterError(f"A jitter of {minutes} minutes keeps hosts for good out of a window that is {length} minutes long.")
    share = int.from_bytes(hashlib.sha256(host.encode()).digest()[:4], "big") / 2**32
    return timedelta(seconds=round(int(minutes) * 60 * share))


def _at(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """:returns: in UTC; of a time that comes twice a year the first, and for one that the clock jumps over the jump"""
    told = datetime.combine(day, clock, zone)
    moment, jumped = told.astimezone(timezone.utc), told.replace(fold=1).astimezone(timezone.utc)
    while jumped < moment and jumped.astimezone(zone).utcoffset() != moment.astimezone(zone).utcoffset():
        jumped += timedelta(minutes=1)
    return min(moment, jumped)


def _clock(text: Any) -> time:
    # YAML reads 22:00 without quotes as 22 times 60.
    if isinstance(text, int) and not isinstance(text, bool) and 0 <= text < 24 * 60:
        return time(*divmod(text, 60))
    try:
        clock = time.fromisoformat(str(text).zfill(5))
        if clock.tzinfo:
            raise ValueError
    except ValueError:
        raise AnsibleFilterError(f"Not a time of day: {text!r}. Write it as HH:MM.") from None
    return clock


def _weekday(word: Any) -> int:
    found = [number for number, day in enumerate(DAYS) if len(str(word)) >= 3 and day.startswith(str(word).lower())]
    if not found:
        raise AnsibleFilterError(f"Not a weekday: {word!r}. They are {', '.join(DAYS)}.")
    return found[0]


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"window": window}
