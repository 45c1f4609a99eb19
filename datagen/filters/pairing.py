"""Who meets whom in a round of a Swiss tournament."""

from __future__ import annotations

import random
from collections.abc import Sequence


def swiss_pairs(
    players: Sequence[int], points: Sequence[float], met: Sequence[set[int]], rng: random.Random
) -> list[tuple[int, int]]:
    """Players with as many points, or nearly, who have not met; equals in random order.

    One that is left over (an odd number, or all near ones met) has a further game with the nearest whom it has not met.
    """
    order = rng.sample(players, len(players))
    order.sort(key=lambda at: -points[at])
    pairs: list[tuple[int, int]] = []
    left: list[int] = []
    paired: set[int] = set()
    for place, one in enumerate(order):
        if one in paired:
            continue
        below = (order[at] for at in range(place + 1, len(order)))
        two = next((at for at in below if at not in paired and at not in met[one]), None)
        if two is None:
            left.append(one)
        else:
            paired |= {one, two}
            pairs.append((one, two))
    meeting = {frozenset(pair) for pair in pairs}
    for one in left:
        free = [at for at in order if at != one and at not in met[one] and frozenset((one, at)) not in meeting]
        if free:
            pairs.append((one, min(free, key=lambda at: abs(points[at] - points[one]))))
            meeting.add(frozenset(pairs[-1]))
    return pairs
