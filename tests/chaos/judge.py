# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What came of a kill: the old state, the new one, or a refusal. Everything else is wrong."""

from __future__ import annotations

from dataclasses import dataclass

OLD, NEW, REFUSED, WRONG = "old", "new", "refused", "WRONG"


@dataclass(frozen=True)
class State:
    """What a thing is now, and what it will be by itself: after the next boot, for a host; the same, for an image or a tag.

    What is in pieces has a name of its own that says so.
    """

    now: str | None
    next: str | None


@dataclass(frozen=True)
class Ending:
    """How a play ended.

    :ivar rc: its return code; C(None) if it was killed
    :ivar error: the code that a failed task gave, C(None) if there was none
    """

    rc: int | None
    error: str | None = None


@dataclass(frozen=True)
class Verdict:
    word: str
    why: str = ""


def judge(before: State, wanted: State, after: State, ending: Ending, victim: str, codes: frozenset[str]) -> Verdict:
    """:param before: what a power cut leaves of it is the present alone
    :param codes: the codes that a refusal may have
    """
    nexts = {before.next, wanted.next, *([before.now] if victim == "power" else [])}
    if after == wanted:
        return Verdict(NEW)  # whoever was killed, or lost the registry, could not look any more
    if ending.rc == 0:
        return Verdict(WRONG, f"it was said to have succeeded, and there is {after}, not {wanted}")
    if after.now != before.now or after.next not in nexts:
        return Verdict(WRONG, f"there is {after}, neither {before} nor {wanted}")
    if victim in ("registry", "outage"):
        # Nobody was killed who could not say what happened.
        return Verdict(REFUSED) if ending.error in codes else Verdict(WRONG, f"it was refused with {ending.error}, which is no code")
    return Verdict(REFUSED if ending.error in codes else OLD)
