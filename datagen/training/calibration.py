"""How far a reward model can be trusted: accuracy, calibration and its liking for length, on held-out rankings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_BINS = 10


@dataclass(frozen=True)
class Ranking:
    """One prompt's answers, best first: the model's rewards and the lengths in tokens."""

    rewards: Sequence[float]
    lengths: Sequence[int]


def report(trainer: Any) -> dict[str, Any]:
    """``measured`` on the trainer's held-out rows; nothing without any."""
    if trainer.eval_dataset is None or not len(trainer.eval_dataset):
        return {}
    return measured(_score(trainer))


def measured(rankings: Sequence[Ranking]) -> dict[str, Any]:
    """Accuracy over all pairs (a tie is half right), calibration, and what length alone explains."""
    pairs = [pair for one in rankings for pair in itertools.combinations(zip(one.rewards, one.lengths, strict=True), 2)]
    gaps = [better[0] - worse[0] for better, worse in pairs]
    bins = reliability(gaps)
    return {
        "pairs": len(pairs),
        "accuracy": round(sum(map(_won, gaps)) / len(gaps), 4),
        "calibration_error": round(sum(b["pairs"] * abs(b["confidence"] - b["right"]) for b in bins) / len(gaps), 4),
        "calibration": bins,
        "length_correlation": _correlation(
            [value - _mean(one.rewards) for one in rankings for value in one.rewards],
            [length - _mean(one.lengths) for one in rankings for length in one.lengths],
        ),
        "longer_is_better": round(sum(_won(better[1] - worse[1]) for better, worse in pairs) / len(gaps), 4),
    }


def reliability(gaps: Sequence[float]) -> list[dict[str, Any]]:
    """Pairs by the probability that the model gives to its own choice, sigmoid(|r_w - r_l|), in ten bins from 0.5 to 1.

    Each bin has its mean ``confidence`` and the share of its pairs that were ``right``; empty bins are left out.
    """
    bins: list[list[tuple[float, float]]] = [[] for _ in range(_BINS)]
    for gap in gaps:
        confidence = 1 / (1 + math.exp(-abs(gap)))
        bins[min(int((confidence - 0.5) * 2 * _BINS), _BINS - 1)].append((confidence, _won(gap)))
    return [
        {
            "pairs": len(found),
            "confidence": round(_mean([confidence for confidence, _ in found]), 4),
            "right": round(_mean([won for _, won in found]), 4),
        }
        for found in bins
        if found
    ]


def _score(trainer: Any) -> list[Ranking]:
    import torch
    from accelerate.utils import gather_object

    trainer.model.eval()
    rankings = []
    for batch in trainer.get_eval_dataloader():
        inputs = trainer._prepare_inputs(batch)
        with torch.no_grad():
            logits = trainer.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        counts = inputs["counts"].tolist()
        rewards = logits.squeeze(-1).float().split(counts)
        lengths = inputs["attention_mask"].sum(1).split(counts)
        rankings += [Ranking(r.tolist(), n.tolist()) for r, n in zip(rewards, lengths, strict=True)]
    gathered: list[Ranking] = gather_object(rankings)
    return gathered


def _won(gap: float) -> float:
    return 0.5 if gap == 0 else float(gap > 0)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Pearson's r of centred values; None where one of them never varies."""
    scale = math.sqrt(sum(x * x for x in left) * sum(y * y for y in right))
    return round(sum(x * y for x, y in zip(left, right, strict=True)) / scale, 4) if scale else None
