"""AlpaGasus (arXiv 2307.08701): a grader scores each answer from 0 to 5, and only the best-scored rows stay.

The paper keeps scores of 4.5 and more. A threshold does not carry from one grader or rubric to another (4.5 keeps
9,229, 5,305 or 2,022 of the same 52k), so a share of the rows can be asked for instead, and the histogram is logged.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from datagen.aio import ordered_map
from datagen.errors import ConfigError, LLMError
from datagen.llm import judge, trail
from datagen.llm.client import LLM
from datagen.record import Record
from datagen.stage import PromptName

logger = logging.getLogger("datagen")


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for both limits at once, and for a share that is none."""
    keep_top = arguments["keep_top"]
    if arguments["min_score"] is not None and keep_top is not None:
        raise ConfigError("grade: min_score and keep_top: give one of them")
    if keep_top is not None and not 0 < keep_top <= 1:
        raise ConfigError(f"grade: keep_top: {keep_top} is not a share above 0 and at most 1")


async def grade(
    records: Iterable[Record],
    *,
    llm: LLM,
    rubric: PromptName = PromptName("grade/accuracy"),
    min_score: float | None = None,
    keep_top: float | None = None,
    expected: bool = False,
) -> AsyncIterator[Record]:
    """Records whose first answer scored ``min_score`` or more (4.5 by default), or the best ``keep_top`` share of them.

    The score is kept under the rubric's name, the grader's words as its note. ``keep_top`` is a share of the rows that
    have a score, ties go to the earlier row, and it holds all rows; ``min_score`` streams. ``expected`` takes the
    probability-weighted score (G-Eval), which has far fewer ties. Raises ``ConfigError`` for both limits at once.
    """
    prompt = rubric if "/" in rubric or rubric.endswith(".j2") else f"grade/{rubric}"
    name = prompt.removesuffix(".j2").rsplit("/", 1)[-1]
    check({"min_score": min_score, "keep_top": keep_top})

    async def graded(record: Record) -> Record:
        with trail.following() as calls:
            return trail.link(await _graded(record, llm, prompt, name, expected), calls)

    rows = ordered_map(graded, records, window=llm.window)
    histogram: Counter[float] = Counter()
    chosen = _top(rows, name, keep_top, histogram) if keep_top else _above(rows, name, min_score, histogram)
    async for record in chosen:
        yield record
    counts = ", ".join(f"{score:g}: {histogram[score]}" for score in sorted(histogram))
    logger.info("grade: %s: %s", name, counts or "no row has a score")


async def _graded(record: Record, llm: LLM, prompt: str, name: str, expected: bool) -> Record:
    if not record.answers:
        return record.drop("grade:no_answer")
    judge.warn_of_kin(llm, record.answers[:1])
    try:
        found = await judge.grade(llm, prompt, record.prompt, record.answer, expected)
    except LLMError as error:
        return record.drop(f"grade:{error.reason}", **error.evidence)
    if found.score is None:
        return record.drop("grade:truncated" if found.truncated else "grade:unparsed", raw=found.reply.text)
    best = record.answers[0].scored(name, found.score, found.reply.text)
    return msgspec.structs.replace(record, answers=(best, *record.answers[1:]))


async def _above(
    rows: AsyncIterator[Record], name: str, min_score: float | None, histogram: Counter[float]
) -> AsyncIterator[Record]:
    least = 4.5 if min_score is None else min_score
    async for record in rows:
        score = _score(record, name, histogram)
        low = score is not None and score < least
        yield record.drop("grade:low_score", score=score, min_score=least) if low else record


async def _top(
    rows: AsyncIterator[Record], name: str, share: float, histogram: Counter[float]
) -> AsyncIterator[Record]:
    held = [record async for record in rows]
    scores = [_score(record, name, histogram) for record in held]
    ranked = sorted((-score, at) for at, score in enumerate(scores) if score is not None)
    kept = {at for _, at in ranked[: max(1, round(share * len(ranked)))]}
    least = -ranked[len(kept) - 1][0] if ranked else None
    for at, record in enumerate(held):
        low = scores[at] is not None and at not in kept
        yield record.drop("grade:low_score", score=scores[at], min_score=least, keep_top=share) if low else record


def _score(record: Record, name: str, histogram: Counter[float]) -> float | None:
    """The score that the grader just gave, counted to the nearest half point."""
    if record.dropped:
        return None
    score = record.answers[0].scores[name]
    histogram[round(score * 2) / 2] += 1
    return score
