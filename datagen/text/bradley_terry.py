"""How strong each player is, from who beat whom: Bradley and Terry's model (Biometrika 39, 1952)."""

from __future__ import annotations

import math
from collections.abc import Mapping

_CLOSE = 1e-9
_MOST_SWEEPS = 10_000


def strengths(games: Mapping[tuple[int, int], tuple[float, float]], players: int, *, prior: float = 1.0) -> list[float]:
    """The log-strength of each player: ``i`` beats ``j`` with probability ``sigmoid(s_i - s_j)``.

    ``games`` maps two players to the wins of each over the other, a tie being half a win for both. ``prior`` games of
    everyone against a player of strength 0, won half, keep those finite who won or lost all of theirs. The maximum is
    unique, and found by the MM algorithm (Hunter, Annals of Statistics 32, 2004).
    """
    won = [prior / 2] * players
    met: list[list[tuple[int, float]]] = [[] for _ in range(players)]
    for (one, two), (first, second) in games.items():
        won[one] += first
        won[two] += second
        met[one].append((two, first + second))
        met[two].append((one, first + second))
    gammas = [1.0] * players
    for _ in range(_MOST_SWEEPS):
        change = 0.0
        for at, gamma in enumerate(gammas):
            expected = prior / (gamma + 1.0) + sum(count / (gamma + gammas[other]) for other, count in met[at])
            gammas[at] = won[at] / expected
            change = max(change, abs(gammas[at] - gamma) / gamma)
        if change < _CLOSE:
            break
    return [math.log(gamma) for gamma in gammas]
