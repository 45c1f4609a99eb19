"""Rate all answers of a record on several aspects, as UltraFeedback does (arXiv 2310.01377): the raw stuff of pairs.

One request for each aspect shows all answers, shuffled. Deviations: the reason comes before the rating, and the overall
score is the mean of the aspects, not a rating of its own: a ten that meant a one was UltraFeedback's best-known bug.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec

from datagen.errors import ConfigError
from datagen.llm import judge, judge_lists
from datagen.llm.client import LLM
from datagen.record import Record
from datagen.stage import PromptName

_PAPER = ("instruction_following", "honesty", "truthfulness", "helpfulness")


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` where there is nothing to rate."""
    if not arguments["aspects"]:
        raise ConfigError("rate: aspects: name at least one, such as helpfulness")


async def rate(
    record: Record,
    *,
    llm: LLM,
    rng: random.Random,
    aspects: tuple[str, ...] = _PAPER,
    prompt: PromptName = PromptName("rate/aspects"),
) -> list[Record]:
    """The record with a score from 1 to 5 for each answer under each aspect's name, and their mean as ``rating``.

    The judge's words are a note of the record's first answer. A row on one of whose aspects the reply cannot be read is
    dropped with that reply, whatever the other aspects said.
    """
    check({"aspects": aspects})
    if not record.answers:
        return [record.drop("rate:no_answer")]
    judge.warn_of_kin(llm, record.answers)
    texts = [answer.content for answer in record.answers]
    seeds = [random.Random(rng.random()) for _ in aspects]
    asked = [
        judge_lists.rate(llm, prompt, aspect, record.prompt, texts, own)
        for aspect, own in zip(aspects, seeds, strict=True)
    ]
    found = dict(zip(aspects, await asyncio.gather(*asked), strict=True))
    answers = list(record.answers)
    for aspect, judged in found.items():
        if judged.scores is None:
            return [record.drop(f"rate:{judged.failure}", aspect=aspect, raw=list(judged.replies))]
        answers = [answer.scored(aspect, judged.scores[answer.content]) for answer in answers]
        answers[0] = msgspec.structs.replace(
            answers[0], notes={**answers[0].notes, aspect: "\n\n".join(judged.replies)}
        )
    means = [sum(answer.scores[aspect] for aspect in aspects) / len(aspects) for answer in answers]
    rated = [answer.scored("rating", mean) for answer, mean in zip(answers, means, strict=True)]
    return [msgspec.structs.replace(record, answers=tuple(rated))]
