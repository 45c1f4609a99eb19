"""AlpaGasus (arXiv 2307.08701): a grader scores each answer from 0 to 5, and only the best-scored rows stay.

The paper keeps scores of 4.5 and more. A threshold does not carry from one grader or rubric to another (4.5 keeps
9,229, 5,305 or 2,022 of the same 52k), so a share of the rows can be asked for instead, the histogram is reported, and
as many random rows come out beside those that were kept: what a filter is worth is what it adds to chance.
"""

from __future__ import annotations

import asyncio
import math
import random
import statistics
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec

from datagen.aio import ordered_map
from datagen.errors import ConfigError, LLMError
from datagen.filters.selection import Distribution, Limits, Selection, check_one_limit, check_share, report
from datagen.llm import judge, trail
from datagen.llm.client import LLM
from datagen.record import Record
from datagen.stage import PromptName

_PAPER = 4.5
_COMBINED: dict[str, Callable[[list[float]], float]] = {"mean": statistics.fmean, "product": math.prod}


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for settings that exclude each other, and for values out of range."""
    check_one_limit("grade", min_score=arguments["min_score"], keep_top=arguments["keep_top"])
    check_share("grade: keep_top", arguments["keep_top"])
    rubrics, by, times = arguments["rubrics"], arguments["by"], arguments["times"]
    allowed = [*rubrics, *_COMBINED]
    if by is not None and (not rubrics or by not in allowed):
        there = ", ".join(allowed) if rubrics else "nothing without rubrics: [accuracy, ...]"
        raise ConfigError(f"grade: by: {by!r} is none of what decides; allowed: {there}")
    if arguments["expected"] and rubrics:
        raise ConfigError("grade: expected reads the token of one score; it takes a rubric, not rubrics")
    if times < 1:
        raise ConfigError(f"grade: times: {times} is not 1 or more")
    if times > 1 and not arguments["temperature"]:
        raise ConfigError(f"grade: times: {times}: at temperature 0 all replies are one; set temperature, such as 0.7")


def chosen_prompts(arguments: dict[str, Any]) -> list[str]:
    """The prompt that stands for no ``rubric``."""
    return [] if arguments["rubric"] else [_prompt(None, arguments["rubrics"])]


async def grade(
    records: Iterable[Record],
    *,
    llm: LLM,
    rng: random.Random,
    rubric: PromptName | None = None,
    rubrics: tuple[str, ...] = (),
    by: str | None = None,
    times: int = 1,
    temperature: float | None = None,
    min_score: float | None = None,
    keep_top: float | None = None,
    expected: bool = False,
    control: bool = True,
) -> AsyncIterator[Record]:
    """Records whose first answer scored ``min_score`` or more (4.5 by default), or the best ``keep_top`` share of them.

    The score is kept under the rubric's name (``accuracy`` by default), the grader's words as its note. ``rubrics``
    (accuracy, helpfulness, clarity, complexity, quality, or those of a prompt given as ``rubric``) are all asked for in
    one request; ``by`` says which of them decides, the first by default, or their ``mean`` or ``product``, which is
    then kept as well. ``times`` asks again at ``temperature`` and takes the mean; the standard deviation is kept as
    ``NAME_std``. A row of whose replies one cannot be read has no score. ``expected`` takes the probability-weighted
    score (G-Eval), which has far fewer ties. ``keep_top`` is a share of the rows that have a score, and ties go to the
    earlier row.

    As many random rows as were kept, of all that have an answer, are ``from: NAME.random``. For these and for
    ``keep_top`` all rows are held; with ``control: false`` rows stream.
    """
    options = {"min_score": min_score, "keep_top": keep_top, "rubrics": rubrics, "by": by, "times": times}
    check({**options, "expected": expected, "temperature": temperature})
    prompt = _prompt(rubric, rubrics)
    names = rubrics or (prompt.removesuffix(".j2").rsplit("/", 1)[-1],)
    decides = by or names[0]
    grader = _Grader(llm, prompt, rubrics, names[0], expected, times, temperature)

    async def graded(record: Record) -> Record:
        with trail.following() as calls:
            return trail.link(await grader.graded(record, decides), calls)

    limits = Limits(_PAPER if min_score is None else min_score) if keep_top is None else Limits(share=keep_top)
    selection = Selection("grade", limits, rng if control else None)
    given = {name: Distribution() for name in dict.fromkeys((*names, decides))}
    async for record in ordered_map(graded, records, window=llm.window):
        for name, distribution in given.items() if record.dropped is None else ():
            distribution.add(record.answers[0].scores[name])
        for one in selection.take(record, None if record.dropped else record.answers[0].scores[decides]):
            yield one
    for one in selection.rest():
        yield one
    tables = {name: one.deciles() if name == "product" else one.histogram() for name, one in given.items()}
    report("grade", **tables)


def _prompt(rubric: str | None, rubrics: tuple[str, ...]) -> str:
    name = rubric or ("rubrics" if rubrics else "accuracy")
    return name if "/" in name or name.endswith(".j2") else f"grade/{name}"


class _Grader:
    """Asks one LLM about one record after the other, always in the same way."""

    def __init__(
        self,
        llm: LLM,
        prompt: str,
        rubrics: tuple[str, ...],
        name: str,
        expected: bool,
        times: int,
        temperature: float | None,
    ) -> None:
        self._llm, self._prompt, self._rubrics, self._name = llm, prompt, rubrics, name
        self._expected, self._times = expected, times
        self._sampling = None if temperature is None else {"temperature": temperature}

    async def graded(self, record: Record, decides: str) -> Record:
        """The record with its scores, or dropped because it has none."""
        if not record.answers:
            return record.drop("grade:no_answer")
        judge.warn_of_kin(self._llm, record.answers[:1])
        try:
            found = await asyncio.gather(*(self._asked(record, sample) for sample in range(self._times)))
        except LLMError as error:
            return record.drop(f"grade:{error.reason}", **error.evidence)
        for one in found:
            if one.scores is None:
                return record.drop("grade:truncated" if one.truncated else "grade:unparsed", raw=one.reply.text)
        scores = _combined([one.scores for one in found if one.scores is not None], decides)
        note = "\n\n".join(one.reply.text for one in found)
        first = record.answers[0]
        best = msgspec.structs.replace(
            first, scores={**first.scores, **scores}, notes={**first.notes, self._name: note}
        )
        return msgspec.structs.replace(record, answers=(best, *record.answers[1:]))

    async def _asked(self, record: Record, sample: int) -> judge.Grades:
        how: dict[str, Any] = {"sampling": self._sampling, "sample": sample}
        if self._rubrics:
            return await judge.grade_rubrics(
                self._llm, self._prompt, record.prompt, record.answer, self._rubrics, **how
            )
        one = await judge.grade(self._llm, self._prompt, record.prompt, record.answer, self._expected, **how)
        return judge.Grades(None if one.score is None else {self._name: one.score}, one.reply)


def _combined(replies: list[dict[str, float]], decides: str) -> dict[str, float]:
    """Each score's mean over the replies, what decides where it is made of them all, and how far the replies differ."""
    for scores in replies:
        if decides in _COMBINED and decides not in scores:
            scores[decides] = _COMBINED[decides](list(scores.values()))
    means = {name: round(statistics.fmean(one[name] for one in replies), 4) for name in replies[0]}
    if len(replies) == 1:
        return means
    spread = {f"{name}_std": round(statistics.stdev(one[name] for one in replies), 4) for name in means}
    return {**means, **spread}
