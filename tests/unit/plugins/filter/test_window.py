# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintenance windows: over midnight, by weekday, in another zone, over the change of the clocks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.imagemode.bootc.plugins.filter.window import window

NIGHT = {"start": "22:00", "end": "04:00", "timezone": "Europe/Berlin", "weekdays": ["sat"]}  # 2026-11-21 is a Saturday


@pytest.mark.parametrize(
    ("windows", "now", "is_open", "opens"),
    [
        (NIGHT, "2026-11-21T20:59+00:00", False, "2026-11-21T22:00+01:00"),
        (NIGHT, "2026-11-21T21:00+00:00", True, "2026-11-28T22:00+01:00"),
        (NIGHT, "2026-11-22T02:59+00:00", True, "2026-11-28T22:00+01:00"),
        (NIGHT, "2026-11-22T03:00+00:00", False, "2026-11-28T22:00+01:00"),
        ([NIGHT, {"start": "12:00", "end": "13:00"}], "2026-11-22T12:30+00:00", True, "2026-11-23T12:00+00:00"),
        ({"start": 720, "end": 780}, "2026-11-22T12:30+00:00", True, "2026-11-23T12:00+00:00"),
        ({"start": "9:00", "end": "9:00"}, "2026-11-22T03:00+00:00", True, "2026-11-22T09:00+00:00"),
        # The night in which the clock goes from 3 back to 2: half past two comes twice, and the window is four hours long.
        ({"start": "01:00", "end": "04:00", "timezone": "Europe/Berlin"}, "2026-10-25T00:30+00:00", True, "2026-10-26T01:00+01:00"),
        ({"start": "01:00", "end": "04:00", "timezone": "Europe/Berlin"}, "2026-10-25T02:59+00:00", True, "2026-10-26T01:00+01:00"),
        # The night in which it goes from 2 to 3, at 1 in UTC: what is between is not there, and half past two is at three.
        ({"start": "22:00", "end": "02:30", "timezone": "Europe/Berlin"}, "2026-03-29T00:59+00:00", True, "2026-03-29T22:00+02:00"),
        ({"start": "22:00", "end": "02:30", "timezone": "Europe/Berlin"}, "2026-03-29T01:15+00:00", False, "2026-03-29T22:00+02:00"),
        ({"start": "02:30", "end": "03:30", "timezone": "Europe/Berlin"}, "2026-03-29T00:59+00:00", False, "2026-03-29T03:00+02:00"),
        ({"start": "02:30", "end": "03:30", "timezone": "Europe/Berlin"}, "2026-03-29T01:15+00:00", True, "2026-03-30T02:30+02:00"),
        ({"start": "02:15", "end": "02:45", "timezone": "Europe/Berlin"}, "2026-03-29T01:20+00:00", False, "2026-03-30T02:15+02:00"),
        ("", "2026-11-22T03:00+00:00", True, None),
    ],
)
def test_a_window_is_open_from_its_start_to_its_end(windows: Any, now: str, is_open: bool, opens: str | None) -> None:
    state = window(windows, now)
    assert state["open"] is is_open
    assert state["opens"] == opens
    assert bool(state["closes"]) is (is_open and bool(windows))


def test_jitter_opens_the_window_of_each_host_at_a_time_of_its_own() -> None:
    night = {**NIGHT, "jitter": 60}
    opens = [str(window(night, "2026-11-20T00:00+00:00", host=f"web{number}")["opens"]) for number in range(200)]
    assert min(opens) >= "2026-11-21T22:00+01:00"
    assert max(opens) < "2026-11-21T23:01+01:00"
    assert len(set(opens)) > 50
    assert window(night, "2026-11-20T00:00+00:00", host="web7")["opens"] == opens[7], "it is always the same"
    with pytest.raises(AnsibleFilterError, match="jitter"):
        window({**NIGHT, "jitter": "-5"}, "2026-11-20T00:00+00:00")


def test_a_jitter_that_keeps_hosts_out_of_the_window_for_good_is_an_error() -> None:
    """The host 'web3' comes 34 minutes after the start with a jitter of 60, and after the end of such a window with one of 600."""
    hour = {"start": "23:30", "end": "00:30"}
    assert window({**hour, "jitter": 60}, "2026-11-20T00:00+00:00", host="web3")["opens"]
    with pytest.raises(AnsibleFilterError, match=r"jitter of 61 minutes .* 60 minutes long"):
        window({**hour, "jitter": "61"}, "2026-11-20T00:00+00:00", host="web3")
    assert window({"start": "04:00", "end": "04:00", "jitter": 1440}, "2026-11-20T00:00+00:00", host="web3")["opens"]


@pytest.mark.parametrize("days", ["sat", "Sat, sun", ["sat", "sun"], '["sat", "sun"]'])
def test_windows_are_what_people_and_surveys_write(days: Any) -> None:
    weekend = {**NIGHT, "weekdays": days}
    states = [window(written, "2026-11-21T21:00+00:00") for written in (weekend, [weekend], json.dumps([weekend]))]
    assert [state["open"] for state in states] == [True] * 3


def test_now_is_now() -> None:
    assert window({"start": "00:00", "end": "00:00"})["open"] is True


@pytest.mark.parametrize(
    "windows",
    [
        {"start": "22:00"},
        {"start": "25:00", "end": "01:00"},
        {**NIGHT, "weekdays": ["someday"]},
        {**NIGHT, "timezone": "Berlin"},
        {**NIGHT, "timezone": "Europe"},
        {**NIGHT, "timezone": 1},
        {**NIGHT, "start": "22:00+05:00"},
        {**NIGHT, "start": "22:00+05:00", "end": "04:00+05:00"},
        {**NIGHT, "until": "04:00"},
        "22:00-04:00",
    ],
)
def test_what_is_no_window_is_an_error(windows: Any) -> None:
    with pytest.raises(AnsibleFilterError):
        window(windows)
