# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How each victim is killed, and what it takes until work can go on."""

from __future__ import annotations

import time
from collections.abc import Callable

from verbs import TICK_SECONDS, Running, Verb

OUTAGE_SECONDS = 2.0


def module(verb: Verb, running: Running) -> bool:
    """The module's own process, by which what it started is left alone: a kill of the system for want of memory."""
    return _as_soon_as(running, verb.host.kill_modules)


def tree(verb: Verb, running: Running) -> bool:
    """Everything that runs on the host for this play."""
    return _as_soon_as(running, verb.host.kill_workers)


def ssh(verb: Verb, running: Running) -> bool:
    """The connections, at the host's side."""
    return _as_soon_as(running, verb.host.kill_sessions)


def controller(verb: Verb, running: Running) -> bool:
    return running.kill()


def registry(verb: Verb, running: Running) -> bool:
    """It is back when the play has ended."""
    return _away(verb, running, None)


def outage(verb: Verb, running: Running) -> bool:
    """The registry is back after a moment, for which a patient client waits."""
    return _away(verb, running, OUTAGE_SECONDS)


def _away(verb: Verb, running: Running, seconds: float | None) -> bool:
    if running.ended():
        return False
    verb.stop_registry()
    running.wait(seconds)
    verb.start_registry()
    return True


def power(verb: Verb, running: Running) -> bool:
    if running.ended():
        return False
    verb.cut_power()
    return True


STRIKES: dict[str, Callable[[Verb, Running], bool]] = {
    "module": module,
    "tree": tree,
    "ssh": ssh,
    "controller": controller,
    "registry": registry,
    "outage": outage,
    "power": power,
}


def strike(victim: str, verb: Verb, running: Running, seconds: float) -> bool:
    """Kill the victim so many seconds after the verb was seen at work.

    :returns: whether there was one, before the play ended
    """
    begun = running.begin(verb.host)
    running.wait(max(0.0, begun + seconds - time.monotonic()) if begun else None)
    return STRIKES[victim](verb, running)


def _as_soon_as(running: Running, kill: Callable[[], int]) -> bool:
    """Plays do this and that on the controller between modules."""
    while not running.ended():
        if kill():
            return True
        time.sleep(TICK_SECONDS)
    return False
