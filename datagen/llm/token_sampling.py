"""The next token of each row of a batch, from its own parameters and its own random numbers.

A row draws one uniform number a token from a generator seeded by its request, and inverts the distribution function,
so its tokens do not depend on the rows beside it. Top-p after Holtzman et al. (arXiv 1904.09751), after top-k.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

_CANDIDATES = 64


@dataclass(eq=False)
class Choice:
    """How one row is sampled. ``top_k`` 0: all tokens. ``logprobs`` n: those of the chosen token and the n best."""

    rng: random.Random
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logprobs: int | None = None
    tokens: list[int] = field(default_factory=list)
    """What was generated so far."""

    @property
    def is_filtered(self) -> bool:
        """Whether only some of the tokens may be chosen."""
        return self.temperature > 0 and (self.top_p < 1 or self.top_k > 0)


def choose(logits: torch.Tensor, rows: Sequence[Choice]) -> list[int]:
    """A token for each row; ``logits`` (batch, vocabulary) float32 are changed in place by penalties."""
    _penalise(logits, rows)
    chosen: list[int] = [0] * len(rows)
    greedy = [i for i, row in enumerate(rows) if row.temperature <= 0]
    if greedy:
        for i, token in zip(greedy, logits[greedy].argmax(-1).tolist(), strict=True):
            chosen[i] = token
    free = [i for i, row in enumerate(rows) if row.temperature > 0 and not row.is_filtered]
    filtered = [i for i, row in enumerate(rows) if row.is_filtered]
    for indices, draw in ((free, _draw), (filtered, _draw_filtered)):
        if indices:
            some = [rows[i] for i in indices]
            for i, token in zip(indices, draw(_heated(logits, indices, some), some), strict=True):
                chosen[i] = token
    return chosen


def logprobs(logits: torch.Tensor, chosen: Sequence[int], count: int) -> tuple[list[float], list[dict[int, float]]]:
    """Log-probability (temperature 1) of each row's chosen token, and its ``count`` best tokens with theirs."""
    distribution = logits.log_softmax(-1)
    picked = torch.tensor(chosen, device=logits.device)[:, None]
    own: list[float] = distribution.gather(1, picked)[:, 0].tolist()
    best = distribution.topk(count)
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return own, [dict(zip(tokens, values, strict=True)) for tokens, values in pairs]


def _heated(logits: torch.Tensor, indices: list[int], rows: Sequence[Choice]) -> torch.Tensor:
    some = logits if len(indices) == len(logits) else logits[indices]
    return some / torch.tensor([[row.temperature] for row in rows], device=logits.device)


def _uniform(rows: Sequence[Choice], device: torch.device) -> torch.Tensor:
    return torch.tensor([[row.rng.random()] for row in rows], dtype=torch.float64, device=device)


def _draw(logits: torch.Tensor, rows: Sequence[Choice]) -> list[int]:
    return _invert(logits.softmax(-1), rows)


def _invert(weights: torch.Tensor, rows: Sequence[Choice]) -> list[int]:
    """Index into each row of ``weights`` (batch, n), which need not sum to 1."""
    cumulative = weights.cumsum(-1, dtype=torch.float64)
    target = _uniform(rows, weights.device) * cumulative[:, -1:]
    found: list[int] = torch.searchsorted(cumulative, target, right=True)[:, 0].tolist()
    return found


def _draw_filtered(logits: torch.Tensor, rows: Sequence[Choice]) -> list[int]:
    """Sorting a whole vocabulary is dear; the most likely tokens nearly always hold all that may be chosen."""
    size = logits.shape[-1]
    count = min(size, max(_CANDIDATES, *(row.top_k for row in rows)))
    device = logits.device
    top_p = torch.tensor([[row.top_p] for row in rows], device=device)
    top_k = torch.tensor([[row.top_k or size] for row in rows], device=device)
    total = logits.logsumexp(-1, keepdim=True)
    best = logits.topk(count)
    weights = (best.values - total).exp()
    if bool(((weights.sum(-1, keepdim=True) < top_p) & (top_k > count)).any()):
        best = logits.topk(size)
        weights = (best.values - total).exp()
    rank = torch.arange(weights.shape[-1], device=device)
    weights = weights.where(rank < top_k, 0)
    mass = weights.sum(-1, keepdim=True).where(top_k < size, 1)
    before = weights.cumsum(-1) - weights
    weights = weights.where(before < top_p * mass, 0)
    index = torch.tensor(_invert(weights, rows), device=device)[:, None]
    tokens: list[int] = best.indices.gather(1, index)[:, 0].tolist()
    return tokens


def _penalise(logits: torch.Tensor, rows: Sequence[Choice]) -> None:
    for i, row in enumerate(rows):
        if row.tokens and (row.presence_penalty or row.frequency_penalty):
            counted = Counter(row.tokens)
            tokens = torch.tensor(list(counted), device=logits.device)
            counts = torch.tensor(list(counted.values()), device=logits.device)
            logits[i, tokens] -= row.presence_penalty + row.frequency_penalty * counts
