"""Win rate by an LLM judge that sees every pair in both orders (MT-Bench, arXiv 2306.05685; AlpacaEval, 2404.04475).

A win needs both orders; a judge that contradicts itself has called a tie; equal answers are a tie without a call.
Judges prefer long answers, so the difference in length is always reported beside the rate.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from datagen.aio import ordered_map
from datagen.errors import ConfigError, LLMError, StageError
from datagen.evaluation.asking import answer_or_reason, first_rows
from datagen.evaluation.statistics import mean
from datagen.llm.client import LLM
from datagen.llm.judge import Verdict, pairwise
from datagen.record import Record
from datagen.stage import PromptName, Rows

_OUTCOMES = {"first": "win", "second": "loss", "tie": "tie", "unparsed": "unparsed"}
_POINTS = {"win": 1.0, "tie": 0.5, "loss": 0.0}


@dataclass
class Comparison:
    """One prompt: both answers, and ``win``, ``tie``, ``loss``, ``unparsed`` or the reason of a failed request."""

    record: Record
    first: str
    second: str
    outcome: str
    verdict: Verdict | None = None


async def win_rate(
    data: Rows,
    out: Path,
    *,
    model: LLM,
    judge: LLM,
    baseline: LLM | None = None,
    prompt: PromptName = PromptName("answer/answer"),
    judge_prompt: PromptName = PromptName("judge/pairwise"),
    max_tokens: int = 1024,
    limit: int | None = None,
) -> dict[str, Any]:
    """How often the judge prefers ``model`` to ``baseline`` (without one: to each row's own first answer).

    ``win_rate`` counts a tie as half; ``winning_score`` is AlpaGasus's (wins - losses) / n + 1. Replies that do not
    parse and failed requests are counted, and left out of n. Judgements go to ``judgements.jsonl``.

    Raises:
        ConfigError: no rows, or nothing to compare with.
        StageError: not one pair could be judged.
    """
    comparisons = []
    with (out / "judgements.jsonl").open("wb") as file:
        compare = partial(_compare, model, baseline, judge, str(prompt), str(judge_prompt), max_tokens)
        async for comparison in ordered_map(compare, first_rows(data, limit), window=model.window):
            comparisons.append(comparison)
            file.write(msgspec.json.encode(_line(comparison)) + b"\n")
    if all(comparison.outcome == "no_reference" for comparison in comparisons):
        raise ConfigError("win_rate: no baseline is given and no row has an answer to compare with")
    if not any(comparison.verdict for comparison in comparisons):
        reason, count = Counter(comparison.outcome for comparison in comparisons).most_common(1)[0]
        raise StageError(
            f"win_rate: no pair could be judged, most often for {reason} ({count}); mend that and run again"
        )
    return {**summarize(comparisons), "judge": judge.model, "model": model.model, "baseline": _name(baseline)}


async def _compare(
    model: LLM, baseline: LLM | None, judge: LLM, prompt: str, judge_prompt: str, max_tokens: int, record: Record
) -> Comparison:
    (first, failed), (second, failed_too) = await asyncio.gather(
        answer_or_reason(model, prompt, record, max_tokens), _reference(baseline, prompt, record, max_tokens)
    )
    if failed or failed_too:
        return Comparison(record, first, second, failed or failed_too)
    try:
        verdict = await pairwise(judge, judge_prompt, record.prompt, first, second)
    except LLMError as error:
        return Comparison(record, first, second, f"judge_{error.reason}")
    return Comparison(record, first, second, _OUTCOMES[verdict.winner], verdict)


async def _reference(baseline: LLM | None, prompt: str, record: Record, max_tokens: int) -> tuple[str, str]:
    if baseline is not None:
        return await answer_or_reason(baseline, prompt, record, max_tokens)
    return (record.answer.strip(), "") if record.answers else ("", "no_reference")


def summarize(comparisons: list[Comparison]) -> dict[str, Any]:
    """The metrics of a list of comparisons."""
    counts = Counter(comparison.outcome for comparison in comparisons)
    judged = [comparison for comparison in comparisons if comparison.outcome in _POINTS]
    rate = mean([_POINTS[comparison.outcome] for comparison in judged])
    lengths = mean([float(len(comparison.first) - len(comparison.second)) for comparison in judged])
    n = len(judged)
    return {
        "win_rate": round(rate["mean"], 4) if n else None,
        "stderr": round(rate["stderr"], 4),
        "winning_score": round((counts["win"] - counts["loss"]) / n + 1, 4) if n else None,
        "n": n,
        "wins": counts["win"],
        "ties": counts["tie"],
        "losses": counts["loss"],
        "unparsed": counts["unparsed"],
        "failures": {key: value for key, value in counts.items() if key not in _POINTS and key != "unparsed"},
        "length_difference": round(lengths["mean"], 1),
        "order_consistency": _consistency(comparisons),
    }


def _consistency(comparisons: list[Comparison]) -> float | None:
    """Share of pairs shown in two orders that got the same verdict in both; None where none was."""
    shown = [c.verdict for c in comparisons if c.verdict and len(c.verdict.orders) > 1 and None not in c.verdict.orders]
    return round(sum(verdict.consistent for verdict in shown) / len(shown), 4) if shown else None


def _name(baseline: LLM | None) -> str:
    return baseline.model if baseline else "the rows' own answers"


def _line(comparison: Comparison) -> dict[str, Any]:
    verdict = comparison.verdict
    return {
        "id": comparison.record.id,
        "prompt": comparison.record.prompt,
        "model": comparison.first,
        "baseline": comparison.second,
        "outcome": comparison.outcome,
        **({"orders": verdict.orders, "scores": verdict.scores, "replies": verdict.replies} if verdict else {}),
    }
