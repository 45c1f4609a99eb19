"""Make preference pairs of scored answers: the best against a random, the worst, or the nearest that is clearly worse.

Zephyr (arXiv 2310.16944) takes a random one of the others: against the worst alone, a student learns to tell only what
is plain. Any text that is longer tends to be scored higher, so the difference in length is kept with each pair.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from datagen.errors import ConfigError
from datagen.record import Answer, Record

_ROUNDING = 1e-9  # 4.7 - 4.5 falls short of 0.2


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a negative margin, and for ``nearest`` without one."""
    margin = arguments["min_margin"]
    if margin < 0:
        raise ConfigError(f"binarise: min_margin: {margin} is negative")
    if arguments["against"] == "margin" and not margin:
        raise ConfigError("binarise: against: margin takes the nearest answer that is min_margin worse; set min_margin")


def binarise(
    records: Iterable[Record],
    *,
    score: str = "rating",
    against: Literal["random", "worst", "margin"] = "random",
    min_margin: float = 0.0,
    min_score: float | None = None,
    rng: random.Random,
) -> Iterator[Record]:
    """A child of each record with two answers, best first, by the score named ``score``.

    The rejected one is worse, and by ``min_margin`` at least: a ``random`` one of those, the ``worst``, or the nearest
    (``margin``). Where several share the best score one is drawn, and the label ``tied_best`` says of how many; where
    none is worse the row is dropped. Labels ``margin`` and ``length_difference`` (chosen less rejected, in words).
    """
    check({"min_margin": min_margin, "against": against})
    for record in records:
        draw = random.Random(rng.random())
        scores = [answer.scores.get(score) for answer in record.answers]
        known = [one for one in scores if one is not None]
        if len(scores) < 2:
            yield record.drop("binarise:too_few", answers=len(scores))
        elif len(known) < len(scores):
            yield record.drop("binarise:no_score", score=score, scores=scores)
        elif min_score is not None and max(known) < min_score:
            yield record.drop("binarise:low_score", scores=scores, min_score=min_score)
        else:
            yield _paired(record, score, against, min_margin, draw)


def _paired(record: Record, score: str, against: str, min_margin: float, rng: random.Random) -> Record:
    top = max(answer.scores[score] for answer in record.answers)
    best = [answer for answer in record.answers if answer.scores[score] == top]
    chosen = rng.choice(best)
    worse = [answer for answer in record.answers if answer.scores[score] < top and answer.content != chosen.content]
    far = [answer for answer in worse if top - answer.scores[score] >= min_margin - _ROUNDING]
    if not far:
        scores = [answer.scores[score] for answer in record.answers]
        return record.drop("binarise:small_margin" if worse else "binarise:tie", scores=scores, min_margin=min_margin)
    rejected = _rejected(far, score, against, rng)
    labels: dict[str, Any] = {
        "margin": top - rejected.scores[score],
        "length_difference": len(chosen.content.split()) - len(rejected.content.split()),
    }
    if len(best) > 1:
        labels["tied_best"] = len(best)
    return record.with_answers((chosen, rejected)).labelled(**labels)


def _rejected(worse: list[Answer], score: str, against: str, rng: random.Random) -> Answer:
    if against == "random":
        return rng.choice(worse)
    pick = min if against == "worst" else max
    edge = pick(answer.scores[score] for answer in worse)
    return rng.choice([answer for answer in worse if answer.scores[score] == edge])
