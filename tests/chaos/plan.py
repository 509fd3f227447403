# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which kills there are to be: the same for the same seed, on any machine."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

# Of the time from the first module at work to the end of the play; later than that a play may have ended by itself.
EARLIEST, LATEST = 0.0, 0.8


@dataclass(frozen=True)
class Kill:
    """:ivar moment: as a share of what the verb takes when nothing happens to it"""

    number: int
    verb: str
    victim: str
    moment: float


def plan(seed: int, count: int, victims: Mapping[str, Sequence[str]], once: Collection[str] = ()) -> list[Kill]:
    """Every pair of a verb and a victim comes once before any comes again. A kill depends on the seed and its number alone.

    :param victims: verb → what can be killed while it is at work
    :param once: verbs whose pairs do not come again, if there are others
    :returns: `count` kills, numbered from 1
    """
    pairs = [(verb, victim) for verb, names in victims.items() for victim in names]
    kills: list[Kill] = []
    while len(kills) < count:
        random.Random(f"{seed} from {len(kills)}").shuffle(pairs)
        for verb, victim in pairs:
            number = len(kills) + 1
            kills.append(Kill(number, verb, victim, random.Random(f"{seed} number {number}").uniform(EARLIEST, LATEST)))
        pairs = [pair for pair in pairs if pair[0] not in once] or pairs
    return kills[:count]
