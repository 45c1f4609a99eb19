"""Rank K answers of a record by one judge, best first: what InstructGPT's labellers do (arXiv 2203.02155)."""

from __future__ import annotations

import random

import msgspec

from datagen.llm import judge, judge_lists
from datagen.llm.client import LLM
from datagen.record import Record
from datagen.stage import PromptName

_MOST = 26  # the prompt names the answers A to Z


async def rank(
    record: Record,
    *,
    llm: LLM,
    rng: random.Random,
    prompt: PromptName = PromptName("judge/rank"),
    min_agreement: float = 0.0,
) -> list[Record]:
    """The record with its answers best first, each with its score (``rank``); a child if any changed its place.

    The judge sees the answers in a shuffled order and in its reverse; the score is the share of the others that an
    answer beats over both, so that equals have equal scores. ``min_agreement`` is the least share of pairs on which
    both orders must agree; the label ``rank_agreement`` keeps it. The label ``length_difference`` is the best answer's
    words less the worst's: judges like what is long.
    """
    texts = [answer.content for answer in record.answers]
    if not 2 <= len(texts) <= _MOST:
        return [record.drop("rank:not_several", answers=len(texts))]
    if len(set(texts)) < 2:
        return [record.drop("rank:identical")]
    judge.warn_of_kin(llm, record.answers)
    judged = await judge_lists.rank(llm, prompt, record.prompt, texts, rng)
    raw = list(judged.replies)
    if judged.scores is None:
        return [record.drop(f"rank:{judged.failure}", raw=raw)]
    if judged.agreement < min_agreement:
        return [record.drop("rank:inconsistent", agreement=judged.agreement, raw=raw)]
    if len(set(judged.scores.values())) == 1:
        return [record.drop("rank:tie", scores=list(judged.scores.values()), raw=raw)]
    scored = [answer.scored("rank", judged.scores[answer.content]) for answer in record.answers]
    ranked = tuple(sorted(scored, key=lambda answer: -answer.scores["rank"]))
    longer = len(ranked[0].content.split()) - len(ranked[-1].content.split())
    labelled = record.labelled(rank_agreement=round(judged.agreement, 3), length_difference=longer)
    if [answer.content for answer in ranked] == texts:
        return [msgspec.structs.replace(labelled, answers=ranked)]
    return [labelled.with_answers(ranked)]
