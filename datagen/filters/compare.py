"""Make preference pairs: a judge compares a record's two answers in both orders (MT-Bench, arXiv 2306.05685).

A judge that contradicts itself has called a tie, and a tie teaches nothing. A prompt with ``layout: pointwise`` grades
each answer instead; there a relative gap alone would pick the better of two wrong answers, hence ``min_score``.
"""

from __future__ import annotations

import msgspec

from datagen.llm import judge
from datagen.llm.client import LLM
from datagen.record import Record
from datagen.stage import PromptName


async def compare(
    record: Record,
    *,
    llm: LLM,
    prompt: PromptName = PromptName("judge/pairwise"),
    min_score: float | None = None,
    min_gap: float = 0.0,
    expected: bool = False,
) -> list[Record]:
    """The record with its better answer first, each with its score (``judge``); a child if they changed places.

    The score is the share of orders that the answer won, or its grade in the pointwise layout, for which ``min_score``
    (of the winner), ``min_gap`` and ``expected`` (probability-weighted grades) are meant. The label
    ``length_difference`` is the winner's words less the loser's: judges like what is long.
    """
    if len(record.answers) != 2:
        return [record.drop("compare:not_two", answers=len(record.answers))]
    first, second = record.answers
    if first.content == second.content:
        return [record.drop("compare:identical")]
    judge.warn_of_kin(llm, record.answers)
    verdict = await judge.pairwise(
        llm, prompt, record.prompt, first.content, second.content, min_gap=min_gap, expected=expected
    )
    raw = list(verdict.replies)
    if verdict.winner == "unparsed":
        return [record.drop("compare:truncated" if verdict.truncated else "compare:unparsed", raw=raw)]
    if verdict.winner == "tie":
        return [record.drop("compare:tie", scores=list(verdict.scores), raw=raw)]
    scores = [score for score in verdict.scores if score is not None]
    answers = [
        answer.scored("judge", score, "\n\n".join(raw)) for answer, score in zip(record.answers, scores, strict=True)
    ]
    if min_score is not None and max(scores) < min_score:
        return [record.drop("compare:low_score", scores=scores, min_score=min_score, raw=raw)]
    difference = len(first.content.split()) - len(second.content.split())
    if verdict.winner == "first":
        return [msgspec.structs.replace(record.labelled(length_difference=difference), answers=tuple(answers))]
    return [record.with_answers(reversed(answers)).labelled(length_difference=-difference)]
