"""An LLM as a judge of several answers at once: rated on an aspect (UltraFeedback, arXiv 2310.01377), or ranked.

The judge never sees the answers in the order in which they were made: UltraFeedback shuffles them, and a ranking is
asked for in a shuffled order and in its reverse. A prompt file with ``layout: pointwise`` grades each alone instead.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from datagen.llm import judge
from datagen.llm.base import Reply
from datagen.llm.client import LLM
from datagen.record import Message
from datagen.text.parsing import RANKINGS, RATINGS, choose


@dataclass(frozen=True)
class Judged:
    """A score for each answer, in their own order, or None with the reason; ``replies`` is what the judge wrote.

    ``agreement`` is the share of pairs on which two orders of a ranking agree, 1 where there was one order only.
    """

    scores: tuple[float, ...] | None
    replies: tuple[str, ...]
    failure: Literal["", "unparsed", "truncated"] = ""
    agreement: float = 1.0


async def rate(
    llm: LLM, prompt: str, aspect: str, record_prompt: Sequence[Message], answers: Sequence[str], rng: random.Random
) -> Judged:
    """A rating from 1 to 5 for each answer on one aspect (by grades, 0 to 5, in the pointwise layout).

    Raises ``LLMError``.
    """
    template = llm.prompt(prompt)
    if template.layout == "pointwise":
        return await _grades(llm, template.grade, record_prompt, answers)
    parse = choose(template.parser, RATINGS, where=template.path)
    order = rng.sample(range(len(answers)), len(answers))
    reply = await _asked(llm, prompt, record_prompt, answers, order, aspect)
    found = parse(reply.text, len(answers))
    if found is None or _is_cut(reply):
        return _failed([reply])
    by_place = dict(zip(order, found, strict=True))
    return Judged(tuple(by_place[at] for at in range(len(answers))), (reply.text,))


async def rank(
    llm: LLM, prompt: str, record_prompt: Sequence[Message], answers: Sequence[str], rng: random.Random
) -> Judged:
    """For each answer the share of the others that it beats over both orders (an equal counts half): 1 best, 0 worst.

    By grades, 0 to 5, in the pointwise layout. Raises ``LLMError``.
    """
    template = llm.prompt(prompt)
    if template.layout == "pointwise":
        return await _grades(llm, template.grade, record_prompt, answers)
    parse = choose(template.parser, RANKINGS, where=template.path)
    order = rng.sample(range(len(answers)), len(answers))
    orders = [order, order[::-1]]
    replies = await asyncio.gather(*(_asked(llm, prompt, record_prompt, answers, one) for one in orders))
    places = []
    for one, reply in zip(orders, replies, strict=True):
        groups = parse(reply.text, len(answers))
        if groups is None or _is_cut(reply):
            return _failed(replies)
        places.append({one[shown]: place for place, group in enumerate(groups) for shown in group})
    pairs = [(a, b) for a in range(len(answers)) for b in range(a)]
    agreed = [_sign(places[0][a] - places[0][b]) == _sign(places[1][a] - places[1][b]) for a, b in pairs]
    most = len(places) * (len(answers) - 1)
    scores = tuple(sum(_beaten(place, at) for place in places) / most for at in range(len(answers)))
    return Judged(scores, tuple(reply.text for reply in replies), agreement=sum(agreed) / len(agreed))


async def _asked(
    llm: LLM, prompt: str, asked: Sequence[Message], answers: Sequence[str], order: Sequence[int], aspect: str = ""
) -> Reply:
    shown = [answers[at] for at in order]
    return await llm.ask(prompt, prompt=asked, instruction=asked[-1].content, answers=shown, aspect=aspect)


async def _grades(llm: LLM, prompt: str, asked: Sequence[Message], answers: Sequence[str]) -> Judged:
    grades = await asyncio.gather(*(judge.grade(llm, prompt or "grade/accuracy", asked, one) for one in answers))
    scores = [grade.score for grade in grades if grade.score is not None]
    if len(scores) < len(answers):
        return _failed([grade.reply for grade in grades])
    return Judged(tuple(scores), tuple(grade.reply.text for grade in grades))


def _failed(replies: Sequence[Reply]) -> Judged:
    texts = tuple(reply.text for reply in replies)
    return Judged(None, texts, "truncated" if any(map(_is_cut, replies)) else "unparsed")


def _is_cut(reply: Reply) -> bool:
    return reply.finish_reason == "length"


def _beaten(place: dict[int, int], at: int) -> float:
    """How many of the others stand below; an equal counts half, which floats add up exactly."""
    return sum(1.0 if place[other] > place[at] else 0.5 for other in place if other != at and place[other] >= place[at])


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
