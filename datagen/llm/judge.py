"""An LLM as a judge: one answer graded (AlpaGasus, arXiv 2307.08701), or two compared (MT-Bench, arXiv 2306.05685).

Two answers are always shown in both orders, and a judge that contradicts itself has called a tie: position bias is the
strongest bias known. A prompt file with ``layout: pointwise`` grades each answer on its own instead, with the prompt
that it names under ``grade:``. A reply that does not parse is reported as such, never read as a tie or a zero.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from datagen.errors import ConfigError
from datagen.llm.base import Reply, TokenLogprob
from datagen.llm.client import LLM
from datagen.prompts import Prompt
from datagen.record import Answer, Message
from datagen.text.echo import after_echo
from datagen.text.families import family
from datagen.text.parsing import RUBRICS, SCORES, VERDICTS, Score, Winner, choose

logger = logging.getLogger("datagen")

_SWAPPED: dict[Winner, Winner] = {"first": "second", "second": "first", "tie": "tie"}
_ALTERNATIVES = 20  # what OpenAI and vLLM return at most by default


@dataclass(frozen=True)
class Grade:
    """A score from 0 to 5, or None where the reply had none; ``reply`` is what the judge wrote."""

    score: float | None
    reply: Reply

    @property
    def truncated(self) -> bool:
        """The reply was cut before its end."""
        return self.reply.finish_reason == "length"


@dataclass(frozen=True)
class Verdict:
    """Which of two answers is better, over both orders.

    ``orders`` holds what each order said by itself (already in terms of the answers, not of their places); ``scores``
    the share of orders that each answer won (a tie is half), or its grade in the pointwise layout, None where unknown.
    """

    winner: Literal["first", "second", "tie", "unparsed"]
    replies: tuple[str, ...] = ()
    scores: tuple[float | None, float | None] = (None, None)
    orders: tuple[Winner | None, ...] = ()
    truncated: bool = False
    """A reply was cut before its verdict."""

    @property
    def consistent(self) -> bool:
        """All orders agree."""
        return len(set(self.orders)) == 1 and None not in self.orders


def warn_of_kin(llm: LLM, answers: Sequence[Answer]) -> None:
    """One warning (``judge:same_family``) for each judge that is given answers by a model of its own family.

    A pool is known by its own name, and so not looked into.
    """
    own = family(llm.model)
    kin = next((answer.model for answer in answers if own and family(answer.model) == own), "")
    if kin and "same_family" not in llm.warned:
        llm.warned.add("same_family")
        logger.warning(
            "judge:same_family: %s judges answers by %s, of its own family (%s), which judges tend to favour",
            llm.model,
            kin,
            own,
        )


@dataclass(frozen=True)
class Grades:
    """A score from 0 to 5 under each rubric, or None where the reply lacked any of them."""

    scores: dict[str, float] | None
    reply: Reply

    @property
    def truncated(self) -> bool:
        """The reply was cut before its end."""
        return self.reply.finish_reason == "length"


async def grade(
    llm: LLM,
    prompt: str,
    record_prompt: Sequence[Message],
    answer: str,
    expected: bool = False,
    *,
    sampling: dict[str, Any] | None = None,
    sample: int = 0,
) -> Grade:
    """One answer's grade. ``expected`` weighs all scores by their probability (G-Eval, arXiv 2303.16634).

    Raises ``LLMError``, and ``ConfigError`` where ``expected`` meets a back end that returns no log-probabilities.
    """
    template = llm.prompt(prompt)
    find = choose(template.parser, SCORES, where=template.path)
    if expected:
        sampling = {**(sampling or {}), "logprobs": _ALTERNATIVES}
    shown: dict[str, Any] = {"prompt": record_prompt, "instruction": record_prompt[-1].content, "answer": answer}
    reply = await llm.ask(prompt, sample=sample, sampling=sampling, **shown)
    start = after_echo(reply.text, template.render(**shown)[-1].content) if len(reply.text) > len(answer) else 0
    score = find(reply.text[start:])
    if score is None or (reply.finish_reason == "length" and not _is_settled(template, reply.text[start:], score)):
        return Grade(None, reply)
    if not expected:
        return Grade(score.value, reply)
    if not reply.logprobs:
        raise ConfigError(f"expected: the back end of {llm.model} returns no log-probabilities; leave it out")
    at = find("".join(token.token for token in reply.logprobs)[start:])
    return Grade(expected_score(reply.logprobs, Score(at.value, start + at.start)) if at else score.value, reply)


def _is_settled(template: Prompt, text: str, score: Score) -> bool:
    """A reply that was cut has its score all the same where that stands on the first line, and the line is whole."""
    first = not text[: score.start].strip() or "\n" not in text[: score.start].lstrip()
    return template.parser == "score_first" and first and "\n" in text[score.start :]


async def grade_rubrics(
    llm: LLM,
    prompt: str,
    record_prompt: Sequence[Message],
    answer: str,
    rubrics: Sequence[str],
    *,
    sampling: dict[str, Any] | None = None,
    sample: int = 0,
) -> Grades:
    """One answer's grades under several rubrics, asked for in one request. Raises ``LLMError``.

    Raises:
        ConfigError: the LLM's prompt pack says that its model cannot do this.
    """
    template = llm.prompt(prompt)
    if template.skipped:
        raise ConfigError(f"{llm.model} cannot grade several rubrics in one reply (prompt {template.path}); use rubric")
    parse = choose(template.parser, RUBRICS, where=template.path)
    shown = {"prompt": record_prompt, "instruction": record_prompt[-1].content, "answer": answer}
    reply = await llm.ask(prompt, sample=sample, sampling=sampling, rubrics=rubrics, **shown)
    whole = reply.text if reply.finish_reason != "length" else reply.text.rpartition("\n")[0]  # "4" may have been "4.5"
    return Grades(parse(whole, rubrics), reply)


def expected_score(tokens: Sequence[TokenLogprob], at: Score) -> float:
    """The mean of the scores 0 to 5 under the probabilities of the token that holds the score, to two decimals.

    Finer digits are the noise of the batch that the reply was computed in.

    A score of several tokens (``4.5``) counts with its own value under its first token's probability; other
    alternatives for that token count with the integer they show.
    """
    end = 0
    for token in tokens:
        end += len(token.token)
        if end > at.start:
            break
    weights = {at.value: math.exp(token.logprob)}
    for text, logprob in token.top.items():
        value = text.strip()
        if text != token.token and value.isdecimal() and float(value) <= 5:
            weights[float(value)] = weights.get(float(value), 0.0) + math.exp(logprob)
    return round(sum(value * weight for value, weight in weights.items()) / sum(weights.values()), 2)


async def pairwise(
    llm: LLM,
    prompt: str,
    record_prompt: Sequence[Message],
    first: str,
    second: str,
    *,
    min_gap: float = 0.0,
    expected: bool = False,
) -> Verdict:
    """Which of two answers is better. Equal texts are a tie without a call.

    ``min_gap`` and ``expected`` concern the pointwise layout: a smaller gap is a tie. Raises ``LLMError``.
    """
    if first == second:
        return Verdict("tie", orders=("tie",))
    template = llm.prompt(prompt)
    if template.layout == "pointwise":
        return await _pointwise(
            llm, template.grade or "grade/accuracy", record_prompt, first, second, min_gap, expected
        )
    return await both_orders(llm, prompt, first, second, prompt=record_prompt, instruction=record_prompt[-1].content)


async def both_orders(llm: LLM, name: str, one: Any, two: Any, /, **variables: Any) -> Verdict:
    """What the template ``name`` says of ``one`` as ``first`` and ``two`` as ``second``, and of them swapped.

    Raises ``LLMError``.
    """
    template = llm.prompt(name)
    parse = choose(template.parser, VERDICTS, where=template.path)
    shown, swapped = await asyncio.gather(
        llm.ask(name, first=one, second=two, **variables), llm.ask(name, first=two, second=one, **variables)
    )
    straight, mirrored = parse(shown.text), parse(swapped.text)
    turned = _SWAPPED[mirrored] if mirrored else None
    replies, orders = (shown.text, swapped.text), (straight, turned)
    if "length" in (shown.finish_reason, swapped.finish_reason):
        return Verdict("unparsed", replies, orders=orders, truncated=True)
    if straight is None or turned is None:
        return Verdict("unparsed", replies, orders=orders)
    won = sum({"first": 1.0, "tie": 0.5, "second": 0.0}[winner] for winner in (straight, turned)) / 2
    return Verdict(straight if straight == turned else "tie", replies, (won, 1 - won), orders)


async def _pointwise(
    llm: LLM, prompt: str, record_prompt: Sequence[Message], first: str, second: str, min_gap: float, expected: bool
) -> Verdict:
    one, two = await asyncio.gather(
        grade(llm, prompt, record_prompt, first, expected), grade(llm, prompt, record_prompt, second, expected)
    )
    return by_grades(one, two, min_gap)


def by_grades(one: Grade, two: Grade, min_gap: float = 0.0) -> Verdict:
    """The one with the higher grade; a smaller gap than ``min_gap`` is a tie."""
    replies, scores = (one.reply.text, two.reply.text), (one.score, two.score)
    if one.score is None or two.score is None:
        return Verdict("unparsed", replies, scores, orders=(None,), truncated=one.truncated or two.truncated)
    gap = one.score - two.score
    winner: Winner = "tie" if gap == 0 or abs(gap) < min_gap else "first" if gap > 0 else "second"
    return Verdict(winner, replies, scores, orders=(winner,))
