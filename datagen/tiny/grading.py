"""How well the teacher grades: its own sampled answers, the grade it writes, and the expected grade.

The expected grade weighs the digits by their chances (G-Eval, arXiv 2303.16634); it breaks the ties of whole grades.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from datagen.text.parsing import score_last
from datagen.tiny import oracle, roles, world
from datagen.tiny.commands import ask
from datagen.tiny.corrupt import corrupt
from datagen.tiny.generate import Model, render


@dataclass(frozen=True)
class Judged:
    """One graded answer and the truth about it."""

    instruction: str
    answer: str
    right: bool
    score: float
    expected: float


def own_answers(teacher: Model, rng: Random, count: int, samples: int = 1) -> list[tuple[str, str]]:
    """Held-out tasks, each with ``samples`` answers of the teacher at temperature 1, side by side."""
    tasks = [world.draw(rng, held_out=True, novel=rng.random() < 0.5).prompt for _ in range(count)]
    tasks = [task for task in tasks for _ in range(samples)]
    given = teacher.reply([[roles.user(task)] for task in tasks], temperature=1.0, seed=rng.randrange(2**31))
    return list(zip(tasks, given, strict=True))


def corrupted_pairs(rng: Random, count: int) -> list[tuple[str, str]]:
    """Held-out tasks, each with its right answer and a corrupted one side by side, in random order."""
    pairs = []
    for _ in range(count):
        item = world.draw(rng, held_out=True, novel=rng.random() < 0.5)
        both = [(item.prompt, item.answer), (item.prompt, corrupt(rng, item))]
        pairs += rng.sample(both, 2)
    return pairs


def judge(teacher: Model, pairs: Sequence[tuple[str, str]], wording: int = 0) -> list[Judged]:
    """Grade each answer as the shipped prompt lays it out; a reply without a score counts as 0."""
    chats = [
        ask("grade/accuracy", wording=wording, prompt=[roles.user(task)], instruction=task, answer=text)
        for task, text in pairs
    ]
    replies = teacher.reply(chats)
    heads = [render(chat) + " " + said.rpartition(":")[0] + ":" for chat, said in zip(chats, replies, strict=True)]
    weights = teacher.digit_weights(heads)
    expected = [sum(d * w for d, w in enumerate(row)) / max(1e-9, sum(row)) for row in weights]
    return [
        Judged(task, text, bool(oracle.check(task, text)), score_last(said) or 0.0, mean)
        for (task, text), said, mean in zip(pairs, replies, expected, strict=True)
    ]


def area_under_curve(scores: Sequence[float], right: Sequence[bool]) -> float:
    """The chance that a right answer scores above a wrong one, ties counting half (Mann and Whitney)."""
    good = [score for score, mark in zip(scores, right, strict=True) if mark]
    bad = [score for score, mark in zip(scores, right, strict=True) if not mark]
    wins = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    return wins / max(1, len(good) * len(bad))


def compare(teacher: Model, pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Pairs of answers of which exactly one is right: the higher grade wins, equal grades tie.

    Each answer is graded alone, so the order in which two are shown cannot matter: consistency is 1 by construction.
    """
    graded = judge(teacher, pairs)
    couples = [(a, b) for a, b in zip(graded[::2], graded[1::2], strict=True) if a.right != b.right]
    whole = [_win(a, b, a.score - b.score) for a, b in couples]
    finer = [_win(a, b, a.expected - b.expected) for a, b in couples]
    total = max(1, len(couples))
    return {
        "pairs": len(couples),
        "right by whole grades": round(whole.count(1) / total, 4),
        "ties by whole grades": round(whole.count(0) / total, 4),
        "right by expected grades": round(finer.count(1) / total, 4),
        "same verdict in both orders": 1.0,
    }


def _win(first: Judged, second: Judged, lead: float) -> int:
    """1 where the lead points to the right answer, -1 where to the wrong one, 0 for a tie."""
    sign = (lead > 0) - (lead < 0)
    return sign if first.right else -sign
