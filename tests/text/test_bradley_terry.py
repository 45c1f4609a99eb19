from __future__ import annotations

import math
import random

import pytest

from datagen.text.bradley_terry import strengths


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_two_players_by_hand() -> None:
    (one, two) = strengths({(0, 1): (3.0, 1.0)}, 2, prior=1e-9)
    assert one - two == pytest.approx(math.log(3), abs=1e-5)


def test_the_gradient_of_the_posterior_vanishes() -> None:
    rng = random.Random(0)
    games = {(a, b): (w := float(rng.random() < 0.7), 1 - w) for a in range(12) for b in range(a) if rng.random() < 0.5}
    found = strengths(games, 12)
    for at in range(12):
        gradient = 0.5 - sigmoid(found[at])
        for (one, two), (first, second) in games.items():
            expected = (first + second) * sigmoid(found[one] - found[two])
            gradient += (at == one) * (first - expected) - (at == two) * (first - expected)
        assert gradient == pytest.approx(0, abs=1e-6)


def test_who_won_or_lost_all_has_a_finite_strength_and_who_never_played_has_none_to_speak_of() -> None:
    best, worst, idle = strengths({(0, 1): (5.0, 0.0)}, 3)
    assert math.isfinite(best)
    assert best == pytest.approx(-worst)
    assert best > 1
    assert idle == pytest.approx(0)


def test_strengths_that_made_the_games_come_back() -> None:
    rng = random.Random(1)
    true = [rng.gauss(0, 1) for _ in range(8)]
    games = {}
    for a in range(8):
        for b in range(a):
            won = sum(rng.random() < sigmoid(true[a] - true[b]) for _ in range(4000))
            games[a, b] = (float(won), 4000.0 - won)
    found = strengths(games, 8)
    centre = sum(found) / 8 - sum(true) / 8
    assert max(abs(f - t - centre) for f, t in zip(found, true, strict=True)) < 0.1
